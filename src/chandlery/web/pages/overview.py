"""The overview: how complete everything is, what is going on, what needs attention, what the API forgets next."""

from __future__ import annotations

from datetime import datetime
from itertools import groupby

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from chandlery.config.surroundings import clock
from chandlery.reporting.concerns import concerns
from chandlery.reporting.overview import Overview
from chandlery.web import standing
from chandlery.web.access import may_act
from chandlery.web.pages.asked import page, quotes_asked
from chandlery.web.pages.kept import Kept
from chandlery.web.pages.running import running_jobs

_overviews: Kept[Overview] = Kept(8)


@require_safe
@page
def overview(request: HttpRequest) -> HttpResponse:
    now, quotes = clock()(), quotes_asked(request.GET)
    shown = overview_at(now, quotes)
    tiers = [(tier, list(rows)) for tier, rows in groupby(shown.rows, key=lambda row: row.tier)]
    context = {
        "now": now,
        "tiers": tiers,
        "deadlines": [(deadline, deadline.is_soon(now)) for deadline in shown.deadlines],
        "concerns": concerns(shown, settings.PROGRAM, quotes),
        "quotes": quotes,
        "jobs": running_jobs(),
        "begin": f"{settings.PROGRAM} ingest_kraken_unified --tier TIER1 --complete",
        "may_act": may_act(request),
        "question": f"{settings.PROGRAM} report_completeness --tier {tiers[0][0] if tiers else 'TIER1'} --json",
    }
    return render(request, "chandlery/overview.html", context)


def overview_at(now: datetime, quotes: tuple[str, ...]) -> Overview:
    """As it is in the minute of `now`: no slot closes within one."""
    minute = now.replace(second=0, microsecond=0)
    return _overviews.get((minute, quotes, settings.CANDLE_STORE), lambda: standing.overview(quotes, minute))
