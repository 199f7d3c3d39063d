"""Rows for tests: a market with its assets, a job, a file, a gap."""

from datetime import timedelta

import factory
from factory.django import DjangoModelFactory

from chandlery.candles.evidence import Source
from chandlery.exchanges.base import Category, Tier
from chandlery.models import (
    ArchiveRelease,
    Asset,
    DataCoverageRange,
    FileIngestionRecord,
    FileStatus,
    GapRecord,
    IngestionJob,
    JobStatus,
    Market,
)
from tests.candles.builders import at

NOW = at("2024-05-01 12:34")


class AssetFactory(DjangoModelFactory[Asset]):
    class Meta:
        model = Asset
        django_get_or_create = ("ticker",)

    ticker = factory.Sequence(lambda n: f"COIN{n}")
    category = Category.CRYPTO
    tier = Tier.TIER4


class MarketFactory(DjangoModelFactory[Market]):
    class Meta:
        model = Market

    base = factory.SubFactory(AssetFactory)
    quote = factory.SubFactory(AssetFactory, ticker="USD", category=Category.FIAT, tier="")
    altname = factory.LazyAttribute(lambda market: f"{market.base.ticker}{market.quote.ticker}")
    status = "online"


class IngestionJobFactory(DjangoModelFactory[IngestionJob]):
    class Meta:
        model = IngestionJob

    tier = "TIER1"
    intervals = factory.LazyFunction(lambda: [60, 1440])
    status = JobStatus.RUNNING
    created_at = NOW
    started_at = NOW


class ArchiveReleaseFactory(DjangoModelFactory[ArchiveRelease]):
    class Meta:
        model = ArchiveRelease

    name = "Kraken_OHLCVT_Q1_2024"
    period_start = at("2024-01-01")
    period_end = at("2024-04-01")
    complete = False
    rank = factory.Sequence(lambda n: f"2024-04-01T00:00Z quarterly - {n:012x}")
    members = factory.LazyFunction(dict)


class FileIngestionRecordFactory(DjangoModelFactory[FileIngestionRecord]):
    class Meta:
        model = FileIngestionRecord

    job = factory.SubFactory(IngestionJobFactory)
    market = factory.SubFactory(MarketFactory)
    interval_minutes = 60
    file_name = factory.LazyAttribute(lambda record: f"{record.market.altname}_{record.interval_minutes}.csv")
    file_path = factory.LazyAttribute(lambda record: f"Kraken_OHLCVT_Q1_2024.zip:{record.file_name}")
    signature = factory.Sequence(lambda n: f"{n:064x}")
    file_size_bytes = 1000
    file_hash = factory.Sequence(lambda n: f"{n:064x}")
    status = FileStatus.COMPLETED


class DataCoverageRangeFactory(DjangoModelFactory[DataCoverageRange]):
    class Meta:
        model = DataCoverageRange

    market = factory.SubFactory(MarketFactory)
    interval_minutes = 60
    start_date = at("2024-01-01")
    end_date = at("2024-04-01")
    source = Source.CSV
    last_verified = NOW


class GapRecordFactory(DjangoModelFactory[GapRecord]):
    class Meta:
        model = GapRecord

    market = factory.SubFactory(MarketFactory)
    interval_minutes = 60
    gap_start = at("2024-04-01")
    gap_end = at("2024-04-02")
    missing_candles = factory.LazyAttribute(
        lambda gap: (gap.gap_end - gap.gap_start) // timedelta(minutes=gap.interval_minutes)
    )
    detected_at = NOW
