"""Candles, page by page: a page is so many slots of time, so that no question reads without bound."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from io import BytesIO
from typing import Annotated, Literal

import polars as pl
from django.http import HttpRequest, HttpResponse, JsonResponse
from ninja import Query as FromAddress
from ninja import Router
from pydantic import Field

from chandlery.config.surroundings import clock
from chandlery.models import Market
from chandlery.pipeline.markets import named
from chandlery.reader.options import Asked as Wanted
from chandlery.reader.read import Candles, nothing
from chandlery.reporting.as_json import instant
from chandlery.web.api import shapes
from chandlery.web.api.asked import Query, Text, written
from chandlery.web.store import store_to_read

router = Router(tags=["Candles"])
ARROW = "application/vnd.apache.arrow.stream"
BINARY = {"type": "string", "format": "binary"}
MOST_AS_JSON, MOST_AS_ARROW = 10_000, 100_000
_DAY = r"(?:19[7-9]|20[0-9])[0-9]-(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])"
Moment = Annotated[str, written(rf"^(?:{_DAY}(?:T(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9])?Z)?)?$")]


class CandlesAsked(Query):
    market: Text = Field(min_length=1, description="by name", examples=["XBTUSD"])
    interval: Literal["1", "5", "15", "30", "60", "240", "720", "1440"] = Field(description="minutes")
    start: Moment = Field("", description="UTC; without it the first slot", examples=["2024-03-31"])
    end: Moment = Field("", description="UTC, exclusive; without it the last closed slot")
    fill: Literal["", "flat"] = Field("", description="flat: quiet slots too, at the close before them")
    verdicts: bool = Field(False, description="a row for every slot, with its verdict")


class JsonAsked(CandlesAsked):
    limit: int = Field(1000, ge=1, le=MOST_AS_JSON, description="slots a page")


class ArrowAsked(CandlesAsked):
    limit: int = Field(MOST_AS_ARROW, ge=1, le=MOST_AS_ARROW, description="slots a page")


@dataclass(frozen=True, slots=True)
class CandlePage:
    """Candles whose slot opens in [start, end); `following` is where the next page starts."""

    market: Market
    wanted: Wanted
    start: datetime | None
    end: datetime | None
    following: datetime | None
    rows: pl.DataFrame


@router.get("/candles", response=shapes.read(shapes.Candles), summary="Candles as JSON")
def candles(request: HttpRequest, asked: FromAddress[JsonAsked]) -> JsonResponse:
    page = page_at(asked, asked.limit)
    rows = page.rows.with_columns(timestamp=pl.col("timestamp").dt.strftime("%Y-%m-%dT%H:%M:%SZ"))
    return JsonResponse(
        {
            "market": page.market.altname,
            "interval_minutes": int(page.wanted.interval),
            "start": instant(page.start),
            "end": instant(page.end),
            "next": instant(page.following),
            "candles": rows.to_dicts(),
        }
    )


@router.get(
    "/candles.arrow",
    summary="Candles as an Arrow IPC stream",
    description="The header `X-Next-Start` has the start that goes on; without it that was all.",
    response={status: shape for status, shape in shapes.read(shapes.Wrong).items() if status != 200},
    openapi_extra={"responses": {200: {"description": "OK", "content": {ARROW: {"schema": BINARY}}}}},
)
def candles_as_arrow(request: HttpRequest, asked: FromAddress[ArrowAsked]) -> HttpResponse:
    page = page_at(asked, asked.limit)
    written = BytesIO()
    # Dictionaries and Polars' own kinds of text are not read everywhere.
    rows = page.rows.with_columns(pl.col(pl.Enum).cast(pl.String))
    rows.write_ipc_stream(written, compat_level=pl.CompatLevel.oldest())
    answer = HttpResponse(written.getvalue(), content_type=ARROW)
    if page.following is not None:
        answer["X-Next-Start"] = instant(page.following) or ""
    return answer


def page_at(asked: CandlesAsked, limit: int) -> CandlePage:
    """The first page of what is asked. Raises UnknownMarket and other UsageErrors."""
    market, reader = named(asked.market), Candles(store_to_read(), clock())
    fill: Literal["flat"] | None = "flat" if asked.fill else None
    wanted = Wanted.of(asked.interval, asked.start or None, asked.end or None, fill, asked.verdicts)
    within = reader.span(market, wanted)
    if within is None:
        return CandlePage(market, wanted, None, None, None, nothing(wanted))
    end = min(within.end, within.start + limit * wanted.interval.delta)
    rows = reader.frame(market, replace(wanted, start=within.start, end=end))
    return CandlePage(market, wanted, within.start, end, end if end < within.end else None, rows)
