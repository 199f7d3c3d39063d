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
from chandlery.web.pages.running import now_context, part_again, running

JOBS_A_PAGE = 30
FILES_A_PAGE = 50
MOST_FAILURES = 50
#: Of what its process said last, so much is shown.
LOG_BYTES = 4000


@require_safe
@page
def jobs(request: HttpRequest) -> HttpResponse:
    now = now_context(request)
    rows = Paginator(IngestionJob.objects.order_by("-created_at"), JOBS_A_PAGE).get_page(request.GET.get("page"))
    shown = [(row, what_text(row), widths(map(Interval, row.intervals))) for row in rows.object_list]
    return render(request, "chandlery/jobs.html", now | {"rows": rows, "shown": shown})


@require_safe
@page
def job(request: HttpRequest, pk: UUID) -> HttpResponse:
    return render(request, "chandlery/job.html", _context(request, pk))


@require_safe
@page
def job_running(request: HttpRequest, pk: UUID) -> HttpResponse:
    """What a job's page asks for again until the job has ended."""
    return part_again(request, "chandlery/_job.html", "chandlery/_job_again.html", _context(request, pk))


def _context(request: HttpRequest, pk: UUID) -> dict[str, object]:
    settle_dead(surroundings().time_of_day())
    row = get_object_or_404(IngestionJob, pk=pk)
    facts = JobFacts.of(row)
    # One that is about to go on still has the status it had.
    is_live = row.status in (JobStatus.PENDING, JobStatus.RUNNING) or row.in_hand is not None
    files = row.files.select_related("market").order_by("-completed_at", "file_path")
    return {
        "job": row,
        "known": f"{row.status} {'live' if is_live else 'at rest'}",
        "is_live": is_live,
        "facts": facts,
        "what": what_text(row),
        "widths": widths(map(Interval, row.intervals)),
        "running": running(row) if row.status == JobStatus.RUNNING else None,
        "failures": facts.failures[:MOST_FAILURES],
        "more_failures": len(facts.failures) - MOST_FAILURES,
        "rows": Paginator(files, FILES_A_PAGE).get_page(request.GET.get("page")),
        "log": _log(row) if may_act(request) else None,
        "can_resume": row.status != JobStatus.RUNNING,
        "may_act": may_act(request),
        "program": settings.PROGRAM,
    }


def _log(row: IngestionJob) -> str | None:
    """The end of what its process said; None where it was started from a terminal."""
    path = log_of(row)
    if not path.is_file():
        return None
    with path.open("rb") as log:
        skipped = max(0, path.stat().st_size - LOG_BYTES)
        log.seek(skipped)
        said = log.read(LOG_BYTES).decode(errors="replace")
    # It begins with a whole line.
    return said.partition("\n")[2] if skipped else said
