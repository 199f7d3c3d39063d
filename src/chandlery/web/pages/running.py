"""What is going on now: running jobs, how far they are, and at what pace."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from django.db.models import Count, Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from chandlery.config.surroundings import surroundings
from chandlery.models import FileIngestionRecord, IngestionJob, JobStatus
from chandlery.pipeline.lease import LOCAL, settle_dead
from chandlery.reporting.jobs import what_text
from chandlery.reporting.progress import Pace
from chandlery.web.access import may_act


@dataclass(frozen=True, slots=True)
class RunningJob:
    """A job at work. `latest` is the file that was recorded last; files are read side by side, so others follow.
    `elsewhere` is the other host that it runs on.
    """

    job: IngestionJob
    what: str
    done: int
    pace: Pace
    latest: FileIngestionRecord | None
    elsewhere: str = ""

    @property
    def reads_files(self) -> bool:
        """Whether files are left to read: what comes after them has no length that anybody knew."""
        return self.done < self.job.total_files

    @property
    def percent(self) -> int:
        return min(100, 100 * self.done // self.job.total_files) if self.job.total_files else 0


def running_jobs() -> list[RunningJob]:
    """The newest first; those whose process was killed are FAILED by now."""
    settle_dead(surroundings().time_of_day())
    return [running(job) for job in IngestionJob.objects.filter(status=JobStatus.RUNNING).prefetch_related("leases")]


def running(job: IngestionJob) -> RunningJob:
    # A job that goes on has a pace since it went on: what it had done before took other time.
    lease = next(iter(job.leases.all()), None)
    since = lease.acquired_at if lease else job.started_at or job.created_at
    fresh = job.files.filter(completed_at__gte=since).aggregate(files=Count("pk"), rows=Sum("records_count"))
    done = job.files_ingested + job.files_skipped
    # Leases are held by the time of day, whatever the setting CLOCK says.
    pace = Pace(
        done=fresh["files"],
        total=fresh["files"] + max(0, job.total_files - done),
        rows=fresh["rows"] or 0,
        seconds=max(0.0, (datetime.now(UTC) - since).total_seconds()),
    )
    elsewhere = lease.host if lease and lease.host != LOCAL.host else ""
    return RunningJob(job, what_text(job), done, pace, job.files.order_by("-completed_at").first(), elsewhere)


@require_safe
def now_running(request: HttpRequest) -> HttpResponse:
    """The part of a page that asks for itself again."""
    return part_again(request, "chandlery/_running.html", "chandlery/_running_again.html", now_context(request))


def now_context(request: HttpRequest) -> dict[str, object]:
    """What the part needs that tells what is going on."""
    jobs = running_jobs()
    return {"jobs": jobs, "known": ",".join(str(one.job.pk) for one in jobs), "may_act": may_act(request)}


def part_again(request: HttpRequest, whole: str, figures: str, context: dict[str, object]) -> HttpResponse:
    """A part that asks again, and says by `known` what it shows: figures alone where that is what there still is. Its
    buttons and links stay where they are then, with whoever is about to press them.
    """
    if request.GET.get("known") != context["known"]:
        return render(request, whole, context)
    answer = render(request, figures, context | {"again": True})
    answer["HX-Reswap"] = "none"
    return answer
