"""Stored series of one market at several intervals that agree with each other, and ways to spoil one of them."""

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import polars as pl

from chandlery.candles.audit.agreement import Held
from chandlery.candles.frame import CANDLE_SCHEMA
from chandlery.candles.interval import Interval
from chandlery.candles.resample import resample
from chandlery.candles.timerange import RangeSet, TimeRange
from chandlery.sandbox.exchange import SandboxExchange
from chandlery.sandbox.market import SandboxMarket
from tests.candles.builders import at, between

#: Ten days from a Monday on.
TEN_DAYS = between("2024-03-04", "2024-03-14")

Nested = dict[Interval, Held]


@cache
def minutes(share: float, within: TimeRange = TEN_DAYS, seed: int = 1) -> pl.DataFrame:
    """Of a market that trades in this share of its minutes."""
    market = SandboxMarket("XBTUSD", "XBT/USD", "XXBT", "ZUSD", listed=at("2020-01-01"), share=share, decimals=4)
    return SandboxExchange(seed, (market,), outages=()).candles("XBTUSD", Interval.M1, within)


def nested(
    fine: pl.DataFrame, intervals: Iterable[Interval] = Interval, within: TimeRange | RangeSet = TEN_DAYS
) -> Nested:
    """Every interval covered in the same time, each the sum of these 1-minute candles."""
    covered = within if isinstance(within, RangeSet) else RangeSet([within])
    return {i: Held(fine if i is Interval.M1 else resample(fine, i), covered) for i in intervals}


def honest(share: float = 0.9, intervals: Iterable[Interval] = Interval) -> Nested:
    return nested(minutes(share), intervals)


def lacking(held: Held, lost: TimeRange) -> Held:
    """Without the candles of a range."""
    return Held(held.candles.filter(~_in(lost)), held.covered)


def changed(held: Held, slots: TimeRange, **columns: pl.Expr) -> Held:
    """With other figures in the candles of a range: `changed(held, day, volume=pl.col("volume") * 2)`."""
    spoiled = [pl.when(_in(slots)).then(value).otherwise(pl.col(name)).alias(name) for name, value in columns.items()]
    return Held(held.candles.with_columns(spoiled), held.covered)


def archived(path: Path) -> pl.DataFrame:
    """The rows of a file as Kraken publishes it."""
    schema = dict(CANDLE_SCHEMA) | {"timestamp": pl.Int64}
    rows = pl.read_csv(path, has_header=False, schema=schema)
    return rows.with_columns(pl.from_epoch("timestamp", "s").dt.replace_time_zone("UTC").dt.cast_time_unit("us"))


def slot(interval: Interval, time: str | datetime) -> TimeRange:
    """The slot of `interval` that holds a moment."""
    start = interval.floor(at(time) if isinstance(time, str) else time)
    return TimeRange(start, start + interval.delta)


def traded_hull(candles: pl.DataFrame, within: TimeRange, interval: Interval) -> TimeRange | None:
    """The slots of `interval` from the first to the last that traded in a range."""
    opens = candles.filter(_in(within))["timestamp"]
    if opens.is_empty():
        return None
    first, last = (time.replace(tzinfo=UTC) for time in (opens[0], opens[-1]))
    return TimeRange(slot(interval, first).start, slot(interval, last).end)


def _in(within: TimeRange) -> pl.Expr:
    return (pl.col("timestamp") >= within.start) & (pl.col("timestamp") < within.end)
