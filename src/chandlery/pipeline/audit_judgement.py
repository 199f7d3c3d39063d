"""What the markets of an audit say together: silences that nothing explains, prices that only one of them held."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC

from chandlery.candles.audit.flaw import Flaw, FlawKind
from chandlery.candles.audit.outage import Judged, MarketSilence, Word, judge_silences, unexplained
from chandlery.candles.audit.silence import WITNESS
from chandlery.candles.interval import Interval
from chandlery.candles.series import Series
from chandlery.candles.timerange import RangeSet, TimeRange
from chandlery.models import FindingKind, FindingState, Market, Outage, QualityFinding
from chandlery.pipeline.audit_plan import DAY, AuditPlan, Know
from chandlery.pipeline.audit_task import AuditResult
from chandlery.pipeline.knowledge import series_of
from chandlery.pipeline.testimony import Testimony
from chandlery.stores.base import CandleStore


def judge(
    planned: AuditPlan, results: Sequence[AuditResult], store: CandleStore, know: Know
) -> tuple[dict[str, list[Flaw]], Judged]:
    """(the flaws of each market, the exchange's outages), once the others were asked what they did meanwhile."""
    testimony = Testimony(store, lambda: know(_stored_markets(planned.exchange)), _contradicted(planned, results))
    judged = judge_silences(_market_silences(planned, results), testimony)
    found: dict[str, list[Flaw]] = {}
    for result in results:
        market = planned.facts[result.task.market].market
        silences = _silence_flaws(result, judged, market, store)
        found[market.altname] = [*result.flaws, *silences, *_frozen_flaws(result, testimony)]
    return found, judged


def _stored_markets(exchange: str) -> Iterable[Market]:
    return (
        Market.objects.select_related("base", "quote").filter(exchange=exchange, traded_days__isnull=False).distinct()
    )


def _contradicted(planned: AuditPlan, results: Iterable[AuditResult]) -> dict[tuple[str, Interval], RangeSet]:
    """Slots that tell nothing of what others should have done."""
    found: dict[tuple[str, Interval], list[TimeRange]] = defaultdict(list)
    for result in results:
        for flaw in result.flaws:
            if flaw.kind in (FlawKind.INTERVALS_SHORT, FlawKind.LAST_SLOT_DROPPED):
                found[result.task.market, flaw.interval].append(flaw.range)
    kinds = (FindingKind.INTERVALS_SHORT, FindingKind.LAST_SLOT_DROPPED, FindingKind.LEDGER_SHORT)
    names = {result.task.market for result in results}
    rows = QualityFinding.objects.filter(kind__in=kinds, state=FindingState.OPEN, market__exchange=planned.exchange)
    for row in rows.select_related("market"):
        name = row.market.altname
        if row.kind == FindingKind.LEDGER_SHORT or name not in names:
            found[name, Interval(row.interval_minutes)].append(row.range)
    return {key: RangeSet(ranges) for key, ranges in found.items()}


def _market_silences(planned: AuditPlan, results: Iterable[AuditResult]) -> list[MarketSilence]:
    """All of them, but for what outages explain that are on record and not looked at again."""
    found = [(result.task, silence) for result in results for silence in result.silences]
    within = RangeSet(silence.range for _, silence in found).widened(DAY)
    again = {outage.pk for outage in planned.outages}
    known = RangeSet(
        outage.range
        for outage in Outage.objects.overlapping(planned.exchange, within)
        if not outage.weak and outage.pk not in again
    )
    return [
        MarketSilence(task.market, task.base, part)
        for task, silence in found
        for part in unexplained(silence, known, WITNESS)
    ]


def _silence_flaws(result: AuditResult, judged: Judged, market: Market, store: CandleStore) -> list[Flaw]:
    """Of one market's silences those that nothing explains, nor proves; each at every interval that is as quiet."""
    flaws: list[Flaw] = []
    named: dict[tuple[Interval, FlawKind], RangeSet] = defaultdict(RangeSet)
    own = [one for one in judged.open if one.market == result.task.market]
    # The finest that could be judged tells the bounds best.
    for one in sorted(own, key=lambda one: (one.silence.interval, one.silence.range)):
        is_suspect = one.word is Word.SUSPECT
        kind = FlawKind.IMPROBABLE_SILENCE if is_suspect else FlawKind.UNWITNESSED_SILENCE
        evidence = {
            "due": round(one.silence.due, 1),
            "pace": one.silence.pace,
            "witnesses": [{"market": w.market, "due": round(w.due, 1), "seen": w.seen} for w in one.witnesses[:5]],
        }
        for interval, ranges in sorted(result.task.series.items()):
            within = one.silence.range.aligned_inwards(interval)
            if within is None:
                continue
            quiet = ranges.quiet - ranges.proven - ranges.confirmed - ranges.named
            here = (quiet & RangeSet([within])) - named[interval, kind]
            if interval != one.silence.interval and here:
                here = here - _traded(store, series_of(market, interval), within)
            told = (
                evidence
                if interval == one.silence.interval
                else {**evidence, "judged_at_minutes": int(one.silence.interval)}
            )
            flaws += [Flaw(interval, kind, left, told) for left in here]
            named[interval, kind] = named[interval, kind] | here
    return flaws


def _traded(store: CandleStore, series: Series, within: TimeRange) -> RangeSet:
    starts = [slot.replace(tzinfo=UTC) for slot in store.slots(series, within)]
    return RangeSet(TimeRange(start, start + series.interval.delta) for start in starts)


def _frozen_flaws(result: AuditResult, testimony: Testimony) -> list[Flaw]:
    flaws: list[Flaw] = []
    for run in result.frozen:
        movers = testimony.movers(result.task.market, result.task.base, run.interval, run.range)
        if movers:
            evidence = {"price": run.price, "candles": run.candles, "moved": movers}
            flaws.append(Flaw(run.interval, FlawKind.FROZEN_PRICE, run.range, evidence))
    return flaws
