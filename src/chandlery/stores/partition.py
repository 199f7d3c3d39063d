"""Which file of the lake holds a candle: one a month at 1 minute, one a year from 5 to 60, one in all above."""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl

from chandlery.candles.interval import Interval
from chandlery.candles.timerange import TimeRange
from chandlery.stores.base import DayCounts

ALL = "all"
_NAME = re.compile(r"(?P<year>\d{4})(?:-(?P<month>\d\d))?|all")
_EPOCH_DAY = date(1970, 1, 1)
_DAY_US = 86_400_000_000


def is_partition(name: str) -> bool:
    return _NAME.fullmatch(name) is not None


def partition_span(name: str) -> TimeRange | None:
    """The time that a file answers for: "2024-03" a month, "2024" a year, UTC; None for the one that holds all."""
    match = _NAME.fullmatch(name)
    if match is None or match["year"] is None:
        return None
    year = int(match["year"])
    if match["month"] is None:
        return TimeRange(datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC))
    month = int(match["month"])
    following = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
    return TimeRange(datetime(year, month, 1, tzinfo=UTC), following)


def partition_of(interval: Interval, moment: datetime) -> str:
    if interval < Interval.M5:
        return f"{moment:%Y-%m}"
    return f"{moment:%Y}" if interval <= Interval.M60 else ALL


def partitioned(candles: pl.DataFrame, interval: Interval) -> Iterator[tuple[str, pl.DataFrame]]:
    """Sorted candles cut into the files they belong to, in order."""
    opens = candles["timestamp"]
    start = 0
    while start < candles.height:
        name = partition_of(interval, opens[start])
        span = partition_span(name)
        end = candles.height if span is None else int(opens.search_sorted(span.end))
        yield name, candles.slice(start, end - start)
        start = end


def day_counts(opens: pl.Series, name: str = ALL) -> DayCounts:
    """Candles a UTC day, of sorted opens: over the whole span of the file `name`, or from the first day to the last."""
    days = opens.to_physical().to_numpy() // _DAY_US
    span = partition_span(name)
    if span is None:
        first, length = int(days[0]), int(days[-1] - days[0]) + 1
    else:
        first, length = (span.start.date() - _EPOCH_DAY).days, span.length.days
    counts = np.bincount(days - first, minlength=length).astype(np.uint16)
    return DayCounts(_EPOCH_DAY + timedelta(days=first), counts)
