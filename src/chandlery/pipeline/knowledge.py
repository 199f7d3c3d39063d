"""What state and store know of many series at once, as values for the pure core."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

import numpy as np
import numpy.typing as npt

from chandlery.candles.evidence import Coverage, Source, answered
from chandlery.candles.interval import Interval
from chandlery.candles.series import Series
from chandlery.candles.start import earliest_slot
from chandlery.candles.timerange import RangeSet, TimeRange
from chandlery.candles.verdict import Knowledge
from chandlery.exchanges.kraken.window import ohlc_window
from chandlery.models import AuditedWeeks, DataCoverageRange, FindingKind, Market, QualityFinding, TradedDays
from chandlery.stores.base import CandleStore, DayCounts

DAY = timedelta(days=1)
LATEST = datetime(2100, 1, 1, tzinfo=UTC)


def series_of(market: Market, interval: Interval) -> Series:
    return Series(market.exchange, market.altname, interval)


@dataclass(frozen=True, slots=True)
class StoredSlots:
    """The traded slots of one series: whole days from state, the rest from the store."""

    series: Series
    store: CandleStore
    days: npt.NDArray[np.uint16]
    first_day: datetime
    span: TimeRange | None

    @classmethod
    def of(cls, series: Series, store: CandleStore, row: TradedDays | None) -> StoredSlots:
        if row is None:
            return cls(series, store, np.zeros(0, dtype=np.uint16), datetime(1970, 1, 1, tzinfo=UTC), None)
        span = TimeRange(row.first_slot, row.last_slot + series.interval.delta)
        return cls(series, store, row.counts, datetime.combine(row.first_day, time(), UTC), span)

    def count(self, within: TimeRange) -> int:
        """Traded slots that open in `within`. The store is opened for days that `within` cuts, nothing else."""
        part = within.intersection(self.span) if self.span else None
        if part is None or self.span is None:
            return 0
        # Nothing is stored outside the span, so a day that only the span cuts is a whole day.
        start = part.start if part.start > self.span.start else _midnight(part.start)
        end = part.end if part.end < self.span.end else _midnight(part.end - timedelta(microseconds=1)) + DAY
        first, last = _midnight(start + DAY - timedelta(microseconds=1)), _midnight(end)
        if first > last:
            return self._cut(TimeRange(start, end))
        total = int(self.days[(first - self.first_day).days : (last - self.first_day).days].sum(dtype=np.int64))
        for edge in (TimeRange.maybe(start, first), TimeRange.maybe(last, end)):
            total += self._cut(edge) if edge else 0
        return total

    def agrees(self, counted: DayCounts) -> bool:
        """Whether state counts the same for these days as the store did just now."""
        offset = (counted.first_day - self.first_day.date()).days
        known = self.days[max(0, offset) : max(0, offset + len(counted.counts))]
        return offset >= 0 and np.array_equal(known, counted.counts)

    def opens(self, within: TimeRange) -> Sequence[datetime]:
        part = within.intersection(self.span) if self.span else None
        if part is None or not self.count(part):
            return ()
        return [t.replace(tzinfo=UTC) for t in self.store.slots(self.series, part).to_list()]

    def _cut(self, part: TimeRange) -> int:
        """Inside of one day."""
        if not self.days[(_midnight(part.start) - self.first_day).days]:
            return 0
        return self.store.count(self.series, part)


def _midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


@dataclass(frozen=True, slots=True)
class MarketFacts:
    """A market with what is known of each of its series. `start` is where its stored history begins."""

    market: Market
    series: dict[Interval, Knowledge]
    start: datetime | None

    @property
    def starts_at_first_trade(self) -> bool:
        """False where the start is only the first stored slot, and trades may have come before it."""
        return self.market.first_trade is not None


def _without_unconfirmed(coverage: Coverage, interval: Interval, now: datetime) -> Coverage:
    """What the API said of slots that could still change answers for them only as long as it can be asked again."""
    unconfirmed = [kind for kind in coverage if kind.source is Source.API and kind.provisional]
    if not unconfirmed:
        return coverage
    askable = RangeSet([TimeRange(ohlc_window(interval, now).start, LATEST)])
    held = {kind: ranges & askable if kind in unconfirmed else ranges for kind, ranges in coverage.items()}
    return {kind: ranges for kind, ranges in held.items() if ranges}


def proven_by_trades(coverage: Coverage) -> RangeSet:
    """Where trades with contiguous ids have answered: whatever contradicts that, it is not for want of a candle."""
    return answered({k: r for k, r in coverage.items() if k.source is Source.TRADES and k.proven and not k.provisional})


def know(markets: Iterable[Market], store: CandleStore, now: datetime) -> dict[str, MarketFacts]:
    """Everything state knows of every interval of `markets` at `now`, by altname. The number of queries does not grow
    with them.
    """
    listed = list(markets)
    by_pk = {market.pk: market for market in listed}
    days: dict[tuple[int, int], TradedDays] = {
        (row.market_id, row.interval_minutes): row for row in TradedDays.objects.filter(market__in=by_pk)
    }
    keys = [(pk, int(interval)) for pk in by_pk for interval in Interval]
    coverage = DataCoverageRange.objects.of_series(keys)
    confirmed = AuditedWeeks.objects.confirmed(by_pk)
    by_kind = QualityFinding.objects.contradicted_by(by_pk)
    systematic = by_kind[FindingKind.LEDGER_SYSTEMATIC]
    facts: dict[str, MarketFacts] = {}
    for market in listed:
        known: dict[Interval, Knowledge] = {}
        firsts: dict[Interval, datetime] = {}
        for interval in Interval:
            key = (market.pk, int(interval))
            row = days.get(key)
            slots = StoredSlots.of(series_of(market, interval), store, row)
            held = _without_unconfirmed(coverage[key], interval, now)
            doubted = RangeSet.union(found[key] for found in by_kind.values() if key in found)
            suspected = doubted - proven_by_trades(held) if doubted else doubted
            left_open = systematic[key] & suspected if key in systematic else RangeSet()
            known[interval] = Knowledge(
                interval, market.life, held, slots, confirmed.get(key, RangeSet()), suspected, left_open
            )
            if row is not None:
                firsts[interval] = row.first_slot
        facts[market.altname] = MarketFacts(market, known, market.first_trade or earliest_slot(firsts))
    return facts
