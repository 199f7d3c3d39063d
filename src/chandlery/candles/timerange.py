"""Half-open ranges of UTC time, and sets of them. The only kind of range in the project."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from operator import attrgetter

from chandlery.candles.interval import Interval
from chandlery.errors import ChandleryError


class NaiveTime(ChandleryError):
    """A time range needs datetimes in UTC, not {start!r} and {end!r}."""


class EmptyRange(ChandleryError):
    """A time range must end after it starts; {start} to {end} does not."""


@dataclass(frozen=True, slots=True, order=True)
class TimeRange:
    """Half-open range of UTC time, [start, end). Empty ranges do not exist.

    Raises NaiveTime for datetimes that are not in `datetime.UTC`, EmptyRange where end <= start.
    """

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.start.tzinfo is not UTC or self.end.tzinfo is not UTC:
            raise NaiveTime(start=self.start, end=self.end)
        if self.end <= self.start:
            raise EmptyRange(start=self.start, end=self.end)

    @classmethod
    def maybe(cls, start: datetime, end: datetime) -> "TimeRange | None":
        """The range, or None where it would be empty."""
        return cls(start, end) if start < end else None

    @property
    def length(self) -> timedelta:
        return self.end - self.start

    def slots(self, interval: Interval) -> int:
        """How many slots of `interval` lie wholly inside."""
        return max(0, (interval.floor(self.end) - interval.ceil(self.start)) // interval.delta)

    def overlaps(self, other: "TimeRange") -> bool:
        return self.start < other.end and other.start < self.end

    def contains(self, other: "TimeRange") -> bool:
        return self.start <= other.start and other.end <= self.end

    def __contains__(self, moment: datetime) -> bool:
        return self.start <= moment < self.end

    def intersection(self, other: "TimeRange") -> "TimeRange | None":
        return TimeRange.maybe(max(self.start, other.start), min(self.end, other.end))

    def aligned_inwards(self, interval: Interval) -> "TimeRange | None":
        """The whole slots inside, or None where there is none."""
        return TimeRange.maybe(interval.ceil(self.start), interval.floor(self.end))

    def aligned_outwards(self, interval: Interval) -> "TimeRange":
        """The smallest range on the grid that holds this one."""
        return TimeRange(interval.floor(self.start), interval.ceil(self.end))


class RangeSet:
    """An immutable set of instants as sorted, disjoint, non-touching half-open ranges in UTC."""

    __slots__ = ("_ranges",)

    def __init__(self, ranges: Iterable[TimeRange] = ()) -> None:
        self._ranges = _merged(ranges)

    @classmethod
    def _of_merged(cls, ranges: tuple[TimeRange, ...]) -> "RangeSet":
        made = cls.__new__(cls)
        made._ranges = ranges
        return made

    def __iter__(self) -> Iterator[TimeRange]:
        return iter(self._ranges)

    def __len__(self) -> int:
        return len(self._ranges)

    def __bool__(self) -> bool:
        return bool(self._ranges)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RangeSet) and self._ranges == other._ranges

    def __hash__(self) -> int:
        return hash(self._ranges)

    def __repr__(self) -> str:
        return "RangeSet(" + ", ".join(f"{r.start:%F %R}..{r.end:%F %R}" for r in self._ranges) + ")"

    @property
    def span(self) -> TimeRange | None:
        """From the first start to the last end; None for the empty set."""
        return TimeRange(self._ranges[0].start, self._ranges[-1].end) if self._ranges else None

    def __or__(self, other: "RangeSet") -> "RangeSet":
        return RangeSet((*self._ranges, *other._ranges))

    def __and__(self, other: "RangeSet") -> "RangeSet":
        found: list[TimeRange] = []
        mine, theirs, i, j = self._ranges, other._ranges, 0, 0
        while i < len(mine) and j < len(theirs):
            common = mine[i].intersection(theirs[j])
            if common is not None:
                found.append(common)
            if mine[i].end <= theirs[j].end:
                i += 1
            else:
                j += 1
        return RangeSet._of_merged(tuple(found))

    def __sub__(self, other: "RangeSet") -> "RangeSet":
        left: list[TimeRange] = []
        cuts, j = other._ranges, 0
        for whole in self._ranges:
            start = whole.start
            while j < len(cuts) and cuts[j].end <= start:
                j += 1
            k = j
            while k < len(cuts) and cuts[k].start < whole.end:
                before = TimeRange.maybe(start, cuts[k].start)
                if before is not None:
                    left.append(before)
                start = max(start, cuts[k].end)
                k += 1
            rest = TimeRange.maybe(start, whole.end)
            if rest is not None:
                left.append(rest)
        return RangeSet._of_merged(tuple(left))

    def covers(self, wanted: TimeRange) -> bool:
        return any(r.contains(wanted) for r in self._ranges)

    def slots(self, interval: Interval) -> int:
        """How many slots of `interval` lie wholly inside one of the ranges."""
        return sum(r.slots(interval) for r in self._ranges)

    def aligned_inwards(self, interval: Interval) -> "RangeSet":
        """The whole slots inside the ranges."""
        aligned = (r.aligned_inwards(interval) for r in self._ranges)
        return RangeSet(r for r in aligned if r is not None)

    def aligned_outwards(self, interval: Interval) -> "RangeSet":
        return RangeSet(r.aligned_outwards(interval) for r in self._ranges)


def _merged(ranges: Iterable[TimeRange]) -> tuple[TimeRange, ...]:
    merged: list[TimeRange] = []
    start: datetime | None = None
    end: datetime | None = None
    for r in sorted(ranges, key=attrgetter("start")):
        if start is None or end is None:
            start, end = r.start, r.end
        elif r.start <= end:
            end = max(end, r.end)
        else:
            merged.append(TimeRange(start, end))
            start, end = r.start, r.end
    if start is not None and end is not None:
        merged.append(TimeRange(start, end))
    return tuple(merged)
