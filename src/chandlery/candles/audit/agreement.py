"""The intervals of one market, held against each other: every coarse candle is the sum of its finer ones.

From the finest interval to the coarsest, the best known candles of each width are held against the next. Where two
differ in trades, the one with fewer is short. Where they differ in volume or prices alone, the next coarser one votes.
What is believed goes on upwards, so that one wrong candle is named once and not again at every coarser width.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self

import numpy as np
import polars as pl

from chandlery.candles.audit.figures import (
    FIGURES,
    MICROSECOND,
    TRADES,
    VOLUME,
    Figures,
    Flags,
    Moments,
    cut,
    differ,
    edges,
    equal,
    figures_of,
    frame_of,
    inside,
    microseconds,
    moment,
    opens_of,
    prices_differ,
    volumes_differ,
    width_of,
    within,
)
from chandlery.candles.audit.flaw import Flaw, FlawKind
from chandlery.candles.interval import Interval
from chandlery.candles.resample import resample
from chandlery.candles.timerange import RangeSet, TimeRange

#: Slots of one flaw may lie on both sides of a quiet time of at most so long.
LONGEST_HOLE = timedelta(days=1)
#: So many intervals that lack the last slot of an archive, as finer ones tell, accuse those that nothing else does.
ENOUGH_CONTRADICTED = 2


@dataclass(frozen=True, slots=True)
class Held:
    """What is stored of one series in the time that is looked at.

    candles: CANDLE_SCHEMA, sorted. covered: where every slot is answered for by a settled answer, or is not listed, so
    that a slot without a row there is quiet.
    """

    candles: pl.DataFrame
    covered: RangeSet

    def whole(self, interval: Interval) -> Self:
        """What traded in slots that are covered whole."""
        covered = self.covered.aligned_inwards(interval)
        return type(self)(within(self.candles.filter(pl.col("trades") > 0), covered), covered)


@dataclass(frozen=True, slots=True)
class _Level:
    """One interval beside what the finer ones tell of it, in the slots of `both` in which either traded."""

    interval: Interval
    both: RangeSet
    opens: Moments
    own: Figures
    told: Figures

    @classmethod
    def of(cls, interval: Interval, both: RangeSet, own: pl.DataFrame, told: pl.DataFrame) -> Self:
        opens, others = opens_of(own), opens_of(told)
        # Almost always so, and a union takes as long as all that comes of it.
        if not np.array_equal(opens, others):
            opens = np.union1d(opens, others)
        return cls(interval, both, opens, figures_of(own, opens), figures_of(told, opens))


@dataclass(frozen=True, slots=True)
class _Blame:
    """Slots of a level in which a series is wrong (positions, ascending), what it holds, and what is believed instead.

    tellers: the interval that tells each of those, in minutes. undecided: no third interval took a side.
    """

    interval: Interval
    kind: FlawKind
    at: Moments
    figures: Figures
    others: Figures
    tellers: Moments
    derivable: bool = False
    undecided: bool = False


#: A finer series, what it holds of some slots, and in which of them it would be wrong.
_Accused = tuple[Interval, Figures, Flags]


def disagreements(held: Mapping[Interval, Held], ends: Collection[datetime] = ()) -> list[Flaw]:
    """INTERVALS_SHORT, INTERVALS_VOLUME, INTERVALS_PRICES and LAST_SLOT_DROPPED in the series of one market, in order.

    Slots are held against each other where an interval covers them and finer ones cover them whole. `ends` are the
    ends of the periods of archives, UTC. Evidence is what the blamed series holds (`trades`, `volume`), and what the
    one that is believed holds (`other_trades`, `other_volume`, `other_interval_minutes`), in all slots of the range
    that differ; for prices, what differs in the first slot (`open`, `other_open` and so on) and the number of `slots`.
    Where no third interval takes a side, the coarser one is blamed, not derivable, and `undecided` is true.
    """
    whole = {interval: one for interval in sorted(held) if (one := held[interval].whole(interval)).covered}
    flaws: list[Flaw] = []
    contradicted: dict[Interval, Moments] = {}
    best: Held | None = None
    for interval, own in whole.items():
        if best is None:
            best = own
            continue
        level, alone = _held_against(interval, own, best)
        found, believed = _judged(level, alone, whole)
        flaws += found
        contradicted[interval] = level.opens[(level.own[TRADES] == 0) & (level.told[TRADES] > 0)]
        best = _risen(level, believed, alone)
    for end in sorted(ends):
        flaws += _last_slots_dropped(whole, contradicted, end)
    return sorted(_without_nested(flaws), key=lambda one: (one.interval, one.range, one.kind))


def _held_against(interval: Interval, own: Held, best: Held) -> tuple[_Level, Held]:
    """(the slots that both speak of, those of which only one of them does) of what the finer ones tell best."""
    known = best.covered.aligned_inwards(interval)
    both = own.covered & known
    told = resample(within(best.candles, known), interval)
    level = _Level.of(interval, both, within(own.candles, both), within(told, both))
    only_own, only_told = own.covered - both, known - both
    alone = pl.concat([within(own.candles, only_own), within(told, only_told)])
    return level, Held(alone, only_own | only_told)


def _risen(level: _Level, believed: Figures, alone: Held) -> Held:
    """The best candles of this width."""
    candles = frame_of(level.opens, believed)
    if not alone.candles.is_empty():
        candles = pl.concat([candles, alone.candles]).sort("timestamp")
    return Held(candles, level.both | alone.covered)


def _judged(level: _Level, alone: Held, whole: Mapping[Interval, Held]) -> tuple[list[Flaw], Figures]:
    """(what is wrong at this interval or at finer ones, what is believed of each slot)."""
    fewer = level.own[TRADES] < level.told[TRADES]
    more = level.own[TRADES] > level.told[TRADES]
    conflict = ~fewer & ~more & differ(level.own, level.told)
    believed: Figures = np.where(fewer | conflict, level.told, level.own)
    blames: list[_Blame] = []
    if fewer.any():
        at = np.flatnonzero(fewer)
        blames.append(_own_blame(level, FlawKind.INTERVALS_SHORT, at, whole, derivable=True))
    if more.any():
        blames += _finer_ones_short(level, np.flatnonzero(more), whole)
    if conflict.any():
        at = np.flatnonzero(conflict)
        own_right, told_right = _votes(level, at, _risen(level, believed, alone), whole)
        accused = list(_finer_ones_that_differ(level, at, whole))
        # A side is right only where there is somebody else to be wrong.
        own_right &= np.any([flags for _, _, flags in accused], axis=0) if accused else False
        blames += _conflicts(level, at, own_right, told_right, accused, whole)
        believed[:, at[own_right]] = level.own[:, at[own_right]]
    return [flaw for blame in blames for flaw in _flaws(blame, level, whole[blame.interval].covered)], believed


def _own_blame(
    level: _Level, kind: FlawKind, at: Moments, whole: Mapping[Interval, Held], *, derivable: bool
) -> _Blame:
    """The level's own interval is wrong in these slots; the finer one that comes nearest to what is told tells it."""
    told = level.told[:, at]
    nearest, tellers = np.full(len(at), -1.0), np.zeros(len(at), dtype=np.int64)
    for interval, held in _finer(level, whole):
        figures = _told_by(held, level, at)
        # The most trades; of as many, those that tell exactly this; of those, the widest.
        nearness = figures[TRADES] + 0.5 * equal(figures, told)
        tellers = np.where(nearness >= nearest, int(interval), tellers)
        nearest = np.maximum(nearness, nearest)
    undecided = kind is not FlawKind.INTERVALS_SHORT and not derivable
    return _Blame(level.interval, kind, at, level.own[:, at], told, tellers, derivable, undecided)


def _finer_ones_short(level: _Level, at: Moments, whole: Mapping[Interval, Held]) -> Iterator[_Blame]:
    """The finer series that hold fewer trades than the level's own interval does in these slots."""
    for interval, held in _finer(level, whole):
        figures = _told_by(held, level, at)
        short = figures[TRADES] < level.own[TRADES, at]
        if short.any():
            yield _finer_blame(level, FlawKind.INTERVALS_SHORT, at, (interval, figures, short))


def _finer_ones_that_differ(level: _Level, at: Moments, whole: Mapping[Interval, Held]) -> Iterator[_Accused]:
    """The finer series that cover these slots whole and count the same trades in them, with other volume or prices."""
    for interval, held in _finer(level, whole):
        figures = _told_by(held, level, at)
        own = level.own[:, at]
        spoken = inside(held.covered.aligned_inwards(level.interval), level.opens[at])
        yield interval, figures, spoken & (figures[TRADES] == own[TRADES]) & differ(figures, own)


def _conflicts(
    level: _Level,
    at: Moments,
    own_right: Flags,
    told_right: Flags,
    accused: Iterable[_Accused],
    whole: Mapping[Interval, Held],
) -> Iterator[_Blame]:
    """Trades are equal and the rest is not: the level's own flaws, and those of the finer ones that were outvoted."""
    for wrong, derivable in ((told_right, True), (~own_right & ~told_right, False)):
        for kind, part in _kinds(level.own[:, at], level.told[:, at]):
            if (wrong & part).any():
                yield _own_blame(level, kind, at[wrong & part], whole, derivable=derivable)
    for interval, figures, flags in accused:
        for kind, part in _kinds(figures, level.own[:, at]):
            if (flags & own_right & part).any():
                yield _finer_blame(level, kind, at, (interval, figures, flags & own_right & part))


def _finer_blame(level: _Level, kind: FlawKind, at: Moments, accused: _Accused) -> _Blame:
    interval, figures, wrong = accused
    tellers = np.full(np.count_nonzero(wrong), int(level.interval))
    return _Blame(interval, kind, at[wrong], figures[:, wrong], level.own[:, at[wrong]], tellers)


def _votes(level: _Level, at: Moments, best: Held, whole: Mapping[Interval, Held]) -> tuple[Flags, Flags]:
    """(where the level's own candle is right, where what is told is) in these slots; neither where nobody can say.

    The next coarser interval that covers a slot votes: it equals the sum of the `best` candles as they are, as the
    finer ones tell them, or with the level's own in their place.
    """
    opens = level.opens[at]
    own_right, told_right, asked = (np.zeros(len(at), dtype=np.bool_) for _ in range(3))
    for coarser, held in whole.items():
        if coarser <= level.interval or asked.all():
            continue
        width = width_of(coarser)
        slots = opens // width * width
        asking = ~asked & inside(held.covered & best.covered.aligned_inwards(coarser), slots)
        asked |= asking
        wide = np.unique(slots[asking])
        as_told = cut(best.candles, wide, wide + width)
        figures, positions = figures_of(as_told, opens_of(as_told)), np.searchsorted(opens_of(as_told), opens[asking])
        figures[:, positions] = level.own[:, at[asking]]
        with_own = frame_of(opens_of(as_told), figures)
        votes = figures_of(cut(held.candles, wide, wide + width), wide)
        for_told, for_own = (
            equal(votes, figures_of(resample(candles, coarser), wide)) for candles in (as_told, with_own)
        )
        voter = np.searchsorted(wide, slots[asking])
        own_right[asking], told_right[asking] = (for_own & ~for_told)[voter], (for_told & ~for_own)[voter]
    return own_right, told_right


def _flaws(blame: _Blame, level: _Level, covered: RangeSet) -> Iterator[Flaw]:
    """A flaw for each run of slots with nothing but quiet time between them, that both have spoken of."""
    opens, width = level.opens[blame.at], width_of(level.interval)
    starts, _ = edges(level.both)
    spoken = np.searchsorted(starts, opens, side="right")
    holes = np.diff(opens) - width
    apart = (np.diff(blame.at) > 1) | (holes > LONGEST_HOLE // MICROSECOND) | (np.diff(spoken) > 0)
    firsts = np.concatenate([[0], np.flatnonzero(apart) + 1])
    ends = np.append(firsts[1:], len(opens))
    for first, end in zip(firsts.tolist(), ends.tolist(), strict=True):
        run = TimeRange(moment(opens[first]), moment(opens[end - 1] + width))
        for part in covered & RangeSet([run]):
            yield Flaw(blame.interval, blame.kind, part, _evidence(blame, first, end), blame.derivable)


def _evidence(blame: _Blame, first: int, end: int) -> dict[str, Any]:
    own, other = blame.figures[:, first:end], blame.others[:, first:end]
    evidence: dict[str, Any] = {}
    if blame.kind is FlawKind.INTERVALS_PRICES:
        apart = own[:, 0] != other[:, 0]
        apart[VOLUME] = volumes_differ(own, other)[0]
        for row in np.flatnonzero(apart):
            evidence |= {FIGURES[row]: _json(own[row, 0]), f"other_{FIGURES[row]}": _json(other[row, 0])}
        evidence["slots"] = end - first
    else:
        evidence |= {"trades": int(own[TRADES].sum()), "other_trades": int(other[TRADES].sum())}
        evidence |= {"volume": _json(own[VOLUME].sum()), "other_volume": _json(other[VOLUME].sum())}
    evidence["other_interval_minutes"] = int(blame.tellers[first])
    return evidence | ({"undecided": True} if blame.undecided else {})


def _last_slots_dropped(
    whole: Mapping[Interval, Held], contradicted: Mapping[Interval, Moments], end: datetime
) -> Iterator[Flaw]:
    """What the same defect took from the intervals that nothing finer contradicts.

    An archive that lacks the last slot of its period lacks it at every interval: the day, the half day, … and the last
    minute, of which no other file tells. An interval is named if its last slot is quiet and that of the next coarser
    one is lost.
    """
    last = {i: TimeRange(end - i.delta, end) for i in sorted(whole, reverse=True) if i.floor(end) == end}
    last = {i: slot for i, slot in last.items() if whole[i].covered.covers(slot)}
    lost_at = [i for i, slot in last.items() if microseconds(slot.start) in contradicted.get(i, ())]
    if len(lost_at) < ENOUGH_CONTRADICTED:
        return
    evidence = {"period_end": f"{end:%FT%TZ}", "contradicted_at": sorted(map(int, lost_at))}
    coarser_lost = False
    for interval, slot in last.items():
        quiet = within(whole[interval].candles, RangeSet([slot])).is_empty()
        if interval not in lost_at and coarser_lost and quiet:
            yield Flaw(interval, FlawKind.LAST_SLOT_DROPPED, slot, evidence)
        coarser_lost = interval in lost_at or (coarser_lost and quiet)


def _without_nested(flaws: Iterable[Flaw]) -> Iterator[Flaw]:
    """Without those that lie in another one of their series and kind that finer candles cannot mend."""
    last: dict[tuple[Interval, FlawKind], datetime] = {}
    for flaw in sorted(flaws, key=lambda one: (one.range.start, -one.range.length, one.derivable)):
        key = (flaw.interval, flaw.kind)
        if key in last and flaw.range.end <= last[key]:
            continue
        if not flaw.derivable:
            last[key] = flaw.range.end
        yield flaw


def _finer(level: _Level, whole: Mapping[Interval, Held]) -> Iterator[tuple[Interval, Held]]:
    """The intervals below the level's own, finest first."""
    return ((interval, held) for interval, held in whole.items() if interval < level.interval)


def _told_by(held: Held, level: _Level, at: Moments) -> Figures:
    """What one finer series holds of these slots."""
    opens = level.opens[at]
    return figures_of(resample(cut(held.candles, opens, opens + width_of(level.interval)), level.interval), opens)


def _kinds(one: Figures, other: Figures) -> tuple[tuple[FlawKind, Flags], ...]:
    """What two candles with as many trades differ in: prices, or volume alone."""
    prices = prices_differ(one, other)
    return (FlawKind.INTERVALS_PRICES, prices), (FlawKind.INTERVALS_VOLUME, ~prices & volumes_differ(one, other))


def _json(figure: float) -> float | str:
    """JSON has no word for nan and infinity."""
    return float(figure) if np.isfinite(figure) else str(figure)
