"""What there is: tiers, assets, markets, how complete they are, and what is open or doubted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Literal

from django.db.models import Count, Q
from django.http import HttpRequest, JsonResponse
from ninja import Query as FromAddress
from ninja import Router

from chandlery.config.surroundings import clock
from chandlery.exchanges.base import Tier as TierName
from chandlery.models import OPEN, Asset, DataCoverageRange, FindingState, GapRecord, GapStatus, Market
from chandlery.pipeline.findings import entry_of, findings_on_record, outages_of
from chandlery.pipeline.report import report
from chandlery.pipeline.selecting import names, tiers_named
from chandlery.reporting.as_json import COUNTS, JsonObject, instant, report_as_json
from chandlery.reporting.findings import finding_as_json, outage_as_json
from chandlery.reporting.overview import OverviewRow
from chandlery.web.api import shapes
from chandlery.web.api.asked import Asked, Names, Page, Query, Text, Tier, markets_of, page_of
from chandlery.web.standing import overview
from chandlery.web.store import store_to_read

router = Router(tags=["What there is"])


class Quotes(Query):
    quotes: Names = "USD"


class AssetsAsked(Page):
    tier: Tier = ""


class MarketsAsked(Page):
    tier: Tier = ""
    quotes: Names = ""
    search: Text = ""


class GapsAsked(Asked, Page):
    status: Literal["OPEN", "DETECTED", "BACKFILLING", "FILLED", "UNFILLABLE", "FAILED", "ACCEPTED", "ALL"] = "OPEN"


class FindingsAsked(Asked, Page):
    state: Literal["OPEN", "RESOLVED", "ACCEPTED", "ALL"] = "OPEN"


class CoverageAsked(Asked, Page):
    pass


@router.get("/tiers", response=shapes.read(shapes.Tiers), summary="Tiers, and how complete each is at each interval")
def tiers(request: HttpRequest, asked: FromAddress[Quotes]) -> JsonResponse:
    quotes = tuple(name.upper() for name in names([asked.quotes]))
    now = clock()()
    by_tier: dict[str, list[OverviewRow]] = defaultdict(list)
    for row in overview(quotes, now).rows:
        by_tier[row.tier].append(row)
    held = _assets_and_markets(quotes)
    told = [
        {"tier": tier.value, **held[tier.value], "intervals": [_tier_interval(row) for row in by_tier[tier.value]]}
        for tier in TierName
    ]
    return JsonResponse({"now": instant(now), "quotes": list(quotes), "tiers": told})


@router.get("/assets", response=shapes.read(shapes.Assets), summary="Assets by ticker")
def assets(request: HttpRequest, asked: FromAddress[AssetsAsked]) -> JsonResponse:
    rows = Asset.objects.order_by("ticker")
    if asked.tier:
        rows = rows.filter(tier__in=tiers_named([asked.tier]))
    return JsonResponse(
        page_of("assets", rows, asked, lambda a: {"ticker": a.ticker, "category": a.category, "tier": a.tier or None})
    )


@router.get("/markets", response=shapes.read(shapes.Markets), summary="Markets by name")
def markets(request: HttpRequest, asked: FromAddress[MarketsAsked]) -> JsonResponse:
    named = tiers_named([asked.tier]) if asked.tier else None
    chosen = Market.objects.chosen(named, [name.upper() for name in names([asked.quotes])] or None)
    rows = chosen.select_related("base", "quote").order_by("altname", "pk")
    if asked.search:
        rows = rows.filter(Q(altname__icontains=asked.search) | Q(wsname__icontains=asked.search))
    return JsonResponse(page_of("markets", rows, asked, _market))


@router.get(
    "/completeness",
    response=shapes.read(shapes.Report),
    summary="How complete series are, as report_completeness tells it",
)
def completeness(request: HttpRequest, asked: FromAddress[Asked]) -> JsonResponse:
    selection = asked.selection
    made = report(selection, markets_of(selection), store_to_read(), clock()())
    return JsonResponse(report_as_json(made))


@router.get("/coverage", response=shapes.read(shapes.Coverage), summary="For which time which source has spoken")
def coverage(request: HttpRequest, asked: FromAddress[CoverageAsked]) -> JsonResponse:
    selection = asked.selection_or_all
    rows = DataCoverageRange.objects.on_record(
        [market.pk for market in markets_of(selection)], selection.intervals, selection.start, selection.end
    )
    return JsonResponse(page_of("coverage", rows, asked, _coverage))


@router.get(
    "/gaps", response=shapes.read(shapes.Gaps), summary="Gaps on record, with the numbers by which they are accepted"
)
def gaps(request: HttpRequest, asked: FromAddress[GapsAsked]) -> JsonResponse:
    selection = asked.selection_or_all
    chosen: dict[str, Iterable[str]] = {"OPEN": OPEN, "ALL": list(GapStatus)}
    rows = GapRecord.objects.on_record(
        [market.pk for market in markets_of(selection)],
        selection.intervals,
        chosen.get(asked.status, (asked.status,)),
        selection.start,
        selection.end,
    )
    return JsonResponse(page_of("gaps", rows, asked, gap_as_json))


@router.get("/findings", response=shapes.read(shapes.Findings), summary="Findings, as audit_candles tells them")
def findings(request: HttpRequest, asked: FromAddress[FindingsAsked]) -> JsonResponse:
    selection = asked.selection_or_all
    states = list(FindingState) if asked.state == "ALL" else [FindingState(asked.state)]
    rows = findings_on_record(markets_of(selection), selection, states).order_by(
        "market__altname", "interval_minutes", "start", "kind", "pk"
    )
    return JsonResponse(page_of("findings", rows, asked, lambda row: finding_as_json(entry_of(row))))


@router.get(
    "/outages", response=shapes.read(shapes.Outages), summary="Times in which the exchange as a whole was silent"
)
def outages(request: HttpRequest, asked: FromAddress[Asked]) -> JsonResponse:
    selection = asked.selection_or_all
    return JsonResponse({"outages": [outage_as_json(one) for one in outages_of(markets_of(selection), selection)]})


def gap_as_json(row: GapRecord) -> JsonObject:
    """One gap on record."""
    return {
        "id": row.pk,
        "market": row.market.altname,
        "interval_minutes": row.interval_minutes,
        "start": instant(row.gap_start),
        "end": instant(row.gap_end),
        "candles": row.missing_candles,
        "reason": row.reason,
        "api_fillable": row.is_api_fillable,
        "overflow_candles": row.overflow_candles,
        "status": row.status,
        "detected_at": instant(row.detected_at),
        "backfill_attempted_at": instant(row.backfill_attempted_at),
        "filled_at": instant(row.filled_at),
        "required_csv_file": row.required_csv_file,
        "error": row.error_message or None,
    }


def _assets_and_markets(quotes: Iterable[str]) -> dict[str, JsonObject]:
    assets = dict(Asset.objects.exclude(tier="").values_list("tier").annotate(Count("pk")).order_by())
    wanted = tuple(quotes)
    return {
        tier.value: {
            "assets": assets.get(tier.value, 0),
            "markets": Market.objects.chosen([tier.value], wanted).count(),
        }
        for tier in TierName
    }


def _tier_interval(row: OverviewRow) -> JsonObject:
    return {
        "interval_minutes": int(row.interval),
        "markets": row.markets,
        "complete": row.complete,
        "unknown": row.unknown,
        **{name: getattr(row.tally, name) for name in COUNTS},
        "completeness": row.completeness,
        "density": row.density,
        "gaps": row.gaps.all,
        "newest": instant(row.newest),
    }


def _market(market: Market) -> JsonObject:
    return {
        "market": market.altname,
        "name": market.wsname,
        "pair": market.pair,
        "base": market.base.ticker if market.base else None,
        "quote": market.quote.ticker if market.quote else None,
        "tier": (market.base.tier or None) if market.base else None,
        "status": market.status,
        "listed": market.is_listed,
        "first_trade": instant(market.first_trade),
        "delisted_at": instant(market.delisted_at),
    }


def _coverage(row: DataCoverageRange) -> JsonObject:
    return {
        "market": row.market.altname,
        "interval_minutes": row.interval_minutes,
        "start": instant(row.start_date),
        "end": instant(row.end_date),
        "source": row.source,
        "derived": row.derived,
        "proven": row.proven,
        "provisional": row.provisional,
        "candles": row.record_count,
    }
