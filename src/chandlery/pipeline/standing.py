"""Standing: what a report says of every market, kept for as long as it is true.

A report of 1,400 markets at eight intervals takes seconds, and a page may not. So each market's part of it is kept with
marks of the state that it was made from, and made again, by the report itself, when these change.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Lock
from typing import Protocol, runtime_checkable

from chandlery.candles.evidence import Source
from chandlery.candles.interval import Interval
from chandlery.candles.series import Series
from chandlery.candles.verdict import Knowledge
from chandlery.exchanges.base import Category, Tier
from chandlery.exchanges.kraken.window import WINDOW_SLOTS, asked_as
from chandlery.models import AuditedWeeks, DataCoverageRange, GapRecord, Market, QualityFinding, TradedDays
from chandlery.pipeline.knowledge import MarketFacts, StoredSlots, know, series_of
from chandlery.pipeline.report import report_known
from chandlery.pipeline.request import Selection
from chandlery.reporting.completeness import SeriesEntry
from chandlery.reporting.overview import Standing, Standings
from chandlery.stores.base import CandleStore

NEVER = datetime(9999, 1, 1, tzinfo=UTC)
#: Markets that a report is made of at once: in between, memory is given back.
BATCH = 200
Mark = tuple[object, ...]


@runtime_checkable
class TellsSize(Protocol):
    """A store that knows what a series takes on disk."""

    def size_bytes(self, series: Series) -> int: ...


@dataclass(frozen=True, slots=True)
class _Kept:
    """What was told of a market in the minute `told`, within which no slot closes. It is true until `until`, as long as
    state keeps its mark.
    """

    mark: Mark
    told: datetime
    until: datetime
    standings: tuple[Standing, ...]


class StandingsKept:
    """The standings of all markets as they are at any moment. One for a process; threads may share it."""

    def __init__(self, store: CandleStore) -> None:
        self._store = store
        self._kept: dict[int, _Kept] = {}
        self._standings = Standings(())
        self._lock = Lock()

    def at(self, now: datetime) -> Standings:
        """By the state as it is now. The number of queries does not grow with the markets."""
        with self._lock:
            markets = {market.pk: market for market in Market.objects.select_related("base", "quote")}
            marks = marks_of(markets.values())
            due = [market for pk, market in markets.items() if not self._holds(pk, marks[pk], now)]
            gone = self._kept.keys() - markets.keys()
            for start in range(0, len(due), BATCH):
                self._tell(due[start : start + BATCH], marks, now)
            for pk in gone:
                del self._kept[pk]
            if due or gone:
                self._standings = Standings([one for kept in self._kept.values() for one in kept.standings])
            return self._standings

    def _holds(self, pk: int, mark: Mark, now: datetime) -> bool:
        kept = self._kept.get(pk)
        return kept is not None and kept.mark == mark and kept.told <= now < kept.until

    def _tell(self, markets: Sequence[Market], marks: dict[int, Mark], now: datetime) -> None:
        facts = know(markets, self._store, now)
        selection = Selection(tuple(Interval), markets=tuple(market.altname for market in markets))
        entries: dict[str, list[SeriesEntry]] = {market.altname: [] for market in markets}
        for entry in report_known(selection, markets, facts, now).series:
            entries[entry.market].append(entry)
        for market in markets:
            mine = facts[market.altname]
            told = entries[market.altname]
            until = min(_until(mine, entry, now) for entry in told)
            self._kept[market.pk] = _Kept(
                marks[market.pk], Interval.M1.floor(now), until, tuple(self._standing(mine, entry) for entry in told)
            )

    def _standing(self, facts: MarketFacts, entry: SeriesEntry) -> Standing:
        market, traded = facts.market, facts.series[entry.interval].traded
        span = traded.span if isinstance(traded, StoredSlots) else None
        size = None
        if span is not None and isinstance(self._store, TellsSize):
            size = self._store.size_bytes(series_of(market, entry.interval))
        over = market.delisted_at is not None and entry.range is not None and market.delisted_at <= entry.range.end
        quote = market.quote.ticker if market.quote else ""
        return Standing(entry, tier_of(market), quote, market.is_listed, over, span.end if span else None, size)


def tier_of(market: Market) -> str:
    """The tier in which `select` finds a market; empty where it is in none."""
    if market.base is None:
        return Tier.TIER4.value
    return market.base.tier if market.base.category == Category.CRYPTO else ""


def marks_of(markets: Iterable[Market]) -> dict[int, Mark]:
    """For each market something that changes whenever its report may."""
    coverage, days, weeks = DataCoverageRange.objects.marks(), TradedDays.objects.marks(), AuditedWeeks.objects.marks()
    findings, gaps = QualityFinding.objects.marks(), GapRecord.objects.marks()
    return {
        market.pk: (
            (market.altname, market.base, tier_of(market), market.quote_id),
            (market.first_trade, market.absent_since, market.delisted_at),
            *(told.get(market.pk) for told in (coverage, days, weeks, findings, gaps)),
        )
        for market in markets
    }


def _until(facts: MarketFacts, entry: SeriesEntry, now: datetime) -> datetime:
    """How long nothing but the passing of time changes what was told, slot by slot."""
    within, interval = entry.range, entry.interval
    if within is None:
        return NEVER
    known, market, asked = facts.series[interval], facts.market, asked_as(interval)
    moving = within.length <= interval.delta and facts.start is not None and interval.floor(facts.start) > within.start
    later = (market.first_trade, market.delisted_at)
    if moving or _told_beyond(known, within.end) or any(edge and edge > within.end for edge in later):
        return within.end + interval.delta
    # What the API said of slots that could still change counts no more once its window has passed them; that moves by
    # the width that is asked for.
    leaves = [
        ranges.span.start + asked.delta * WINDOW_SLOTS - interval.delta
        for kind, ranges in known.coverage.items()
        if kind.source is Source.API and kind.provisional and ranges.span
    ]
    return max(asked.floor(now) + asked.delta, min(leaves)) if leaves else NEVER


def _told_beyond(known: Knowledge, end: datetime) -> bool:
    """Whether anything is said of slots that have not closed yet."""
    spans = [ranges.span for ranges in (*known.coverage.values(), known.suspected)]
    if isinstance(known.traded, StoredSlots):
        spans.append(known.traded.span)
    return any(span is not None and span.end > end for span in spans)
