"""Plans and findings in the words of events: counted, summed up, nothing decided here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from chandlery.candles.evidence import answered
from chandlery.candles.gap import Gap
from chandlery.candles.interval import Interval
from chandlery.candles.series import Series
from chandlery.candles.timerange import RangeSet, TimeRange
from chandlery.exchanges.kraken.api.settings import ApiSettings
from chandlery.exchanges.kraken.archive import ArchiveSource
from chandlery.exchanges.kraken.window import asked_as
from chandlery.models import GapRecord, GapStatus, Market
from chandlery.pipeline import events
from chandlery.pipeline.conversation import Aside, ClocksApart, Remark, Still, Waiting
from chandlery.pipeline.discover import Found
from chandlery.pipeline.edge import Ask
from chandlery.pipeline.knowledge import MarketFacts
from chandlery.pipeline.on_hand import ALL_TIME, FileOnHand
from chandlery.pipeline.plan import Derivation, Plan, Wanted
from chandlery.pipeline.request import IngestRequest, Surroundings
from chandlery.pipeline.walks import TradeWalk, Trail, requests_of
from chandlery.reporting.completeness import gap_entry, remedy_for_nothing_known
from chandlery.reporting.progress import span_text

#: About what one answer takes on the way, in seconds (seen on the live endpoint).
ANSWER_SECONDS = 0.3


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
    made: Plan,
    wanted: Mapping[Series, Wanted],
    facts: Mapping[str, MarketFacts],
    around: Surroundings,
    *,
    incremental: bool,
    trail: Trail | None,
    accepted: Mapping[Series, RangeSet],
) -> events.Planned:
    """Step 2: who serves what."""
    now = around.clock()
    intervals = sorted({series.interval for series in wanted})
    api = RangeSet(r for ask in made.asks for r in ask.ranges)
    return events.Planned(
        files=tuple(events.FilePlanned(file.member.label, file.member.size) for file in made.files),
        unchanged=len(made.unchanged),
        lines=tuple(_line(interval, made, wanted, facts) for interval in intervals),
        derivations=tuple(_derivation(d) for d in made.derivations if _is_dated(d)),
        open=tuple(_open(made, wanted, facts, accepted, now)),
        files_serve=_served(made.files, wanted),
        asks=tuple(_asked(ask) for ask in made.asks),
        ask_seconds=ask_seconds(made.asks, around.api),
        rereads=sum(not (ask.ranges - _answered(ask.series, facts)) for ask in made.asks),
        api_serves=api.span,
        files_left=made.files_left if incremental else 0,
        walks=tuple(walk_planned(walk) for walk in made.walks),
        walk_requests=requests_of(made.walks),
        walk_seconds=walk_seconds(made.walks, around.api) if requests_of(made.walks) is not None else None,
        undated=_undated(wanted, trail) if trail is not None and not incremental else 0,
        trade_budget=trail.budget if trail is not None else 0,
    )


def _undated(wanted: Mapping[Series, Wanted], trail: Trail) -> int:
    """Markets that are wanted from their first trade on, which nobody has told yet."""
    return len(
        {
            series.market
            for series, want in wanted.items()
            if series.market in trail.markets
            and want.life.first_trade is None
            and (want.from_first or want.range is None)
        }
    )


def ask_seconds(asks: Sequence[Ask], api: ApiSettings) -> float:
    """How long the requests will take about: those of one market follow each other at the rate allowed."""
    if not asks:
        return 0.0
    most = max(Counter(ask.series.market for ask in asks).values())
    side_by_side = len(asks) * ANSWER_SECONDS / api.connections
    return max(side_by_side, (most - 1) / api.rate if api.rate else 0.0, ANSWER_SECONDS)


def walk_planned(walk: TradeWalk) -> events.WalkPlanned:
    return events.WalkPlanned(
        walk.market, walk.ranges.slots(Interval.M1), tuple(walk.ranges), walk.trades, walk.requests
    )


def walk_seconds(walks: Sequence[TradeWalk], api: ApiSettings) -> float:
    """How long the walks will take about: the pages of one market follow each other at the rate allowed."""
    pages = [walk.requests or 1 for walk in walks]
    if not pages:
        return 0.0
    pace = max(1 / api.rate if api.rate else 0.0, ANSWER_SECONDS)
    return max(max(pages) * pace, sum(pages) * pace / api.connections)


def aside(told: Aside) -> Iterator[events.Event]:
    """What a conversation tells that is no answer."""
    match told:
        case Waiting():
            yield events.AskWaiting(told.why, told.seconds)
        case Remark():
            yield events.Noticed(told.text)
        case ClocksApart():
            yield events.Noticed(clocks_apart(told.ahead))
        case Still():
            return


def clocks_apart(ahead: timedelta) -> str:
    """A warning: what counts as closed depends on the time of day."""
    apart = span_text(abs(ahead.total_seconds()))
    side = "ahead of" if ahead > timedelta(0) else "behind"
    return f"the clock of this machine is {apart} {side} Kraken's; set it right: it says which candles are closed"


def _answered(series: Series, facts: Mapping[str, MarketFacts]) -> RangeSet:
    return answered(facts[series.market].series[series.interval].coverage)


def _asked(ask: Ask) -> events.AskPlanned:
    span = ask.ranges.span
    assert span is not None, "a request is for some slots"
    interval = ask.series.interval
    return events.AskPlanned(ask.series.market, interval, ask.ranges.slots(interval), span)


def _line(
    interval: Interval, made: Plan, wanted: Mapping[Series, Wanted], facts: Mapping[str, MarketFacts]
) -> events.PlanLine:
    asked = known = left = api = derived = trades = 0
    requests = {ask.series: ask.ranges for ask in made.asks}
    to_derive: dict[Series, RangeSet] = {}
    for d in made.derivations:
        if d.series.interval == interval and _is_dated(d):
            to_derive[d.series] = to_derive.get(d.series, RangeSet()) | d.ranges
    walked = {walk.series: walk.ranges for walk in made.walks}
    for series, want in wanted.items():
        if series.interval != interval or want.range is None:
            continue
        listed = want.life.listed(want.range, interval)
        asked += listed.slots(interval)
        answers = answered(facts[series.market].series[interval].coverage) & listed
        known += answers.slots(interval)
        left += made.open[series].slots(interval)
        # Slots that are asked for again are known.
        api += ((requests.get(series, RangeSet()) & listed) - answers).slots(interval)
        trades += ((walked.get(series, RangeSet()) & listed) - answers).slots(interval)
        derived += ((to_derive.get(series, RangeSet()) & listed) - answers).slots(interval)
    files = asked - known - derived - left - api - trades
    return events.PlanLine(interval, asked, known, files, api, derived, left, trades)


def _is_dated(made: Derivation) -> bool:
    """False where nobody knows yet how far the finer files reach."""
    span = made.ranges.span
    return span is not None and span.start != ALL_TIME.start and span.end != ALL_TIME.end


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


def _open(
    made: Plan,
    wanted: Mapping[Series, Wanted],
    facts: Mapping[str, MarketFacts],
    accepted: Mapping[Series, RangeSet],
    now: datetime,
) -> Iterable[events.OpenPlanned]:
    served = {file.series for file in (*made.files, *made.unchanged)} | {d.series for d in made.derivations}
    asked = {ask.series for ask in made.asks}
    for series, left in made.open.items():
        source = replace(series, interval=asked_as(series.interval))
        if wanted[series].range is None and series not in served and source not in asked:
            why = remedy_for_nothing_known(series.market, series.interval).action
            yield events.OpenPlanned(series.market, series.interval, None, 0, f"no file and no candle of it; {why}")
        spared = left & accepted.get(series, RangeSet())
        for part in spared:
            candles = Gap(series.interval, part).candles
            yield events.OpenPlanned(series.market, series.interval, part, candles, "accepted as it is")
        for part in left - spared:
            listed = facts[series.market].market.is_listed
            entry = gap_entry(series.market, Gap(series.interval, part), now, listed=listed)
            yield events.OpenPlanned(series.market, series.interval, part, entry.gap.candles, entry.remedy.action)


def gaps_found(
    rows: Sequence[GapRecord],
    derivations: Sequence[Derivation],
    asks: Sequence[Ask],
    walks: Sequence[TradeWalk] = (),
    unknown: int = 0,
) -> events.GapsFound:
    """Step 4: what is open before filling. Of what a request will answer, nothing is left to fetch."""
    walked = {walk.market: walk.ranges for walk in walks}
    closing: dict[tuple[str, int], RangeSet] = {}
    for made in derivations:
        key = (made.series.market, int(made.series.interval))
        closing[key] = closing.get(key, RangeSet()) | made.ranges
    asked = {(ask.series.market, int(ask.series.interval)): ask.ranges for ask in asks}
    derivable = fillable = from_trades = 0
    left: list[GapRecord] = []
    for row in rows:
        key = (row.market.altname, row.interval_minutes)
        if walked.get(row.market.altname, RangeSet()) & RangeSet([row.range]):
            from_trades += 1
        elif closing.get(key, RangeSet()).covers(row.range):
            derivable += 1
        elif (closing.get(key, RangeSet()) | asked.get(key, RangeSet())).covers(row.range):
            fillable += 1
        elif row.status != GapStatus.ACCEPTED:
            left.append(row)
    partly = sum(
        bool(asked.get((row.market.altname, row.interval_minutes), RangeSet()) & RangeSet([row.range])) for row in left
    )
    return events.GapsFound(
        gaps=len(rows),
        candles=sum(row.missing_candles for row in rows),
        derivable=derivable,
        api_fillable=fillable,
        require_csv=len(left) - partly,
        partly=partly,
        unknown=unknown,
        from_trades=from_trades,
    )
