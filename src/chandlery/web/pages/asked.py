"""What a page was asked for, out of its address: a wrong value is one line, as with the commands."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import wraps
from typing import Concatenate, ParamSpec

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render

from chandlery.candles.interval import Interval
from chandlery.errors import ChandleryError, UsageError
from chandlery.pipeline.selecting import DEFAULT_QUOTE, day, names, tiers_named

P = ParamSpec("P")
Page = Callable[Concatenate[HttpRequest, P], HttpResponse]


def page(view: Page[P]) -> Page[P]:
    """A page that says in a line what was wrong with what it was asked."""

    @wraps(view)
    def shown(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except ChandleryError as error:
            status = 400 if isinstance(error, UsageError) else 503
            return render(request, "chandlery/wrong.html", {"error": str(error)}, status=status)

    return shown


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


class DatesWrongWay(UsageError):
    """The start {start} is after the end {end}; both are inclusive days, the start comes first"""
