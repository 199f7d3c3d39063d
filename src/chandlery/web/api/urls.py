"""The API: its description, its errors, and where each part of it is."""

from __future__ import annotations

import re

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import path, re_path, reverse
from django.views.decorators.csrf import csrf_exempt
from ninja import NinjaAPI
from ninja.errors import HttpError, ValidationError
from ninja.openapi.docs import DocsBase

from chandlery import __version__
from chandlery.errors import ChandleryError, UsageError
from chandlery.exchanges.kraken.names import UnknownMarket
from chandlery.pipeline.accept import FindingIsGone, GapIsAsked, GapIsFilled, NoSuchFinding, NoSuchGap
from chandlery.pipeline.jobs import UnknownJob
from chandlery.pipeline.markets import NothingSelected, UnknownQuote
from chandlery.web import actions
from chandlery.web.api import candles, state, work
from chandlery.web.api.asked import UnknownParameter, Unprintable
from chandlery.web.api.token import NoTokenSet, WrongToken

_STATUS: dict[type[ChandleryError], int] = {
    **dict.fromkeys((UnknownMarket, UnknownQuote, NothingSelected), 404),
    **dict.fromkeys((UnknownJob, NoSuchGap, NoSuchFinding), 404),
    **dict.fromkeys((FindingIsGone, GapIsAsked, GapIsFilled), 409),
    **dict.fromkeys((actions.SeriesBusy, actions.AskedAlready, actions.JobRuns, actions.JobRests), 409),
    **dict.fromkeys((actions.JobElsewhere, actions.JobOfAnother), 409),
    **dict.fromkeys((UnknownParameter, Unprintable), 400),
    NoTokenSet: 403,
    WrongToken: 401,
}
_OPTION = re.compile(r"--([a-z]+(?:-[a-z]+)*)")
_PASSWORD = re.compile(r"//[^/@\s]+@")


class LocalDocs(DocsBase):
    """The page of the description, with scripts and styles of ours: it works offline."""

    def render_page(self, request: HttpRequest, api: NinjaAPI, **kwargs: object) -> HttpResponse:
        return render(request, "chandlery/api.html", {"openapi": reverse("api:openapi-json")})


api = NinjaAPI(
    title="Chandlery",
    version=__version__,
    description="The figures of the commands' `--json`, from the same code. Times are UTC.",
    urls_namespace="api",
    docs=LocalDocs(),
)
for _router in (state.router, candles.router, work.router, work.acting):
    api.add_router("", _router)


@api.exception_handler(ChandleryError)
def _wrong(request: HttpRequest, error: ChandleryError) -> HttpResponse:
    """400: no question at all; 422: a question, but nothing can be meant by it; 503: it cannot be answered now."""
    status = _STATUS.get(type(error), 422 if isinstance(error, UsageError) else 503)
    return _told(str(error), status)


@api.exception_handler(ValidationError)
def _invalid(request: HttpRequest, error: ValidationError) -> HttpResponse:
    first = error.errors[0]
    return _told(f"{first['loc'][-1]}: {first['msg']}", 400)


@api.exception_handler(HttpError)
def _refused(request: HttpRequest, error: HttpError) -> HttpResponse:
    return _told(str(error), error.status_code)


@api.exception_handler(Http404)
def _nowhere(request: HttpRequest, error: Http404) -> HttpResponse:
    return not_found(request)


@csrf_exempt
def not_found(request: HttpRequest) -> HttpResponse:
    """Programs read JSON here too."""
    return _told(f"there is no {request.path}; {reverse('api:openapi-view')} shows what there is", 404)


def _told(message: str, status: int) -> HttpResponse:
    """In the words of the API: what a command calls --start-date is start_date here. Passwords are left out."""
    text = _OPTION.sub(lambda found: found[1].replace("-", "_"), _PASSWORD.sub("//…@", message))
    answer = JsonResponse({"error": text}, status=status)
    if status == 401:
        answer["WWW-Authenticate"] = "Bearer"
    return answer


urlpatterns = [path("", api.urls), re_path("", not_found)]
