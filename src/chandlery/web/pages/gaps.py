"""Gaps on record: what would close each, what that costs, and the buttons that do it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from chandlery.candles.gap import Gap, Reason
from chandlery.candles.interval import Interval
from chandlery.candles.timerange import TimeRange
from chandlery.config.surroundings import clock
from chandlery.exchanges.base import Tier
from chandlery.models import FindingKind, GapRecord, GapStatus, Ledger, QualityFinding
from chandlery.models.gap import GapFilter
from chandlery.pipeline.pricing import by_ledger
from chandlery.pipeline.selecting import names
from chandlery.reporting.completeness import GapEntry, gap_entry
from chandlery.reporting.gap_cost import gap_cost
from chandlery.web.access import may_act
from chandlery.web.pages.asked import interval_asked, market_asked, page, tier_asked

GAPS_A_PAGE = 50


@dataclass(frozen=True, slots=True)
class ShownGap:
    """A gap on record with what can be said of it now."""

    row: GapRecord
    entry: GapEntry
    cost: str

    @property
    def range(self) -> TimeRange:
        return self.row.range

    @property
    def can_fill(self) -> bool:
        """Whether a job of ours closes it, or a part of it, without another file.

        None spends a request on one that is accepted.
        """
        is_open = self.row.status not in (GapStatus.FILLED, GapStatus.BACKFILLING, GapStatus.ACCEPTED)
        return is_open and (self.entry.remedy.api or self.entry.remedy.trades)

    @property
    def takes_trades(self) -> bool:
        return not self.entry.api_fillable and self.entry.remedy.trades

    @property
    def can_accept(self) -> bool:
        return self.row.status not in (GapStatus.FILLED, GapStatus.BACKFILLING, GapStatus.ACCEPTED)

    @property
    def days(self) -> tuple[datetime, datetime]:
        """Its days, both included."""
        return self.row.gap_start, self.row.gap_end - Interval(self.row.interval_minutes).delta


@require_safe
@page
def gaps(request: HttpRequest) -> HttpResponse:
    asked, now = request.GET, clock()()
    interval = interval_asked(asked, Interval.M60) if asked.get("interval") else None
    wanted = GapFilter(
        tier=tier_asked(asked),
        quotes=tuple(name.upper() for name in names(asked.getlist("quotes"))),
        market=market_asked(asked),
        interval=int(interval) if interval else None,
        reason=asked.get("reason", ""),
        status=asked.get("status", ""),
    )
    pages = Paginator(GapRecord.objects.matching(wanted), GAPS_A_PAGE)
    rows = pages.get_page(asked.get("page"))
    query = asked.copy()
    query.pop("page", None)
    context = {
        "wanted": wanted,
        "rows": rows,
        "shown": _shown(list(rows.object_list), now),
        "number": pages.count,
        "tiers": list(Tier),
        "intervals": list(Interval),
        "reasons": list(Reason),
        "statuses": list(GapStatus),
        "query": query.urlencode(),
        "may_act": may_act(request),
        "now": now,
    }
    return render(request, "chandlery/gaps.html", context)


def _shown(rows: list[GapRecord], now: datetime) -> list[ShownGap]:
    """The rows of one page, with the same number of queries whatever they are."""
    markets = {row.market_id for row in rows}
    ledgers = Ledger.objects.of_markets(markets)
    kinds = (FindingKind.LEDGER_SYSTEMATIC,)
    systematic = QualityFinding.objects.contradicted_by(markets, kinds)[FindingKind.LEDGER_SYSTEMATIC]
    shown = []
    for row in rows:
        gap = Gap(Interval(row.interval_minutes), row.range, Reason(row.reason))
        left = systematic.get((row.market_id, row.interval_minutes))
        entry = gap_entry(
            row.market.altname,
            gap,
            now,
            row.status,
            row.error_message,
            listed=row.market.is_listed,
            left_open=left is not None and left.covers(row.range),
        )
        ledger = ledgers.get(row.market_id)
        trades = by_ledger(ledger.figures, row.range) if ledger is not None else None
        shown.append(ShownGap(row, entry, gap_cost(entry, trades)))
    return shown
