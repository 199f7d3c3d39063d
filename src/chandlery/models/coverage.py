"""Coverage and traded days: what has been answered, and how much was traded."""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from django.db import models

from chandlery.candles.evidence import Coverage, Evidence, Source, extended
from chandlery.candles.interval import Interval
from chandlery.candles.timerange import RangeSet, TimeRange
from chandlery.candles.verdict import TradedSlots
from chandlery.models.asset import Market
from chandlery.models.candle_audit import CandleAudit

SeriesKey = tuple[int, int]
"""Primary key of the market, interval in minutes."""
Answer = tuple[int, Evidence, datetime, datetime]
"""Primary key of the market, what the answer is worth, start and end."""


class CoverageRanges(models.Manager["DataCoverageRange"]):
    """Questions about coverage, and the one way to change it."""

    def overlapping(
        self, market: Market, interval_minutes: int, within: TimeRange
    ) -> models.QuerySet[DataCoverageRange]:
        return self.filter(
            market=market, interval_minutes=interval_minutes, start_date__lt=within.end, end_date__gt=within.start
        )

    def on_record(
        self,
        markets: Iterable[int],
        intervals: Iterable[int],
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> models.QuerySet[DataCoverageRange]:
        """The ranges of these series that overlap [start, end), with their markets, by market, interval and time."""
        rows = self.filter(market__in=list(markets), interval_minutes__in=list(intervals))
        if start is not None:
            rows = rows.filter(end_date__gt=start)
        if end is not None:
            rows = rows.filter(start_date__lt=end)
        return rows.select_related("market").order_by("market__altname", "interval_minutes", "start_date", "pk")

    def of_series(self, keys: Iterable[SeriesKey]) -> dict[SeriesKey, Coverage]:
        """The coverage of every series asked for, in one query."""
        wanted = set(keys)
        layers: dict[SeriesKey, dict[Evidence, list[TimeRange]]] = defaultdict(lambda: defaultdict(list))
        rows = self.filter(market__in={market for market, _ in wanted})
        for row in rows.values_list(
            "market_id", "interval_minutes", "source", "derived", "proven", "provisional", "start_date", "end_date"
        ).iterator():
            key = (row[0], row[1])
            if key in wanted:
                layers[key][Evidence(Source(row[2]), row[3], row[4], row[5])].append(TimeRange(row[6], row[7]))
        return {key: {kind: RangeSet(ranges) for kind, ranges in layers[key].items()} for key in wanted}

    def answers(self, markets: Iterable[int], interval_minutes: int) -> Iterable[Answer]:
        """Every answer for one interval of these markets, in one query."""
        rows = self.filter(market__in=list(markets), interval_minutes=interval_minutes)
        columns = ("market_id", "source", "derived", "proven", "provisional", "start_date", "end_date")
        for pk, source, derived, proven, provisional, start, end in rows.values_list(*columns).iterator():
            yield pk, Evidence(Source(source), derived, proven, provisional), start, end

    def marks(self) -> dict[int, tuple[int, int]]:
        """For each market something that changes whenever what it is covered by does, in one query: rows are added and
        deleted, never moved, and no key is used again.
        """
        rows = self.order_by().values_list("market_id").annotate(number=models.Count("pk"), newest=models.Max("pk"))
        return {pk: (number, newest) for pk, number, newest in rows}

    def extend(
        self,
        market: Market,
        interval_minutes: int,
        answers: Mapping[Evidence, RangeSet],
        traded: TradedSlots,
        now: datetime,
    ) -> Coverage:
        """Add answers; touching ranges of one kind become one row. Call it inside the transaction that records the
        file, which holds the market from here on. What is answered otherwise than before is to be audited.
        """
        Market.objects.hold([market.pk])
        rows: dict[tuple[Evidence, TimeRange], DataCoverageRange] = {}
        layers: dict[Evidence, list[TimeRange]] = defaultdict(list)
        for row in self.filter(market=market, interval_minutes=interval_minutes):
            rows[row.evidence, row.range] = row
            layers[row.evidence].append(row.range)
        coverage: Coverage = {kind: RangeSet(ranges) for kind, ranges in layers.items()}
        before = dict(coverage)
        for kind, ranges in answers.items():
            coverage = extended(coverage, kind, ranges)
        CandleAudit.objects.outdate(market, _fresh(before, coverage))
        wanted = {(kind, r) for kind, ranges in coverage.items() for r in ranges}
        gone = [row.pk for key, row in rows.items() if key not in wanted]
        if gone:
            self.filter(pk__in=gone).delete()
        for key in wanted & rows.keys():
            rows[key].verify(traded.count(key[1]), now)
        self.bulk_create(
            DataCoverageRange(
                market=market,
                interval_minutes=interval_minutes,
                start_date=r.start,
                end_date=r.end,
                source=kind.source,
                derived=kind.derived,
                proven=kind.proven,
                provisional=kind.provisional,
                record_count=traded.count(r),
                last_verified=now,
            )
            for kind, r in sorted(wanted - rows.keys(), key=lambda item: (item[1], item[0].rank))
        )
        return coverage

    def outdate_derived(
        self,
        market: Market,
        interval_minutes: int,
        within: TimeRange,
        traded: Callable[[int], TradedSlots],
        now: datetime,
    ) -> None:
        """Slots of `interval_minutes` in `within` have been answered anew: what was derived from them becomes
        provisional, and stays so until it is derived again, by this run or a later one. `traded` tells the stored
        slots of an interval. Inside the caller's transaction, which holds the market from here on.
        """
        Market.objects.hold([market.pk])
        derived = self.filter(market=market, derived=True, start_date__lt=within.end, end_date__gt=within.start)
        for row in derived.filter(interval_minutes__gt=interval_minutes, provisional=False):
            if row.interval_minutes % interval_minutes:
                continue
            stale = RangeSet([within.aligned_outwards(Interval(row.interval_minutes))]) & RangeSet([row.range])
            kept, kind, slots = RangeSet([row.range]) - stale, row.evidence, traded(row.interval_minutes)
            row.delete()
            answers = {kind: kept, replace(kind, proven=False, provisional=True): stale}
            self.extend(market, row.interval_minutes, answers, slots, now)


class DataCoverageRange(models.Model):
    """A range for which a source has spoken: a slot in it without a candle is quiet. Half-open, UTC, on the grid."""

    market = models.ForeignKey(Market, models.CASCADE, related_name="coverage")
    interval_minutes = models.PositiveSmallIntegerField()
    start_date = models.DateTimeField()
    end_date = models.DateTimeField()
    source = models.CharField(max_length=8, choices=[(s.value, s.value) for s in Source])
    derived = models.BooleanField(default=False, help_text="Made from a finer interval.")
    proven = models.BooleanField(default=False, help_text="Contiguous trade ids prove its quiet slots.")
    provisional = models.BooleanField(default=False, help_text="Any other answer replaces it.")
    record_count = models.PositiveBigIntegerField(
        default=0, help_text="Candles stored in it when it was last verified."
    )
    last_verified = models.DateTimeField()

    objects: ClassVar[CoverageRanges] = CoverageRanges()

    class Meta:
        ordering = ("market", "interval_minutes", "start_date")
        constraints = [
            models.CheckConstraint(
                condition=models.Q(end_date__gt=models.F("start_date")), name="coverage_ends_after_it_starts"
            ),
            models.UniqueConstraint(
                fields=["market", "interval_minutes", "source", "derived", "proven", "provisional", "start_date"],
                name="one_coverage_range_a_start",
            ),
        ]
        indexes = [
            # overlapping(): every plan, verdict and report asks it
            models.Index(
                fields=["market", "interval_minutes", "start_date", "end_date"], name="coverage_by_series_and_time"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.market} {self.interval_minutes}m {self.start_date:%F %R} to {self.end_date:%F %R} {self.source}"

    @property
    def evidence(self) -> Evidence:
        return Evidence(Source(self.source), self.derived, self.proven, self.provisional)

    @property
    def range(self) -> TimeRange:
        return TimeRange(self.start_date, self.end_date)

    def verify(self, record_count: int, now: datetime) -> None:
        """Note how many candles stand in it now, where that has changed."""
        if record_count != self.record_count:
            self.record_count, self.last_verified = record_count, now
            self.save(update_fields=["record_count", "last_verified"])


class TradedArrays(models.Manager["TradedDays"]):
    """Questions about traded days."""

    def of_interval(self, markets: Iterable[int], interval_minutes: int) -> dict[int, TradedDays]:
        """By primary key of the market, in one query."""
        rows = self.filter(market__in=list(markets), interval_minutes=interval_minutes).iterator()
        return {row.market_id: row for row in rows}

    def first_slots(self, markets: Iterable[int]) -> dict[int, dict[Interval, datetime]]:
        """The open of the first stored slot at each interval, by primary key of the market, in one query."""
        found: dict[int, dict[Interval, datetime]] = defaultdict(dict)
        rows = self.filter(market__in=list(markets))
        for pk, minutes, first in rows.values_list("market_id", "interval_minutes", "first_slot").iterator():
            found[pk][Interval(minutes)] = first
        return found

    def marks(self) -> dict[int, int]:
        """For each market something that changes whenever its traded days do, in one query."""
        found: dict[int, int] = defaultdict(int)
        rows = self.order_by("market_id", "interval_minutes")
        for pk, minutes, packed, last in rows.values_list(
            "market_id", "interval_minutes", "packed", "last_slot"
        ).iterator():
            found[pk] = hash((found[pk], minutes, zlib.crc32(packed), last))
        return found


class TradedDays(models.Model):
    """Traded slots a UTC day of one series, as a compressed array of uint16: reports need no store."""

    market = models.ForeignKey(Market, models.CASCADE, related_name="traded_days")
    interval_minutes = models.PositiveSmallIntegerField()
    first_day = models.DateField()
    packed = models.BinaryField(help_text="zlib of little-endian uint16, one a day from first_day on.")
    first_slot = models.DateTimeField(help_text="Open of the first stored slot.")
    last_slot = models.DateTimeField(help_text="Open of the last stored slot.")
    candles = models.PositiveBigIntegerField(help_text="The sum of the array.")

    objects: ClassVar[TradedArrays] = TradedArrays()

    class Meta:
        ordering = ("market", "interval_minutes")
        verbose_name_plural = "traded days"
        constraints = [models.UniqueConstraint(fields=["market", "interval_minutes"], name="one_array_a_series")]

    def __str__(self) -> str:
        return f"{self.market} {self.interval_minutes}m: {self.candles} candles"

    @property
    def counts(self) -> npt.NDArray[np.uint16]:
        return np.frombuffer(zlib.decompress(self.packed), dtype="<u2")

    def put(
        self, pieces: Iterable[tuple[date, npt.NDArray[np.uint16]]], first_slot: datetime, last_slot: datetime
    ) -> None:
        """Replace the days of `pieces`, as the store counted them; the slots tell how far candles now reach."""
        first, counts = self.first_day, self.counts if self.packed else np.zeros(0, dtype="<u2")
        for day, piece in pieces:
            first, counts = _laid_over(first, counts, day, piece)
        self.first_day = first
        self.packed = zlib.compress(counts.astype("<u2").tobytes(), 1)
        self.candles = int(counts.sum(dtype=np.int64))
        self.first_slot = min(self.first_slot, first_slot)
        self.last_slot = max(self.last_slot, last_slot)


def _fresh(before: Coverage, after: Coverage) -> RangeSet:
    """Where somebody has spoken, settled, who had not before."""
    kinds = [kind for kind in after if not kind.provisional]
    return RangeSet.union(after[kind] - before.get(kind, RangeSet()) for kind in kinds)


def _laid_over(
    first: date, counts: npt.NDArray[np.uint16], day: date, piece: npt.NDArray[np.uint16]
) -> tuple[date, npt.NDArray[np.uint16]]:
    """The array with `piece` in its place, grown to hold it."""
    if not len(counts):
        return day, piece
    start = min(first, day)
    end = max(first + timedelta(days=len(counts)), day + timedelta(days=len(piece)))
    grown = np.zeros((end - start).days, dtype="<u2")
    grown[(first - start).days :][: len(counts)] = counts
    grown[(day - start).days :][: len(piece)] = piece
    return start, grown
