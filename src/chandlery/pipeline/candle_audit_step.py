"""The step that looks through stored candles: each interval against the others, rows, and silence against its pace."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor

from chandlery.models import CONTRADICTING, FindingKind, Market
from chandlery.pipeline import events
from chandlery.pipeline.audit_plan import Know, plan_audit
from chandlery.pipeline.audit_task import AuditResult, AuditTask, audit_market
from chandlery.pipeline.candle_audit import AuditedCandles, Recording, settle
from chandlery.pipeline.findings import entry_of
from chandlery.pipeline.knowledge import MarketFacts, know
from chandlery.pipeline.request import Surroundings
from chandlery.pipeline.run import Run
from chandlery.pipeline.schedule import Schedule
from chandlery.reporting.findings import finding_text
from chandlery.stores.base import CandleStore

MOST_EXAMPLES = 5
#: One worker looks through so many slots in a few seconds.
FEW_SLOTS = 5_000_000


def audit_candles(run: Run) -> Iterator[events.Event]:
    """Whatever of the run's markets has changed since it was looked through last. Silent where nothing has."""

    def known(markets: Iterable[Market]) -> Mapping[str, MarketFacts]:
        wanted = list(markets)
        if all(market.altname in run.facts for market in wanted):
            return {market.altname: run.facts[market.altname] for market in wanted}
        return know(wanted, run.store, run.until)

    audited = False
    for event in look_through(
        run.markets,
        known,
        run.store,
        run.surroundings,
        run.executor,
        run.request.workers,
        run.recording,
        run.should_stop,
        meanwhile=run.beat,
    ):
        audited = True
        yield event
    if audited:
        run.look()


def look_through(
    markets: Sequence[Market],
    known: Know,
    store: CandleStore,
    around: Surroundings,
    executor: Executor,
    workers: int,
    recording: Recording,
    should_stop: Callable[[], bool],
    *,
    anew: bool = False,
    meanwhile: Callable[[], None] = lambda: None,
) -> Iterator[events.Event]:
    """Audit what is due of `markets`; once `should_stop`, what is in hand is finished and recorded."""
    with recording():
        planned = plan_audit(markets, known, around.store_url, around.home, anew=anew)
    if not planned.tasks:
        return
    yield events.AuditStarted(len(planned.tasks))
    # For little work one worker will do: another takes a hundred megabytes.
    width = 1 if _slots(planned.tasks) <= FEW_SLOTS else workers
    schedule = Schedule(executor, audit_market, lambda task: task.market, width, meanwhile)
    results: list[AuditResult] = []
    for task, result in schedule.results(planned.tasks, should_stop):
        results.append(result)
        yield events.MarketAudited(task.market)
    yield told(settle(planned, results, store, known, around.clock(), recording))


def _slots(tasks: Iterable[AuditTask]) -> int:
    """So many are to be looked through."""
    return sum(one.reading.slots(interval) for task in tasks for interval, one in task.series.items())


def told(audited: AuditedCandles) -> events.CandlesAudited:
    """What came of an audit, in figures and a few examples."""
    suspect = {row.pk for row in audited.changed.fresh if FindingKind(row.kind) in CONTRADICTING}
    fresh = sorted(audited.changed.fresh, key=lambda row: (row.pk not in suspect, row.start, row.interval_minutes))
    return events.CandlesAudited(
        markets=audited.markets,
        series=audited.series,
        opened=audited.changed.opened,
        suspect=len(suspect),
        resolved=audited.changed.resolved,
        outages=audited.outages_changed,
        examples=tuple(finding_text(entry_of(row)) for row in fresh[:MOST_EXAMPLES]),
        left=audited.left,
    )
