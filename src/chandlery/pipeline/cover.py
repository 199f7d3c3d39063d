"""Cover: record what whole releases claim beyond their single files. Order of work does not change the outcome."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Min

from chandlery.candles.evidence import Coverage, Source
from chandlery.candles.interval import Interval
from chandlery.candles.ledger import Figures, whole_pieces
from chandlery.candles.start import earliest_slot
from chandlery.candles.timerange import RangeSet, TimeRange
from chandlery.exchanges.kraken.archive_claims import SETTLED
from chandlery.models import ArchiveRelease, DataCoverageRange, FileIngestionRecord, Ledger, Market
from chandlery.pipeline.knowledge import MarketFacts, StoredSlots, know
from chandlery.stores.base import CandleStore

#: The longest a quarter can be.
QUARTER = timedelta(days=92)


def settle(markets: Iterable[Market], store: CandleStore, now: datetime) -> int:
    """Record first trades and the claims of whole releases for `markets`; how many series gained coverage.

    A complete release carries each market from its first day, so its first row dates the first trade, and every
    series it holds is answered for from there on. A market that was listed at the time and is absent from a whole
    release is claimed quiet, unless the exchange itself counts trades of that time. Call it inside a transaction: it
    holds the markets.
    """
    listed = list(markets)
    releases = list(ArchiveRelease.objects.all())
    if not releases:
        return 0
    _hold(listed)
    ingested = _ingested(listed)
    _date_first_trades(listed, ingested, {release.pk for release in releases if release.complete})
    gained = 0
    facts = know(listed, store, now)
    ledgers = {
        row.market_id: row.figures for row in Ledger.objects.of_markets([market.pk for market in listed]).values()
    }
    for release in releases:
        present = {name for names in release.members.values() for name in names}
        for market_facts in facts.values():
            market = market_facts.market
            read = frozenset(ingested.get((market.pk, release.pk), {}))
            is_present = market.altname in present
            claims = release_claims(release, market_facts, is_present, read)
            if not is_present and _is_refuted(claims, ledgers.get(market.pk)):
                _withdraw(market_facts)
                continue
            gained += _record(market_facts, claims, now)
    return gained


def date_delistings(facts: Iterable[MarketFacts]) -> list[Market]:
    """Markets that are found to be delisted: the exchange no longer lists them, and a release or a walk over trades
    shows nothing for a quarter after the last candle. What comes after that one is UNLISTED from now on (design,
    section 3). Call it inside a transaction: it holds the markets.
    """
    gone = [one for one in facts if not one.market.is_listed and one.market.delisted_at is None]
    if not gone:
        return []
    _hold([one.market for one in gone])
    found: list[Market] = []
    for one in gone:
        last = _last_trade(one)
        # The exchange may list it again by now.
        if one.market.is_listed or last is None:
            continue
        if _is_silent(one, TimeRange(last, last + QUARTER)):
            one.market.delisted_at = last
            one.market.save(update_fields=["delisted_at"])
            found.append(one.market)
    return found


def _hold(markets: Iterable[Market]) -> None:
    """To ourselves, with their lives as others may have told them meanwhile."""
    held = {market.pk: market for market in markets}
    Market.objects.hold(held)
    lives = Market.objects.filter(pk__in=held).values_list("pk", "first_trade", "absent_since", "delisted_at")
    for pk, first_trade, absent_since, delisted_at in lives:
        market = held[pk]
        market.first_trade, market.absent_since, market.delisted_at = first_trade, absent_since, delisted_at


def _last_trade(facts: MarketFacts) -> datetime | None:
    """The end of the last slot that traded, by the narrowest width that tells."""
    ends: dict[Interval, datetime] = {}
    for interval, known in facts.series.items():
        if isinstance(known.traded, StoredSlots) and known.traded.span is not None:
            ends[interval] = known.traded.span.end
    if not ends:
        return None
    latest = max(ends.values())
    # Wider slots end later than the trade that they hold.
    return min(end for interval, end in ends.items() if latest - end < max(ends).delta)


def _is_silent(facts: MarketFacts, after: TimeRange) -> bool:
    """Whether a release or a walk answers for all of the time that begins with the end of the last candle."""
    told = (Source.CSV, Source.TRADES)
    for interval, known in facts.series.items():
        ranges = RangeSet.union(r for kind, r in known.coverage.items() if kind.source in told and not kind.provisional)
        if ranges.covers(after.aligned_outwards(interval)):
            return True
    return False


def release_claims(
    release: ArchiveRelease, facts: MarketFacts, present: bool, read: frozenset[Interval]
) -> dict[Interval, TimeRange]:
    """What a release says of a market's series, beyond single files. `read`: the intervals whose file of it is in."""
    if facts.start is None:
        return {}
    if present:
        # A single file claims from its own first row; a complete release, from the market's.
        intervals = read if release.complete else frozenset[Interval]()
        start = facts.start
    elif not release.whole:
        return {}
    else:
        intervals = frozenset(Interval(int(minutes)) for minutes in release.members)
        start = facts.start if release.period_start is None else max(release.period_start, facts.start)
    claims: dict[Interval, TimeRange] = {}
    for interval in intervals:
        # A period that says no end stops in the middle of a coarse slot, of which nothing is claimed then.
        whole = TimeRange.maybe(interval.floor(start), interval.floor(release.period_end))
        if whole is not None:
            claims[interval] = whole
    return claims


def _is_refuted(claims: Mapping[Interval, TimeRange], ledger: Figures | None) -> bool:
    """Whether the exchange counts trades in a week of what is claimed quiet."""
    if ledger is None or not claims:
        return False
    quiet = whole_pieces(RangeSet(claims.values()), ledger.first, len(ledger))
    return bool((ledger.trades[quiet] > 0).any())


def _withdraw(facts: MarketFacts) -> None:
    """What was claimed of a market of which no file was ever read: it is missing, not quiet."""
    market = facts.market
    if FileIngestionRecord.objects.filter(market=market).exists():
        return
    with transaction.atomic():
        gone, _ = DataCoverageRange.objects.filter(market=market, source=Source.CSV).delete()
    if gone:
        for known in facts.series.values():
            for kind in [kind for kind in known.coverage if kind.source is Source.CSV]:
                del known.coverage[kind]


def _record(facts: MarketFacts, claims: Mapping[Interval, TimeRange], now: datetime) -> int:
    gained = 0
    for interval, claim in claims.items():
        known = facts.series[interval]
        if not known.coverage.get(SETTLED, RangeSet()).covers(claim):
            with transaction.atomic():
                coverage: Coverage = DataCoverageRange.objects.extend(
                    facts.market, int(interval), {SETTLED: RangeSet([claim])}, known.traded, now
                )
            known.coverage.clear()
            known.coverage.update(coverage)
            gained += 1
    return gained


Ingested = dict[tuple[int, int], dict[Interval, datetime]]
"""(market, release) by primary key: the first slot of each of its files that is in."""


def _ingested(markets: list[Market]) -> Ingested:
    rows = (
        FileIngestionRecord.objects.filter(release__isnull=False, market__in=markets, date_range_start__isnull=False)
        .values_list("market_id", "release_id", "interval_minutes")
        .annotate(first=Min("date_range_start"))
        .order_by()
    )
    found: Ingested = defaultdict(dict)
    for market_id, release_id, minutes, first in rows:
        found[market_id, release_id][Interval(minutes)] = first
    return found


def _date_first_trades(markets: list[Market], ingested: Ingested, complete: set[int]) -> None:
    """A complete release carries each market from its first day: its first row is the first trade, to the finest
    slot.
    """
    firsts: dict[int, dict[Interval, datetime]] = defaultdict(dict)
    for (market_id, release_id), slots in ingested.items():
        if release_id in complete:
            held = firsts[market_id]
            held.update({i: min(first, held.get(i, first)) for i, first in slots.items()})
    for market in markets:
        first = earliest_slot(firsts[market.pk])
        known = market.first_trade
        if first is None or first == known:
            continue
        # A finer file that came later tells it more closely than the day or hour that was known; a coarse slot that
        # holds what is known tells nothing new.
        is_known = known is not None and any(i.floor(known) == slot for i, slot in firsts[market.pk].items())
        if known is None or known in firsts[market.pk].values() or (first < known and not is_known):
            market.first_trade = first
            market.save(update_fields=["first_trade"])
