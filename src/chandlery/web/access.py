"""Who may read, and who may start and stop things.

On this machine reading is open, unless WEB_LOGIN_REQUIRED says otherwise. Whoever comes from another machine, or by
another name than this machine's own, signs in first, or shows the API_TOKEN. Starting and stopping takes one of the
two anywhere.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from ipaddress import ip_address

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import resolve_url
from django.urls import Resolver404, resolve, reverse
from django_htmx.middleware import HtmxDetails

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
_HANDED_ON = ("Forwarded", "X-Forwarded-For", "X-Real-IP", "Via")
#: A monitor tells nobody who it is.
_OPEN = ("/healthz",)
#: What programs ask: they are told, and led to no form.
_FOR_PROGRAMS = ("/api/", "/metrics")
#: What the scripts of pages ask, by name; they say so in words of their own.
_FOR_SCRIPTS = frozenset({"coverage-cells", "chart"})

NO_TOKEN_SET = "this takes a token, and none is set: set API_TOKEN, then send it as 'Authorization: Bearer …'"
WRONG_TOKEN = "this takes the API_TOKEN, sent as 'Authorization: Bearer …'"
SIGN_IN = "sign in, or send the API_TOKEN as 'Authorization: Bearer …'"


class ReadersOnly:
    """Lets through who may read; leads the others to the login, or, where programs and scripts ask, answers 401."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if may_read(request) or request.path in _OPEN or request.path.startswith(reverse("admin:index")):
            return self._get_response(request)
        if request.path.startswith(_FOR_PROGRAMS) or _is_for_scripts(request):
            answer = JsonResponse({"error": SIGN_IN}, status=401)
            answer["WWW-Authenticate"] = "Bearer"
            return answer
        login = resolve_url(settings.LOGIN_URL)
        htmx = HtmxDetails(request)
        if not htmx:
            return redirect_to_login(request.get_full_path(), login)
        # What asks is a part of a page: followed there, the form would be put into the page. The whole of it goes.
        led = redirect_to_login(htmx.current_url_abs_path or reverse("overview"), login)
        return HttpResponse(status=401, headers={"HX-Redirect": led.url})


def _is_for_scripts(request: HttpRequest) -> bool:
    try:
        return resolve(request.path_info).url_name in _FOR_SCRIPTS
    except Resolver404:
        return False


def may_read(request: HttpRequest) -> bool:
    """Whether whoever asks may see what is there."""
    if not settings.WEB_LOGIN_REQUIRED and is_local(request):
        return True
    return has_token(request) or request.user.is_authenticated


def may_act(request: HttpRequest) -> bool:
    """Whether whoever asks may start and stop things from a page: somebody who has signed in as staff."""
    return bool(request.user.is_authenticated and request.user.is_active and request.user.is_staff)


def is_local(request: HttpRequest) -> bool:
    """Asked from this machine, by its own name, and not handed on by a proxy for somebody elsewhere."""
    if any(header in request.headers for header in _HANDED_ON):
        return False
    name, _, port = request.get_host().rpartition(":")
    host = name if port.isdecimal() else request.get_host()
    try:
        return host in LOOPBACK_NAMES and ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False


def has_token(request: HttpRequest) -> bool:
    """Whether the API_TOKEN was sent. Where none is set, none is right."""
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    wanted: str = settings.API_TOKEN
    # Compared in a time that tells nothing of where they begin to differ.
    return kind.lower() == "bearer" and bool(wanted) and hmac.compare_digest(token.strip().encode(), wanted.encode())
