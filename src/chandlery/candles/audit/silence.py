"""Silences that are all but impossible at the market's own pace.

Takes the stored candles of one series and the ranges in which nobody has proven that a slot without a candle is quiet;
gives the runs of slots in which far too many trades were due for none to come. What is not found is not thereby
complete: a slow market can lose a day in which nothing was improbable.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Self

import numpy as np
import numpy.typing as npt
import polars as pl

from chandlery.candles.interval import EPOCH, Interval
from chandlery.candles.timerange import RangeSet, TimeRange

Numbers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

#: A silence is improbable from so many due trades on.
IMPROBABLE = 150.0
#: From so many due trades on, another market can witness a silence.
WITNESS = 30.0
#: Rows on either side that tell the pace: a week of hours.
ROWS = 168
#: With fewer of them a side tells nothing.
FEWEST_ROWS = 24
#: Nor where they lie in more than so many slots each: such a market is quiet half of the time.
SLOTS_A_ROW = 2
#: The pace of the slow tenth of the rows.
SLOW = 0.1
#: Of the same clock slots on so many days (weeks, for days) before and after, at least USUAL must have traded.
CLOCK_SHIFTS = 7
#: As a fraction, so that the comparison is one of whole numbers.
USUAL = (10, 14)
#: So many silences are looked at side by side (a matrix of this by ROWS).
_BATCH = 20_000


@dataclass(frozen=True, slots=True, eq=False)
class TradeCounts:
    """The stored candles of one series. `slots`: their numbers (slot k opens at EPOCH + k × interval), strictly
    increasing; `trades`: how many each of them holds."""

    interval: Interval
    slots: Numbers
    trades: Numbers

    @classmethod
    def of(cls, candles: pl.DataFrame, interval: Interval) -> Self:
        """Of a frame with at least `timestamp` (sorted, on the grid) and `trades`."""
        opens = candles["timestamp"].to_physical().to_numpy()
        trades = candles["trades"].cast(pl.Int64).to_numpy()
        return cls(interval, opens // (interval.seconds * 1_000_000), trades)

    def seen(self, within: TimeRange) -> int:
        """The trades of the slots that open in `within`."""
        first, last = np.searchsorted(self.slots, _bounds(within, self.interval))
        return int(self.trades[first:last].sum())

    def pace_around(self, within: TimeRange) -> float | None:
        """Trades a slot at the slow pace of the market around `within`: the smaller of the two sides' 10 % quantiles.

        The nearest row on each side is left out, as what cut the range may have cut it as well. None where a side
        cannot be judged: fewer than 24 rows, or twice as many slots as rows.
        """
        start, end = (within.start - EPOCH) // self.interval.delta, _ceil(within.end, self.interval)
        before = np.searchsorted(self.slots, [start])
        sides = self._sides(before, np.searchsorted(self.slots, [end]))
        return float(self._paces(sides)[0]) if sides.judged[0] else None

    def _sides(self, before: Numbers, after: Numbers) -> _Sides:
        """The rows that tell the pace: those before row `before` - 1 and those after row `after`."""
        end, start = np.maximum(before - 1, 0), np.minimum(after + 1, len(self.slots))
        left = _Rows(np.maximum(end - ROWS, 0), end)
        right = _Rows(start, np.minimum(start + ROWS, len(self.slots)))
        return _Sides(left, right, left.are_dense(self.slots) & right.are_dense(self.slots))

    def _paces(self, sides: _Sides) -> Floats:
        return np.minimum(*(_slow_pace(self.trades, rows) for rows in (sides.left, sides.right)))


@dataclass(frozen=True, slots=True)
class Silence:
    """A run of slots without a candle. `pace`: the trades a slot that were due at the market's slow pace."""

    interval: Interval
    range: TimeRange
    pace: float

    @property
    def slots(self) -> int:
        return self.range.slots(self.interval)

    @property
    def due(self) -> float:
        """The trades that were due at the market's slow pace."""
        return self.slots * self.pace

    def part(self, piece: TimeRange) -> Silence:
        """Only this piece of it, at the same pace."""
        return Silence(self.interval, piece, self.pace)


def improbable_silences(counts: TradeCounts, quiet: RangeSet, least: float = IMPROBABLE) -> list[Silence]:
    """The runs of slots in `quiet` without a candle in which at least `least` trades were due, in order of time.

    `quiet`: where a slot without a candle is quiet by somebody's unproven word. A run is as long as it can be inside
    one of these ranges. Due are its slots × q, and q is the smaller of the two 10 % quantiles of the trades in the 168
    stored candles on either side, the nearest one left out. Not judged are runs where

    - a side has fewer than 24 candles, or these lie in more than twice as many slots: there quiet is usual;
    - fewer than 10 in 14 of the same clock slots on the 7 days before and after traded (weeks, for daily candles; over
      all slots of the run, those left out that lie in it themselves): a market that closes every night is not silent.

    The quantile, and not a mean with a model of chance, because pace is bursty: what a quiet night would be to a
    Poisson process is an hour like others to a market. A slow tenth of the rows is the pace of its slow hours, and
    even of those many had to pass without a trade.

    How far chance goes: in the real hours of XBTUSD and ETHUSD, the venue's outages aside, no silence has more than
    22 due trades. Thinned at random (to between a thousandth and all of the trades; 35,000 market-years from 2014 to
    2022), none has more than 101.

    A series' newest silences wait: until three days (24 of them, for daily candles) have traded after them.
    """
    gaps, sides = _likely(counts, least)
    runs = gaps.within(quiet.aligned_inwards(counts.interval), counts.interval)
    runs = runs.where((sides.most[runs.gap] * runs.slots >= least) & _is_usually_busy(counts, runs))
    found: list[Silence] = []
    for first in range(0, len(runs.gap), _BATCH):
        batch = runs.part(first, first + _BATCH)
        pace = counts._paces(sides.sides.where(batch.gap))
        improbable = batch.slots * pace >= least
        found += [
            Silence(counts.interval, _range(start, end, counts.interval), q)
            for start, end, q in zip(
                batch.start[improbable].tolist(), batch.end[improbable].tolist(), pace[improbable].tolist(), strict=True
            )
        ]
    return found


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """Rows [start, end) of a series, of many runs side by side."""

    start: Numbers
    end: Numbers

    @property
    def count(self) -> Numbers:
        return self.end - self.start

    def are_dense(self, slots: Numbers) -> Flags:
        """Whether there are enough of them, close enough to each other."""
        enough = self.count >= FEWEST_ROWS
        last = slots[np.where(enough, self.end - 1, 0)] if len(slots) else self.end
        first = slots[np.where(enough, self.start, 0)] if len(slots) else self.start
        dense: Flags = enough & (last - first + 1 <= SLOTS_A_ROW * self.count)
        return dense

    def where(self, wanted: Numbers | Flags) -> _Rows:
        return _Rows(self.start[wanted], self.end[wanted])


@dataclass(frozen=True, slots=True, eq=False)
class _Sides:
    """What tells the pace of runs, and whether it can."""

    left: _Rows
    right: _Rows
    judged: Flags

    def where(self, wanted: Numbers | Flags) -> _Sides:
        return _Sides(self.left.where(wanted), self.right.where(wanted), self.judged[wanted])


@dataclass(frozen=True, slots=True, eq=False)
class _Pace:
    """The rows around gaps, and more trades a slot than which they cannot tell."""

    sides: _Sides
    most: Floats


@dataclass(frozen=True, slots=True, eq=False)
class _Runs:
    """Slots [start, end) without a candle, and the number of the gap between two candles in which they lie."""

    start: Numbers
    end: Numbers
    gap: Numbers

    @property
    def slots(self) -> Numbers:
        return self.end - self.start

    def part(self, first: int, last: int) -> _Runs:
        return _Runs(self.start[first:last], self.end[first:last], self.gap[first:last])

    def where(self, wanted: Flags) -> _Runs:
        return _Runs(self.start[wanted], self.end[wanted], self.gap[wanted])

    def within(self, quiet: RangeSet, interval: Interval) -> _Runs:
        """Cut at the edges of the ranges, which lie on the grid."""
        edges = np.array([_bounds(one, interval) for one in quiet], dtype=np.int64).reshape(-1, 2)
        starts, ends = edges[:, 0], edges[:, 1]
        first, last = np.searchsorted(ends, self.start, side="right"), np.searchsorted(starts, self.end, side="left")
        pieces = np.maximum(last - first, 0)
        run = np.repeat(np.arange(len(pieces)), pieces)
        # The first range that a run meets, then the next ones.
        met = first[run] + np.arange(len(run)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
        return _Runs(np.maximum(self.start[run], starts[met]), np.minimum(self.end[run], ends[met]), self.gap[run])


def _likely(counts: TradeCounts, least: float) -> tuple[_Runs, _Pace]:
    """The gaps between candles that may be improbable, by figures that are cheap for millions of them."""
    gap = np.flatnonzero(np.diff(counts.slots) > 1)
    sides = counts._sides(gap + 1, gap + 1)
    gap, sides = gap[sides.judged], sides.where(sides.judged)
    summed = np.concatenate([[0], np.cumsum(counts.trades)])
    # At least nine tenths of the rows hold as many trades as the 10 % quantile, so it is at most the mean / 0.9.
    means = [(summed[rows.end] - summed[rows.start]) / rows.count for rows in (sides.left, sides.right)]
    most = np.minimum(*means) * (1.0 + 1e-9) / (1.0 - SLOW)
    likely = (counts.slots[gap + 1] - counts.slots[gap] - 1) * most >= least
    gap = gap[likely]
    runs = _Runs(counts.slots[gap] + 1, counts.slots[gap + 1], np.arange(len(gap)))
    return runs, _Pace(sides.where(likely), most[likely])


def _is_usually_busy(counts: TradeCounts, runs: _Runs) -> Flags:
    """Whether enough of the same clock slots, on the days or weeks around, traded."""
    minutes = 1440 if counts.interval < Interval.M1440 else 7 * 1440
    traded, compared = np.zeros_like(runs.start), np.zeros_like(runs.start)
    for days in range(1, CLOCK_SHIFTS + 1):
        shift = days * minutes // counts.interval
        for way in (-shift, shift):
            first, last = (np.searchsorted(counts.slots, edge + way) for edge in (runs.start, runs.end))
            # What a shift leaves inside of the run itself holds no candle, and is not compared either.
            traded += last - first
            compared += np.minimum(runs.slots, shift)
    least, most = USUAL
    usual: Flags = traded * most >= compared * least
    return usual


def _slow_pace(trades: Numbers, rows: _Rows) -> Floats:
    """The 10 % quantile of each of these sets of at least one row, between the two rows nearest to it."""
    count = rows.count
    place = rows.start[:, None] + np.arange(ROWS)
    beyond = place >= rows.end[:, None]
    held = np.where(beyond, np.iinfo(np.int64).max, trades[np.where(beyond, 0, place)])
    held.partition(range(int(SLOW * (ROWS - 1)) + 2), axis=1)
    rank = SLOW * (count - 1)
    lower = rank.astype(np.int64)
    each = np.arange(len(count))
    below, above = held[each, lower], held[each, np.minimum(lower + 1, count - 1)]
    pace: Floats = below + (above - below) * (rank - lower)
    return pace


def _bounds(within: TimeRange, interval: Interval) -> tuple[int, int]:
    """The numbers of the first slot that opens in it and of the first that opens after it."""
    return _ceil(within.start, interval), _ceil(within.end, interval)


def _ceil(moment: datetime, interval: Interval) -> int:
    return -((EPOCH - moment) // interval.delta)


def _range(start: int, end: int, interval: Interval) -> TimeRange:
    return TimeRange(EPOCH + start * interval.delta, EPOCH + end * interval.delta)
