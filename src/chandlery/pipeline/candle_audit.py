"""Audit of stored candles: what is to be looked at again, and what is to be on record of it then.

    planned = plan_audit(markets, know_all, …)   tasks for the markets of which anything has changed
    results = …                                  what `audit_market` makes of `planned.tasks`
    audited = settle(planned, results, …)        findings and outages, recorded

Begun where another ended, it reads only what has changed since, and what that changes the judgement of. Nobody need
hold the series: a market that somebody writes meanwhile is left as it was, and stays due.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from chandlery.candles.audit.flaw import Flaw, FlawKind
from chandlery.candles.audit.outage import Judged, MarketSilence, Word, judge_silences, unexplained
from chandlery.candles.evidence import settled
from chandlery.candles.interval import Interval
from chandlery.candles.timerange import RangeSet, TimeRange
from chandlery.candles.verdict import Knowledge
from chandlery.models import (
    ArchiveRelease,
    CandleAudit,
    Exchange,
    Finding,
    FindingKind,
    FindingsChanged,
    FindingState,
    Market,
    Outage,
    QualityFinding,
)
from chandlery.models.coverage import SeriesKey
from chandlery.pipeline.audit_task import AuditedRanges, AuditResult, AuditTask
from chandlery.pipeline.knowledge import MarketFacts, proven_by_trades
from chandlery.pipeline.testimony import Testimony, base_of
from chandlery.stores.base import CandleStore

DAY = timedelta(days=1)
#: How far around changed slots rows are judged anew: what is usual is told by so many on either side.
ROWS_AROUND = 200
#: The same for silence, and the longest that clock slots are looked at on either side.
SILENCE_AROUND = 340
CLOCK_DAYS, CLOCK_WEEKS = timedelta(days=8), timedelta(days=50)

_SILENCE = frozenset({FindingKind.IMPROBABLE_SILENCE, FindingKind.UNWITNESSED_SILENCE})
_ROWS = frozenset(
    {
        FindingKind.BAD_ROW,
        FindingKind.NO_TRADES,
        FindingKind.NO_VOLUME,
        FindingKind.PRICE_SPIKE,
        FindingKind.FROZEN_PRICE,
    }
)
_INTERVALS = frozenset(
    {
        FindingKind.INTERVALS_SHORT,
        FindingKind.INTERVALS_EXCESS,
        FindingKind.INTERVALS_VOLUME,
        FindingKind.INTERVALS_PRICES,
        FindingKind.LAST_SLOT_DROPPED,
    }
)
#: What the audit of candles finds, and takes back.
CANDLE_KINDS = _SILENCE | _ROWS | _INTERVALS

Recording = Callable[[], AbstractContextManager[object]]
Know = Callable[[Iterable[Market]], Mapping[str, MarketFacts]]


@dataclass(frozen=True, slots=True)
class AuditPlan:
    """`tasks` for whom anything is due; `changes`: how often each of their markets had changed by now."""

    tasks: tuple[AuditTask, ...]
    facts: Mapping[str, MarketFacts]
    changes: Mapping[int, int]
    outages: tuple[Outage, ...]
    exchange: str


@dataclass(frozen=True, slots=True)
class AuditedCandles:
    """What came of it. `left`: markets that somebody wrote meanwhile."""

    markets: int
    series: int
    changed: FindingsChanged
    outages_changed: int
    left: tuple[str, ...]


def plan_audit(markets: Sequence[Market], know: Know, store_url: str, home: Path, *, anew: bool = False) -> AuditPlan:
    """What is due of `markets`; all of them `anew`, if asked. Markets that were quiet in an outage, or whose silence is
    on record, are looked at again where others have changed, asked for or not.
    """
    if not markets:
        return AuditPlan((), {}, {}, (), "")
    rows = CandleAudit.objects.begin(market.pk for market in markets)
    recorded: dict[int, list[QualityFinding]] = defaultdict(list)
    for (pk, _), findings in QualityFinding.objects.on_record(rows, CANDLE_KINDS).items():
        recorded[pk] += findings
    facts = dict(know([one for one in markets if anew or rows[one.pk].is_due or one.pk in recorded]))
    due: dict[str, RangeSet] = {}
    for name, one in facts.items():
        row = rows[one.market.pk]
        due[name] = _span(one) if anew or row.whole else row.ranges | _answered_since(one, recorded[one.market.pk])
    due = {name: ranges for name, ranges in due.items() if ranges}
    if not due:
        return AuditPlan((), {}, {}, (), "")
    exchange = markets[0].exchange
    outages = _again(exchange, due, facts, know)
    rows |= CandleAudit.objects.begin(facts[name].market.pk for name in due)
    ends = sorted(set(ArchiveRelease.objects.values_list("period_end", flat=True)))
    tasks = [_task(facts[name], ranges, ends, store_url, home) for name, ranges in sorted(due.items())]
    changes = {facts[name].market.pk: rows[facts[name].market.pk].changes for name in due}
    return AuditPlan(tuple(tasks), facts, changes, tuple(outages), exchange)


def _span(facts: MarketFacts) -> RangeSet:
    """All that is answered for, at any interval."""
    span = RangeSet.union(settled(known.coverage) for known in facts.series.values()).span
    return RangeSet([span]) if span else RangeSet()


def _answered_since(facts: MarketFacts, recorded: Iterable[QualityFinding]) -> RangeSet:
    """Open findings that trades, or the exchange's count, have something to say of by now."""
    found: list[TimeRange] = []
    for row in recorded:
        known = facts.series[Interval(row.interval_minutes)]
        has_word = RangeSet([row.range]) & (proven_by_trades(known.coverage) | known.confirmed)
        if row.state == FindingState.OPEN and has_word:
            found.append(row.range)
    return RangeSet(found)


def _again(exchange: str, due: dict[str, RangeSet], facts: dict[str, MarketFacts], know: Know) -> list[Outage]:
    """Add to `due` what changed witnesses may tell otherwise: recorded outages, which are handed back, and silences."""
    changed = RangeSet.union(due.values()).widened(DAY)
    outages = Outage.objects.overlapping(exchange, changed)
    silent: dict[str, list[TimeRange]] = defaultdict(list)
    for outage in outages:
        for name in outage.markets:
            silent[name].append(outage.range)
    span = changed.span
    rows = QualityFinding.objects.filter(kind__in=_SILENCE, state=FindingState.OPEN, market__exchange=exchange)
    if span is not None:
        for row in rows.filter(start__lt=span.end, end__gt=span.start).select_related("market"):
            if changed & RangeSet([row.range]):
                silent[row.market.altname].append(row.range)
    unknown = silent.keys() - facts.keys()
    if unknown:
        listed = Market.objects.select_related("base", "quote").filter(exchange=exchange, altname__in=unknown)
        facts.update(know(listed))
    for name, ranges in silent.items():
        if name in facts:
            due[name] = due.get(name, RangeSet()) | RangeSet(ranges)
    return outages


def _task(facts: MarketFacts, due: RangeSet, ends: Sequence[datetime], store_url: str, home: Path) -> AuditTask:
    market = facts.market
    days = _with_recorded(market, due.widened(DAY).aligned_outwards(Interval.M1440))
    series = {
        interval: _ranges(interval, known, due, days)
        for interval, known in facts.series.items()
        if settled(known.coverage)
    }
    return AuditTask(
        market.exchange,
        market.altname,
        base_of(facts),
        series,
        days,
        tuple(end for end in ends if days & RangeSet([TimeRange(end - DAY, end)])),
        store_url,
        home,
    )


def _with_recorded(market: Market, days: RangeSet) -> RangeSet:
    """With whole findings instead of pieces of them."""
    rows = QualityFinding.objects.on_record([market.pk], _INTERVALS | _ROWS).values()
    touched = [row.range for found in rows for row in found if days & RangeSet([row.range])]
    return (days | RangeSet(touched)).aligned_outwards(Interval.M1440)


def _ranges(interval: Interval, known: Knowledge, due: RangeSet, days: RangeSet) -> AuditedRanges:
    answers = settled(known.coverage)
    span = answers.span
    assert span is not None, "only series with an answer are audited"
    whole = RangeSet([TimeRange(min(span.start, days_start(days, span)), span.end)])
    rows = (due | days).widened(ROWS_AROUND * interval.delta)
    clock = CLOCK_WEEKS if interval is Interval.M1440 else CLOCK_DAYS
    around = max(SILENCE_AROUND * interval.delta, clock)
    unlisted = RangeSet([span]) - known.life.listed(span, interval)
    return AuditedRanges(
        covered=answers | known.life.unlisted(whole.span or span, interval),
        quiet=answers - unlisted,
        proven=proven_by_trades(known.coverage),
        confirmed=known.confirmed,
        rows=rows.aligned_outwards(interval) & answers,
        silence=due.widened(around).aligned_outwards(interval) & answers,
        reading=(due | days).widened(2 * around).aligned_outwards(interval) & RangeSet([span]),
    )


def days_start(days: RangeSet, span: TimeRange) -> datetime:
    """Where UNLISTED time begins that is looked at."""
    first = days.span
    return first.start if first is not None else span.start


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
    testimony = Testimony(store, lambda: know(_stored_markets(planned.exchange)), _contradicted(planned, results))
    judged = judge_silences(_market_silences(planned, results), testimony)
    found: dict[str, list[Flaw]] = {result.task.market: list(result.flaws) for result in results}
    for result in results:
        found[result.task.market] += _silence_flaws(result, judged) + _frozen_flaws(result, testimony)
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


def _stored_markets(exchange: str) -> Iterable[Market]:
    return (
        Market.objects.select_related("base", "quote").filter(exchange=exchange, traded_days__isnull=False).distinct()
    )


def _pks(planned: AuditPlan, results: Iterable[AuditResult]) -> list[int]:
    return [planned.facts[result.task.market].market.pk for result in results]


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
        MarketSilence(task.market, task.base, part) for task, silence in found for part in unexplained(silence, known)
    ]


def _silence_flaws(result: AuditResult, judged: Judged) -> list[Flaw]:
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
            quiet = ranges.quiet - ranges.proven - ranges.confirmed
            here = (quiet & RangeSet([within])) - named[interval, kind]
            told = (
                evidence
                if interval == one.silence.interval
                else {**evidence, "judged_at_minutes": int(one.silence.interval)}
            )
            flaws += [Flaw(interval, kind, left, told) for left in here]
            named[interval, kind] = named[interval, kind] | here
    return flaws


def _frozen_flaws(result: AuditResult, testimony: Testimony) -> list[Flaw]:
    flaws: list[Flaw] = []
    for run in result.frozen:
        movers = testimony.movers(result.task.market, result.task.base, run.interval, run.range)
        if movers:
            evidence = {"price": run.price, "candles": run.candles, "moved": movers}
            flaws.append(Flaw(run.interval, FlawKind.FROZEN_PRICE, run.range, evidence))
    return flaws


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
            regions[_INTERVALS][key] = result.task.days
            regions[_ROWS][key] = ranges.rows if ranges else result.task.days
            regions[_SILENCE][key] = ranges.silence if ranges else result.task.days
    for kinds, looked_at in regions.items():
        of_kind = {key: [finding for finding in found if finding.kind in kinds] for key, found in wanted.items()}
        total += QualityFinding.objects.reconcile_all(of_kind, kinds, now, looked_at)
    return total


def _record_outages(planned: AuditPlan, results: Sequence[AuditResult], judged: Judged, now: datetime) -> int:
    """Outages whose markets were all looked at, and those that were found."""
    names = {result.task.market for result in results}
    looked_at = [outage for outage in planned.outages if names & set(outage.markets)]
    return Outage.objects.reconcile(planned.exchange, judged.outages, looked_at, now)
