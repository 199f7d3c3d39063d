"""Outages: times in which every busy market of an exchange was all but quiet at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, ClassVar

from django.db import models

from chandlery.candles.audit.outage import VenueOutage
from chandlery.candles.timerange import RangeSet, TimeRange
from chandlery.models.exchange import Exchange


class Outages(models.Manager["Outage"]):
    """Questions about outages, and the one way to change them."""

    def overlapping(self, exchange: str, within: RangeSet) -> list[Outage]:
        """Those that overlap any of it, in order."""
        span = within.span
        if span is None:
            return []
        rows = self.filter(exchange=exchange, start__lt=span.end, end__gt=span.start).order_by("start")
        return [row for row in rows if within & RangeSet([row.range])]

    def reconcile(self, exchange: str, found: Sequence[VenueOutage], looked_at: Iterable[Outage], now: datetime) -> int:
        """Bring those `looked_at` in line with what was found; how many rows came, changed or went. An outage keeps its
        row while it grows or shrinks. Others on record stay as they are, and so do those that would grow into
        them: what was found of them was found of a part of their markets; nor is one touched that somebody has changed
        since it was read. Inside the caller's transaction, which holds the exchange from here on.
        """
        Exchange.objects.hold(exchange)
        was = {row.pk: row for row in looked_at}
        rows = {row.pk: row for row in self.filter(pk__in=was) if row.told == was[row.pk].told}
        others = self.overlapping(exchange, RangeSet(one.range for one in found))
        left_alone = RangeSet(row.range for row in others if row.pk not in rows)
        kept: list[tuple[Outage, VenueOutage]] = []
        for outage in found:
            met = [row for row in rows.values() if row.range.overlaps(outage.range)]
            if left_alone & RangeSet([outage.range]):
                for row in met:
                    del rows[row.pk]
                continue
            kept.append((rows.pop(met[0].pk) if met else Outage(exchange=exchange, found_at=now), outage))
        for row in rows.values():
            row.delete()
        changed = [row for row, outage in kept if row.take(outage)]
        for row in changed:
            row.save()
        return len(rows) + len(changed)


class Outage(models.Model):
    """A time in which busy markets were all but quiet at once: their quiet slots are explained. Half-open, UTC."""

    exchange = models.CharField(max_length=16, default="kraken")
    start = models.DateTimeField()
    end = models.DateTimeField()
    markets = models.JSONField(default=list, help_text="Those that were quiet, or all but quiet, by name.")
    weak = models.BooleanField(default=False, help_text="Only one or two busy markets were there to witness it.")
    evidence = models.JSONField(default=dict, help_text="What was due in other markets, and what they traded.")
    found_at = models.DateTimeField()

    objects: ClassVar[Outages] = Outages()

    class Meta:
        ordering = ("exchange", "start")
        constraints = [
            models.CheckConstraint(condition=models.Q(end__gt=models.F("start")), name="outage_ends_after_it_starts"),
            # one is found once: reconciling matches outages by what they overlap
            models.UniqueConstraint(fields=["exchange", "start"], name="one_outage_a_start"),
        ]
        indexes = [
            # overlapping(): every audit of candles asks which outages to look at again
            models.Index(fields=["exchange", "start", "end"], name="outage_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.exchange} {self.start:%F %R} to {self.end:%F %R}{' (weak)' if self.weak else ''}"

    @property
    def range(self) -> TimeRange:
        return TimeRange(self.start, self.end)

    @property
    def told(self) -> tuple[datetime, datetime, list[str], bool, dict[str, Any]]:
        """All that was found of it."""
        return self.start, self.end, self.markets, self.weak, self.evidence

    def take(self, outage: VenueOutage) -> bool:
        """Put down what was found this time; whether anything is other than before."""
        evidence = {
            "witnesses": [{"market": w.market, "due": round(w.due, 1), "seen": w.seen} for w in outage.witnesses]
        }
        told = (outage.range.start, outage.range.end, list(outage.markets), outage.weak, evidence)
        if not self._state.adding and self.told == told:
            return False
        self.start, self.end, self.markets, self.weak, self.evidence = told
        return True
