"""Audit of stored candles: what is to be on record of what was looked at.

    planned = plan_audit(markets, know_all, …)   tasks for the markets of which anything has changed
    results = …                                  what `audit_market` makes of `planned.tasks`
    audited = settle(planned, results, …)        findings and outages, recorded

Nobody need hold the series: a market that somebody writes meanwhile is left as it was, and stays due.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime

from chandlery.candles.audit.flaw import Flaw
from chandlery.candles.audit.outage import Judged
from chandlery.candles.timerange import RangeSet
from chandlery.models import (
    CandleAudit,
    Exchange,
    Finding,
    FindingKind,
    FindingsChanged,
    Market,
    Outage,
    QualityFinding,
)
from chandlery.models.coverage import SeriesKey
from chandlery.pipeline.audit_judgement import judge
from chandlery.pipeline.audit_plan import INTERVALS, ROWS, SILENCE, AuditPlan, Know
from chandlery.pipeline.audit_task import AuditResult
from chandlery.stores.base import CandleStore

Recording = Callable[[], AbstractContextManager[object]]


@dataclass(frozen=True, slots=True)
class AuditedCandles:
    """What came of it. `left`: markets that somebody wrote meanwhile."""

    markets: int
    series: int
    changed: FindingsChanged
    outages_changed: int
    left: tuple[str, ...]


def settle(
    planned: AuditPlan,
    results: Sequence[AuditResult],
    store: CandleStore,
    know: Know,
    now: datetime,
    recording: Recording,
) -> AuditedCandles:
    """Judge silences and frozen prices by what other markets did, and bring the record in line with all that was found.

    Markets without a result, and those that changed meanwhile, are left as they were.
    """
    found, judged = judge(planned, results, store, know)
    held = _pks(planned, results)
    with recording():
        Exchange.objects.hold(planned.exchange)
        Market.objects.hold(held)
        done = CandleAudit.objects.finish({pk: planned.changes[pk] for pk in held}, now)
        kept = [result for result in results if planned.facts[result.task.market].market.pk in done]
        changed = _record(planned, kept, found, now)
        outages = _record_outages(planned, kept, judged, now)
    names = {result.task.market for result in results}
    return AuditedCandles(
        markets=len(kept),
        series=sum(len(result.task.series) for result in kept),
        changed=changed,
        outages_changed=outages,
        left=tuple(sorted(names - {result.task.market for result in kept})),
    )


def _pks(planned: AuditPlan, results: Iterable[AuditResult]) -> list[int]:
    return [planned.facts[result.task.market].market.pk for result in results]


def _record(
    planned: AuditPlan, results: Iterable[AuditResult], found: Mapping[str, list[Flaw]], now: datetime
) -> FindingsChanged:
    total = FindingsChanged()
    wanted: dict[SeriesKey, list[Finding]] = {}
    regions: dict[frozenset[FindingKind], dict[SeriesKey, RangeSet]] = defaultdict(dict)
    for result in results:
        facts = planned.facts[result.task.market]
        for interval in facts.series:
            key = (facts.market.pk, int(interval))
            ranges = result.task.series.get(interval)
            flaws = [flaw for flaw in found[result.task.market] if flaw.interval == interval]
            wanted[key] = [Finding(FindingKind(f.kind.value), f.range, dict(f.evidence), f.derivable) for f in flaws]
            regions[INTERVALS][key] = result.task.days
            regions[ROWS][key] = ranges.rows if ranges else result.task.days
            regions[SILENCE][key] = ranges.silence if ranges else result.task.days
    for kinds, looked_at in regions.items():
        of_kind = {key: [finding for finding in found if finding.kind in kinds] for key, found in wanted.items()}
        total += QualityFinding.objects.reconcile_all(of_kind, kinds, now, looked_at)
    return total


def _record_outages(planned: AuditPlan, results: Sequence[AuditResult], judged: Judged, now: datetime) -> int:
    """Outages whose markets were all looked at, and those that were found."""
    names = {result.task.market for result in results}
    planned_for = {task.market for task in planned.tasks}
    looked_at = [outage for outage in planned.outages if planned_for & set(outage.markets) <= names]
    found = [outage for outage in judged.outages if names & set(outage.markets)]
    return Outage.objects.reconcile(planned.exchange, found, looked_at, now)
