"""What of the stored candles is to be audited: what has changed since the last time, and what that changes the
judgement of. With nothing new, nothing is read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from chandlery.candles.evidence import settled
from chandlery.candles.interval import Interval
from chandlery.candles.timerange import RangeSet, TimeRange
from chandlery.candles.verdict import Knowledge
from chandlery.models import (
    ArchiveRelease,
    CandleAudit,
    FindingKind,
    FindingState,
    Market,
    Outage,
    QualityFinding,
)
from chandlery.pipeline.audit_task import AuditedRanges, AuditTask
from chandlery.pipeline.knowledge import MarketFacts, proven_by_trades
from chandlery.pipeline.testimony import base_of

DAY = timedelta(days=1)
#: How far around changed slots rows are judged anew: what is usual is told by so many on either side.
ROWS_AROUND = 200
#: The same for silence, and the longest that clock slots are looked at on either side.
SILENCE_AROUND = 340
CLOCK_DAYS, CLOCK_WEEKS = timedelta(days=8), timedelta(days=50)

SILENCE = frozenset({FindingKind.IMPROBABLE_SILENCE, FindingKind.UNWITNESSED_SILENCE})
ROWS = frozenset(
    {
        FindingKind.BAD_ROW,
        FindingKind.NO_TRADES,
        FindingKind.NO_VOLUME,
        FindingKind.PRICE_SPIKE,
        FindingKind.FROZEN_PRICE,
    }
)
INTERVALS = frozenset(
    {
        FindingKind.INTERVALS_SHORT,
        FindingKind.INTERVALS_EXCESS,
        FindingKind.INTERVALS_VOLUME,
        FindingKind.INTERVALS_PRICES,
        FindingKind.LAST_SLOT_DROPPED,
    }
)
#: What the exchange's own count of a week can settle.
_COUNTED = SILENCE | {FindingKind.INTERVALS_SHORT, FindingKind.INTERVALS_VOLUME}
#: What names slots that have lost something without any statistics.
_NAMED = frozenset({FindingKind.INTERVALS_SHORT, FindingKind.LAST_SLOT_DROPPED, FindingKind.LEDGER_SHORT})
#: What the audit of candles finds, and takes back.
CANDLE_KINDS = SILENCE | ROWS | INTERVALS

Know = Callable[[Iterable[Market]], Mapping[str, MarketFacts]]


@dataclass(frozen=True, slots=True)
class AuditPlan:
    """`tasks` for whom anything is due; `changes`: how often each of their markets had changed by now."""

    tasks: tuple[AuditTask, ...]
    facts: Mapping[str, MarketFacts]
    changes: Mapping[int, int]
    outages: tuple[Outage, ...]
    exchange: str


def plan_audit(markets: Sequence[Market], know: Know, store_url: str, home: Path, *, anew: bool = False) -> AuditPlan:
    """What is due of `markets`; all of them `anew`, if asked. Markets that were quiet in an outage, or whose silence is
    on record, are looked at again where others have changed, asked for or not. Inside the caller's transaction.
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
    # Whoever is stopped before they were looked at leaves them due.
    rows = CandleAudit.objects.begin(facts[name].market.pk for name in due)
    CandleAudit.objects.note({rows[facts[name].market.pk]: ranges for name, ranges in due.items()})
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
        words = proven_by_trades(known.coverage)
        if row.kind in _COUNTED:
            words = words | known.confirmed
        if row.state == FindingState.OPEN and words & RangeSet([row.range]):
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
    rows = QualityFinding.objects.filter(kind__in=SILENCE, state=FindingState.OPEN, market__exchange=exchange)
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
    named = QualityFinding.objects.on_record([market.pk], _NAMED)
    series = {
        interval: _ranges(interval, known, due, days, named.get((market.pk, int(interval)), ()))
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
    rows = QualityFinding.objects.on_record([market.pk], INTERVALS | ROWS).values()
    touched = [row.range for found in rows for row in found if days & RangeSet([row.range])]
    return (days | RangeSet(touched)).aligned_outwards(Interval.M1440)


def _ranges(
    interval: Interval, known: Knowledge, due: RangeSet, days: RangeSet, named: Iterable[QualityFinding]
) -> AuditedRanges:
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
        named=_on_record(named, days),
        rows=rows.aligned_outwards(interval) & answers,
        silence=due.widened(around).aligned_outwards(interval) & answers,
        reading=(due | days).widened(2 * around).aligned_outwards(interval) & RangeSet([span]),
    )


def days_start(days: RangeSet, span: TimeRange) -> datetime:
    """Where UNLISTED time begins that is looked at."""
    first = days.span
    return first.start if first is not None else span.start


def _on_record(named: Iterable[QualityFinding], days: RangeSet) -> RangeSet:
    """Slots that need no statistics any more; of `days` the intervals are about to tell themselves."""
    by_ledger = FindingKind.LEDGER_SHORT
    return RangeSet(row.range for row in named if row.kind == by_ledger or not days.covers(row.range))
