"""What buttons do: start, pause and go on with jobs, accept gaps. Each takes a POST of somebody who has signed in."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseForbidden
from django.shortcuts import get_object_or_404, redirect, resolve_url
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_POST

from chandlery.candles.interval import Interval
from chandlery.errors import ChandleryError
from chandlery.models import IngestionJob
from chandlery.pipeline.accept import accept_gap
from chandlery.pipeline.request import Selection
from chandlery.pipeline.selecting import names
from chandlery.web.access import may_act
from chandlery.web.actions import Fill, fill_gaps, pause, resume
from chandlery.web.pages.asked import dates_asked, require_text, written

P = ParamSpec("P")
Act = Callable[Concatenate[HttpRequest, P], str]


def act(does: Act[P]) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
    """A view that does it and leads back to the page with what was done, or with why it was not."""

    @require_POST
    @csrf_protect
    @wraps(does)
    def view(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        back = _back(request)
        if not request.user.is_authenticated:
            return redirect_to_login(back, resolve_url(settings.LOGIN_URL))
        if not may_act(request):
            return HttpResponseForbidden("This takes somebody of the staff.")
        try:
            require_text(written(request.POST))
            messages.success(request, does(request, *args, **kwargs))
        except ChandleryError as error:
            messages.error(request, str(error))
        return redirect(back)

    return view


@act
def fill(request: HttpRequest) -> str:
    """Close what is open of one series, or of a part of it."""
    market, minutes = request.POST.get("market", ""), request.POST.get("interval", "")
    start, end = dates_asked(request.POST)
    selection = Selection((Interval.parse(minutes),), markets=tuple(names([market])), start=start, end=end)
    job = fill_gaps(Fill(selection, complete=bool(request.POST.get("complete"))))
    return f"Job {str(job.pk)[:8]} is about to fill {market} {int(selection.intervals[0])}min."


@act
def accept(request: HttpRequest, number: int) -> str:
    """Leave a gap as it is."""
    row = accept_gap(number)
    return f"The gap of {row.market} {row.interval_minutes}min from {row.gap_start:%Y-%m-%d %H:%M} UTC stays as it is."


@act
def pause_job(request: HttpRequest, pk: UUID) -> str:
    job = pause(get_object_or_404(IngestionJob, pk=pk))
    return f"Job {str(job.pk)[:8]} finishes what is in hand and pauses."


@act
def resume_job(request: HttpRequest, pk: UUID) -> str:
    job = resume(get_object_or_404(IngestionJob, pk=pk))
    return f"Job {str(job.pk)[:8]} goes on."


def _back(request: HttpRequest) -> str:
    """The page that was acted on; none but ours."""
    wanted = request.POST.get("next", "") or request.headers.get("Referer", "")
    if url_has_allowed_host_and_scheme(wanted, {request.get_host()}, request.is_secure()):
        return wanted
    return reverse("overview")
