"""Files: releases, and what became of every file that was found."""

from __future__ import annotations

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from chandlery.candles.interval import Interval
from chandlery.models import ArchiveRelease, FileIngestionRecord, FileStatus
from chandlery.models.archive import FileFilter
from chandlery.web.pages.asked import interval_asked, market_asked, page

FILES_A_PAGE = 100


@require_safe
@page
def files(request: HttpRequest) -> HttpResponse:
    asked = request.GET
    interval = interval_asked(asked, Interval.M60) if asked.get("interval") else None
    release = asked.get("release", "")
    wanted = FileFilter(
        release=int(release) if release.isdecimal() and len(release) < 19 else None,
        market=market_asked(asked),
        interval=int(interval) if interval else None,
        status=asked.get("status", ""),
    )
    pages = Paginator(FileIngestionRecord.objects.matching(wanted), FILES_A_PAGE)
    query = asked.copy()
    query.pop("page", None)
    context = {
        "wanted": wanted,
        "releases": ArchiveRelease.objects.with_files(),
        "rows": pages.get_page(asked.get("page")),
        "number": pages.count,
        "intervals": list(Interval),
        "statuses": list(FileStatus),
        "query": query.urlencode(),
    }
    return render(request, "chandlery/files.html", context)
