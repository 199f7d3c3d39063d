"""The API_TOKEN as OpenAPI describes it."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from ninja.security import HttpBearer

from chandlery.errors import ChandleryError
from chandlery.web.access import NO_TOKEN_SET, WRONG_TOKEN, has_token


class NoTokenSet(ChandleryError):
    __doc__ = NO_TOKEN_SET


class WrongToken(ChandleryError):
    __doc__ = WRONG_TOKEN


class Token(HttpBearer):
    """`Authorization: Bearer …`. It is never sent by a browser of its own accord, so no other site can forge it."""

    def __call__(self, request: HttpRequest) -> Any:
        if not settings.API_TOKEN:
            raise NoTokenSet
        if not has_token(request):
            raise WrongToken
        return self.authenticate(request, settings.API_TOKEN)

    def authenticate(self, request: HttpRequest, token: str) -> str:
        return "token"
