"""Findings and outages on record, as values for every rendering."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from django.db.models import QuerySet

from chandlery.candles.interval import Interval
from chandlery.models import CONTRADICTING, FindingKind, FindingState, Market, Outage, QualityFinding
from chandlery.pipeline.request import Selection
from chandlery.reporting.findings import FindingEntry, OutageEntry


def entry_of(row: QualityFinding) -> FindingEntry:
    """One row as a value."""
    kind = FindingKind(row.kind)
    return FindingEntry(
        id=row.pk,
        market=row.market.altname,
        interval=Interval(row.interval_minutes),
        range=row.range,
        kind=row.kind,
        label=kind.label,
        severity=row.severity,
        state=row.state,
        evidence=row.evidence,
        why=row.why,
        found_at=row.found_at,
        resolved_at=row.resolved_at,
        is_suspect=kind in CONTRADICTING and row.state == FindingState.OPEN,
    )


def findings_of(
    markets: Sequence[Market], selection: Selection, states: Collection[FindingState]
) -> list[FindingEntry]:
    """The findings of these states that touch the selection, by market, interval and time."""
    return [entry_of(row) for row in findings_on_record(markets, selection, states)]


def findings_on_record(
    markets: Sequence[Market], selection: Selection, states: Collection[FindingState]
) -> QuerySet[QualityFinding]:
    """The same as rows, for whoever wants some of them."""
    rows = QualityFinding.objects.filter(
        market__in=[market.pk for market in markets],
        interval_minutes__in=[int(interval) for interval in selection.intervals],
        state__in=states,
    )
    if selection.start is not None:
        rows = rows.filter(end__gt=selection.start)
    if selection.end is not None:
        rows = rows.filter(start__lt=selection.end)
    return rows.select_related("market").order_by("market__altname", "interval_minutes", "start", "kind")


def outages_of(markets: Sequence[Market], selection: Selection) -> list[OutageEntry]:
    """The outages of the selected dates that any of these markets was quiet in, in order."""
    names = {market.altname for market in markets}
    rows = Outage.objects.filter(exchange__in={market.exchange for market in markets}).order_by("start")
    if selection.start is not None:
        rows = rows.filter(end__gt=selection.start)
    if selection.end is not None:
        rows = rows.filter(start__lt=selection.end)
    return [OutageEntry(row.range, tuple(row.markets), row.weak) for row in rows if names & set(row.markets)]
