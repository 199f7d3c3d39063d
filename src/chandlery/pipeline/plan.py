"""Plan: which files to read, what to ask the exchange and what to derive, so that the wanted slots get an answer.

Pure: values in, values out.

Resuming a job, running it again and running it later are the same thing: plan again with what is now known.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import islice

from chandlery.candles.evidence import Coverage, Evidence, Source, answered, direct, settled, stale_ranges
from chandlery.candles.gap import derivable
from chandlery.candles.interval import Interval
from chandlery.candles.series import Series
from chandlery.candles.start import earliest_slot
from chandlery.candles.timerange import RangeSet, TimeRange
from chandlery.candles.verdict import Life
from chandlery.exchanges.kraken.archive import Member
from chandlery.exchanges.kraken.archive_claims import Period
from chandlery.pipeline.edge import Ask, Edge

#: All of time, as far as candles go: what a file may hold whose span is not known before it is read.
ALL_TIME = TimeRange(datetime(1970, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))


@dataclass(frozen=True, slots=True)
class FileOnHand:
    """A file of a source. `unchanged`: what it holds is in the store and on record. `expected`: what it will answer
    for.
    """

    series: Series
    member: Member
    period: Period | None
    rank: str
    unchanged: bool = False
    expected: TimeRange = ALL_TIME


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
        return RangeSet(r for ranges, _ in self.parts for r in ranges)

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


def plan(
    wanted: Mapping[Series, Wanted],
    coverage: Mapping[Series, Coverage],
    files: Sequence[FileOnHand],
    *,
    derive: bool = True,
    done: Collection[str] = (),
    edge: Edge | None = None,
) -> Plan:
    """What to read, to ask and to derive. `coverage` holds every interval of the wanted markets. `done` are signatures
    of files that were read in this run already: what came of them is in `coverage`, nothing more is to be expected of
    them. Without an `edge` nobody is asked.
    """
    on_hand: dict[Series, list[FileOnHand]] = defaultdict(list)
    for file in files:
        if file.member.signature not in done:
            on_hand[file.series].append(file)
    chosen: dict[str, FileOnHand] = {}
    asks: dict[Series, Ask] = {}
    derivations: list[Derivation] = []
    open_ranges: dict[Series, RangeSet] = {}
    underived = {series: direct(known) for series, known in coverage.items()}
    #: With the answers of what is asked: finer series come first.
    expected = dict(coverage)
    for series, want in sorted(wanted.items()):
        own = relevant(on_hand[series], want.range)
        _choose(chosen, own)
        _choose(chosen, _of_earlier_times(series, want, on_hand, derive=derive))
        made: list[Derivation] = []
        if derive and want.range is not None:
            # Files are chosen as if nothing had been derived yet: a later release corrects what that was made from.
            for foreseen in _derivations(series, want, underived, own, on_hand):
                _choose(chosen, relevant(on_hand[foreseen.source], foreseen.ranges.span))
            made = list(_derivations(series, want, expected, own, on_hand))
        elif derive and not own:
            made = list(islice(_foretold(series, on_hand), 1))
        ask = _ask(series, want, expected, own, made, edge, wanted.keys()) if edge is not None else None
        if ask is not None and edge is not None:
            asks[ask.series] = ask
            expected[ask.series] = edge.answered(expected.get(ask.series, {}), ask.series.interval)
            if ask.series == series:
                made = list(_without(made, ask.ranges))
            elif derive and want.range is not None:
                made = list(_derivations(series, want, expected, own, on_hand))
        for derivation in made:
            _choose(chosen, relevant(on_hand[derivation.source], derivation.ranges.span))
        derivations += made
        answers = RangeSet(r for derivation in made for r in derivation.ranges)
        if ask is not None and ask.series == series:
            answers = answers | ask.ranges
        open_ranges[series] = _open(series, want, coverage, own) - answers
    unread = [file for file in chosen.values() if not file.unchanged]
    return Plan(
        files=tuple(sorted(unread, key=lambda f: (-f.member.size, f.member.label))),
        unchanged=tuple(f for f in chosen.values() if f.unchanged),
        asks=tuple(asks.values()),
        derivations=tuple(derivations),
        open=open_ranges,
        files_left=sum(
            not file.unchanged and signature not in chosen
            for series in wanted
            for file in on_hand[series]
            for signature in (file.member.signature,)
        ),
    )


def first_slots(files: Iterable[FileOnHand]) -> dict[str, dict[Interval, datetime]]:
    """The first slot of each market at each interval, as far as the edges of these files foretell it."""
    edges: dict[str, dict[Interval, datetime]] = defaultdict(dict)
    for file in files:
        # A quarterly archive's period says nothing of a market's first trade.
        if file.expected.start != ALL_TIME.start and (file.period is None or file.period.complete):
            known = edges[file.series.market]
            start = file.expected.start
            known[file.series.interval] = min(start, known.get(file.series.interval, start))
    return edges


def foretold(known: datetime | None, edges: Mapping[Interval, datetime]) -> datetime | None:
    """Where a market's history begins, by what is known and by the first slots of files yet to be read: a day that
    holds what is known tells nothing new.
    """
    finest = edges.get(Interval.M1, known)
    if known is None or finest is None:
        return earliest_slot(edges)
    return earliest_slot({**edges, Interval.M1: min(known, finest)})


def relevant(files: Iterable[FileOnHand], within: TimeRange | None) -> list[FileOnHand]:
    """The files whose release's period touches what is wanted; a loose file always may."""
    return [
        f
        for f in files
        if within is None
        or f.period is None
        or f.expected.overlaps(within)
        # That a market was not listed yet is told by the complete release that carries it from its first day.
        or (f.period.complete and within.start < f.expected.start)
    ]


def expected_coverage(coverage: Coverage, files: Iterable[FileOnHand]) -> Coverage:
    """The coverage once these files are in."""
    claimed = RangeSet(f.expected for f in files if not f.unchanged)
    kind = Evidence(Source.CSV)
    return {**coverage, kind: coverage.get(kind, RangeSet()) | claimed} if claimed else coverage


def _choose(chosen: dict[str, FileOnHand], files: Iterable[FileOnHand]) -> None:
    chosen.update((f.member.signature, f) for f in files)


def _open(
    series: Series,
    want: Wanted,
    coverage: Mapping[Series, Coverage],
    own: Sequence[FileOnHand],
    answers: Callable[[Coverage], RangeSet] = answered,
) -> RangeSet:
    """The wanted slots for which neither `coverage` nor the series' own files have `answers`."""
    if want.range is None:
        return RangeSet()
    expected = expected_coverage(coverage.get(series, {}), own)
    listed = want.life.listed(want.range, series.interval)
    return (listed - answers(expected)).aligned_inwards(series.interval)


def _of_earlier_times(
    series: Series, want: Wanted, on_hand: Mapping[Series, Sequence[FileOnHand]], *, derive: bool
) -> Iterator[FileOnHand]:
    """Where everything was asked for: releases of times before what is known by now, of the series itself, and of a
    finer one where it has none.
    """
    if want.range is None or not want.from_first:
        return
    found = RangeSet()
    for interval in (series.interval, *(series.interval.finer() if derive else ())):
        for file in on_hand.get(replace(series, interval=interval), ()):
            is_earlier = file.period is not None and file.expected.end <= want.range.start
            if is_earlier and (interval == series.interval or not found.covers(file.expected)):
                found = found | RangeSet([file.expected])
                yield file


def _ask(
    series: Series,
    want: Wanted,
    coverage: Mapping[Series, Coverage],
    own: Sequence[FileOnHand],
    made: Sequence[Derivation],
    edge: Edge,
    kept: Collection[Series],
) -> Ask | None:
    """The request for what neither files nor finer series settle of the wanted slots in the API's window.

    What can be derived costs no request. But where one is due anyway, its answer serves every open slot of the window.
    """
    window = edge.window(series)
    if window is None:
        return None
    if want.range is None:
        # Files, its own or finer ones, will tell where it begins.
        return None if own or made else Ask(edge.source(series), RangeSet([window]))
    due = _open(series, want, coverage, own, settled) & RangeSet([window])
    derived = RangeSet(r for derivation in made for r in derivation.ranges)
    # What was made of finer slots that are not settled yet waits for these, where they are kept current. An answer of
    # its own that may still change is asked for again: nothing finer takes its place before it is settled.
    waiting = stale_ranges(coverage.get(series, {})) & due
    for finer in series.interval.finer() if waiting else ():
        source = replace(series, interval=finer)
        if source in kept:
            held = coverage.get(source, {})
            # What is no longer among the newest slots, and was not settled, stays so.
            young = answered(held) & answered({k: r for k, r in edge.foretold(finer).items() if k.provisional})
            derived = derived | (waiting & (settled(held) | young).aligned_inwards(series.interval))
    return Ask(edge.source(series), due) if due - derived else None


def _without(made: Iterable[Derivation], ranges: RangeSet) -> Iterator[Derivation]:
    """What is left to derive outside of `ranges`."""
    for derivation in made:
        parts = tuple((left, kind) for part, kind in derivation.parts if (left := part - ranges))
        if parts:
            yield replace(derivation, parts=parts)


def _foretold(series: Series, on_hand: Mapping[Series, Sequence[FileOnHand]]) -> Iterator[Derivation]:
    """Where nothing is known of the wanted range: all that files of a finer interval hold."""
    for finer in series.interval.finer():
        files = on_hand.get(replace(series, interval=finer), ())
        usable = RangeSet(f.expected for f in files if not f.unchanged).aligned_inwards(series.interval)
        if usable:
            yield Derivation(series, finer, ((usable, Evidence(Source.CSV, derived=True)),))


def _derivations(
    series: Series,
    want: Wanted,
    coverage: Mapping[Series, Coverage],
    own: Sequence[FileOnHand],
    on_hand: Mapping[Series, Sequence[FileOnHand]],
) -> Iterator[Derivation]:
    """What finer series can give, the widest first: settled answers wherever there is none, and provisional ones only
    where there is no answer at all.
    """
    assert want.range is not None, "an unknown range is foretold, not derived"
    taken = RangeSet()
    for provisional, answers in ((False, settled), (True, answered)):
        left = _open(series, want, coverage, own, answers) - taken
        for finer in series.interval.finer():
            if not left:
                break
            source = replace(series, interval=finer)
            known = expected_coverage(coverage.get(source, {}), on_hand.get(source, ()))
            # To the finer slot: the first trade lies somewhere inside the first coarse one.
            found = derivable(left, known, series.interval, want.life.unlisted(want.range, finer))
            parts = tuple((ranges, kind) for ranges, kind in found if kind.provisional == provisional)
            if parts:
                made = Derivation(series, finer, parts)
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
