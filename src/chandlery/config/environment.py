"""Settings as a user gives them, by the environment and by files in CHANDLERY_HOME: checked, as values."""

import os
import re
import secrets
from contextlib import suppress
from datetime import UTC, datetime
from difflib import get_close_matches
from importlib.util import find_spec
from io import StringIO
from math import isfinite
from pathlib import Path
from typing import Any

import environ

from chandlery.candles.interval import Interval, UnknownInterval
from chandlery.config.options import HOME, OPTIONS
from chandlery.errors import UsageError

SECRET_KEY_FILE = "secret_key"
#: In the home; what the later one says comes first.
SETTINGS_FILES = ("settings.env", ".env")

SQLITE = "django.db.backends.sqlite3"
SQLITE_OPTIONS = {
    # A transaction that reads and then writes would else be refused when another one wrote in between.
    "transaction_mode": "IMMEDIATE",
    "timeout": 30,
    "init_command": (
        "PRAGMA busy_timeout=30000; PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON"
    ),
}

_DEFAULTS = {option.name: option.default for option in OPTIONS}


class BadSetting(UsageError):
    """The setting {name} is {value!r}; expected {expected}."""


class UnreadableSettings(UsageError):
    """The settings file {path} cannot be read: {reason}; let the user who runs this read it: chown, chmod"""


class NoPostgresDriver(UsageError):
    """DATABASE_URL names a PostgreSQL server, but its driver is not installed: pip install 'chandlery[postgres]'"""


def home_folder() -> Path:
    """The folder in which data and settings live; it need not exist yet."""
    if named := os.environ.get(HOME.name):
        return Path(named).expanduser().absolute()
    from platformdirs import user_data_path

    return user_data_path("chandlery", appauthor=False)


class Environment:
    """What the environment says, and where it is silent, the files in `home`. The environment is left as it was."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._said = {name: value for file in SETTINGS_FILES for name, value in _said_in(home / file).items()}
        self._said.update(os.environ)

    def text(self, name: str) -> str:
        """The value given, else the default; empty where that is only told in words."""
        return self._said.get(name, "").strip() or _DEFAULTS[name]

    def path(self, name: str) -> Path | None:
        """Relative ones start from `home`."""
        value = self.text(name)
        return self.home / Path(value).expanduser() if value else None

    def flag(self, name: str) -> bool:
        return self.text(name).lower() in environ.Env.BOOLEAN_TRUE_STRINGS

    def words(self, name: str) -> list[str]:
        """What is joined by commas."""
        return [word.strip() for word in self.text(name).split(",") if word.strip()]

    def positive(self, name: str, default: int) -> int:
        value = self.text(name) or str(default)
        if not value.isdecimal() or int(value) < 1:
            raise BadSetting(name=name, value=value, expected="a whole number from 1 on")
        return int(value)

    def number(self, name: str, *, above_zero: bool = False) -> float:
        value = self.text(name)
        try:
            found = float(value)
        except ValueError:
            found = -1.0
        if not isfinite(found) or found < 0 or (above_zero and found == 0):
            raise BadSetting(
                name=name, value=value, expected="a number above zero" if above_zero else "a number, 0 or more"
            )
        return found

    def address(self, name: str) -> str:
        """An address to which paths are added."""
        value = self.text(name).rstrip("/")
        if not re.fullmatch(r"https?://[^/?#@\s]+(/[^?#\s]*)?", value):
            raise BadSetting(name=name, value=value, expected="an address such as https://api.kraken.com")
        return value

    def intervals(self, name: str) -> tuple[int, ...]:
        value = self.text(name)
        try:
            return tuple(int(Interval.parse(part)) for part in value.split(","))
        except UnknownInterval:
            known = ", ".join(str(int(interval)) for interval in Interval)
            raise BadSetting(name=name, value=value, expected=f"minutes out of {known}, joined by commas") from None

    def moment(self, name: str) -> datetime | None:
        """The time given, in UTC."""
        value = self.text(name)
        if not value:
            return None
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            raise BadSetting(name=name, value=value, expected="a time with its zone, such as 2026-01-31T12:00:00Z")
        return moment.astimezone(UTC)

    def database(self, name: str) -> dict[str, Any]:
        """Django's description of the database that a URL names."""
        url = self.text(name)
        if url.partition("://")[0] not in {"sqlite", "postgres", "postgresql"}:
            raise BadSetting(name=name, value=_without_password(url), expected="sqlite:///PATH or postgres://…")
        try:
            described: dict[str, Any] = environ.Env.db_url_config(url)
        except ValueError:
            expected = "an address whose password writes / @ : # and % as %2F %40 %3A %23 and %25"
            raise BadSetting(name=name, value=_without_password(url), expected=expected) from None
        if described["ENGINE"] != SQLITE:
            if find_spec("psycopg") is None:
                raise NoPostgresDriver
            return described
        if described["NAME"] != ":memory:":
            described["NAME"] = str(self.home / Path(described["NAME"]).expanduser())
        return {**described, "OPTIONS": {**described.get("OPTIONS", {}), **SQLITE_OPTIONS}}


def misspelt_settings(home: Path) -> dict[str, tuple[str, str]]:
    """What settings files in `home` name that is no setting, but nearly: the file, and the setting."""
    found: dict[str, tuple[str, str]] = {}
    for file in SETTINGS_FILES:
        for name in _said_in(home / file):
            near = [] if name in _DEFAULTS else get_close_matches(name, _DEFAULTS, n=1, cutoff=0.85)
            if near:
                found[name] = (file, near[0])
    return found


def processors() -> int:
    """How many this process may use; in a container that can be fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def package_folder(name: str) -> Path | None:
    """Where a package is installed, without importing it; None where it is not."""
    found = find_spec(name)
    return Path(found.origin).parent if found is not None and found.origin else None


def kept_secret(home: Path) -> str:
    """The key in `home`, made when first asked for, readable by its owner alone."""
    path = home / SECRET_KEY_FILE
    if not path.exists():
        home.mkdir(parents=True, exist_ok=True)
        draft = home / f".{SECRET_KEY_FILE}.{secrets.token_hex(8)}"
        draft.touch(mode=0o600, exist_ok=False)
        draft.write_text(secrets.token_urlsafe(48))
        # Unlike a rename, a link never replaces the key that another process may just have made.
        with suppress(FileExistsError):
            path.hardlink_to(draft)
        draft.unlink()
    return path.read_text().strip()


def _said_in(path: Path) -> dict[str, str]:
    """The settings in a file of NAME=value lines; none where there is no file. Raises UnreadableSettings."""
    try:
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
    except OSError as error:
        raise UnreadableSettings(path=path, reason=error.strerror) from error
    said: dict[str, str] = {}
    # It would put what it reads into the environment of this process, and of all it starts.
    reader: Any = type("SettingsFile", (environ.Env,), {"ENVIRON": said})
    reader.read_env(StringIO(text))
    return said


def _without_password(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"
