"""What every writer of a store does alike: what it refuses, and how it tells what it did."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from chandlery.candles.frame import CANDLE_SCHEMA
from chandlery.candles.interval import EPOCH
from chandlery.candles.series import Series
from chandlery.candles.timerange import TimeRange
from chandlery.errors import ChandleryError
from chandlery.stores.base import DayCounts, Written
from chandlery.stores.days import count_days
from chandlery.stores.merge import Merged
from chandlery.stores.partition import Edges


class NotCandles(ChandleryError):
    """{series}: what is to be stored is no frame of candles: {reason}"""


class NotInOrder(ChandleryError):
    """
    {series}: candles come in order of time and each slot once;
    {later:%Y-%m-%d %H:%M} does not come after {earlier:%Y-%m-%d %H:%M}
    """


class NotWholeSlots(ChandleryError):
    """{series}: only whole slots can be cleared; {start:%Y-%m-%d %H:%M:%S} to {end:%Y-%m-%d %H:%M:%S} cuts one"""


def checked(series: Series, candles: pl.DataFrame, last: int | None) -> int | None:
    """The last open (in microseconds) of what is appended after `last`. Raises NotCandles, NotInOrder."""
    if candles.schema != pl.Schema(CANDLE_SCHEMA):
        raise NotCandles(series=series, reason=f"its columns are {dict(candles.schema)}")
    for column in candles.iter_columns():
        if column.null_count():
            raise NotCandles(series=series, reason=f"a value of {column.name} is missing")
    if candles.is_empty():
        return last
    opens = candles["timestamp"].to_physical()
    if (opens % (series.interval.seconds * 1_000_000) != 0).any():
        raise NotCandles(series=series, reason="a time is no open of one of its slots")
    first = int(opens[0])
    if last is not None and first <= last:
        raise NotInOrder(series=series, earlier=_moment(last), later=_moment(first))
    backwards = (opens.diff() <= 0).slice(1)
    if backwards.any():
        row = int(np.flatnonzero(backwards.to_numpy())[0])
        raise NotInOrder(series=series, earlier=_moment(int(opens[row])), later=_moment(int(opens[row + 1])))
    return int(opens[-1])


def whole_slots(series: Series, within: TimeRange) -> TimeRange:
    """The range, if it cuts no slot. Raises NotWholeSlots."""
    if within.aligned_inwards(series.interval) != within:
        raise NotWholeSlots(series=series, start=within.start, end=within.end)
    return within


def outcome(merged: Merged, cleared: Edges) -> Written:
    """What a merge into one partition, `cleared` of these ranges, has done."""
    return Written(
        merged.inserted,
        merged.replaced,
        merged.unchanged,
        merged.conflicting,
        merged.first_conflict,
        told(days_of(merged.rows), cleared),
        merged.removed,
        merged.first_removed,
    )


def days_of(rows: pl.DataFrame) -> list[DayCounts]:
    """One piece, or none where there is no row."""
    return [count_days(rows["timestamp"].to_physical().to_numpy())] if rows.height else []


def told(now: Sequence[DayCounts], cleared: Edges) -> tuple[DayCounts, ...]:
    """The days as they are `now` (one piece, or none), with zeros for those that were cleared and hold nothing."""
    if not len(cleared):
        return tuple(now)
    # The end of a range is no part of it.
    spans = [*now, count_days(np.array([cleared[0], cleared[-1] - 1]))]
    first = min(span.first_day for span in spans)
    end = max(span.first_day + timedelta(days=len(span.counts)) for span in spans)
    counts = np.zeros((end - first).days, dtype=np.uint16)
    for piece in now:
        offset = (piece.first_day - first).days
        counts[offset : offset + len(piece.counts)] = piece.counts
    return (DayCounts(first, counts),)


def total(parts: Sequence[Written]) -> Written:
    return Written(
        inserted=sum(part.inserted for part in parts),
        replaced=sum(part.replaced for part in parts),
        unchanged=sum(part.unchanged for part in parts),
        conflicting=sum(part.conflicting for part in parts),
        first_conflict=min((part.first_conflict for part in parts if part.first_conflict), default=None),
        days=tuple(days for part in parts for days in part.days),
        removed=sum(part.removed for part in parts),
        first_removed=min((part.first_removed for part in parts if part.first_removed), default=None),
    )


def _moment(microseconds: int) -> datetime:
    return EPOCH + timedelta(microseconds=microseconds)
