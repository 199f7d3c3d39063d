"""Where candles live."""

from pathlib import Path

from chandlery.errors import UsageError
from chandlery.stores.base import CandleStore


class UnknownStore(UsageError):
    """A candle store is written parquet:FOLDER or questdb://user:password@host:9000; {scheme!r} is no kind of store
    that is known."""


class NoFolder(UsageError):
    """A candle store is written parquet:FOLDER; the folder is missing."""


#: How the stores there are begin.
SCHEMES = ("parquet", "questdb", "questdbs")


def open_store(url: str, base: Path) -> CandleStore:
    """The store that `url` names; a relative folder lies in `base`. Touches nothing. Raises UsageError."""
    scheme, colon, rest = url.partition(":")
    if scheme not in SCHEMES or not colon:
        # What follows the scheme may hold a password, so it is not repeated.
        raise UnknownStore(scheme=scheme)
    if scheme != "parquet":
        from chandlery.stores.questdb import QuestDBStore
        from chandlery.stores.questdb_address import parse_address

        return QuestDBStore(parse_address(url, base))
    if not rest.strip():
        raise NoFolder()

    from chandlery.stores.parquet import ParquetLake

    return ParquetLake(base / Path(rest).expanduser(), url)
