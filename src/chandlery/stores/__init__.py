"""Where candles live."""

from pathlib import Path

from chandlery.errors import UsageError
from chandlery.stores.base import CandleStore


class UnknownStore(UsageError):
    """A candle store is written parquet:FOLDER; {scheme!r} is no kind of store that is known."""


class NoFolder(UsageError):
    """A candle store is written parquet:FOLDER; the folder is missing."""


def open_store(url: str, base: Path) -> CandleStore:
    """The store that `url` names; a relative folder lies in `base`. Touches nothing. Raises UnknownStore, NoFolder."""
    scheme, colon, rest = url.partition(":")
    if scheme != "parquet" or not colon:
        # What follows the scheme may hold a password, so it is not repeated.
        raise UnknownStore(scheme=scheme)
    if not rest.strip():
        raise NoFolder()

    from chandlery.stores.parquet import ParquetLake

    return ParquetLake(base / Path(rest).expanduser(), url)
