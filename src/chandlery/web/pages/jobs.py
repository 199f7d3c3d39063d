"""Jobs: what ran, what runs, how far it came, what failed, and how to go on with it."""

from __future__ import annotations

from uuid import UUID

from django.conf import settings
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from chandlery.candles.interval import Interval
from chandlery.config.surroundings import surroundings
from chandlery.models import IngestionJob, JobStatus
from chandlery.pipeline.job_facts import JobFacts
from chandlery.pipeline.lease import settle_dead
from chandlery.reporting.jobs import what_text
from chandlery.reporting.wording import widths
from chandlery.web.access import may_act
from chandlery.web.actions import log_of
from chandlery.web.pages.asked import page
from chandlery.web.pages.running import running, running_jobs

JOBS_A_PAGE = 30
FILES_A_PAGE = 50
MOST_FAILURES = 50
#: Of what its process said last, so much is shown.
LOG_BYTES = 4000


@require_safe
@page
def jobs(request: HttpRequest) -> HttpResponse:
    now = running_jobs()
    rows = Paginator(IngestionJob.objects.order_by("-created_at"), JOBS_A_PAGE).get_page(request.GET.get("page"))
    shown = [(row, what_text(row), widths(map(Interval, row.intervals))) for row in rows.object_list]
    context = {"rows": rows, "shown": shown, "jobs": now, "may_act": may_act(request)}
    return render(request, "chandlery/jobs.html", context)


@require_safe
@page
def job(request: HttpRequest, pk: UUID) -> HttpResponse:
    settle_dead(surroundings().time_of_day())
    row = get_object_or_404(IngestionJob, pk=pk)
    facts = JobFacts.of(row)
    files = row.files.select_related("market").order_by("-completed_at", "file_path")
    context = {
        "job": row,
        "facts": facts,
        "what": what_text(row),
        "widths": widths(map(Interval, row.intervals)),
        "jobs": [running(row)] if row.status == JobStatus.RUNNING else [],
        "failures": facts.failures[:MOST_FAILURES],
        "more_failures": len(facts.failures) - MOST_FAILURES,
        "rows": Paginator(files, FILES_A_PAGE).get_page(request.GET.get("page")),
        "log": _log(row) if may_act(request) else "",
        "can_resume": row.status != JobStatus.RUNNING,
        "may_act": may_act(request),
        "program": settings.PROGRAM,
    }
    return render(request, "chandlery/job.html", context)


def _log(row: IngestionJob) -> str:
    """The end of what its process said; empty where it was started from a terminal."""
    path = log_of(row)
    if not path.is_file():
        return ""
    with path.open("rb") as log:
        log.seek(max(0, path.stat().st_size - LOG_BYTES))
        return log.read().decode(errors="replace")
