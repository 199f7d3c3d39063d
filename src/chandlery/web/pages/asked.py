"""What a page was asked for, out of its address: a wrong value is one line, as with the commands."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from functools import wraps
from typing import Concatenate, ParamSpec

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render

from chandlery.candles.interval import Interval
from chandlery.errors import ChandleryError, UsageError
from chandlery.pipeline.markets import named
from chandlery.pipeline.selecting import DEFAULT_QUOTE, day, names, tiers_named

P = ParamSpec("P")
Page = Callable[Concatenate[HttpRequest, P], HttpResponse]


def page(view: Page[P]) -> Page[P]:
    """A page that says in a line what was wrong with what it was asked."""

    @wraps(view)
    def shown(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        try:
            require_text([("the address", request.path), *written(request.GET)])
            return view(request, *args, **kwargs)
        except ChandleryError as error:
            status = 400 if isinstance(error, UsageError) else 503
            return render(request, "chandlery/wrong.html", {"error": str(error)}, status=status)

    return shown


def written(asked: QueryDict) -> Iterator[tuple[str, str]]:
    """All that was written into a form, by name."""
    return ((name, str(value)) for name, values in asked.lists() for value in values)


def market_asked(asked: QueryDict) -> str:
    """The name on record of the market that a person calls so; empty where none is named. Raises UnknownMarket."""
    name = asked.get("market", "").strip()
    return named(name).altname if name else ""


def quotes_asked(asked: QueryDict) -> tuple[str, ...]:
    """USD where none is named, as with the commands."""
    return tuple(name.upper() for name in names(asked.getlist("quotes"))) or (DEFAULT_QUOTE,)


def tier_asked(asked: QueryDict) -> str:
    """Empty for all of them. Raises WrongTier."""
    value = asked.get("tier", "")
    named = tiers_named([value]) if value else ()
    return named[0] if len(named) == 1 else ""


def interval_asked(asked: QueryDict, default: Interval) -> Interval:
    """Raises UnknownInterval."""
    value = asked.get("interval")
    return Interval.parse(value) if value else default


def dates_asked(asked: QueryDict) -> tuple[datetime | None, datetime | None]:
    """Half-open, of two inclusive days. Raises WrongDate, DatesWrongWay."""
    start, last = (day(name, asked.get(name) or None) for name in ("start", "end"))
    end = last + timedelta(days=1) if last is not None else None
    if start is not None and end is not None and start >= end:
        raise DatesWrongWay(start=f"{start:%F}", end=f"{last:%F}")
    return start, end


class HoldsNul(UsageError):
    """{name} holds a NUL character, which nothing has in its name"""


def require_text(asked: Iterable[tuple[str, str]]) -> None:
    """What no database keeps is not looked for in one. Raises HoldsNul."""
    for name, value in asked:
        if "\0" in value:
            raise HoldsNul(name=name)


class DatesWrongWay(UsageError):
    """The start {start} is after the end {end}; both are inclusive days, the start comes first"""
