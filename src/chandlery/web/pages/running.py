"""What is going on now: running jobs, what they have in hand, and how far they are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from chandlery.config.surroundings import surroundings
from chandlery.models import IngestionJob, JobStatus
from chandlery.pipeline.lease import LOCAL, settle_dead
from chandlery.reporting.in_hand import InHand
from chandlery.reporting.jobs import what_text
from chandlery.reporting.wording import sentence
from chandlery.web.access import may_act


@dataclass(frozen=True, slots=True)
class RunningJob:
    """A job at work: `text` is what it has in hand and how far it is; `elsewhere` the other host that it runs on."""

    job: IngestionJob
    what: str
    in_hand: InHand
    text: str
    elsewhere: str = ""

    @property
    def files_done(self) -> int:
        return self.job.files_ingested + self.job.files_skipped


def running_jobs() -> list[RunningJob]:
    """The newest first; those whose process was killed are FAILED by now."""
    settle_dead(surroundings().time_of_day())
    return [running(job) for job in IngestionJob.objects.filter(status=JobStatus.RUNNING).prefetch_related("leases")]


def running(job: IngestionJob) -> RunningJob:
    # What is in hand is kept by the time of day, whatever the setting CLOCK says.
    now = datetime.now(UTC)
    in_hand = InHand.of_json(job.in_hand) if job.in_hand else InHand("beginning", now)
    lease = next(iter(job.leases.all()), None)
    elsewhere = lease.host if lease and lease.host != LOCAL.host else ""
    return RunningJob(job, what_text(job), in_hand, sentence(in_hand.text(now)), elsewhere)


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
