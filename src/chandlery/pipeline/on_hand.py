"""Files on hand: what each of them is expected to answer for, before it is read. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from chandlery.candles.evidence import Coverage, Evidence, Source
from chandlery.candles.interval import Interval
from chandlery.candles.series import Series
from chandlery.candles.start import earliest_slot
from chandlery.candles.timerange import RangeSet, TimeRange
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
class OnHand:
    """The files of each series, and the claims of those that are not in the store yet."""

    files: Mapping[Series, Sequence[FileOnHand]]
    claims: Mapping[Series, RangeSet]

    @classmethod
    def of(cls, files: Iterable[FileOnHand]) -> "OnHand":
        found: dict[Series, list[FileOnHand]] = defaultdict(list)
        for file in files:
            found[file.series].append(file)
        return cls(dict(found), {series: claims for series, own in found.items() if (claims := claims_of(own))})

    def has_any_of(self, sources: Iterable[Series]) -> bool:
        """Whether there is a file of any of these."""
        return any(source in self.files for source in sources)

    def sources_of(self, series: Series, within: TimeRange | None) -> list[FileOnHand]:
        """The files of a series to be in the store before something of `within` is derived from it."""
        files = self.files.get(series)
        return relevant(files, within) if files else []

    def expected(self, series: Series, coverage: Mapping[Series, Coverage]) -> Coverage:
        """The coverage of a series once its files are in."""
        known, claims = coverage.get(series, {}), self.claims.get(series)
        return {**known, _FILED: known.get(_FILED, RangeSet()) | claims} if claims else known


#: What a file says.
_FILED = Evidence(Source.CSV)


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


def claims_of(files: Iterable[FileOnHand]) -> RangeSet:
    """What those of them will answer that are not in the store yet."""
    return RangeSet(f.expected for f in files if not f.unchanged)
