"""Gaps on record: each keeps its row for as long as any of it is open."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from django.db import models, transaction

from chandlery.candles.gap import Reason
from chandlery.candles.timerange import RangeSet, TimeRange
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


@dataclass(frozen=True, slots=True)
class GapFilter:
    """Which gaps; empty: whatever. Without a status those that are open, accepted ones aside."""

    tier: str = ""
    quotes: tuple[str, ...] = ()
    market: str = ""
    interval: int | None = None
    reason: str = ""
    status: str = ""


class GapRecords(models.Manager["GapRecord"]):
    """Questions about gaps, each asked in one place."""

    def open_of(self, markets: Iterable[Market], intervals: Iterable[int]) -> list[GapRecord]:
        """Those of these series that are open, with their markets, in order of time."""
        rows = self.filter(market__in=list(markets), interval_minutes__in=list(intervals), status__in=OPEN)
        return list(rows.order_by("gap_start").select_related("market"))

    def accepted(self, markets: Iterable[int]) -> dict[tuple[int, int], RangeSet]:
        """What a person has accepted of these markets, by market and width, in one query."""
        found: dict[tuple[int, int], list[TimeRange]] = defaultdict(list)
        for row in self.filter(market__in=list(markets), status=GapStatus.ACCEPTED).order_by("gap_start"):
            found[row.market_id, row.interval_minutes].append(row.range)
        return {key: RangeSet(ranges) for key, ranges in found.items()}

    def matching(self, wanted: GapFilter) -> models.QuerySet[GapRecord]:
        """With their markets, by market, interval and time."""
        rows = self.select_related("market", "market__base")
        statuses = [wanted.status] if wanted.status else [status for status in OPEN if status != GapStatus.ACCEPTED]
        rows = rows.filter(status__in=statuses)
        if wanted.tier or wanted.quotes:
            tiers = (wanted.tier,) if wanted.tier else None
            rows = rows.filter(market__in=Market.objects.chosen(tiers, wanted.quotes or None))
        if wanted.market:
            rows = rows.filter(market__altname=wanted.market)
        if wanted.interval is not None:
            rows = rows.filter(interval_minutes=wanted.interval)
        if wanted.reason:
            rows = rows.filter(reason=wanted.reason)
        return rows.order_by("market__altname", "interval_minutes", "gap_start")

    def on_record(
        self,
        markets: Iterable[int],
        intervals: Iterable[int],
        statuses: Iterable[str],
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> models.QuerySet[GapRecord]:
        """Those of these series that overlap [start, end), with their markets, by market, interval and time."""
        rows = self.filter(market__in=list(markets), interval_minutes__in=list(intervals), status__in=list(statuses))
        if start is not None:
            rows = rows.filter(gap_end__gt=start)
        if end is not None:
            rows = rows.filter(gap_start__lt=end)
        return rows.select_related("market").order_by("market__altname", "interval_minutes", "gap_start", "pk")

    def by_status(self) -> dict[str, int]:
        """How many there are of each status, in one query."""
        counted = dict(self.values_list("status").annotate(models.Count("pk")).order_by())
        return {status.value: counted.get(status.value, 0) for status in GapStatus}

    def marks(self) -> dict[int, int]:
        """For each market something that changes whenever somebody acts on one of its gaps, in one query."""
        found: dict[int, int] = defaultdict(int)
        acted_on = (GapStatus.BACKFILLING, GapStatus.FAILED, GapStatus.ACCEPTED)
        rows = self.filter(status__in=acted_on).order_by("market_id", "pk")
        columns = ("market_id", "interval_minutes", "gap_start", "gap_end", "status", "error_message")
        for pk, *told in rows.values_list(*columns).iterator():
            found[pk] = hash((found[pk], *told))
        return found

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

    def accept(self) -> None:
        """It stays open, and no request is spent on it. What an archive holds of it is taken in all the same."""
        self.status = GapStatus.ACCEPTED
        self.save(update_fields=["status"])
