"""Candle stores."""

from pathlib import Path

from chandlery.errors import UsageError
from chandlery.stores.base import CandleStore


class UnknownStore(UsageError):
    """CANDLE_STORE {url!r} is of no known kind; expected parquet:FOLDER, such as parquet:data/candles"""


def open_store(url: str, base: Path) -> CandleStore:
    """The store that a URL names; relative folders start from `base`. Nothing is made or read. Raises UnknownStore."""
    scheme, separator, rest = url.partition(":")
    if scheme == "parquet" and separator and rest:
        from chandlery.stores.parquet import ParquetLake

        return ParquetLake(base / Path(rest).expanduser(), url)
    raise UnknownStore(url=url)
