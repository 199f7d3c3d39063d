"""Where a QuestDB store is: questdb://user:password@host:9000/table, or questdbs:// where TLS is spoken."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from chandlery.errors import UsageError

TABLE = "candles"
PORT = 9000
_SCHEMES = ("questdb", "questdbs")
#: Room is left for what is appended to the name of the tables beside it. No quote, no blank, nothing to escape.
_TABLE = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}")


class WrongAddress(UsageError):
    """A QuestDB store is written questdb://user:password@host:9000/table (questdbs:// for TLS; table and port may be
    left out); {reason}"""


@dataclass(frozen=True, slots=True)
class Address:
    """A server, who one is there, and the table in which the candles are. Never shows its password."""

    host: str
    port: int = PORT
    tls: bool = False
    user: str = ""
    password: str = field(default="", repr=False)
    #: In small letters: to QuestDB Candles and candles are one table, and so they are to our locks.
    table: str = TABLE
    #: A file with the certificates that are trusted in place of the system's.
    ca: Path | None = None

    @property
    def base_url(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.host_and_port}"

    @property
    def host_and_port(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        """As it was written, without the password, and with the table in small letters."""
        who = f"{self.user}@" if self.user else ""
        return f"{'questdbs' if self.tls else 'questdb'}://{who}{self.host_and_port}/{self.table}"


def parse_address(url: str, base: Path) -> Address:
    """What `url` says; a relative file of certificates lies in `base`. Raises WrongAddress, without any password."""
    try:
        parts = urlsplit(url)
        port = parts.port or PORT
        options = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    except ValueError:
        raise WrongAddress(reason="a password with / ? # @ or % in it is percent-encoded") from None
    if parts.scheme not in _SCHEMES or not parts.hostname:
        raise WrongAddress(reason="the host is missing")
    table = parts.path.strip("/") or TABLE
    if not _TABLE.fullmatch(table):
        raise WrongAddress(reason="a table is named with letters, digits and underscores, a letter first")
    if bool(parts.username) != (parts.password is not None):
        raise WrongAddress(reason="user and password go together")
    ca = options.pop("ca", None)
    if options or parts.fragment:
        raise WrongAddress(reason="the one option that may follow is ?ca=FILE")
    return Address(
        host=parts.hostname,
        port=port,
        tls=parts.scheme == "questdbs",
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        table=table.lower(),
        ca=base / Path(ca).expanduser() if ca else None,
    )
