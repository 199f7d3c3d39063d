"""The ledger and the audit of stored weeks against it, each as one compact array."""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from functools import cached_property
from typing import ClassVar

import numpy as np
from django.db import models

from chandlery.candles.interval import EPOCH
from chandlery.candles.ledger import WEEK, Figures, Verdicts, WeekVerdict, ranges_of
from chandlery.candles.timerange import RangeSet, TimeRange
from chandlery.models.asset import Market
from chandlery.models.coverage import SeriesKey

Packed = bytes | memoryview
"""As a database hands it out."""

#: Rows a statement: they hold some ten kilobytes each.
BATCH = 500


class Ledgers(models.Manager["Ledger"]):
    """Questions about the ledger, and the one way to change it."""

    def of_markets(self, markets: Iterable[int]) -> dict[int, Ledger]:
        """By primary key of the market, in one query."""
        return {row.market_id: row for row in self.filter(market__in=list(markets))}

    def put(self, market: Market, answer: Figures, *, reaches_first: bool, asked_at: datetime) -> RangeSet:
        """Keep an answer of the exchange; the weeks that are new or other than before. What has left the window stays
        as it was told. `reaches_first`: nothing traded before its first week. Inside the caller's transaction, which
        holds the market from here on.
        """
        Market.objects.hold([market.pk])
        row = self.filter(market=market).first() or Ledger(market=market)
        before = row.figures
        after = before.overlaid(answer)
        row.first_week, row.end_week = after.first, after.end
        row.packed = _packed(after)
        row.trades = int(after.trades[after.known].sum())
        row.reaches_first = row.reaches_first or reaches_first
        row.asked_at = asked_at
        row.save()
        was = before.over(after.first, len(after))
        return ranges_of((was.trades != after.trades) | (was.volume != after.volume), after.first)


class Ledger(models.Model):
    """What the exchange itself counts of each week of a market: trades and volume.

    One array a market: a row a week would be 876,000 rows for 1,400 markets and 12 years.
    """

    market = models.OneToOneField(Market, models.CASCADE, related_name="ledger")
    first_week = models.IntegerField(default=0, help_text="Weeks since the epoch, a Thursday.")
    end_week = models.IntegerField(default=0, help_text="The week after the last one.")
    packed = models.BinaryField(default=b"", help_text="zlib of little-endian int64 trades, then float64 volumes.")
    trades = models.PositiveBigIntegerField(default=0, help_text="The sum of all weeks.")
    reaches_first = models.BooleanField(default=False, help_text="Nothing traded before its first week.")
    asked_at = models.DateTimeField(help_text="When the exchange was asked last.")

    objects: ClassVar[Ledgers] = Ledgers()

    class Meta:
        ordering = ("market",)

    def __str__(self) -> str:
        return f"{self.market}: {self.weeks} weeks, {self.trades} trades"

    @property
    def weeks(self) -> int:
        return self.end_week - self.first_week

    @cached_property
    def figures(self) -> Figures:
        """As they were when the row was read."""
        return _unpacked(self.first_week, self.packed)

    @property
    def first_traded(self) -> datetime | None:
        """The start of the first week in which the market traded, UTC; None where the ledger may begin later."""
        figures = self.figures
        traded = np.flatnonzero(figures.trades > 0)
        return EPOCH + (self.first_week + int(traded[0])) * WEEK if self.reaches_first and len(traded) else None


class AuditedSeries(models.Manager["AuditedWeeks"]):
    """Questions about audited weeks, and the ways to change them."""

    def of_markets(self, markets: Iterable[int]) -> dict[SeriesKey, AuditedWeeks]:
        """In one query."""
        rows = self.filter(market__in=list(markets)).iterator(BATCH)
        return {(row.market_id, row.interval_minutes): row for row in rows}

    def confirmed(self, markets: Iterable[int]) -> dict[SeriesKey, RangeSet]:
        """The weeks of every series that are CONFIRMED, in one query that leaves the sums where they are."""
        rows = self.filter(market__in=list(markets), confirmed_weeks__gt=0)
        found = rows.values_list("market_id", "interval_minutes", "first_week", "verdicts")
        return {(pk, minutes): _confirmed(first, packed) for pk, minutes, first, packed in found.iterator(BATCH)}

    def confirmed_at(self, markets: Iterable[int], interval_minutes: int) -> dict[int, RangeSet]:
        """The same for one interval, by primary key of the market."""
        rows = self.filter(market__in=list(markets), interval_minutes=interval_minutes, confirmed_weeks__gt=0)
        found = rows.values_list("market_id", "first_week", "verdicts")
        return {pk: _confirmed(first, packed) for pk, first, packed in found.iterator(BATCH)}

    def marks(self) -> dict[int, int]:
        """For each market something that changes whenever its verdicts do, in one query."""
        found: dict[int, int] = defaultdict(int)
        rows = self.order_by("market_id", "interval_minutes")
        for pk, minutes, first, packed in rows.values_list(
            "market_id", "interval_minutes", "first_week", "verdicts"
        ).iterator(BATCH):
            found[pk] = hash((found[pk], minutes, first, zlib.crc32(packed)))
        return found

    def outdate(self, market: Market, interval_minutes: int, within: RangeSet) -> None:
        """Candles in `within` may have changed: those weeks are to be counted anew. One cheap query where none of them
        was counted.
        """
        span = within.span
        if span is None:
            return
        first, end = (span.start - EPOCH) // WEEK, -((EPOCH - span.end) // WEEK)
        rows = self.filter(market=market, interval_minutes=interval_minutes, first_week__lt=end, end_week__gt=first)
        for row in rows:
            if row.outdate(within):
                row.save()

    def put(self, rows: Iterable[AuditedWeeks]) -> None:
        """Save rows, new ones and others."""
        fresh: list[AuditedWeeks] = []
        for row in rows:
            if row._state.adding:
                fresh.append(row)
            else:
                row.save()
        self.bulk_create(fresh, batch_size=BATCH)


class AuditedWeeks(models.Model):
    """What the stored candles of one series add up to in each week, and what that is against the ledger."""

    market = models.ForeignKey(Market, models.CASCADE, related_name="audited_weeks")
    interval_minutes = models.PositiveSmallIntegerField()
    first_week = models.IntegerField(default=0, help_text="Weeks since the epoch, a Thursday.")
    end_week = models.IntegerField(default=0, help_text="The week after the last one.")
    packed = models.BinaryField(
        default=b"", help_text="zlib of little-endian int64 trades (-1: to be counted), then float64 volumes."
    )
    verdicts = models.BinaryField(default=b"", help_text="zlib of uint8: a WeekVerdict for each week.")
    counted_weeks = models.PositiveIntegerField(default=0)
    confirmed_weeks = models.PositiveIntegerField(default=0)
    short_weeks = models.PositiveIntegerField(default=0)

    objects: ClassVar[AuditedSeries] = AuditedSeries()

    class Meta:
        ordering = ("market", "interval_minutes")
        verbose_name_plural = "audited weeks"
        constraints = [models.UniqueConstraint(fields=["market", "interval_minutes"], name="one_audit_a_series")]

    def __str__(self) -> str:
        return f"{self.market} {self.interval_minutes}m: {self.confirmed_weeks} of {self.counted_weeks} weeks confirmed"

    @property
    def sums(self) -> Figures:
        return _unpacked(self.first_week, self.packed)

    @property
    def week_verdicts(self) -> Verdicts:
        return _verdicts(self.verdicts)

    @property
    def confirmed(self) -> RangeSet:
        """The weeks in which nothing is missing."""
        return _confirmed(self.first_week, self.verdicts)

    def lay(self, sums: Figures, verdicts: Verdicts) -> None:
        """Take these, of the same weeks, in the place of what was there."""
        self.first_week, self.end_week = sums.first, sums.end
        self.packed = _packed(sums)
        self.verdicts = zlib.compress(verdicts.astype(np.uint8).tobytes(), 1)
        self.counted_weeks = int(sums.known.sum())
        self.confirmed_weeks = int((verdicts == WeekVerdict.CONFIRMED).sum())
        self.short_weeks = int((verdicts == WeekVerdict.SHORT).sum())

    def outdate(self, within: RangeSet | TimeRange) -> bool:
        """Forget the sums and verdicts of every week that `within` touches; whether there were any."""
        figures, verdicts = self.sums, self.week_verdicts.copy()
        trades, volume = figures.trades.copy(), figures.volume.copy()
        for one in [within] if isinstance(within, TimeRange) else within:
            start = max(0, (one.start - EPOCH) // WEEK - self.first_week)
            end = max(0, -((EPOCH - one.end) // WEEK) - self.first_week)
            trades[start:end], volume[start:end], verdicts[start:end] = -1, 0, WeekVerdict.UNKNOWN
        if np.array_equal(trades, figures.trades):
            return False
        self.lay(Figures(self.first_week, trades, volume), verdicts)
        return True


def _packed(figures: Figures) -> bytes:
    return zlib.compress(figures.trades.astype("<i8").tobytes() + figures.volume.astype("<f8").tobytes(), 1)


def _unpacked(first: int, packed: Packed) -> Figures:
    if not packed:
        return Figures.unknown(first, 0)
    plain = zlib.decompress(packed)
    half = len(plain) // 2
    return Figures(first, np.frombuffer(plain, "<i8", half // 8), np.frombuffer(plain, "<f8", half // 8, half))


def _verdicts(packed: Packed) -> Verdicts:
    return np.frombuffer(zlib.decompress(packed) if packed else b"", dtype=np.uint8)


def _confirmed(first: int, packed: Packed) -> RangeSet:
    return ranges_of(_verdicts(packed) == WeekVerdict.CONFIRMED, first)
