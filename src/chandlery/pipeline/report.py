"""Report: what do I have of a selection? From state, as data for every rendering."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from chandlery.candles.gap import gaps_of
from chandlery.candles.interval import Interval
from chandlery.candles.verdict import Tally, judge
from chandlery.models import OPEN, GapRecord, GapStatus, Market
from chandlery.pipeline.detect import status_of
from chandlery.pipeline.knowledge import MarketFacts, know
from chandlery.pipeline.request import Selection
from chandlery.reporting.completeness import (
    CompletenessReport,
    GapEntry,
    SeriesEntry,
    gap_entry,
    remedy_for_nothing_known,
)
from chandlery.stores.base import CandleStore


def report(selection: Selection, markets: Sequence[Market], store: CandleStore, now: datetime) -> CompletenessReport:
    """The verdicts of every series of the selection, counted, with its gaps."""
    return report_known(selection, markets, know(markets, store, now), now)


def report_known(
    selection: Selection, markets: Sequence[Market], facts: Mapping[str, MarketFacts], now: datetime
) -> CompletenessReport:
    """The same of what is known already."""
    statuses = _statuses(markets)
    entries = [
        _entry(facts[market.altname], interval, selection, statuses, now)
        for market in markets
        for interval in selection.intervals
    ]
    return CompletenessReport(
        title=selection.title,
        intervals=selection.intervals,
        series=tuple(entries),
        now=now,
        start_was_asked=selection.start is not None,
        unclassified=tuple(market.altname for market in markets if market.base is None),
        tiers=selection.tiers,
        quotes=selection.quotes,
    )


Statuses = dict[tuple[int, int], list[GapRecord]]


def _statuses(markets: Sequence[Market]) -> Statuses:
    found: Statuses = defaultdict(list)
    for row in GapRecord.objects.filter(market__in=markets, status__in=OPEN):
        found[row.market_id, row.interval_minutes].append(row)
    return found


def _entry(
    facts: MarketFacts, interval: Interval, selection: Selection, statuses: Statuses, now: datetime
) -> SeriesEntry:
    market = facts.market
    within = selection.wanted(interval, facts.start, now)
    asset = market.base.ticker if market.base else market.altname
    if within is None:
        nothing = remedy_for_nothing_known(market.altname, interval, api=market.is_listed)
        return SeriesEntry(market.altname, market.pair, asset, interval, None, Tally(), remedy=nothing)
    judged = judge(facts.series[interval], within)
    rows = statuses.get((market.pk, int(interval)), [])
    gaps: list[GapEntry] = []
    for gap in gaps_of(judged, interval):
        left_open = facts.series[interval].left_open.covers(gap.range)
        entry = gap_entry(market.altname, gap, now, listed=market.is_listed, left_open=left_open)
        # The record may reach further than what is asked for, and be open there for another reason.
        row = next((row for row in rows if row.range.overlaps(gap.range)), None)
        acted_on = row is not None and row.status not in (GapStatus.DETECTED, GapStatus.UNFILLABLE)
        status = row.status if row and acted_on else status_of(entry)
        gaps.append(replace(entry, status=status, error=row.error_message if row and acted_on else ""))
    return SeriesEntry(
        market.altname,
        market.pair,
        asset,
        interval,
        within,
        judged.tally,
        tuple(gaps),
        first_trade_known=facts.starts_at_first_trade,
    )
