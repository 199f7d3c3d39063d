"""Detect: what is still open, and keep the record of it. A gap keeps its row for as long as any of it is open."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from django.db import transaction

from chandlery.candles.gap import Gap, Reason, gaps_of, reconcile
from chandlery.candles.interval import Interval
from chandlery.candles.series import Series
from chandlery.candles.timerange import RangeSet, TimeRange
from chandlery.candles.verdict import Knowledge, look_for_open
from chandlery.exchanges.kraken.window import asked_as
from chandlery.models import OPEN, GapRecord, GapStatus, Market
from chandlery.models.held_rows import hold
from chandlery.pipeline.knowledge import MarketFacts
from chandlery.reporting.completeness import GapEntry, gap_entry


def open_gaps(known: Knowledge, within: Iterable[TimeRange]) -> list[Gap]:
    """Maximal runs of open slots in `within`, in order."""
    return [gap for r in RangeSet(within) for gap in gaps_of(look_for_open(known, r), known.interval)]


def status_of(entry: GapEntry) -> GapStatus:
    """What a gap is as long as nobody has done anything about it."""
    is_beyond = entry.overflow == entry.gap.candles and entry.gap.reason is Reason.MISSING
    return GapStatus.UNFILLABLE if is_beyond else GapStatus.DETECTED


def mark_attempted(rows: Iterable[GapRecord], asked: Mapping[Series, RangeSet], now: datetime) -> None:
    """Gaps that are about to be asked for."""
    attempted = [
        row.pk
        for row in rows
        if asked.get(Series(row.market.exchange, row.market.altname, Interval(row.interval_minutes)), RangeSet())
        & RangeSet([row.range])
    ]
    # A person may have accepted some since they were read.
    gaps = GapRecord.objects.filter(pk__in=attempted).exclude(status__in=(GapStatus.ACCEPTED, GapStatus.FILLED))
    with transaction.atomic():
        hold(gaps)
        gaps.update(status=GapStatus.BACKFILLING, backfill_attempted_at=now)


def record_gaps(
    facts: Mapping[str, MarketFacts],
    wanted: Mapping[Series, TimeRange | None],
    now: datetime,
    unanswered: Mapping[Series, str] | None = None,
) -> list[GapRecord]:
    """Bring the records of the wanted series in line with what is open now; those of the wanted ranges.

    Looked at are the wanted ranges and whatever stands on record as open beyond them. `unanswered` says of series that
    were asked for in vain why that was.
    """
    kept: list[GapRecord] = []
    fresh: list[GapRecord] = []
    with transaction.atomic():
        recorded = _on_record(wanted, facts)
        for series in sorted(wanted):
            market, within = facts[series.market].market, wanted[series]
            rows = recorded.get((market.pk, int(series.interval)), [])
            looked_at = [row.range for row in rows] + ([within] if within else [])
            gaps = open_gaps(facts[series.market].series[series.interval], looked_at)
            if not rows and not gaps:
                continue
            why = (unanswered or {}).get(replace(series, interval=asked_as(series.interval)), "")
            new, old = _reconcile(market, series.interval, rows, gaps, now, why)
            fresh += new
            kept += [row for row in (*old, *new) if within is not None and row.range.overlaps(within)]
        GapRecord.objects.bulk_create(fresh)
    return kept


def _on_record(wanted: Iterable[Series], facts: Mapping[str, MarketFacts]) -> Mapping[tuple[int, int], list[GapRecord]]:
    """The open gaps of these series, by market and width, in order of time; nobody else changes them until the
    transaction around ends.
    """
    markets = {market.pk: market for market in (facts[series.market].market for series in wanted)}
    recorded: dict[tuple[int, int], list[GapRecord]] = defaultdict(list)
    widths = {int(series.interval) for series in wanted}
    rows = GapRecord.objects.filter(market__in=markets, interval_minutes__in=widths, status__in=OPEN)
    for row in sorted(rows.order_by("pk").select_for_update(), key=lambda row: row.gap_start):
        # One market for all of its gaps, instead of a new one with each.
        row.market = markets[row.market_id]
        recorded[row.market_id, row.interval_minutes].append(row)
    return recorded


def _reconcile(
    market: Market, interval: Interval, rows: list[GapRecord], gaps: list[Gap], now: datetime, why: str
) -> tuple[list[GapRecord], list[GapRecord]]:
    """(new rows, not yet saved; those that stay, saved)."""
    outcome = reconcile([row.range for row in rows], gaps)
    accepted = RangeSet(row.range for row in rows if row.status == GapStatus.ACCEPTED)
    # Rows go before others grow into their place: two open gaps never start at one slot.
    for i in outcome.merged:
        rows[i].delete()
    for i in outcome.closed:
        rows[i].status, rows[i].filled_at, rows[i].missing_candles = GapStatus.FILLED, now, 0
        rows[i].save(update_fields=["status", "filled_at", "missing_candles"])
    kept: list[GapRecord] = []
    for i, gap in outcome.kept.items():
        if _described(rows[i], market, gap, now, why):
            rows[i].save()
        kept.append(rows[i])
    fresh = [GapRecord(market=market, interval_minutes=int(interval), detected_at=now) for _ in outcome.new]
    for row, gap in zip(fresh, outcome.new, strict=True):
        if accepted.covers(gap.range):
            # A later piece of one that was split.
            row.status = GapStatus.ACCEPTED
        _described(row, market, gap, now, why)
    return fresh, kept


def _described(row: GapRecord, market: Market, gap: Gap, now: datetime, why: str) -> bool:
    """Put down what is known of the gap at `now`, and `why` it could not be asked for; whether anything changed."""
    entry = gap_entry(market.altname, gap, now, listed=market.is_listed)
    candles = gap.candles
    fields = {
        "gap_start": gap.range.start,
        "gap_end": gap.range.end,
        "missing_candles": candles,
        "reason": gap.reason,
        "is_api_fillable": entry.api_fillable,
        "overflow_candles": entry.overflow,
        "required_csv_file": entry.required_csv_file,
    }
    in_window = entry.overflow < candles
    if row.status != GapStatus.ACCEPTED:
        fields["status"] = GapStatus.FAILED if why and in_window else status_of(entry)
        fields["error_message"] = why if in_window else ""
    changed = {name: value for name, value in fields.items() if getattr(row, name) != value}
    for name, value in changed.items():
        setattr(row, name, value)
    return bool(changed)
