"""A job with what is on record of its work, for every rendering."""

from __future__ import annotations

import os
from dataclasses import dataclass

from django.conf import settings
from django.db.models import Q, QuerySet, Sum

from chandlery.candles.interval import Interval
from chandlery.errors import UsageError
from chandlery.models import OPEN, FileStatus, GapRecord, GapStatus, IngestionJob, JobStatus, Lease
from chandlery.pipeline.markets import select
from chandlery.pipeline.request import Selection
from chandlery.reporting.as_json import JsonObject, instant
from chandlery.reporting.jobs import job_as_json

_OPTIONS = (
    ("complete", True, "--complete"),
    ("incremental", True, "--incremental"),
    ("stop_on_error", True, "--stop-on-error"),
    ("api_backfill_enabled", False, "--no-api-backfill"),
    ("auto_gap_fill", False, "--no-auto-gap-fill"),
)


@dataclass(frozen=True, slots=True)
class JobFacts:
    """A job with what is on record of its work. `failures`: file, series or the API as a whole, and its line."""

    job: IngestionJob
    failures: tuple[tuple[str, str], ...]
    gaps: int
    candles_missing: int
    lease: Lease | None

    @classmethod
    def of(cls, job: IngestionJob) -> JobFacts:
        gaps = _gaps(job)
        left = gaps.aggregate(candles=Sum("missing_candles"))
        files = job.files.filter(status=FileStatus.FAILED).values_list("file_path", "error_message")
        unanswered = (
            gaps.filter(status=GapStatus.FAILED, backfill_attempted_at__gte=job.created_at)
            .values_list("market__altname", "interval_minutes", "error_message")
            .order_by("market__altname", "interval_minutes")
            .distinct()
        )
        series = ((f"{altname} {minutes}min", error) for altname, minutes, error in unanswered)
        # What a job that goes on keeps is of the time before.
        kept = [] if job.status == JobStatus.RUNNING else [(what, error) for what, error in job.failures]
        told = {error for _, error in kept}
        failures = [*kept, *((what, error) for what, error in (*files, *series) if error not in told)]
        return cls(job, tuple(failures), gaps.count(), left["candles"] or 0, job.leases.first())

    @property
    def resume(self) -> str:
        """The command that goes on with it; empty while it runs."""
        running = self.job.status == JobStatus.RUNNING
        return "" if running else f"{settings.PROGRAM} ingest_kraken_unified --resume {str(self.job.job_id)[:8]}"

    @property
    def options(self) -> list[str]:
        """What was asked beside the selection, as it is typed."""
        return [option for field, when, option in _OPTIONS if getattr(self.job, field) is when]

    @property
    def sources(self) -> list[str]:
        """Where it looked for archives."""
        return [path for path in self.job.csv_source_dir.split(os.pathsep) if path]

    def as_json(self) -> JsonObject:
        lease = self.lease
        return {
            **job_as_json(self.job),
            "sources": self.sources,
            "options": self.options,
            "failures": [{"what": what, "error": error} for what, error in self.failures],
            "gaps": self.gaps,
            "candles_missing": self.candles_missing,
            "held_by": {
                "host": lease.host,
                "process": lease.pid,
                "since": instant(lease.acquired_at),
                "heard_of": instant(lease.renewed_at),
            }
            if lease
            else None,
            "resume": self.resume or None,
        }


def _gaps(job: IngestionJob) -> QuerySet[GapRecord]:
    """The open gaps of what the job was asked for; none where no market is that any more."""
    selection = Selection(
        intervals=tuple(map(Interval, job.intervals)),
        tiers=tuple(tier for tier in job.tier.split(",") if tier),
        markets=tuple(job.markets),
        quotes=tuple(job.quotes),
    )
    within = Q(status__in=OPEN, interval_minutes__in=job.intervals)
    if job.start_date:
        within &= Q(gap_end__gt=job.start_date)
    if job.end_date:
        within &= Q(gap_start__lt=job.end_date)
    try:
        return GapRecord.objects.filter(within, market__in=select(selection))
    except UsageError:
        return GapRecord.objects.none()
