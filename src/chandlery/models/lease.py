"""Leases: which run may write which series, and whether that run is still alive."""

from __future__ import annotations

import uuid

from django.db import models

from chandlery.models.asset import Market
from chandlery.models.job import IngestionJob


class Lease(models.Model):
    """One run that writes. It falls when its process is dead (same host), or has not been heard of in time."""

    token = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    job = models.ForeignKey(IngestionJob, models.CASCADE, null=True, blank=True, related_name="leases")
    purpose = models.CharField(max_length=100, help_text="What holds it, for a person: job 1a2b3c4d, rebuild_state.")
    host = models.CharField(max_length=255)
    pid = models.PositiveIntegerField()
    process_started = models.FloatField(help_text="Unix seconds: a pid is used again, a pid with its start is not.")
    acquired_at = models.DateTimeField()
    renewed_at = models.DateTimeField()
    expires_at = models.DateTimeField()

    class Meta:
        ordering = ("acquired_at",)

    def __str__(self) -> str:
        return f"{self.purpose} (process {self.pid} on {self.host})"


class LeasedSeries(models.Model):
    """A series that one run may write, and no other."""

    lease = models.ForeignKey(Lease, models.CASCADE, related_name="series")
    market = models.ForeignKey(Market, models.CASCADE, related_name="leases")
    interval_minutes = models.PositiveSmallIntegerField()

    class Meta:
        ordering = ("market", "interval_minutes")
        constraints = [models.UniqueConstraint(fields=["market", "interval_minutes"], name="one_lease_a_series")]

    def __str__(self) -> str:
        return f"{self.market} {self.interval_minutes}m: {self.lease}"
