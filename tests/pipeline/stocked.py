"""State of markets without a candle in any store: what is answered for and how much was traded, by whole days."""

import zlib
from datetime import datetime, timedelta

import numpy as np

from chandlery.candles.evidence import Source
from chandlery.candles.interval import Interval
from chandlery.models import FindingKind, Market, QualityFinding, Severity, TradedDays
from tests.candles.builders import at
from tests.factories import AssetFactory, DataCoverageRangeFactory, MarketFactory

NOW = at("2024-05-01 12:34")
FIRST = at("2024-02-20")
#: Up to here everything is answered for; then nothing for a week, then the API's answer.
ARCHIVED, ASKED, TOLD = at("2024-04-01"), at("2024-04-08"), at("2024-05-01")


def stocked(number: int, first: int = 0, tier: str = "TIER1", interval: Interval = Interval.M60) -> list[Market]:
    """So many markets: the first trade of every third is not known, every fourth is contradicted for a day."""
    markets = []
    for n in range(first, first + number):
        asset = AssetFactory.create(ticker=f"COIN{n}", tier=tier)
        market = MarketFactory.create(base=asset, first_trade=None if n % 3 == 2 else FIRST)
        markets.append(market)
        covered(market, interval, Source.CSV, FIRST, ARCHIVED)
        covered(market, interval, Source.API, ASKED, TOLD)
        traded(market, interval, FIRST, ARCHIVED, n)
        if n % 4 == 1:
            doubted(market, interval, at("2024-03-05"))
    return markets


def covered(market: Market, interval: Interval, source: Source, start: datetime, end: datetime) -> None:
    DataCoverageRangeFactory.create(
        market=market, interval_minutes=int(interval), source=source, start_date=start, end_date=end
    )


def traded(market: Market, interval: Interval, start: datetime, end: datetime, seed: int = 0) -> None:
    """Some slots of each day."""
    slots = 1440 // int(interval)
    counts = np.random.default_rng(seed).integers(1, slots + 1, (end - start).days).astype("<u2")
    TradedDays.objects.create(
        market=market,
        interval_minutes=int(interval),
        first_day=start.date(),
        first_slot=start,
        last_slot=end - interval.delta,
        candles=int(counts.sum()),
        packed=zlib.compress(counts.tobytes()),
    )


def doubted(market: Market, interval: Interval, day: datetime) -> QualityFinding:
    return QualityFinding.objects.create(
        market=market,
        interval_minutes=int(interval),
        kind=FindingKind.LEDGER_SHORT,
        severity=Severity.ERROR,
        start=day,
        end=day + timedelta(days=1),
        found_at=NOW,
        evidence={"stored_trades": 120, "ledger_trades": 170},
    )
