"""How the lake cuts a series into files: one a month at 1 minute, one a year from 5 to 60, one in all above.

A slot belongs to one partition only, so it can never stand in two files.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt
import polars as pl

from chandlery.candles.interval import EPOCH, Interval
from chandlery.candles.timerange import RangeSet, TimeRange

#: Sorted, disjoint half-open ranges as one array: start, end, start, end … in microseconds since the epoch.
Edges = npt.NDArray[np.int64]
NO_EDGES: Edges = np.zeros(0, dtype=np.int64)

_MONTH = re.compile(r"(\d{4})-(0[1-9]|1[0-2])")
_YEAR = re.compile(r"(\d{4})")
_LAST_YEAR = 9999


@dataclass(frozen=True, slots=True, order=True)
class Partition:
    """A file's share of time, [start, end) in microseconds since the epoch, and its name without the suffix."""

    start: int
    end: int
    name: str

    @classmethod
    def holding(cls, interval: Interval, microseconds: int) -> "Partition":
        """The partition of `interval` that the slot belongs to."""
        if interval > Interval.M60:
            return WHOLE
        moment = EPOCH + timedelta(microseconds=microseconds)
        return _month(moment.year, moment.month) if interval == Interval.M1 else _year(moment.year)

    @classmethod
    def named(cls, interval: Interval, name: str) -> "Partition | None":
        """The partition of `interval` with that name; None for a name that is none of ours."""
        if interval > Interval.M60:
            return WHOLE if name == WHOLE.name else None
        match = (_MONTH if interval == Interval.M1 else _YEAR).fullmatch(name)
        if match is None or not 1 <= int(match[1]) < _LAST_YEAR:
            return None
        return _month(int(match[1]), int(match[2])) if interval == Interval.M1 else _year(int(match[1]))

    def overlaps(self, within: TimeRange | None) -> bool:
        if within is None:
            return True
        return self.start < microseconds(within.end) and microseconds(within.start) < self.end

    def inside(self, within: TimeRange | None) -> bool:
        """Whether nothing of the partition lies outside of `within`."""
        if within is None:
            return True
        return microseconds(within.start) <= self.start and self.end <= microseconds(within.end)

    def cut(self, ranges: Edges) -> Edges:
        """What of the ranges lies in the partition."""
        clipped = ranges.clip(self.start, self.end).reshape(-1, 2)
        return clipped[clipped[:, 0] < clipped[:, 1]].ravel()


WHOLE = Partition(-(2**63), 2**63 - 1, "all")


def split(candles: pl.DataFrame, interval: Interval) -> Iterator[tuple[Partition, pl.DataFrame]]:
    """Sorted candles, cut where partitions end. No copy is made."""
    opens = candles["timestamp"].to_physical()
    start = 0
    while start < candles.height:
        partition = Partition.holding(interval, int(opens[start]))
        end = int(opens.search_sorted(partition.end))
        yield partition, candles.slice(start, end - start)
        start = end


def met(ranges: Edges, interval: Interval) -> Iterator[Partition]:
    """The partitions that hold something of the ranges, in order of time and each once."""
    done = WHOLE.start
    for start, end in ranges.reshape(-1, 2).tolist():
        while (at := max(start, done)) < end:
            partition = Partition.holding(interval, at)
            yield partition
            done = partition.end


def edges(ranges: RangeSet) -> Edges:
    return np.array([microseconds(edge) for r in ranges for edge in (r.start, r.end)], dtype=np.int64)


def microseconds(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1)


def _month(year: int, month: int) -> Partition:
    start, end = datetime(year, month, 1, tzinfo=UTC), datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
    return Partition(microseconds(start), microseconds(end), f"{year:04}-{month:02}")


def _year(year: int) -> Partition:
    start, end = datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC)
    return Partition(microseconds(start), microseconds(end), f"{year:04}")
