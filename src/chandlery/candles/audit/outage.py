"""Venue outages: what other markets did while one was silent.

Takes improbable silences of many markets at any interval, and a way to ask what the others saw meanwhile; gives the
outages that explain them, and the silences that nothing explains. Low, and not absent, is what counts in a witness: an
outage leaves a few trades here and there, and runs overlap rather than coincide (design 2.10).
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum, auto
from itertools import count
from statistics import median_high, median_low

from chandlery.candles.audit.silence import IMPROBABLE, WITNESS, Silence
from chandlery.candles.interval import Interval
from chandlery.candles.timerange import RangeSet, TimeRange

#: A witness is low when it saw at most one in so many of the trades that were due.
LOW = 10
#: So many witnesses, over so many bases, make an outage of a silence ...
ENOUGH_WITNESSES = 3
ENOUGH_BASES = 2
#: ... where at least this share of them (as a fraction) is low.
MAJORITY = (2, 3)
#: A silence belongs to an outage that it reaches beyond by at most so many slots ...
REACH = 6
#: ... but a day is not explained by an outage of one hour in the same week.
LONG_REACH = timedelta(hours=6)


@dataclass(frozen=True, slots=True)
class Witness:
    """Another market during a silence: the trades that were due at its slow pace, and those that it saw."""

    market: str
    base: str
    due: float
    seen: int

    @property
    def is_low(self) -> bool:
        return self.seen * LOW <= self.due


class Word(Enum):
    """What the witnesses say of a silence."""

    #: Enough markets, of more than one base, and most of them are low.
    OUTAGE = auto()
    #: One or two markets only, all of them low.
    WEAK = auto()
    #: No other market was busy enough to tell.
    UNWITNESSED = auto()
    #: Others traded through it.
    SUSPECT = auto()


Testimony = Callable[["MarketSilence"], Sequence[Witness]]


@dataclass(frozen=True, slots=True)
class MarketSilence:
    """An improbable silence of one market, whose base asset is `base`."""

    market: str
    base: str
    silence: Silence


@dataclass(frozen=True, slots=True)
class VenueOutage:
    """A range of UTC time in which the venue stood still.

    `markets`: those that were silent or low, sorted; `witnesses`: of the silence by which it was established; `weak`:
    there were only one or two of them.
    """

    range: TimeRange
    markets: tuple[str, ...]
    weak: bool
    witnesses: tuple[Witness, ...]


@dataclass(frozen=True, slots=True)
class JudgedSilence:
    """A silence that no outage explains: SUSPECT or UNWITNESSED, by these witnesses."""

    market: str
    silence: Silence
    word: Word
    witnesses: tuple[Witness, ...]


@dataclass(frozen=True, slots=True)
class Judged:
    """Disjoint outages in order of time, and what they leave open (by time, market and interval)."""

    outages: tuple[VenueOutage, ...]
    open: tuple[JudgedSilence, ...]


def word_of(witnesses: Sequence[Witness]) -> Word:
    """What these markets say together. Those for which fewer than 30 trades were due say nothing."""
    able = _able(witnesses)
    if not able:
        return Word.UNWITNESSED
    low = sum(one.is_low for one in able)
    if len(able) < ENOUGH_WITNESSES:
        return Word.WEAK if low == len(able) else Word.SUSPECT
    share, whole = MAJORITY
    enough = low * whole >= len(able) * share and len({one.base for one in able}) >= ENOUGH_BASES
    return Word.OUTAGE if enough else Word.SUSPECT


def judge_silences(silences: Sequence[MarketSilence], testimony: Testimony) -> Judged:
    """Which of these silences an outage explains, which it does not.

    `testimony` tells the due and seen trades of the other markets in the run of one silence, at its interval. It is
    asked as rarely as can be: of silences near each other the one with the most due trades first, and never of what
    an outage that is already established explains. Nor of silences in which fewer than 150 trades were due: these are
    judged nowhere, but an outage that has let a few trades through is as long as they tell.

    An outage is as long as half of the silent markets were silent (see `_agreed`). It explains what of a silence
    lies in it or within 6 slots of it, in whole slots; of longer ones the rests are judged anew, as far as still 150
    trades were due in them. 6 slots, but not more than 6 hours or the length of the outage, and at least one slot of
    the interval in which it was measured: else an outage of an hour would explain days that are lost before and after.
    """
    outages: list[_Outage] = []
    left: list[JudgedSilence] = []
    for cluster in _clusters(silences):
        inquiry = _Inquiry(cluster, testimony)
        inquiry.conclude()
        outages += inquiry.outages
        left += [judged for _, judged in inquiry.unexplained]
    found = sorted((one.told() for one in outages), key=lambda one: one.range)
    left.sort(key=lambda one: (one.silence.range, one.market, one.silence.interval))
    return Judged(tuple(found), tuple(left))


def unexplained(silence: Silence, outages: RangeSet, least: float = IMPROBABLE) -> list[Silence]:
    """What outages that are known already leave of a silence, as far as still `least` trades were due in it."""
    met = [
        TimeRange(outage.start - reach, outage.end + reach)
        for outage in outages
        for reach in (_reach(silence.interval, outage),)
        if outage.start - reach < silence.range.end and silence.range.start < outage.end + reach
    ]
    explained = RangeSet(met).aligned_inwards(silence.interval)
    rests = (silence.part(rest) for rest in RangeSet([silence.range]) - explained)
    return [rest for rest in rests if rest.due >= least]


@dataclass(frozen=True, slots=True)
class _Outage:
    """An outage while silences are still being judged. `measured`: the interval that gave its bounds; `asked`: those
    at which witnesses were heard."""

    range: TimeRange
    measured: Interval
    asked: frozenset[Interval]
    markets: frozenset[str]
    weak: bool
    witnesses: tuple[Witness, ...]

    def explained(self, interval: Interval, word: Word | None) -> TimeRange | None:
        """The whole slots of `interval` that it explains. `word`: what witnesses said, None where nobody was asked.

        A weak one leaves other intervals to be asked about, where more markets may be stored, unless nobody answers.
        """
        if self.weak and interval not in self.asked and word is not Word.UNWITNESSED:
            return None
        reach = max(self.measured.delta, _reach(interval, self.range))
        return TimeRange(self.range.start - reach, self.range.end + reach).aligned_inwards(interval)

    def joined(self, later: _Outage) -> _Outage:
        """Both as one, by the witnesses of the stronger, and of the earlier found where they are equal."""
        lead = later if self.weak and not later.weak else self
        whole = TimeRange(min(self.range.start, later.range.start), max(self.range.end, later.range.end))
        return replace(
            lead,
            range=whole,
            measured=min(self.measured, later.measured),
            asked=self.asked | later.asked,
            markets=self.markets | later.markets,
        )

    def told(self) -> VenueOutage:
        return VenueOutage(self.range, tuple(sorted(self.markets)), self.weak, self.witnesses)


class _Inquiry:
    """Silences near each other, and what is made of them."""

    def __init__(self, cluster: Sequence[MarketSilence], testimony: Testimony) -> None:
        self.outages: list[_Outage] = []
        self.unexplained: list[tuple[MarketSilence, JudgedSilence]] = []
        self._cluster = cluster
        self._testimony = testimony
        self._order = count()
        self._waiting: list[tuple[float, TimeRange, str, Interval, int, MarketSilence]] = []
        for one in cluster:
            if one.silence.due >= IMPROBABLE:
                self._wait(one)

    def conclude(self) -> None:
        while self._waiting:
            *_, one = heapq.heappop(self._waiting)
            if not self._explained(one, None):
                witnesses = tuple(self._testimony(one))
                self._weigh(one, JudgedSilence(one.market, one.silence, word_of(witnesses), witnesses))

    def _wait(self, one: MarketSilence) -> None:
        """The most due first; among equals an order that does not depend on how they were handed in."""
        silence = one.silence
        key = (-silence.due, silence.range, one.market, silence.interval, next(self._order))
        heapq.heappush(self._waiting, (*key, one))

    def _weigh(self, one: MarketSilence, judged: JudgedSilence) -> None:
        """Make an outage of it, or leave it open."""
        word, witnesses, interval = judged.word, judged.witnesses, one.silence.interval
        if word in (Word.OUTAGE, Word.WEAK):
            extent, measured = _extent(one.silence, self._cluster)
            markets = frozenset({one.market, *(other.market for other in _able(witnesses) if other.is_low)})
            self._establish(_Outage(extent, measured, frozenset({interval}), markets, word is Word.WEAK, witnesses))
        elif not self._explained(one, word):
            self.unexplained.append((one, judged))

    def _establish(self, outage: _Outage) -> None:
        """Add it, as one with those that it meets, and look again at what was left unexplained."""
        apart: list[_Outage] = []
        for other in self.outages:
            if other.range.start <= outage.range.end and outage.range.start <= other.range.end:
                outage = other.joined(outage)
            else:
                apart.append(other)
        self.outages = [*apart, outage]
        doubted = self.unexplained
        self.unexplained = [(one, judged) for one, judged in doubted if not self._explained(one, judged.word)]

    def _explained(self, one: MarketSilence, word: Word | None) -> bool:
        """Whether an outage meets it. Then that is its market's as well, and the rests are judged on their own."""
        whole, interval = one.silence.range, one.silence.interval
        met: list[TimeRange] = []
        for i, outage in enumerate(self.outages):
            part = outage.explained(interval, word)
            if part is not None and part.overlaps(whole):
                met.append(part)
                self.outages[i] = replace(outage, markets=outage.markets | {one.market})
        for rest in RangeSet([whole]) - RangeSet(met) if met else ():
            silence = one.silence.part(rest)
            if silence.due >= IMPROBABLE:
                self._wait(replace(one, silence=silence))
        return bool(met)


def _able(witnesses: Iterable[Witness]) -> list[Witness]:
    return [one for one in witnesses if one.due >= WITNESS]


def _widened(silence: Silence) -> TimeRange:
    reach = REACH * silence.interval.delta
    return TimeRange(silence.range.start - reach, silence.range.end + reach)


def _clusters(silences: Iterable[MarketSilence]) -> list[list[MarketSilence]]:
    """Silences that one outage might explain: those within reach of each other, one by one."""
    clusters: list[list[MarketSilence]] = []
    end: datetime | None = None
    for one in sorted(silences, key=lambda one: _widened(one.silence).start):
        widened = _widened(one.silence)
        if end is None or widened.start > end:
            clusters.append([])
            end = widened.end
        clusters[-1].append(one)
        end = max(end, widened.end)
    return clusters


def _extent(silence: Silence, cluster: Sequence[MarketSilence]) -> tuple[TimeRange, Interval]:
    """How long the outage was that caused this silence, and the finest interval in which that was measured.

    What lies near it belongs to the same event, and what lies near that: an outage comes in pieces, as a few trades
    get through.
    """
    extent, measured = silence.range, silence.interval
    near: set[int] = set()
    while True:
        nearer = near | {i for i, other in enumerate(cluster) if _is_near(other.silence, extent)}
        if nearer == near:
            return extent, measured
        near = nearer
        extent, measured = _agreed([cluster[i] for i in sorted(near)], silence)


def _agreed(near: Sequence[MarketSilence], silence: Silence) -> tuple[TimeRange, Interval]:
    """What the silent markets say of the outage's bounds; where no two of them agree, those of `silence`.

    The finest interval at which at least two markets were silent chooses whose word counts, as wide slots fall short
    of an outage on both sides. Each of these markets was silent from its first silence to the end of its last, for
    stray trades cut it into pieces. The outage reaches from the median of the starts to the median of the ends (of two
    medians the inner one), for one market can have lost more besides.
    """
    for interval in sorted({other.silence.interval for other in near}):
        heard = {other.market for other in near if other.silence.interval == interval}
        if len(heard) < 2:
            continue
        hulls = [_hull(other.silence.range for other in near if other.market == market) for market in sorted(heard)]
        extent = TimeRange.maybe(median_high(hull.start for hull in hulls), median_low(hull.end for hull in hulls))
        if extent is not None and extent.overlaps(silence.range):
            return extent, interval
    return silence.range, silence.interval


def _is_near(silence: Silence, extent: TimeRange) -> bool:
    """Whether it overlaps an outage that is known to last so long, or lies within reach."""
    reach = _reach(silence.interval, extent)
    return silence.range.start < extent.end + reach and extent.start - reach < silence.range.end


def _reach(interval: Interval, outage: TimeRange) -> timedelta:
    """How far from an outage a silence still belongs to it: see `judge_silences`."""
    return min(REACH * interval.delta, max(outage.length, LONG_REACH))


def _hull(ranges: Iterable[TimeRange]) -> TimeRange:
    starts, ends = zip(*((one.start, one.end) for one in ranges), strict=True)
    return TimeRange(min(starts), max(ends))
