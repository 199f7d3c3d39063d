"""What stands around every page: where one can go."""

from __future__ import annotations

from django.http import HttpRequest

PAGES = (
    ("overview", "Overview"),
    ("coverage", "Coverage"),
    ("markets", "Markets"),
    ("gaps", "Gaps"),
    ("jobs", "Jobs"),
    ("files", "Files"),
)
#: Pages below others.
_BELOW = {"market": "markets", "job": "jobs"}


def frame(request: HttpRequest) -> dict[str, object]:
    """For every template: the pages there are, and which one this is."""
    name = request.resolver_match.url_name if request.resolver_match else None
    return {"pages": PAGES, "here": _BELOW.get(name or "", name)}
