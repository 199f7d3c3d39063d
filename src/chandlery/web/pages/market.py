"""A market: its candles with what is known of every slot, how complete each of its series is, what is open."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import cast
from urllib.parse import quote

from django.conf import settings
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_safe

from chandlery.candles.interval import Interval
from chandlery.candles.timerange import EmptyRange, TimeRange
from chandlery.candles.verdict import Tally
from chandlery.config.surroundings import clock
from chandlery.errors import UsageError
from chandlery.exchanges.kraken.names import UnknownMarket
from chandlery.models import FindingState, Market
from chandlery.pipeline.chart import chart_of
from chandlery.pipeline.findings import findings_of, outages_of
from chandlery.pipeline.markets import named, on_record
from chandlery.pipeline.report import report
from chandlery.pipeline.request import Selection
from chandlery.pipeline.standing import tier_of
from chandlery.reporting.findings import finding_text, outage_text
from chandlery.reporting.terminal import VERDICTS
from chandlery.web.pages.asked import page
from chandlery.web.store import store_to_read

MARKETS_A_PAGE = 100
MOST_LISTED = 50
#: Days, and what a button says; 0: all of it.
PERIODS = ((1, "1 d"), (7, "1 w"), (30, "1 m"), (365, "1 y"), (0, "All"))
#: No exchange is older than the first of these, and no candle later than the second.
FIRST, LAST = datetime(2009, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


class NoView(UsageError):
    """A view has a start and a later end, in seconds since the epoch; not {start!r} and {end!r}"""


@require_safe
@page
def markets(request: HttpRequest) -> HttpResponse:
    """The markets on record whose name or pair has the words; one that is named in full is shown at once."""
    words = request.GET.get("q", "").strip().upper()
    known = on_record()
    exact = [market for market in known if words in (market.altname, market.pair, market.pair.replace("/", ""))]
    if len(exact) == 1 and words:
        return redirect("market", altname=exact[0].altname)
    found = [market for market in known if words in market.altname or words in market.pair]
    rows = Paginator([(market, tier_of(market)) for market in found], MARKETS_A_PAGE)
    context = {"words": words, "rows": rows.get_page(request.GET.get("page")), "number": len(found)}
    context["query"] = f"q={quote(words)}" if words else ""
    return render(request, "chandlery/markets.html", context)


@require_safe
@page
def market(request: HttpRequest, altname: str) -> HttpResponse:
    now, row = clock()(), _market(altname)
    if row.altname != altname:
        query = request.GET.urlencode()
        return redirect(f"{reverse('market', args=[row.altname])}{f'?{query}' if query else ''}")
    selection = Selection(tuple(Interval), markets=(altname,))
    told = report(selection, [row], store_to_read(), now)
    series = [entry for entry in told.series if entry.range is not None and _is_stored(entry.tally)]
    stored = ",".join(str(int(entry.interval)) for entry in series)
    gaps = [(entry, gap) for entry in series for gap in entry.gaps]
    findings = findings_of([row], selection, (FindingState.OPEN, FindingState.ACCEPTED))
    context = {
        "market": row,
        "tier": tier_of(row),
        "series": series,
        "gaps": gaps[:MOST_LISTED],
        "more_gaps": len(gaps) - MOST_LISTED,
        "findings": [(one, finding_text(one)) for one in findings[:MOST_LISTED]],
        "more_findings": len(findings) - MOST_LISTED,
        "outages": [outage_text(one) for one in outages_of([row], selection)[:MOST_LISTED]],
        "verdicts": [(verdict.value, name, why) for verdict, (name, _, why) in VERDICTS.items()],
        "periods": PERIODS,
        "export": f"{settings.PROGRAM} export_candles --markets {altname} --intervals {stored} --output candles",
    }
    return render(request, "chandlery/market.html", context)


@require_safe
@page
def chart(request: HttpRequest, altname: str) -> HttpResponse:
    """What the market's page draws; see `Chart.as_json`."""
    asked = request.GET.get("interval")
    interval = Interval.parse(asked) if asked and asked != "auto" else None
    whole = bool(request.GET.get("whole"))
    made = chart_of(_market(altname), _view(request.GET), interval, store_to_read(), clock()(), whole=whole)
    return JsonResponse(made.as_json() if made else {})


def _market(altname: str) -> Market:
    """The one that a person calls so. Raises Http404."""
    try:
        return named(altname)
    except UnknownMarket as error:
        raise Http404(str(error)) from error


def _is_stored(tally: Tally) -> bool:
    """Whether anything was answered for: a series that nobody ever asked for is no part of the page."""
    return tally.answered > 0


def _view(asked: QueryDict) -> TimeRange | None:
    """Raises NoView."""
    start, end = asked.get("start"), asked.get("end")
    if start is None and end is None:
        return None
    try:
        edges = [datetime.fromtimestamp(int(cast(str, edge)), UTC) for edge in (start, end)]
        return TimeRange(max(edges[0], FIRST), min(edges[1], LAST))
    except (TypeError, ValueError, OverflowError, OSError, EmptyRange) as error:
        raise NoView(start=start, end=end) from error
