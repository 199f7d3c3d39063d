"""The settings a user may give: name, default and meaning. Documentation and `.env.example` are held to this table."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Option:
    """One setting. Its default is a value, or, where it depends on the machine, told in words."""

    name: str
    meaning: str
    default: str = ""
    default_in_words: str = ""

    @property
    def default_shown(self) -> str:
        return self.default or self.default_in_words


HOME = Option(
    "CHANDLERY_HOME",
    "The folder in which data and settings live. Only the environment can say it.",
    default_in_words="the checkout's folder with manage.py; without a checkout, the platform's folder for user data",
)

#: Read from the environment, then `.env`, then `settings.env` in CHANDLERY_HOME, from which relative paths start too.
OPTIONS = (
    HOME,
    Option(
        "DATABASE_URL",
        "Where state is kept: an SQLite file, or a server as postgres://user:password@host:5432/name.",
        default="sqlite:///data/chandlery.sqlite3",
    ),
    Option(
        "CANDLE_STORE",
        "Where candles are kept: a Parquet lake in a folder, or a QuestDB as questdb://user:password@host:9000/table "
        "(questdbs:// for TLS).",
        default="parquet:data/candles",
    ),
    Option("ARCHIVE_DIR", "Where archives are looked for when no --source is given.", default="data/archives"),
    Option("DEFAULT_INTERVALS", "Candle widths in minutes when no --intervals are given.", default="60,1440"),
    Option(
        "KRAKEN_API",
        "Where Kraken's REST API is asked; the sandbox's address to try things out.",
        default="https://api.kraken.com",
    ),
    Option(
        "KRAKEN_RATE",
        "Requests a second for one market, whatever the number of processes; 0: no limit (Kraken allows 1).",
        default="1",
    ),
    Option("KRAKEN_CONNECTIONS", "Markets that are asked for side by side.", default="8"),
    Option("KRAKEN_TIMEOUT", "Seconds to wait for an answer before asking again.", default="20"),
    Option("KRAKEN_ATTEMPTS", "How often one thing is asked for at most.", default="5"),
    Option(
        "KRAKEN_RETRY_WAIT",
        "Seconds before the first repetition; the next waits are twice as long each, up to a minute.",
        default="1",
    ),
    Option(
        "KRAKEN_MAINTENANCE_WAIT",
        "Seconds that a run waits at most while Kraken is in maintenance.",
        default="900",
    ),
    Option(
        "LOG_FILE",
        "A file for structured logs: one JSON object a line, for every step, failure and warning.",
        default_in_words="no such file is written",
    ),
    Option(
        "WORKERS",
        "How many processes read files at once.",
        default_in_words="one for each processor",
    ),
    Option(
        "TIERS_FILE",
        "A TOML file that says which asset is in which tier.",
        default_in_words="the table that comes with Chandlery",
    ),
    Option(
        "CLOCK",
        "A time such as 2026-01-31T12:00:00Z, to run as if it were then.",
        default_in_words="the system's clock",
    ),
    Option(
        "ALLOWED_HOSTS",
        "By which names pages and API may be asked for, joined by commas.",
        default="127.0.0.1,localhost,[::1]",
    ),
    Option(
        "WEB_LOGIN_REQUIRED",
        "Whether reading takes a login, on this machine too. From other machines it always does.",
        default="false",
    ),
    Option(
        "API_TOKEN",
        "What a program shows to the JSON API: to start and stop jobs, and to read where reading takes a login.",
        default_in_words="the API starts and stops nothing",
    ),
    Option("DEBUG", "Django's debug pages. Never where others reach the machine.", default="false"),
    Option(
        "SECRET_KEY",
        "What the web pages sign sessions with.",
        default_in_words="made when first needed, kept in the file secret_key",
    ),
)
