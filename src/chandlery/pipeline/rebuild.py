"""Rebuild state from what is really there: the store's candles, then the files anew."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from django.db import transaction

from chandlery.candles.interval import Interval
from chandlery.candles.series import Series
from chandlery.exchanges.kraken.tiers import TierTable
from chandlery.models import (
    ArchiveRelease,
    AuditedWeeks,
    CandleAudit,
    DataCoverageRange,
    Exchange,
    FileIngestionRecord,
    FindingState,
    GapRecord,
    GapStatus,
    Market,
    Outage,
    QualityFinding,
    StoreBinding,
    TradedDays,
)
from chandlery.pipeline.binding import bind
from chandlery.pipeline.markets import register
from chandlery.pipeline.request import IngestRequest, Selection, Surroundings
from chandlery.stores import open_store

#: What state derives from the store and the files alone.
DERIVED = (
    DataCoverageRange,
    TradedDays,
    AuditedWeeks,
    CandleAudit,
    Outage,
    FileIngestionRecord,
    ArchiveRelease,
    StoreBinding,
)


@dataclass(frozen=True, slots=True)
class Counted:
    """What the store holds."""

    series: int
    candles: int
    found: frozenset[Series]


def forget(surroundings: Surroundings) -> frozenset[Series]:
    """Drop all that state derives from store and files; the series it spoke of. Accepted gaps stay accepted."""
    with transaction.atomic():
        for exchange in sorted(set(Market.objects.values_list("exchange", flat=True))):
            Exchange.objects.hold(exchange)
        Market.objects.hold(Market.objects.values_list("pk", flat=True))
        spoken = frozenset(
            Series(exchange, altname, Interval(minutes))
            for exchange, altname, minutes in DataCoverageRange.objects.values_list(
                "market__exchange", "market__altname", "interval_minutes"
            ).distinct()
        )
        GapRecord.objects.exclude(status=GapStatus.ACCEPTED).delete()
        QualityFinding.objects.exclude(state=FindingState.ACCEPTED).delete()
        for model in DERIVED:
            model._default_manager.all().delete()
        Market.objects.exclude(first_trade=None, delisted_at=None).update(first_trade=None, delisted_at=None)
    return spoken


def index_store(surroundings: Surroundings, tiers: TierTable) -> Counted:
    """Take the store as the one that state speaks of, and count its candles day by day."""
    store = open_store(surroundings.store_url, surroundings.home)
    found = sorted(store.series())
    markets = register({series.market for series in found}, tiers)
    candles = 0
    with transaction.atomic():
        bind(store, surroundings.clock())
        for series in found:
            days, span = store.day_counts(series), store.span(series)
            if days is None or span is None:
                continue
            row = TradedDays(
                market=markets[series.market],
                interval_minutes=int(series.interval),
                first_day=days.first_day,
                packed=b"",
                first_slot=span.start,
                last_slot=span.end - series.interval.delta,
            )
            row.put([(days.first_day, days.counts)], row.first_slot, row.last_slot)
            row.save()
            candles += row.candles
    return Counted(len(found), candles, frozenset(found))


def refill_requests(series: Iterable[Series], sources: tuple[Path, ...], workers: int) -> Iterator[IngestRequest]:
    """Runs that read the files of these series anew and derive what was derived: one for each set of intervals.

    Nobody is asked: what the API once said of quiet slots is open until the next run asks for what it still tells.
    """
    intervals: dict[str, set[Interval]] = defaultdict(set)
    for one in series:
        intervals[one.market].add(one.interval)
    groups: dict[tuple[Interval, ...], list[str]] = defaultdict(list)
    for market, widths in intervals.items():
        groups[tuple(sorted(widths))].append(market)
    for group, markets in sorted(groups.items()):
        selection = Selection(intervals=group, markets=tuple(sorted(markets)))
        yield IngestRequest(selection, sources, api_backfill=False, workers=workers)
