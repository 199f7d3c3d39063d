"""The coverage map: markets by months or days, the shares of the verdicts in each; as a drawing, and as a table."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_safe

from chandlery.candles.interval import EPOCH, Interval
from chandlery.candles.timerange import TimeRange
from chandlery.candles.verdict import Tally
from chandlery.config.surroundings import clock
from chandlery.errors import UsageError
from chandlery.exchanges.base import Tier
from chandlery.models import Market
from chandlery.pipeline.coverage_map import STEPS, coverage_map
from chandlery.pipeline.markets import on_record, select
from chandlery.pipeline.report import report
from chandlery.pipeline.request import Selection
from chandlery.pipeline.selecting import names
from chandlery.pipeline.standing import tier_of
from chandlery.reporting.coverage_map import MINUTE, CoverageMap, MapRow, encoded
from chandlery.reporting.terminal import VERDICTS
from chandlery.web import standing
from chandlery.web.pages.asked import dates_asked, interval_asked, page, tier_asked
from chandlery.web.pages.kept import Kept, state_mark
from chandlery.web.store import store_to_read

#: So many days of all markets are drawn at once; whoever wants more sees months.
MOST_DAYS = 400
#: More than any exchange is old.
MOST_MONTHS = 300
MARKETS_A_PAGE = 100
MOST_GAPS = 20
_maps: Kept[CoverageMap] = Kept(12, state_mark)
_tables: Kept[list[tuple[MapRow, Tally]]] = Kept(12, state_mark)
_drawings: Kept[tuple[bytes, bytes]] = Kept(12, state_mark)


class TooManyDays(UsageError):
    """Days are shown of {most} days at most, not of {days:,}; give start and end, or look at months"""


class TooManyMonths(UsageError):
    """Months are shown of {most} at most, not of {months:,}; give a later start, or none: then it is the first trade"""


class WrongStep(UsageError):
    """A column is a month or a day, not {step!r}"""


@dataclass(frozen=True, slots=True)
class MapAsked:
    """Which map. `tier` empty: all markets on record; `quotes` empty: whatever they are quoted in."""

    tier: str
    quotes: tuple[str, ...]
    interval: Interval
    step: str
    start: datetime | None
    end: datetime | None

    @classmethod
    def of(cls, request: HttpRequest) -> MapAsked:
        """Raises a UsageError."""
        asked = request.GET
        start, end = dates_asked(asked)
        now = clock()()
        step = asked.get("step") or "month"
        if step not in STEPS:
            raise WrongStep(step=step)
        if step == "day" and (start is None or end is None or (end - start).days > MOST_DAYS):
            raise TooManyDays(most=MOST_DAYS, days=(end - start).days if start and end else 5000)
        months = _months(start, min(end, now) if end is not None else now) if start is not None else 0
        if step == "month" and months > MOST_MONTHS:
            raise TooManyMonths(most=MOST_MONTHS, months=months)
        quotes = tuple(name.upper() for name in names(asked.getlist("quotes")))
        return cls(tier_asked(asked), quotes, interval_asked(asked, Interval.M60), step, start, end)

    @property
    def selection(self) -> Selection:
        return Selection((self.interval,), tiers=(self.tier,) if self.tier else (), start=self.start, end=self.end)

    @property
    def last(self) -> datetime | None:
        """The last day, inclusive."""
        return self.end - Interval.M1440.delta if self.end is not None else None

    def markets(self) -> list[Market]:
        """Those on record: of a market of which nothing is known there is nothing to draw."""
        return [
            market
            for market in on_record()
            if (not self.tier or tier_of(market) == self.tier)
            and (not self.quotes or market.quote is None or market.quote.ticker in self.quotes)
        ]


@require_safe
@page
def coverage(request: HttpRequest) -> HttpResponse:
    """The frame of the drawing, and all of its figures as a table."""
    store_to_read()
    asked, now = MapAsked.of(request), clock()()
    shown, rows = _map_of(asked, now), list(_table_of(asked, now))
    if request.GET.get("sort") == "open":
        rows.sort(key=lambda row: -(row[1].missing + row[1].suspect))
    pages = Paginator(rows, MARKETS_A_PAGE)
    context = {
        "asked": asked,
        "intervals": list(Interval),
        "tiers": list(Tier),
        "verdicts": [(verdict.value, name, why) for verdict, (name, _, why) in VERDICTS.items()],
        "rows": pages.get_page(request.GET.get("page")),
        "markets": len(rows),
        "query": _without(request, "page"),
        "cells": _without(request, "page", "sort"),
        "days_query": _without(request, "page", "start", "end", "step"),
        "first": EPOCH + int(shown.edges[0]) * MINUTE,
        "last": EPOCH + int(shown.edges[-1]) * MINUTE - timedelta(days=1),
    }
    return render(request, "chandlery/coverage.html", context)


@require_safe
@page
def coverage_cells(request: HttpRequest) -> HttpResponse:
    """The cells of the drawing; see `encoded`."""
    store_to_read()
    asked = MapAsked.of(request)
    closed = asked.interval.floor(clock()())

    def make() -> tuple[bytes, bytes]:
        plain = encoded(_map_of(asked, closed), asked.step)
        return plain, gzip.compress(plain, 3, mtime=0)

    plain, packed = _drawings.get((asked, closed, settings.CANDLE_STORE), make)
    takes_gzip = "gzip" in request.headers.get("Accept-Encoding", "")
    response = HttpResponse(packed if takes_gzip else plain, content_type="application/octet-stream")
    if takes_gzip:
        response["Content-Encoding"] = "gzip"
    patch_vary_headers(response, ["Accept-Encoding"])
    response["Cache-Control"] = "no-cache"
    return response


@require_safe
@page
def coverage_cell(request: HttpRequest) -> HttpResponse:
    """One cell, as the report tells it: state and store are asked, slot by slot where it must be."""
    interval = interval_asked(request.GET, Interval.M60)
    start, end = dates_asked(request.GET)
    selection = Selection((interval,), markets=(request.GET.get("market", ""),), start=start, end=end)
    told = report(selection, select(selection), store_to_read(), clock()())
    entry = told.series[0]
    figures = [
        (verdict.value, name, getattr(entry.tally, verdict.value.lower()))
        for verdict, (name, _, _) in VERDICTS.items()
        if getattr(entry.tally, verdict.value.lower())
    ]
    within = TimeRange(start, end) if start and end else entry.range
    of_days = within is not None and Interval.M1440.delta < within.length <= MOST_DAYS * Interval.M1440.delta
    context = {
        "entry": entry,
        "figures": figures,
        "within": within,
        "last": within.end - Interval.M1440.delta if within and of_days else None,
        "gaps": entry.gaps[:MOST_GAPS],
        "more": len(entry.gaps) - MOST_GAPS,
    }
    return render(request, "chandlery/_cell.html", context)


def _months(start: datetime, end: datetime) -> int:
    """How many begin from that of `start` on, before `end`."""
    last = end - timedelta(microseconds=1)
    return 12 * (last.year - start.year) + last.month - start.month + 1


def _map_of(asked: MapAsked, now: datetime) -> CoverageMap:
    closed = asked.interval.floor(now)

    def make() -> CoverageMap:
        return coverage_map(asked.selection, asked.markets(), asked.interval, asked.step, closed)

    return _maps.get((asked, closed), make)


def _table_of(asked: MapAsked, now: datetime) -> list[tuple[MapRow, Tally]]:
    """What each row adds up to. Where no dates are asked that is what the report says, which is kept anyway."""
    closed = asked.interval.floor(now)

    def make() -> list[tuple[MapRow, Tally]]:
        shown = _map_of(asked, now)
        told = standing.tallies(asked.interval, now) if asked.start is None and asked.end is None else {}
        rows = zip(shown.rows, shown.tallies(), strict=True)
        return [(row, told.get(row.market, tally)) for row, tally in rows]

    return _tables.get((asked, closed, settings.CANDLE_STORE), make)


def _without(request: HttpRequest, *left_out: str) -> str:
    query = request.GET.copy()
    for name in left_out:
        query.pop(name, None)
    return query.urlencode()
