"""A home with candles in it, as ingestion would leave it: in the store, and on record."""

from collections.abc import Sequence
from datetime import UTC
from pathlib import Path

import polars as pl
from django.conf import settings
from django.db import transaction

from chandlery.candles.evidence import Evidence, Origin, Source
from chandlery.candles.interval import Interval
from chandlery.candles.timerange import RangeSet, TimeRange
from chandlery.models import Market, StoreBinding
from chandlery.pipeline.knowledge import series_of
from chandlery.pipeline.record import record_answers
from chandlery.stores import open_store
from chandlery.stores.base import CandleStore
from tests.factories import NOW, MarketFactory


def bound_store(home: Path) -> CandleStore:
    """The store of the settings, which state speaks of."""
    store = open_store(settings.CANDLE_STORE, home)
    binding = {"store_id": store.create(), "url": settings.CANDLE_STORE, "bound_at": NOW}
    StoreBinding.objects.update_or_create(pk=1, defaults=binding)
    return store


def bitcoin() -> Market:
    """XBTUSD, in TIER1."""
    found = Market.objects.filter(altname="XBTUSD").first()
    return found or MarketFactory.create(base__ticker="BTC", base__tier="TIER1", altname="XBTUSD")


def put(store: CandleStore, market: Market, minutes: int, candles: pl.DataFrame, claimed: Sequence[TimeRange]) -> None:
    """Store candles and record that an archive has spoken for `claimed`."""
    interval = Interval(minutes)
    written = store.write(series_of(market, interval), candles, Origin(Source.CSV))
    first, last = (candles["timestamp"][place].replace(tzinfo=UTC) for place in (0, -1))
    answers = {Evidence(Source.CSV): RangeSet(claimed)}
    with transaction.atomic():
        record_answers(market, interval, answers, written, store, NOW, first, last)
