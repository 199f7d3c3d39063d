"""Plans and findings in the words of events: counted, summed up, nothing decided here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from chandlery.candles.evidence import answered
from chandlery.candles.gap import Gap
from chandlery.candles.interval import Interval
from chandlery.candles.series import Series
from chandlery.candles.timerange import RangeSet, TimeRange
from chandlery.exchanges.kraken.archive import ArchiveSource
from chandlery.exchanges.kraken.window import ohlc_window
from chandlery.models import GapRecord, GapStatus, Market
from chandlery.pipeline import events
from chandlery.pipeline.discover import Found
from chandlery.pipeline.knowledge import MarketFacts
from chandlery.pipeline.plan import ALL_TIME, Derivation, FileOnHand, Plan, Wanted
from chandlery.pipeline.request import IngestRequest
from chandlery.reporting.completeness import gap_entry, remedy_for_nothing_known


def sources_found(found: Found, markets: Sequence[Market], request: IngestRequest) -> events.SourcesFound:
    """Step 1: what there is, and how much of it belongs to the markets asked for."""
    names = {market.altname for market in markets}
    unclassified = set(
        Market.objects.filter(altname__in=found.altnames, base__isnull=True).values_list("altname", flat=True)
    )
    return events.SourcesFound(
        sources=tuple(_source(source, names) for source in found.sources),
        problems=tuple(str(problem) for problem in found.problems),
        unclassified=tuple(sorted(unclassified)),
        looked_at=request.sources,
    )


def _source(source: ArchiveSource, names: set[str]) -> events.SourceFound:
    release = source.release
    period = ""
    if release is not None and release.period_end is not None:
        last = release.period_end - timedelta(microseconds=1)
        period = (
            f"{release.period_start:%Y-%m-%d} to {last:%Y-%m-%d}" if release.period_start else f"up to {last:%Y-%m-%d}"
        )
    wanted = sum(member.altname in names for member in source.members)
    name, complete = (release.name, release.complete) if release else ("", False)
    return events.SourceFound(source.path, source.kind, name, period, len(source.members), wanted, complete)


def planned(
    made: Plan, wanted: Mapping[Series, Wanted], facts: Mapping[str, MarketFacts], now: datetime
) -> events.Planned:
    """Step 2: who serves what."""
    intervals = sorted({series.interval for series in wanted})
    api = RangeSet(part for series, left in made.open.items() for part in _inside_window(left, series.interval, now))
    return events.Planned(
        files=tuple(events.FilePlanned(file.member.label, file.member.size) for file in made.files),
        unchanged=len(made.unchanged),
        lines=tuple(_line(interval, made, wanted, facts, now) for interval in intervals),
        derivations=tuple(_derivation(d) for d in made.derivations if _is_dated(d)),
        open=tuple(_open(made, wanted, now)),
        files_serve=_served(made.files, wanted),
        api_serves=api.span,
    )


def _line(
    interval: Interval, made: Plan, wanted: Mapping[Series, Wanted], facts: Mapping[str, MarketFacts], now: datetime
) -> events.PlanLine:
    asked = known = left = api = 0
    derived = sum(d.ranges.slots(interval) for d in made.derivations if d.series.interval == interval and _is_dated(d))
    for series, want in wanted.items():
        if series.interval != interval or want.range is None:
            continue
        listed = want.life.listed(want.range, interval)
        asked += listed.slots(interval)
        known += (answered(facts[series.market].series[interval].coverage) & listed).slots(interval)
        left += made.open[series].slots(interval)
        api += sum(part.slots(interval) for part in _inside_window(made.open[series], interval, now))
    return events.PlanLine(interval, asked, known, asked - known - derived - left, derived, api, left - api)


def _is_dated(made: Derivation) -> bool:
    """False where nobody knows yet how far the finer files reach."""
    span = made.ranges.span
    return span is not None and span.start != ALL_TIME.start and span.end != ALL_TIME.end


def _inside_window(left: RangeSet, interval: Interval, now: datetime) -> list[TimeRange]:
    window = ohlc_window(interval, now)
    return list(left & RangeSet([window])) if window else []


def _served(files: Iterable[FileOnHand], wanted: Mapping[Series, Wanted]) -> TimeRange | None:
    spans = []
    for file in files:
        want = wanted.get(file.series)
        part = file.expected.intersection(want.range) if want and want.range else file.expected
        if part is not None and part != ALL_TIME:
            spans.append(part)
    return RangeSet(spans).span


def _derivation(made: Derivation) -> events.DerivationPlanned:
    span = made.ranges.span
    assert span is not None, "a derivation has slots"
    series = made.series
    return events.DerivationPlanned(
        series.market, series.interval, made.finer, made.ranges.slots(series.interval), span
    )


def _open(made: Plan, wanted: Mapping[Series, Wanted], now: datetime) -> Iterable[events.OpenPlanned]:
    served = {file.series for file in (*made.files, *made.unchanged)} | {d.series for d in made.derivations}
    for series, left in made.open.items():
        if wanted[series].range is None and series not in served:
            why = remedy_for_nothing_known(series.market, series.interval).action
            yield events.OpenPlanned(series.market, series.interval, None, 0, f"no file and no candle of it; {why}")
        for part in left:
            entry = gap_entry(series.market, Gap(series.interval, part), now)
            yield events.OpenPlanned(series.market, series.interval, part, entry.gap.candles, entry.remedy.action)


def gaps_found(rows: Sequence[GapRecord], derivations: Sequence[Derivation]) -> events.GapsFound:
    """Step 4: what is open before filling."""
    closing: dict[tuple[str, int], RangeSet] = {}
    for made in derivations:
        key = (made.series.market, int(made.series.interval))
        closing[key] = closing.get(key, RangeSet()) | made.ranges
    derivable = 0
    left: list[GapRecord] = []
    for row in rows:
        if closing.get((row.market.altname, row.interval_minutes), RangeSet()).covers(row.range):
            derivable += 1
        elif row.status != GapStatus.ACCEPTED:
            left.append(row)
    fillable = sum(row.is_api_fillable for row in left)
    return events.GapsFound(
        gaps=len(rows),
        candles=sum(row.missing_candles for row in rows),
        derivable=derivable,
        api_fillable=fillable,
        require_csv=len(left) - fillable,
    )
