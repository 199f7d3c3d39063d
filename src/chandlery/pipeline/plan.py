"""Plan: which files to read and what to derive, so that the wanted slots get an answer. Pure: values in, values out.

Resuming a job, running it again and running it later are the same thing: plan again with what is now known.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from chandlery.candles.evidence import Coverage, Evidence, Source, answered
from chandlery.candles.gap import derivable
from chandlery.candles.interval import Interval
from chandlery.candles.series import Series
from chandlery.candles.start import earliest_slot
from chandlery.candles.timerange import RangeSet, TimeRange
from chandlery.candles.verdict import Life
from chandlery.exchanges.kraken.archive import Member
from chandlery.exchanges.kraken.archive_claims import Period

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
    """The slots asked for of one series (None: it is not known where they begin), and when its market lived."""

    range: TimeRange | None
    life: Life = field(default_factory=Life)


@dataclass(frozen=True, slots=True)
class Derivation:
    """Slots of `series` to be made from `finer`."""

    series: Series
    finer: Interval
    parts: tuple[tuple[RangeSet, Evidence], ...]

    @property
    def ranges(self) -> RangeSet:
        return RangeSet(r for ranges, _ in self.parts for r in ranges)


@dataclass(frozen=True, slots=True)
class Plan:
    """`files` are to be read, largest first; `unchanged` need no reading; `open` is what nothing planned answers."""

    files: tuple[FileOnHand, ...]
    unchanged: tuple[FileOnHand, ...]
    derivations: tuple[Derivation, ...]
    open: Mapping[Series, RangeSet]


def plan(
    wanted: Mapping[Series, Wanted],
    coverage: Mapping[Series, Coverage],
    files: Sequence[FileOnHand],
    *,
    derive: bool = True,
    done: Collection[str] = (),
) -> Plan:
    """What to read and to derive. `coverage` holds every interval of the wanted markets. `done` are labels of files
    that were read in this run already: what came of them is in `coverage`, nothing more is to be expected of them.
    """
    on_hand: dict[Series, list[FileOnHand]] = defaultdict(list)
    for file in files:
        if file.member.label not in done:
            on_hand[file.series].append(file)
    chosen: dict[str, FileOnHand] = {}
    derivations: list[Derivation] = []
    open_ranges: dict[Series, RangeSet] = {}
    for series, want in sorted(wanted.items()):
        own = relevant(on_hand[series], want.range)
        _choose(chosen, own)
        left = _left(want, series.interval, coverage.get(series, {}), own)
        if derive and (left or (want.range is None and not own)):
            for finer in series.interval.finer():
                source = Series(series.exchange, series.market, finer)
                found = _derivation(series, source, left, want, coverage.get(source, {}), on_hand[source])
                if found is None:
                    continue
                _choose(chosen, relevant(on_hand[source], found.ranges.span))
                derivations.append(found)
                left = left - found.ranges
                if not left:
                    break
        open_ranges[series] = left
    unread = [file for file in chosen.values() if not file.unchanged]
    return Plan(
        files=tuple(sorted(unread, key=lambda f: (-f.member.size, f.member.label))),
        unchanged=tuple(f for f in chosen.values() if f.unchanged),
        derivations=tuple(derivations),
        open=open_ranges,
    )


def first_slots(files: Iterable[FileOnHand]) -> dict[str, datetime]:
    """Where the history of each market begins, as far as the edges of these files foretell it."""
    edges: dict[str, dict[Interval, datetime]] = defaultdict(dict)
    for file in files:
        # A quarterly archive's period says nothing of a market's first trade.
        if file.expected.start != ALL_TIME.start and (file.period is None or file.period.complete):
            known = edges[file.series.market]
            start = file.expected.start
            known[file.series.interval] = min(start, known.get(file.series.interval, start))
    found = ((market, earliest_slot(firsts)) for market, firsts in edges.items())
    return {market: first for market, first in found if first is not None}


def earlier(one: datetime | None, other: datetime | None) -> datetime | None:
    """The earlier of two moments, of which neither need be known."""
    return min((moment for moment in (one, other) if moment is not None), default=None)


def relevant(files: Iterable[FileOnHand], within: TimeRange | None) -> list[FileOnHand]:
    """The files whose release's period touches what is wanted; a loose file always may."""
    return [f for f in files if within is None or f.period is None or f.expected.overlaps(within)]


def expected_coverage(coverage: Coverage, files: Iterable[FileOnHand]) -> Coverage:
    """The coverage once these files are in."""
    claimed = RangeSet(f.expected for f in files if not f.unchanged)
    kind = Evidence(Source.CSV)
    return {**coverage, kind: coverage.get(kind, RangeSet()) | claimed} if claimed else coverage


def _choose(chosen: dict[str, FileOnHand], files: Iterable[FileOnHand]) -> None:
    chosen.update((f.member.label, f) for f in files)


def _left(want: Wanted, interval: Interval, coverage: Coverage, files: Sequence[FileOnHand]) -> RangeSet:
    if want.range is None:
        return RangeSet()
    listed = want.life.listed(want.range, interval)
    return (listed - answered(expected_coverage(coverage, files))).aligned_inwards(interval)


def _derivation(
    series: Series, source: Series, left: RangeSet, want: Wanted, coverage: Coverage, files: Sequence[FileOnHand]
) -> Derivation | None:
    """What of `left` the finer series can give; where nothing is known of the wanted range, all that its files hold."""
    if want.range is None:
        usable = RangeSet(f.expected for f in files if not f.unchanged).aligned_inwards(series.interval)
        return Derivation(series, source.interval, ((usable, Evidence(Source.CSV, derived=True)),)) if usable else None
    # To the finer slot: the first trade lies somewhere inside the first coarse one.
    unlisted = want.life.unlisted(want.range, source.interval)
    parts = derivable(left, expected_coverage(coverage, files), series.interval, unlisted)
    return Derivation(series, source.interval, tuple(parts)) if parts else None
