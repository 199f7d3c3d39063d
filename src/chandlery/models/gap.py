"""Gaps on record: each keeps its row for as long as any of it is open."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from django.db import models, transaction

from chandlery.candles.gap import Reason
from chandlery.candles.timerange import TimeRange
from chandlery.models.asset import Market
from chandlery.models.held_rows import hold


class GapStatus(models.TextChoices):
    DETECTED = "DETECTED"
    BACKFILLING = "BACKFILLING"
    FILLED = "FILLED"
    UNFILLABLE = "UNFILLABLE"
    FAILED = "FAILED"
    ACCEPTED = "ACCEPTED"


OPEN = (GapStatus.DETECTED, GapStatus.BACKFILLING, GapStatus.UNFILLABLE, GapStatus.FAILED, GapStatus.ACCEPTED)


class GapRecords(models.Manager["GapRecord"]):
    """Questions about gaps, each asked in one place."""

    def open_of(self, markets: Iterable[Market], intervals: Iterable[int]) -> list[GapRecord]:
        """Those of these series that are open, with their markets, in order of time."""
        rows = self.filter(market__in=list(markets), interval_minutes__in=list(intervals), status__in=OPEN)
        return list(rows.order_by("gap_start").select_related("market"))

    def give_up_backfilling(self, markets: Iterable[Market], intervals: Iterable[int]) -> None:
        """What was being asked for of these series when a run ended before its time is open as before."""
        rows = self.filter(market__in=list(markets), interval_minutes__in=list(intervals), status=GapStatus.BACKFILLING)
        with transaction.atomic():
            hold(rows)
            rows.update(status=GapStatus.DETECTED)


class GapRecord(models.Model):
    """A maximal run of open slots. Half-open, UTC. Never split at the moving API window: that split is planning."""

    market = models.ForeignKey(Market, models.CASCADE, related_name="gaps")
    interval_minutes = models.PositiveSmallIntegerField()
    gap_start = models.DateTimeField()
    gap_end = models.DateTimeField()
    missing_candles = models.PositiveBigIntegerField()
    reason = models.CharField(max_length=8, choices=[(r.value, r.value) for r in Reason], default=Reason.MISSING)
    is_api_fillable = models.BooleanField(
        default=False, help_text="Wholly inside the API's window when last looked at."
    )
    overflow_candles = models.PositiveBigIntegerField(default=0, help_text="Its slots outside that window.")
    status = models.CharField(max_length=12, choices=GapStatus.choices, default=GapStatus.DETECTED)
    detected_at = models.DateTimeField()
    backfill_attempted_at = models.DateTimeField(null=True, blank=True)
    filled_at = models.DateTimeField(null=True, blank=True)
    required_csv_file = models.TextField(blank=True, help_text="What to fetch, where the API cannot answer.")
    error_message = models.TextField(blank=True)

    objects: ClassVar[GapRecords] = GapRecords()

    class Meta:
        ordering = ("market", "interval_minutes", "gap_start")
        constraints = [
            models.CheckConstraint(
                condition=models.Q(gap_end__gt=models.F("gap_start")), name="gap_ends_after_it_starts"
            ),
            # two open gaps of a series cannot start at one slot: reconciliation would have matched them
            models.UniqueConstraint(
                fields=["market", "interval_minutes", "gap_start"],
                condition=~models.Q(status=GapStatus.FILLED),
                name="one_open_gap_a_start",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.market} {self.interval_minutes}m {self.gap_start:%F %R} to {self.gap_end:%F %R} {self.status}"

    @property
    def range(self) -> TimeRange:
        return TimeRange(self.gap_start, self.gap_end)
