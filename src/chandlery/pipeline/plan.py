"""Plan: which files to read, what to ask the exchange and what to derive, so that the wanted slots get an answer.

Pure: values in, values out.

Resuming a job, running it again and running it later are the same thing: plan again with what is now known.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from chandlery.candles.evidence import (
    Coverage,
    Evidence,
    Source,
    answered,
    direct,
    extended,
    settled,
    stale_ranges,
    unanswered,
    unsettled,
)
from chandlery.candles.gap import derivable
from chandlery.candles.interval import Interval
from chandlery.candles.series import Series
from chandlery.candles.timerange import RangeSet, TimeRange
from chandlery.candles.verdict import Life
from chandlery.exchanges.kraken.walk import PROVEN
from chandlery.exchanges.kraken.window import asked_as
from chandlery.pipeline.edge import Ask, Edge
from chandlery.pipeline.on_hand import FileOnHand, OnHand, claims_of, relevant
from chandlery.pipeline.walks import TradeWalk, Trail


@dataclass(frozen=True, slots=True)
class Wanted:
    """The slots asked for of one series (None: it is not known where they begin), and when its market lived.

    `from_first`: everything was asked for, and `range` begins with what is known by now.
    """

    range: TimeRange | None
    life: Life = field(default_factory=Life)
    from_first: bool = False


@dataclass(frozen=True, slots=True)
class Derivation:
    """Slots of `series` to be made from `finer`."""

    series: Series
    finer: Interval
    parts: tuple[tuple[RangeSet, Evidence], ...]

    @property
    def ranges(self) -> RangeSet:
        return RangeSet.union(ranges for ranges, _ in self.parts)

    @property
    def source(self) -> Series:
        return replace(self.series, interval=self.finer)


@dataclass(frozen=True, slots=True)
class Plan:
    """`files` are to be read, largest first; `unchanged` need no reading; `open` is what nothing planned answers.

    `files_left` counts unread files of wanted series that hold nothing of the wanted ranges.
    """

    files: tuple[FileOnHand, ...]
    unchanged: tuple[FileOnHand, ...]
    asks: tuple[Ask, ...]
    derivations: tuple[Derivation, ...]
    open: Mapping[Series, RangeSet]
    files_left: int = 0
    walks: tuple[TradeWalk, ...] = ()


@dataclass(frozen=True, slots=True)
class _Target:
    """A wanted series, with its own files that matter, the series it can be derived from (widest first), and those of
    its slots that its own files do not answer.
    """

    series: Series
    want: Wanted
    own: Sequence[FileOnHand]
    finer: Sequence[Series]
    slots: RangeSet

    @property
    def interval(self) -> Interval:
        return self.series.interval

    def open(self, left: Callable[[RangeSet, Coverage], RangeSet], coverage: Mapping[Series, Coverage]) -> RangeSet:
        """The wanted slots that nothing answers: `left` of what its own files leave by `coverage`."""
        return left(self.slots, coverage.get(self.series, {})).aligned_inwards(self.interval)


def _targets(wanted: Mapping[Series, Wanted], on_hand: OnHand) -> Iterator[_Target]:
    """Sorted: what is finer comes first."""
    for series, want in sorted(wanted.items(), key=lambda item: item[0]):
        own = relevant(on_hand.files.get(series, ()), want.range)
        finer = [Series(series.exchange, series.market, interval) for interval in _FINER[series.interval]]
        listed = want.life.listed(want.range, series.interval) if want.range is not None else RangeSet()
        yield _Target(series, want, own, finer, listed - claims_of(own) if own else listed)


_FINER = {interval: interval.finer() for interval in Interval}


def plan(
    wanted: Mapping[Series, Wanted],
    coverage: Mapping[Series, Coverage],
    files: Sequence[FileOnHand],
    *,
    derive: bool = True,
    done: Collection[str] = (),
    edge: Edge | None = None,
    trail: Trail | None = None,
    accepted: Mapping[Series, RangeSet] | None = None,
) -> Plan:
    """What to read, to ask, to walk and to derive. `coverage` holds every interval of the wanted markets. `done` are
    signatures of files that were read in this run already: what came of them is in `coverage`, nothing more is to be
    expected of them. Without an `edge` nobody is asked, without a `trail` no trades are walked. Of slots that are
    `accepted` as they are, only what costs no request is planned.
    """
    on_hand = OnHand.of(file for file in files if file.member.signature not in done)
    spared = accepted or {}
    made = _Planning(wanted, coverage, on_hand, edge, spared, derive=derive).plan({})
    if trail is None:
        return made
    ends = {series: want.range.end for series, want in wanted.items() if want.range is not None}
    asked = {ask.series: ask.ranges for ask in made.asks}
    for series in wanted:
        source = replace(series, interval=asked_as(series.interval))
        if source != series and source in asked:
            asked.setdefault(series, asked[source].aligned_inwards(series.interval))
    walks = trail.walks(_left_of(made.open, spared), _left_of(asked, spared), ends)
    if not walks:
        return made
    # A walk that is due anyway spares the requests for what lies in it.
    walked = {walk.series: walk.ranges for walk in walks}
    return replace(_Planning(wanted, coverage, on_hand, edge, spared, derive=derive).plan(walked), walks=tuple(walks))


def _left_of(ranges: Mapping[Series, RangeSet], accepted: Mapping[Series, RangeSet]) -> dict[Series, RangeSet]:
    """Without what is accepted."""
    return {s: held - accepted[s] if s in accepted else held for s, held in ranges.items()}


@dataclass(slots=True)
class _Planning:
    """One way through all wanted series, the finer ones first."""

    wanted: Mapping[Series, Wanted]
    coverage: Mapping[Series, Coverage]
    on_hand: OnHand
    edge: Edge | None
    accepted: Mapping[Series, RangeSet]
    derive: bool
    chosen: dict[str, FileOnHand] = field(default_factory=dict)
    asks: dict[Series, Ask] = field(default_factory=dict)
    derivations: list[Derivation] = field(default_factory=list)
    open: dict[Series, RangeSet] = field(default_factory=dict)
    #: With the answers of what is asked and walked.
    expected: dict[Series, Coverage] = field(default_factory=dict)
    underived: dict[Series, Coverage] = field(default_factory=dict)

    def plan(self, walked: Mapping[Series, RangeSet]) -> Plan:
        on_hand, coverage = self.on_hand, self.coverage
        if on_hand.files:
            self.underived = {series: direct(known) for series, known in coverage.items()}
        self.expected = dict(coverage)
        for series, ranges in walked.items():
            self.expected[series] = extended(self.expected.get(series, {}), PROVEN, ranges)
        for target in _targets(self.wanted, on_hand):
            self._serve(target, walked.get(target.series, RangeSet()))
        unread = [file for file in self.chosen.values() if not file.unchanged]
        return Plan(
            files=tuple(sorted(unread, key=lambda f: (-f.member.size, f.member.label))),
            unchanged=tuple(f for f in self.chosen.values() if f.unchanged),
            asks=tuple(self.asks.values()),
            derivations=tuple(self.derivations),
            open=self.open,
            files_left=sum(
                not file.unchanged and signature not in self.chosen
                for series in self.wanted
                for file in on_hand.files.get(series, ())
                for signature in (file.member.signature,)
            ),
        )

    def _serve(self, target: _Target, walked: RangeSet) -> None:
        series, on_hand, is_dated = target.series, self.on_hand, target.want.range is not None
        _choose(self.chosen, target.own)
        _choose(self.chosen, _of_earlier_times(target, on_hand, derive=self.derive))
        made: list[Derivation] = []
        if self.derive and is_dated:
            # Files are chosen as if nothing had been derived yet: a later release corrects what that was made from.
            for foreseen in _derivations(target, self.underived, on_hand) if on_hand.has_any_of(target.finer) else ():
                _choose(self.chosen, on_hand.sources_of(foreseen.source, foreseen.ranges.span))
            made = list(_derivations(target, self.expected, on_hand))
        elif self.derive and not target.own:
            made = list(islice(_foretold(target, on_hand), 1))
        edge = self.edge
        ask = self._ask(target, made, edge) if edge is not None else None
        if ask is not None and edge is not None:
            self.asks[ask.series] = ask
            self.expected[ask.series] = edge.answered(self.expected.get(ask.series, {}), ask.series.interval)
            if ask.series == series:
                made = list(without(made, ask.ranges))
            elif self.derive and is_dated:
                made = list(_derivations(target, self.expected, on_hand))
        for derivation in made:
            _choose(self.chosen, on_hand.sources_of(derivation.source, derivation.ranges.span))
        self.derivations += made
        left = target.open(unanswered, self.coverage) - _made(made) - walked
        self.open[series] = left - ask.ranges if ask is not None and ask.series == series else left

    def _ask(self, target: _Target, made: Sequence[Derivation], edge: Edge) -> Ask | None:
        accepted = self.accepted.get(target.series, RangeSet())
        return _ask(target, self.expected, made, edge, self.wanted.keys(), accepted)


def _choose(chosen: dict[str, FileOnHand], files: Iterable[FileOnHand]) -> None:
    chosen.update((f.member.signature, f) for f in files)


def _made(derivations: Iterable[Derivation]) -> RangeSet:
    return RangeSet.union(derivation.ranges for derivation in derivations)


def _of_earlier_times(target: _Target, on_hand: OnHand, *, derive: bool) -> Iterator[FileOnHand]:
    """Where everything was asked for: releases of times before what is known by now, of the series itself, and of a
    finer one where it has none.
    """
    want = target.want
    if want.range is None or not want.from_first:
        return
    found = RangeSet()
    for series in (target.series, *(target.finer if derive else ())):
        for file in on_hand.files.get(series, ()):
            is_earlier = file.period is not None and file.expected.end <= want.range.start
            if is_earlier and (series == target.series or not found.covers(file.expected)):
                found = found | RangeSet([file.expected])
                yield file


def _ask(
    target: _Target,
    coverage: Mapping[Series, Coverage],
    made: Sequence[Derivation],
    edge: Edge,
    kept: Collection[Series],
    accepted: RangeSet,
) -> Ask | None:
    """The request for what neither files nor finer series settle of the wanted slots in the API's window.

    What can be derived costs no request, and what is `accepted` is worth none. But where one is due anyway, its answer
    serves every open slot of the window.
    """
    window = edge.window(target.series)
    if window is None:
        return None
    if target.want.range is None:
        # Files, its own or finer ones, will tell where it begins.
        return None if target.own or made else Ask(edge.source(target.series), RangeSet([window]))
    due = target.open(unsettled, coverage) & RangeSet([window])
    left = due - _made(made) - accepted
    # What was made of finer slots that are not settled yet waits for these, where they are kept current. An answer of
    # its own that may still change is asked for again: nothing finer takes its place before it is settled.
    waiting = stale_ranges(coverage.get(target.series, {})) & left
    for source in target.finer if waiting else ():
        if source in kept:
            held = coverage.get(source, {})
            # What is no longer among the newest slots, and was not settled, stays so.
            young = answered(held) & answered(
                {k: r for k, r in edge.foretold(source.interval).items() if k.provisional}
            )
            left = left - (waiting & (settled(held) | young).aligned_inwards(target.interval))
    return Ask(edge.source(target.series), due) if left else None


def without(made: Iterable[Derivation], ranges: RangeSet) -> Iterator[Derivation]:
    """What is left to derive outside of `ranges`."""
    for derivation in made:
        parts = tuple((left, kind) for part, kind in derivation.parts if (left := part - ranges))
        if parts:
            yield replace(derivation, parts=parts)


def _foretold(target: _Target, on_hand: OnHand) -> Iterator[Derivation]:
    """Where nothing is known of the wanted range: all that files of a finer interval hold."""
    for source in target.finer:
        usable = on_hand.claims.get(source, RangeSet()).aligned_inwards(target.interval)
        if usable:
            yield Derivation(target.series, source.interval, ((usable, Evidence(Source.CSV, derived=True)),))


def _derivations(target: _Target, coverage: Mapping[Series, Coverage], on_hand: OnHand) -> Iterator[Derivation]:
    """What finer series can give, the widest first: settled answers wherever there is none, and provisional ones only
    where there is no answer at all.
    """
    taken, life = RangeSet(), target.want.life
    for provisional, open_by in ((False, unsettled), (True, unanswered)):
        left = target.open(open_by, coverage) - taken
        for source in target.finer:
            span = left.span
            if span is None:
                break
            # To the finer slot: the first trade lies somewhere inside the first coarse one.
            unlisted = life.unlisted(span, source.interval)
            found = derivable(left, on_hand.expected(source, coverage), target.interval, unlisted)
            parts = tuple((ranges, kind) for ranges, kind in found if kind.provisional == provisional)
            if parts:
                made = Derivation(target.series, source.interval, parts)
                left, taken = left - made.ranges, taken | made.ranges
                yield made


def renewals(
    derived: Mapping[Series, RangeSet], lives: Mapping[Series, Life], coverage: Mapping[Series, Coverage]
) -> list[Derivation]:
    """What to derive again of slots that once were `derived`: those whose finer candles have changed since, or may have
    where these are not settled yet.
    """
    wanted = {series: Wanted(ranges.span, lives[series]) for series, ranges in derived.items()}
    found: list[Derivation] = []
    # As if they had never been derived.
    known = {**coverage, **{series: _without_stale(coverage.get(series, {})) for series in derived}}
    for made in plan(wanted, known, ()).derivations:
        parts = tuple((ranges & derived[made.series], kind) for ranges, kind in made.parts)
        if any(ranges for ranges, _ in parts):
            found.append(replace(made, parts=tuple((ranges, kind) for ranges, kind in parts if ranges)))
    return found


def _without_stale(coverage: Coverage) -> Coverage:
    return {kind: ranges for kind, ranges in coverage.items() if not (kind.derived and kind.provisional)}
