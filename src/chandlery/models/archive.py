"""Archives and files: what was found on disk, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from django.db import models

from chandlery.models.asset import Market
from chandlery.models.job import IngestionJob


class Releases(models.Manager["ArchiveRelease"]):
    """Questions about releases."""

    def with_files(self) -> models.QuerySet[ArchiveRelease]:
        """The newest first, each with the number of its files on record, of their rows, and of those that failed."""
        failed = models.Count("files", filter=models.Q(files__status=FileStatus.FAILED))
        counted = self.annotate(
            number=models.Count("files"), recorded_rows=models.Sum("files__records_count"), failed=failed
        )
        return counted.order_by("-rank")


class ArchiveRelease(models.Model):
    """One archive as published. `members` maps an interval in minutes (as text) to the markets it holds."""

    name = models.CharField(max_length=200)
    rank = models.CharField(max_length=200, unique=True, help_text="Sorts releases as answers: the greater one wins.")
    period_start = models.DateTimeField(null=True, blank=True, help_text="UTC; empty for a complete release.")
    period_end = models.DateTimeField(help_text="UTC, exclusive.")
    complete = models.BooleanField()
    whole = models.BooleanField(default=True, help_text="Whether what it lacks was not in the archive either.")
    members = models.JSONField(default=dict)

    objects: ClassVar[Releases] = Releases()

    class Meta:
        ordering = ("rank",)

    def __str__(self) -> str:
        return self.name


class FileStatus(models.TextChoices):
    PENDING = "PENDING"
    INGESTING = "INGESTING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    SKIPPED = "SKIPPED"


@dataclass(frozen=True, slots=True)
class FileFilter:
    """Which files; empty: whatever."""

    release: int | None = None
    market: str = ""
    interval: int | None = None
    status: str = ""


class FileRecords(models.Manager["FileIngestionRecord"]):
    """Questions about files."""

    def failed(self) -> models.QuerySet[FileIngestionRecord]:
        """Those that could not be read, with their jobs, the last ones first."""
        return self.filter(status=FileStatus.FAILED).select_related("job").order_by("-completed_at", "file_path")

    def matching(self, wanted: FileFilter) -> models.QuerySet[FileIngestionRecord]:
        """With their markets and releases, those recorded last first."""
        rows = self.select_related("market", "release")
        if wanted.release is not None:
            rows = rows.filter(release=wanted.release)
        if wanted.market:
            rows = rows.filter(market__altname=wanted.market)
        if wanted.interval is not None:
            rows = rows.filter(interval_minutes=wanted.interval)
        if wanted.status:
            rows = rows.filter(status=wanted.status)
        return rows.order_by("-completed_at", "file_path")


class FileIngestionRecord(models.Model):
    """One file as it was found: its place and signature tell whether it changed, its hash what it holds."""

    job = models.ForeignKey(IngestionJob, models.SET_NULL, null=True, related_name="files")
    release = models.ForeignKey(ArchiveRelease, models.SET_NULL, null=True, blank=True, related_name="files")
    file_path = models.TextField(help_text="Archive and member, or the path of a loose file.")
    file_name = models.CharField(max_length=200)
    signature = models.CharField(max_length=200, help_text="Tells an unchanged file without reading it.")
    file_size_bytes = models.PositiveBigIntegerField()
    file_hash = models.CharField(max_length=64, blank=True, help_text="SHA-256 of the uncompressed content.")
    rank = models.CharField(
        max_length=200, blank=True, help_text="As what its rows stand in the store; see ArchiveRelease."
    )
    market = models.ForeignKey(Market, models.CASCADE, null=True, related_name="files")
    interval_minutes = models.PositiveSmallIntegerField(null=True)
    status = models.CharField(max_length=10, choices=FileStatus.choices, default=FileStatus.PENDING)
    records_count = models.PositiveBigIntegerField(default=0)
    conflicting_records = models.PositiveBigIntegerField(
        default=0, help_text="Rows that differ from another settled answer."
    )
    first_conflict = models.DateTimeField(null=True, blank=True)
    date_range_start = models.DateTimeField(null=True, blank=True, help_text="Open of its first slot.")
    date_range_end = models.DateTimeField(null=True, blank=True, help_text="End of its last slot.")
    started_at = models.DateTimeField(null=True, blank=True)
    completed_at = models.DateTimeField(null=True, blank=True)
    error_message = models.TextField(blank=True)

    objects: ClassVar[FileRecords] = FileRecords()

    class Meta:
        ordering = ("file_path",)
        constraints = [models.UniqueConstraint(fields=["file_path", "signature"], name="one_record_a_file_as_found")]
        indexes = [
            # "was this content ingested before?", asked for every file whose size is known
            models.Index(fields=["market", "interval_minutes", "file_size_bytes"], name="file_by_series_and_size"),
        ]

    def __str__(self) -> str:
        return self.file_path
