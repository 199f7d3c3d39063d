"""Answers of the API into the store: only what differs is written. A plain function of values, for any executor."""

from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from chandlery.candles.evidence import Origin, Source
from chandlery.candles.frame import PRICES, span_of
from chandlery.candles.interval import Interval
from chandlery.candles.series import Series
from chandlery.candles.timerange import TimeRange
from chandlery.exchanges.kraken.api.ohlc import Committed
from chandlery.stores import open_store
from chandlery.stores.base import DayCounts, Written
from chandlery.stores.days import count_days
from chandlery.stores.merge import merge
from chandlery.stores.stored import with_origin


@dataclass(frozen=True, slots=True)
class StoreTask:
    """What was answered of one series, to be written."""

    series: Series
    committed: Committed
    store_url: str = field(repr=False)
    home: Path


@dataclass(frozen=True, slots=True)
class Stored:
    """What a worker did. `changed` spans the candles that are new or have other values; None where all was known."""

    written: Written = field(default_factory=Written)
    changed: TimeRange | None = None


def store_answer(task: StoreTask) -> Stored:
    """Write what differs from what is stored; durable when it returns. For any executor."""
    store = open_store(task.store_url, task.home)
    parts = [
        (task.committed.settled, Origin(Source.API)),
        (task.committed.provisional, Origin(Source.API, provisional=True)),
    ]
    parts = [(frame, origin) for frame, origin in parts if frame.height]
    if not parts:
        return Stored()
    incoming = pl.concat([with_origin(frame, origin) for frame, origin in parts])
    span = span_of(incoming, task.series.interval)
    assert span is not None, "what is to be written holds a candle"
    # Whole days, so that their traded slots can be told even where nothing is written.
    days = span.aligned_outwards(Interval.M1440)
    stored = store.read(task.series, days, origin=True)
    merged = merge(stored, incoming)
    if not merged.changed:
        counted = _days(stored)
        return Stored(Written(unchanged=merged.unchanged, conflicting=merged.conflicting, days=counted))
    with store.writer(task.series) as writer:
        for frame, origin in parts:
            writer.append(frame, origin)
        written = writer.commit()
    return Stored(written, _changed(stored, merged.rows, task.series.interval))


def _changed(before: pl.DataFrame, after: pl.DataFrame, interval: Interval) -> TimeRange | None:
    """The span of the candles that are new or have other values."""
    values = ["timestamp", *PRICES, "volume", "trades"]
    differing = after.join(before, on=values, how="anti")
    return span_of(differing, interval)


def _days(stored: pl.DataFrame) -> tuple[DayCounts, ...]:
    if stored.is_empty():
        return ()
    return (count_days(stored["timestamp"].to_physical().to_numpy()),)
