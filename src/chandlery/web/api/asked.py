"""What a request asks for, out of its address. A wrong value, or a name that means nothing, is one line."""

from __future__ import annotations

import re
from typing import Annotated, Any

from django.db.models import QuerySet
from ninja import Schema
from pydantic import AfterValidator, ConfigDict, Field, ValidationInfo, model_validator

from chandlery.candles.interval import Interval
from chandlery.config.surroundings import tiers
from chandlery.errors import UsageError
from chandlery.models import Market
from chandlery.pipeline.markets import ensure_markets, on_record, select
from chandlery.pipeline.request import Selection
from chandlery.pipeline.selecting import selection_of
from chandlery.reporting.as_json import JsonObject

MOST_ROWS = 1000
#: Far more than anybody means, and few enough to be looked at.
_LONGEST = 2000
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]")


class UnknownParameter(UsageError):
    """{name!r} is nothing that can be asked here; choose from {known}"""


class NotNames(UsageError):
    """{name} {value!r} is no list of names; write them joined by commas, such as XBTUSD,ETHUSD"""


class Unprintable(UsageError):
    """{name} holds a character that no name has"""


def written(pattern: str, **more: Any) -> Any:
    """A field whose form the description of the API tells. It is not checked here: who reads it says more clearly what
    is wrong with it.
    """
    return Field(json_schema_extra={"pattern": pattern}, max_length=_LONGEST, **more)


_TIER = r"(?:TIER[1-4]|ALL)"
_WIDTH = r"(?:1|5|15|30|60|240|720|1440)"
_NAME = r"[A-Za-z0-9][A-Za-z0-9./]{0,19}"


def _joined(one: str) -> str:
    return f"^(?:{one}(?:,{one}){{0,63}})?$"


def _names(given: str, info: ValidationInfo) -> str:
    if not re.fullmatch(_joined(_NAME), given):
        raise NotNames(name=info.field_name, value=given[:100])
    return given


Names = Annotated[str, written(_joined(_NAME)), AfterValidator(_names)]
Tier = Annotated[str, written(f"^{_TIER}?$")]
Tiers = Annotated[str, written(_joined(_TIER))]
Widths = Annotated[str, written(_joined(_WIDTH), examples=["60,1440"])]
Day = Annotated[str, written(r"^(?:(?:19[7-9]|20[0-9])[0-9]-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01]))?$")]
Text = Annotated[str, written(r"^[^\x00-\x1f\x7f]*$")]


class Query(Schema):
    """Parameters of an address: only these, each once, and printable."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _only_known(cls, given: Any, info: ValidationInfo) -> Any:
        request = info.context["request"] if info.context else None
        for name, value in request.GET.items() if request is not None else ():
            if name not in cls.model_fields:
                raise UnknownParameter(name=name, known=", ".join(cls.model_fields))
            if _UNPRINTABLE.search(value):
                raise Unprintable(name=name)
        return given


class Asked(Query):
    """Which series and dates, as with the commands."""

    tier: Tier = Field("", description="TIER1 … TIER4, or ALL")
    tiers: Tiers = Field("", description="several tiers, joined by commas")
    markets: Names = Field("", description="markets by name, joined by commas", examples=["XBTUSD,ETHUSD"])
    quotes: Names = Field("USD", description="quote assets of a tier's markets, joined by commas")
    intervals: Widths = Field("", description="candle widths in minutes, joined by commas")
    start_date: Day = Field("", description="first day, UTC")
    end_date: Day = Field("", description="last day, UTC, inclusive")

    @property
    def selection(self) -> Selection:
        """Raises UsageError."""
        return selection_of(self._options(self.intervals))

    @property
    def selection_or_all(self) -> Selection:
        """The same, with all intervals where none is named, and no market where neither tier nor market is: see
        `markets_of`.
        """
        widths = self.intervals or ",".join(str(int(interval)) for interval in Interval)
        if self.tier or self.tiers or self.markets:
            return selection_of(self._options(widths))
        found = selection_of({**self._options(widths), "tier": "ALL"})
        return Selection(found.intervals, quotes=found.quotes, start=found.start, end=found.end)

    def _options(self, intervals: str) -> dict[str, Any]:
        return {
            "tier": self.tier or None,
            "tiers": [self.tiers],
            "markets": [self.markets],
            "quotes": [self.quotes],
            "intervals": [intervals] if intervals else None,
            "start_date": self.start_date or None,
            "end_date": self.end_date or None,
        }


class Page(Query):
    """Which of many rows."""

    limit: int = Field(100, ge=1, le=MOST_ROWS, description="rows at most")
    offset: int = Field(0, ge=0, le=2**31, description="rows to pass over: `next` of the answer before")


def markets_of(selection: Selection) -> list[Market]:
    """Those it names; where it names none, those of which anything is known. Raises UsageError."""
    ensure_markets(tiers())
    return select(selection) if selection.tiers or selection.markets else on_record()


def page_of(name: str, rows: QuerySet[Any], page: Page, told: Any) -> JsonObject:
    """{"count": all of them, "next": the offset of what follows, or null, name: [...]}"""
    count, end = rows.count(), page.offset + page.limit
    found = [told(row) for row in rows[page.offset : end]]
    return {"count": count, "next": end if end < count else None, name: found}
