"""The ledger: what the exchange counts of each week, against what the stored candles add up to."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from chandlery.candles.frame import VOLUME_TOLERANCE
from chandlery.candles.interval import EPOCH, Interval
from chandlery.candles.timerange import RangeSet, TimeRange

Counts = npt.NDArray[np.int64]
Sums = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

DAY = timedelta(days=1)
#: Counted since the epoch, which was a Thursday: so are the exchange's weekly candles (design 2.5).
WEEK = timedelta(weeks=1)
MINUTE = timedelta(minutes=1)
#: Instead of a number of trades: nobody has counted them.
NOT_COUNTED = -1


@dataclass(frozen=True, slots=True, eq=False)
class Figures:
    """Trades and volume of consecutive pieces of time, UTC.

    `first` is the number of the first piece: how many of `width` lie between the epoch and its start. `trades` is
    NOT_COUNTED where nobody knows; `volume` is in base currency.
    """

    first: int
    trades: Counts
    volume: Sums
    width: timedelta = WEEK

    @classmethod
    def unknown(cls, first: int, count: int, width: timedelta = WEEK) -> Figures:
        """Nothing is known of any piece."""
        return cls(first, np.full(count, NOT_COUNTED, dtype=np.int64), np.zeros(count), width)

    def __len__(self) -> int:
        return len(self.trades)

    @property
    def end(self) -> int:
        """The number after that of the last piece."""
        return self.first + len(self.trades)

    @property
    def known(self) -> Flags:
        return self.trades >= 0

    @property
    def span(self) -> TimeRange | None:
        """From the start of the first piece to the end of the last; None where there is none."""
        return TimeRange.maybe(EPOCH + self.first * self.width, EPOCH + self.end * self.width)

    def over(self, first: int, count: int) -> Figures:
        """The same for these pieces: cut, or not known where they reach further."""
        if (first, count) == (self.first, len(self)):
            return self
        laid = Figures.unknown(first, count, self.width)
        start, end = max(first, self.first), min(first + count, self.end)
        if start < end:
            laid.trades[start - first : end - first] = self.trades[start - self.first : end - self.first]
            laid.volume[start - first : end - first] = self.volume[start - self.first : end - self.first]
        return laid

    def overlaid(self, later: Figures) -> Figures:
        """With what is known of `later` in its place."""
        if not len(self):
            return later
        if not len(later):
            return self
        first = min(self.first, later.first)
        count = max(self.end, later.end) - first
        below, above = self.over(first, count), later.over(first, count)
        return Figures(
            first,
            np.where(above.known, above.trades, below.trades),
            np.where(above.known, above.volume, below.volume),
            self.width,
        )


class WeekVerdict(IntEnum):
    """What a week of one series is against the ledger. Only CONFIRMED says that nothing is missing."""

    #: Not fully covered, not in the ledger, or not counted.
    UNKNOWN = 0
    #: Trades are equal, and volumes within 1e-9 relative.
    CONFIRMED = 1
    #: Contradicted: fewer trades than the ledger counts, beyond the tolerance.
    SHORT = 2
    #: Fewer trades, within the tolerance.
    NEARLY = 3
    #: More trades than the ledger counts.
    EXCESS = 4
    #: As many trades, another volume.
    VOLUME = 5


Verdicts = npt.NDArray[np.uint8]
"""A WeekVerdict for each week."""


def tolerance(trades: Counts, width: timedelta = WEEK) -> Counts:
    """How many trades may be missing before a piece of time with so many is contradicted: half of what its average
    minute held.

    An exchange corrects single trades after the fact, which is less than that. A lost slot that traded at the market's
    average pace held at least a minute's trades, which is twice as much. Below 20,160 trades a week it is none: in a
    thin market every trade counts.
    """
    return trades // (2 * (width // MINUTE))


def numbers_of(within: TimeRange, width: timedelta) -> tuple[int, int]:
    """The first whole piece inside, and the one after the last."""
    return -((EPOCH - within.start) // width), (within.end - EPOCH) // width


def whole_pieces(ranges: RangeSet, first: int, count: int, width: timedelta = WEEK) -> Flags:
    """Which of `count` pieces from `first` on lie wholly inside of one of the ranges."""
    flags = np.zeros(count, dtype=np.bool_)
    for one in ranges:
        start, end = numbers_of(one, width)
        if end > first and start < end:
            flags[max(0, start - first) : end - first] = True
    return flags


def ranges_of(flags: Flags, first: int, width: timedelta = WEEK) -> RangeSet:
    """The pieces that are true, from piece number `first` on."""
    edges = np.flatnonzero(np.diff(flags.astype(np.int8), prepend=0, append=0)).tolist()
    start = EPOCH + first * width
    return RangeSet(
        TimeRange(start + a * width, start + b * width) for a, b in zip(edges[::2], edges[1::2], strict=True)
    )


def compare(ledger: Figures, stored: Figures, covered: RangeSet) -> Verdicts:
    """The verdict of each week of the ledger. `stored`: what the candles of a series add up to. `covered`: where every
    slot of the series is answered for by a settled answer, or UNLISTED.
    """
    held = stored.over(ledger.first, len(ledger))
    judged = ledger.known & held.known & whole_pieces(covered, ledger.first, len(ledger))
    missing = ledger.trades - held.trades
    largest = np.maximum(np.abs(ledger.volume), np.abs(held.volume))
    same_volume = np.abs(ledger.volume - held.volume) <= VOLUME_TOLERANCE * largest
    verdicts = np.zeros(len(ledger), dtype=np.uint8)
    verdicts[judged] = np.where(same_volume, WeekVerdict.CONFIRMED, WeekVerdict.VOLUME)[judged]
    verdicts[judged & (missing < 0)] = WeekVerdict.EXCESS
    verdicts[judged & (missing > 0)] = WeekVerdict.NEARLY
    verdicts[judged & (missing > tolerance(ledger.trades))] = WeekVerdict.SHORT
    return verdicts


def is_systematic(short: int, compared: int) -> bool:
    """Whether so many short weeks of a market have one cause: more than 2 % of those compared, and at least 4. Up to
    three lost days look the same in a young market, whose weeks are few.
    """
    return short >= 4 and short * 50 > compared


@dataclass(frozen=True, slots=True)
class Shortfall:
    """A SHORT week of one series. `sibling` is the finest series of the market that is confirmed in that week: it tells
    which slots are wrong.
    """

    interval: Interval
    week: int
    ledger: int
    stored: int
    sibling: Interval | None = None

    @property
    def range(self) -> TimeRange:
        return TimeRange(EPOCH + self.week * WEEK, EPOCH + (self.week + 1) * WEEK)

    @property
    def needs_trades(self) -> bool:
        """No finer candles that are confirmed can mend it."""
        return self.sibling is None or self.sibling > self.interval

    @property
    def width(self) -> timedelta:
        """Of the pieces in which it is looked for: the wider of both series' slots, or days."""
        return DAY if self.sibling is None else max(self.interval, self.sibling).delta


def shortfalls(
    ledger: Figures, sums: Mapping[Interval, Figures], verdicts: Mapping[Interval, Verdicts]
) -> list[Shortfall]:
    """The SHORT weeks of a market's series, in order of interval and week. All are of the ledger's weeks."""
    found: list[Shortfall] = []
    for interval, judged in sorted(verdicts.items()):
        weeks = np.flatnonzero(judged == WeekVerdict.SHORT).tolist()
        if not weeks:
            continue
        held = sums[interval].over(ledger.first, len(ledger)).trades
        for i in weeks:
            sibling = min((other for other, v in verdicts.items() if v[i] == WeekVerdict.CONFIRMED), default=None)
            found.append(Shortfall(interval, ledger.first + i, int(ledger.trades[i]), int(held[i]), sibling))
    return found


def compared_weeks(verdicts: Collection[Verdicts]) -> int:
    """How many weeks of a market were compared at any interval."""
    return int(np.logical_or.reduce([judged != WeekVerdict.UNKNOWN for judged in verdicts]).sum()) if verdicts else 0


def blamed(due: Figures, held: Figures, within: TimeRange, *, exactly: bool) -> RangeSet:
    """The pieces of `within` in which fewer trades are held than are due; nothing where not all of both are known.

    `exactly`: every trade counts, for both were made of the same trades. Otherwise what is within the tolerance is
    blamed only where nothing else falls short.
    """
    first, end = numbers_of(within, due.width)
    due, held = due.over(first, end - first), held.over(first, end - first)
    if not (due.known.all() and held.known.all()):
        return RangeSet()
    missing = due.trades - held.trades
    beyond = missing > (0 if exactly else tolerance(due.trades, due.width))
    return ranges_of(beyond if beyond.any() else missing > 0, first, due.width)
