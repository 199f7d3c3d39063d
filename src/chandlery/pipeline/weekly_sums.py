"""Weekly sums: what stored candles add up to, by week or by narrower pieces. A plain function of values, for any
executor.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import numpy as np

from chandlery.candles.ledger import WEEK, Figures, numbers_of
from chandlery.candles.series import Series
from chandlery.candles.timerange import TimeRange
from chandlery.stores import open_store
from chandlery.stores.base import CandleStore

#: Candles read at a time: a bound on memory, whatever the length. Some 4 MB.
STEP_SLOTS = 50_000
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class SumTask:
    """Ranges of a series to add up in pieces of `width`. They are on its grid, and the width is a multiple of the
    series' interval.
    """

    series: Series
    ranges: tuple[TimeRange, ...]
    store_url: str = field(repr=False)
    home: Path
    width: timedelta = WEEK


@dataclass(frozen=True, slots=True)
class SumResult:
    """`parts` belong to the ranges of the task, in order. A piece without a candle holds 0 trades."""

    task: SumTask
    parts: tuple[Figures, ...]


def sum_candles(task: SumTask) -> SumResult:
    """Read the candles of the ranges and add up their trades and volumes. Raises UnreadableFile."""
    store = open_store(task.store_url, task.home)
    return SumResult(task, tuple(_sums(store, task.series, one, task.width) for one in task.ranges))


def _sums(store: CandleStore, series: Series, within: TimeRange, width: timedelta) -> Figures:
    first, end = numbers_of(within, width)
    trades, volume = np.zeros(end - first, dtype=np.int64), np.zeros(end - first)
    for step in _steps(within, width, series.interval.delta):
        candles = store.read(series, step)
        if candles.is_empty():
            continue
        start, after = numbers_of(step, width)
        pieces = candles["timestamp"].to_physical().to_numpy() // (width // _MICROSECOND) - start
        for column, into in (("trades", trades), ("volume", volume)):
            # Counts stay exact: they are far below 2 ** 53.
            added = np.bincount(pieces, weights=candles[column].to_numpy(), minlength=after - start)
            into[start - first : after - first] = added
    return Figures(first, trades, volume, width)


def _steps(within: TimeRange, width: timedelta, slot: timedelta) -> Iterator[TimeRange]:
    """`within` cut between pieces, so that no part holds many more slots than STEP_SLOTS."""
    length = max(1, STEP_SLOTS * slot // width) * width
    start = within.start
    while start < within.end:
        end = min(start + length, within.end)
        yield TimeRange(start, end)
        start = end
