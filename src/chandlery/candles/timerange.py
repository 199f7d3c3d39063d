"""Half-open ranges of UTC time, and sets of them. The only kind of range in the project."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain
from operator import attrgetter

from chandlery.candles.interval import EPOCH, Interval
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
        width = interval.delta
        # Whole slots from the epoch to the end, less those that have begun by the start.
        return max(0, (self.end - EPOCH) // width + (EPOCH - self.start) // width)

    def overlaps(self, other: "TimeRange") -> bool:
        return self.start < other.end and other.start < self.end

    def contains(self, other: "TimeRange") -> bool:
        return self.start <= other.start and other.end <= self.end

    def __contains__(self, moment: datetime) -> bool:
        return self.start <= moment < self.end

    def intersection(self, other: "TimeRange") -> "TimeRange | None":
        start = max(self.start, other.start)
        return self._cut(start, min(self.end, other.end))

    def aligned_inwards(self, interval: Interval) -> "TimeRange | None":
        """The whole slots inside, or None where there is none."""
        return self._cut(interval.ceil(self.start), interval.floor(self.end))

    def aligned_outwards(self, interval: Interval) -> "TimeRange":
        """The smallest range on the grid that holds this one."""
        return TimeRange(interval.floor(self.start), interval.ceil(self.end))

    def _cut(self, start: datetime, end: datetime) -> "TimeRange | None":
        """The range of these bounds: mostly this one itself, for most ranges lie on the grid and inside of others."""
        if start == self.start and end == self.end:
            return self
        return TimeRange(start, end) if start < end else None


class RangeSet:
    """An immutable set of instants as sorted, disjoint, non-touching half-open ranges in UTC."""

    __slots__ = ("_ranges",)

    def __init__(self, ranges: Iterable[TimeRange] = ()) -> None:
        self._ranges = _merged(sorted(ranges, key=_START))

    @classmethod
    def union(cls, sets: "Iterable[RangeSet]") -> "RangeSet":
        """All of them as one."""
        filled = [one for one in sets if one._ranges]
        return filled[0] if len(filled) == 1 else cls(chain.from_iterable(filled))

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
        return RangeSet.union((self, other))

    def __and__(self, other: "RangeSet") -> "RangeSet":
        few, many = sorted((self._ranges, other._ranges), key=len)
        if not few or _apart(few, many):
            return _NOTHING
        found: list[TimeRange] = []
        i = 0
        for r in few:
            i = bisect_right(many, r.start, lo=i, key=_END)
            for j in range(i, len(many)):
                common = many[j].intersection(r)
                if common is None:
                    break
                found.append(common)
        return RangeSet._of_merged(tuple(found))

    def __sub__(self, other: "RangeSet") -> "RangeSet":
        cuts = other._ranges
        if not self._ranges or not cuts or _apart(self._ranges, cuts):
            return self
        left: list[TimeRange] = []
        i = 0
        for whole in self._ranges:
            i = bisect_right(cuts, whole.start, lo=i, key=_END)
            start, k = whole.start, i
            while k < len(cuts) and cuts[k].start < whole.end:
                if start < cuts[k].start:
                    left.append(TimeRange(start, cuts[k].start))
                start = cuts[k].end
                k += 1
            if k == i:
                left.append(whole)
            elif start < whole.end:
                left.append(TimeRange(start, whole.end))
        return RangeSet._of_merged(tuple(left))

    def covers(self, wanted: TimeRange) -> bool:
        return any(r.contains(wanted) for r in self._ranges)

    def slots(self, interval: Interval) -> int:
        """How many slots of `interval` lie wholly inside one of the ranges."""
        return sum(r.slots(interval) for r in self._ranges)

    def aligned_inwards(self, interval: Interval) -> "RangeSet":
        """The whole slots inside the ranges."""
        # Ranges that do not touch still do not when each of them shrinks.
        aligned = (r.aligned_inwards(interval) for r in self._ranges)
        return RangeSet._of_merged(tuple(r for r in aligned if r is not None))

    def aligned_outwards(self, interval: Interval) -> "RangeSet":
        return RangeSet(r.aligned_outwards(interval) for r in self._ranges)

    def widened(self, margin: timedelta) -> "RangeSet":
        """Each range with so much more on both sides."""
        return RangeSet(TimeRange(r.start - margin, r.end + margin) for r in self._ranges)


_START, _END = attrgetter("start"), attrgetter("end")
_NOTHING = RangeSet._of_merged(())


def _apart(some: tuple[TimeRange, ...], others: tuple[TimeRange, ...]) -> bool:
    """Whether all of one comes before all of the other, none of them being empty."""
    return some[-1].end <= others[0].start or others[-1].end <= some[0].start


def _merged(in_order: Iterable[TimeRange]) -> tuple[TimeRange, ...]:
    """Of ranges sorted by start. Those that neither overlap nor touch another stay the objects they are."""
    merged: list[TimeRange] = []
    runs = iter(in_order)
    first = next(runs, None)
    if first is None:
        return ()
    end = first.end
    for r in runs:
        if r.start <= end:
            end = max(end, r.end)
        else:
            merged.append(first if first.end == end else TimeRange(first.start, end))
            first, end = r, r.end
    merged.append(first if first.end == end else TimeRange(first.start, end))
    return tuple(merged)
