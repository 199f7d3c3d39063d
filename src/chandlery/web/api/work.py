"""What was done, and what can be set going by whoever shows the API_TOKEN."""

from __future__ import annotations

from typing import Annotated, Literal

from django.http import HttpRequest, JsonResponse
from ninja import Path as FromPath
from ninja import Query as FromAddress
from ninja import Router, Schema
from pydantic import ConfigDict, Field, StringConstraints

from chandlery.config.surroundings import surroundings
from chandlery.models import FileIngestionRecord, IngestionJob
from chandlery.models.archive import FileFilter
from chandlery.pipeline.accept import accept_findings, accept_gap
from chandlery.pipeline.findings import entry_of
from chandlery.pipeline.job_facts import JobFacts
from chandlery.pipeline.jobs import find_job
from chandlery.pipeline.lease import settle_dead
from chandlery.pipeline.markets import named
from chandlery.pipeline.request import TRADE_BUDGET
from chandlery.pipeline.selecting import selection_of
from chandlery.reporting.as_json import JsonObject, instant
from chandlery.reporting.findings import finding_as_json
from chandlery.reporting.jobs import job_as_json
from chandlery.web import actions
from chandlery.web.api import shapes
from chandlery.web.api.asked import Day, Names, Page, Tier, Widths, page_of
from chandlery.web.api.state import gap_as_json
from chandlery.web.api.token import Token

router = Router(tags=["What was done"])
acting = Router(tags=["Set going"], auth=Token())

LARGEST_ID = 2**63 - 1
Id = Annotated[int, FromPath(ge=1, le=LARGEST_ID)]
JobId = Annotated[str, FromPath(description="its id, or as much of it as tells it from others", max_length=36)]
Words = Annotated[str, StringConstraints(min_length=1, max_length=2000, pattern=r"^[^\x00]*$")]


class FilesAsked(Page):
    market: Names = ""
    interval: Literal["", "1", "5", "15", "30", "60", "240", "720", "1440"] = ""
    status: Literal["", "PENDING", "INGESTING", "COMPLETED", "FAILED", "SKIPPED"] = ""


class Told(Schema):
    """A body: only what is named here."""

    model_config = ConfigDict(extra="forbid")


class FillWanted(Told):
    """What to fill, as `ingest_kraken_unified` is asked; names joined by commas."""

    tier: Tier = ""
    markets: Names = ""
    quotes: Names = "USD"
    intervals: Widths = ""
    start_date: Day = ""
    end_date: Day = ""
    complete: bool = False
    trade_budget: int = Field(TRADE_BUDGET, ge=0, le=10**9, description="requests that may be spent on trades")


class Reason(Told):
    """Why it is as it should be; kept with it."""

    why: Words


@router.get("/jobs", response=shapes.read(shapes.Jobs), summary="Jobs, the newest first")
def jobs(request: HttpRequest, asked: FromAddress[Page]) -> JsonResponse:
    settle_dead(surroundings().time_of_day())
    return JsonResponse(page_of("jobs", IngestionJob.objects.order_by("-created_at", "pk"), asked, job_as_json))


@router.get("/jobs/{job}", response=shapes.read(shapes.JobWhole), summary="One job, as show_job tells it")
def job(request: HttpRequest, job: JobId) -> JsonResponse:
    settle_dead(surroundings().time_of_day())
    return JsonResponse(JobFacts.of(find_job(job)).as_json())


@router.get("/files", response=shapes.read(shapes.Files), summary="Files, those recorded last first")
def files(request: HttpRequest, asked: FromAddress[FilesAsked]) -> JsonResponse:
    wanted = FileFilter(
        market=named(asked.market).altname if asked.market else "",
        interval=int(asked.interval) if asked.interval else None,
        status=asked.status,
    )
    return JsonResponse(page_of("files", FileIngestionRecord.objects.matching(wanted), asked, _file))


@acting.post("/fill", response=shapes.done(shapes.JobShape, 202), summary="Start a job that closes what is open")
def fill(request: HttpRequest, wanted: FillWanted) -> JsonResponse:
    selection = selection_of(
        {
            "tier": wanted.tier or None,
            "tiers": [],
            "markets": [wanted.markets],
            "quotes": [wanted.quotes],
            "intervals": [wanted.intervals] if wanted.intervals else None,
            "start_date": wanted.start_date or None,
            "end_date": wanted.end_date or None,
        }
    )
    started = actions.fill_gaps(actions.Fill(selection, wanted.complete, wanted.trade_budget))
    return JsonResponse(job_as_json(started), status=202)


@acting.post("/jobs/{job}/resume", response=shapes.done(shapes.JobShape, 202), summary="Go on with a job")
def resume(request: HttpRequest, job: JobId) -> JsonResponse:
    return JsonResponse(job_as_json(actions.resume(find_job(job))), status=202)


@acting.post(
    "/jobs/{job}/pause", response=shapes.done(shapes.JobShape, 202), summary="Stop a job after what is in hand"
)
def pause(request: HttpRequest, job: JobId) -> JsonResponse:
    return JsonResponse(job_as_json(actions.pause(find_job(job))), status=202)


@acting.post(
    "/gaps/{id}/accept",
    response=shapes.done(shapes.GapOnRecord),
    summary="A gap stays open, and no request is spent on it",
)
def accept_a_gap(request: HttpRequest, id: Id) -> JsonResponse:  # noqa: A002 - the name in the address
    return JsonResponse(gap_as_json(accept_gap(id)))


@acting.post(
    "/findings/{id}/accept", response=shapes.done(shapes.FindingShape), summary="A finding contradicts nothing any more"
)
def accept_a_finding(request: HttpRequest, id: Id, reason: Reason) -> JsonResponse:  # noqa: A002
    [row] = accept_findings([id], reason.why)
    return JsonResponse(finding_as_json(entry_of(row)))


def _file(row: FileIngestionRecord) -> JsonObject:
    return {
        "path": row.file_path,
        "name": row.file_name,
        "release": row.release.name if row.release else None,
        "job_id": str(row.job_id) if row.job_id else None,
        "market": row.market.altname if row.market else None,
        "interval_minutes": row.interval_minutes,
        "status": row.status,
        "size_bytes": row.file_size_bytes,
        "sha256": row.file_hash or None,
        "records": row.records_count,
        "conflicting_records": row.conflicting_records,
        "start": instant(row.date_range_start),
        "end": instant(row.date_range_end),
        "started_at": instant(row.started_at),
        "completed_at": instant(row.completed_at),
        "error": row.error_message or None,
    }
