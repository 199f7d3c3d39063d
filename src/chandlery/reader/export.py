"""Export: candles as files that freqtrade and others read, named and laid out as freqtrade stores its own.

user_data/data/kraken/BTC_USD-1h.feather: date, open, high, low, close, volume
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from chandlery.candles.frame import PRICES
from chandlery.candles.interval import Interval
from chandlery.errors import ChandleryError
from chandlery.models import Market
from chandlery.reader.options import Asked
from chandlery.reader.read import Candles

#: As freqtrade calls its timeframes.
TIMEFRAMES: Mapping[Interval, str] = {
    Interval.M1: "1m",
    Interval.M5: "5m",
    Interval.M15: "15m",
    Interval.M30: "30m",
    Interval.M60: "1h",
    Interval.M240: "4h",
    Interval.M720: "12h",
    Interval.M1440: "1d",
}
COLUMNS = ("date", *PRICES, "volume")
_NOT_IN_NAMES = re.compile(r"[/ .@$+:]")


class NotExported(ChandleryError):
    """{path} cannot be written: {why}"""


@dataclass(frozen=True, slots=True)
class Exported:
    """One file. `start` and `end` are the opens of its first and last candle."""

    market: str
    interval: Interval
    path: Path
    candles: int
    start: datetime
    end: datetime


def export(
    candles: Candles, markets: Sequence[Market], wanted: Sequence[Asked], kind: str, folder: Path
) -> Iterator[Exported]:
    """One file a series that has any candle, each told as it is done; it is whole or not there. Raises NotExported."""
    names = _names(markets)
    for market in markets:
        for asked in wanted:
            rows = as_exported(candles.frame(market, asked))
            if rows.is_empty():
                continue
            path = folder / f"{names[market.pk]}-{TIMEFRAMES[asked.interval]}.{kind}"
            _put(path, rows, KINDS[kind])
            first, last = (rows["date"][place].replace(tzinfo=UTC) for place in (0, -1))
            yield Exported(market.altname, asked.interval, path, rows.height, first, last)


def as_exported(rows: pl.DataFrame) -> pl.DataFrame:
    """The columns that freqtrade stores; its dates count milliseconds."""
    date = pl.col("timestamp").dt.cast_time_unit("ms").alias("date")
    return rows.select(date, *PRICES, "volume")


def _names(markets: Sequence[Market]) -> dict[int, str]:
    """BTC_USD; of two markets with one pair the second, and one without, keeps its own name."""
    names: dict[int, str] = {}
    for market in markets:
        pair = _NOT_IN_NAMES.sub("_", market.pair)
        names[market.pk] = pair if pair and pair not in names.values() else _NOT_IN_NAMES.sub("_", market.altname)
    return names


def _put(path: Path, rows: pl.DataFrame, write: Callable[[pl.DataFrame, Path], None]) -> None:
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            write(rows, unfinished)
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        raise NotExported(path=path, why=error.strerror or str(error)) from error


def _csv(rows: pl.DataFrame, path: Path) -> None:
    rows.write_csv(path, datetime_format="%Y-%m-%dT%H:%M:%SZ")


def _parquet(rows: pl.DataFrame, path: Path) -> None:
    rows.write_parquet(path, compression="zstd")


def _feather(rows: pl.DataFrame, path: Path) -> None:
    from pyarrow import feather

    feather.write_feather(rows.to_arrow(compat_level=pl.CompatLevel.oldest()), str(path), compression="lz4")


KINDS: Mapping[str, Callable[[pl.DataFrame, Path], None]] = {"csv": _csv, "parquet": _parquet, "feather": _feather}
