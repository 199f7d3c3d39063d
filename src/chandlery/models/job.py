"""Jobs: what was asked, and how far it came."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import ClassVar

from django.db import models

from chandlery.candles.interval import Interval


class JobStatus(models.TextChoices):
    PENDING = "PENDING"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    PAUSED = "PAUSED"


class IngestionJobs(models.Manager["IngestionJob"]):
    """Questions about jobs."""

    def asked_intervals(self) -> tuple[Interval, ...]:
        """The intervals that any job was asked for, the narrowest first."""
        asked = self.order_by().values_list("intervals", flat=True).distinct()
        return tuple(sorted({Interval(minutes) for intervals in asked for minutes in intervals}))

    def last_success(self) -> datetime | None:
        """When the last COMPLETED job ended; None where there is none."""
        done = self.filter(status=JobStatus.COMPLETED, completed_at__isnull=False)
        return done.order_by("-completed_at").values_list("completed_at", flat=True).first()


class IngestionJob(models.Model):
    """One run of the main command. All times UTC; `end_date` is exclusive."""

    job_id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tier = models.CharField(
        max_length=64, blank=True, help_text="Tiers asked for, joined by commas; empty for --markets."
    )
    markets = models.JSONField(default=list, help_text="Names of the markets asked for by --markets.")
    quotes = models.JSONField(default=list)
    intervals = models.JSONField(default=list, help_text="Widths in minutes.")
    start_date = models.DateTimeField(null=True, blank=True)
    end_date = models.DateTimeField(null=True, blank=True)
    status = models.CharField(max_length=10, choices=JobStatus.choices, default=JobStatus.PENDING)
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True, blank=True)
    completed_at = models.DateTimeField(null=True, blank=True)
    assets_count = models.PositiveIntegerField(default=0)
    total_files = models.PositiveIntegerField(default=0)
    files_ingested = models.PositiveIntegerField(default=0)
    files_skipped = models.PositiveIntegerField(default=0)
    files_failed = models.PositiveIntegerField(default=0)
    records_ingested = models.PositiveBigIntegerField(default=0, help_text="Rows of the files that were ingested.")
    candles_derived = models.PositiveBigIntegerField(default=0)
    candles_fetched = models.PositiveBigIntegerField(default=0, help_text="New candles that the API's answers brought.")
    candles_revised = models.PositiveBigIntegerField(
        default=0, help_text="Stored candles that a later answer of the API changed."
    )
    candles_conflicting = models.PositiveBigIntegerField(
        default=0, help_text="Candles of the API's answers that differ from a stronger source, which stands."
    )
    series_failed = models.PositiveIntegerField(default=0, help_text="Series that the API gave no answer for.")
    requests_made = models.PositiveIntegerField(default=0, help_text="Requests to the exchange, with repetitions.")
    trades_walked = models.PositiveBigIntegerField(default=0, help_text="Trades from which minutes were rebuilt.")
    csv_source_dir = models.TextField(blank=True, help_text="The sources, joined by the path separator.")
    sources = models.JSONField(
        null=True, blank=True, help_text="The sources named by --source; none: ARCHIVE_DIR, looked at anew each time."
    )
    api_backfill_enabled = models.BooleanField(default=True)
    auto_gap_fill = models.BooleanField(default=True)
    complete = models.BooleanField(default=False, help_text="--complete was asked.")
    incremental = models.BooleanField(default=False, help_text="--incremental was asked.")
    trade_budget = models.PositiveBigIntegerField(
        null=True, blank=True, default=0, help_text="Requests that one run may spend on trades; none: any number."
    )
    stop_on_error = models.BooleanField(default=False, help_text="--stop-on-error was asked.")
    in_hand = models.JSONField(null=True, blank=True, help_text="What it is at, and how far it is with that.")
    error_message = models.TextField(blank=True)
    failures = models.JSONField(default=list, help_text="Files, series and the API as a whole: [what, why] each.")

    objects: ClassVar[IngestionJobs] = IngestionJobs()

    class Meta:
        ordering = ("-created_at",)

    def __str__(self) -> str:
        return f"{str(self.job_id)[:8]} {self.tier or ','.join(self.markets)} {self.status}"

    def count(self, **more: int) -> None:
        """Add to these figures, in the database: `count(files_ingested=1)`."""
        added = {name: models.F(name) + number for name, number in more.items()}
        IngestionJob.objects.filter(pk=self.pk).update(**added)
