"""Gaps by what closes them, before a backfill, and what has become of them after it. Pure: values in, values out."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum

from chandlery.candles.gap import Gap, Reason
from chandlery.candles.interval import Interval
from chandlery.candles.timerange import RangeSet
from chandlery.reporting.completeness import CompletenessReport, GapEntry, SeriesEntry, gap_entry

#: Market and interval.
Key = tuple[str, Interval]


class Way(Enum):
    """What closes a gap, as it is headed in a list."""

    API = "API-fillable"
    DERIVED = "Derivable from finer candles"
    ACROSS = "Across the API's edge"
    FILES = "Require CSV"


@dataclass(frozen=True, slots=True)
class FoundGap:
    """One gap; `left` are its parts that neither the API nor finer candles close. Of a market that is not `listed`
    the API is not asked.
    """

    market: str
    entry: GapEntry
    left: tuple[GapEntry, ...] = ()
    listed: bool = True

    @property
    def key(self) -> Key:
        return self.market, self.entry.gap.interval

    @property
    def candles(self) -> int:
        return self.entry.gap.candles

    @property
    def left_candles(self) -> int:
        return sum(part.gap.candles for part in self.left)

    @property
    def way(self) -> Way:
        if self.left_candles >= self.candles:
            return Way.FILES
        if self.left:
            return Way.ACROSS
        return Way.API if self.entry.api_fillable else Way.DERIVED


@dataclass(frozen=True, slots=True)
class GapGroups:
    """The gaps of a report. Of `begun` nothing is stored and the API tells the newest candles; of `unknown` nobody
    does.
    """

    report: CompletenessReport
    gaps: tuple[FoundGap, ...]
    begun: tuple[SeriesEntry, ...] = ()
    unknown: tuple[SeriesEntry, ...] = ()

    @property
    def candles(self) -> int:
        return sum(gap.candles for gap in self.gaps)

    @property
    def fillable(self) -> bool:
        """Whether a backfill closes anything."""
        return bool(self.begun) or any(gap.way is not Way.FILES for gap in self.gaps)

    def of(self, way: Way) -> tuple[FoundGap, ...]:
        return tuple(gap for gap in self.gaps if gap.way is way)

    @property
    def unfillable(self) -> CompletenessReport:
        """The report with nothing open but what needs files."""
        left: dict[Key, list[GapEntry]] = {}
        for gap in self.gaps:
            left.setdefault(gap.key, []).extend(gap.left)
        series = (
            replace(entry, gaps=tuple(left.get((entry.market, entry.interval), ()))) for entry in self.report.series
        )
        return replace(self.report, series=tuple(series))


def grouped(
    report: CompletenessReport,
    left: Mapping[Key, RangeSet],
    untold: Collection[Key] = (),
    unlisted: Collection[str] = (),
    *,
    newest: bool = False,
) -> GapGroups:
    """The gaps of `report`, where a backfill leaves the slots of `left` open, and everything of `untold`, of which
    nothing is stored. Kraken does not list the markets of `unlisted`. `newest`: only gaps that reach up to the last
    closed slot.
    """
    nothing = [entry for entry in report.series if entry.range is None]
    gaps = (
        FoundGap(
            entry.market,
            gap,
            tuple(_left(entry.market, gap, left, unlisted, report)),
            listed=entry.market not in unlisted,
        )
        for entry in report.series
        for gap in entry.gaps
        if not newest or (entry.range is not None and gap.gap.range.end == entry.range.end)
    )
    return GapGroups(
        report,
        tuple(gaps),
        begun=tuple(entry for entry in nothing if (entry.market, entry.interval) not in untold),
        unknown=tuple(entry for entry in nothing if (entry.market, entry.interval) in untold),
    )


def _left(
    market: str, entry: GapEntry, left: Mapping[Key, RangeSet], unlisted: Collection[str], report: CompletenessReport
) -> Iterator[GapEntry]:
    gap = entry.gap
    if gap.reason is Reason.SUSPECT:
        # Its slots have an answer, which another one contradicts: to ask for the same again closes nothing.
        yield entry
        return
    for part in left.get((market, gap.interval), RangeSet()) & RangeSet([gap.range]):
        yield gap_entry(
            market,
            Gap(gap.interval, part, gap.reason),
            report.now,
            entry.status,
            entry.error,
            listed=market not in unlisted,
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a backfill did to the gaps that were found: `closed` wholly, `shrunk` in part, in all `candles` answered
    for; `begun` are series of which now something is stored, and `stays` is what is open of the gaps.
    """

    closed: int
    shrunk: int
    candles: int
    begun: int
    stays: GapGroups


def outcome(before: GapGroups, after: CompletenessReport, unlisted: Collection[str] = ()) -> Outcome:
    """Held against the report after it; what opened in the meantime is none of the backfill's."""
    now_open = {(entry.market, entry.interval): entry.gaps for entry in after.series}
    found = {gap.key: RangeSet() for gap in before.gaps}
    closed = shrunk = candles = 0
    for gap in before.gaps:
        found[gap.key] = found[gap.key] | RangeSet([gap.entry.gap.range])
        filled = RangeSet([gap.entry.gap.range]) - _ranges(now_open.get(gap.key, ()))
        answered = filled.slots(gap.entry.gap.interval)
        closed += answered == gap.candles
        shrunk += 0 < answered < gap.candles
        candles += answered
    known = {(entry.market, entry.interval) for entry in after.series if entry.range is not None}
    started = {(entry.market, entry.interval) for entry in (*before.begun, *before.unknown)}
    stays = (
        # What a record says of an attempt stays with its gap.
        FoundGap(entry.market, gap, () if gap.api_fillable else (gap,), listed=entry.market not in unlisted)
        for entry in after.series
        for gap in entry.gaps
        for key in ((entry.market, entry.interval),)
        if key in started or found.get(key, RangeSet()) & RangeSet([gap.gap.range])
    )
    unknown = tuple(entry for entry in after.series if entry.range is None)
    return Outcome(closed, shrunk, candles, len(started & known), GapGroups(after, tuple(stays), unknown=unknown))


def _ranges(entries: Iterable[GapEntry]) -> RangeSet:
    return RangeSet(entry.gap.range for entry in entries)
