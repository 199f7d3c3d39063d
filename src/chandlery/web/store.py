"""The candle store that pages, API and metrics speak of: whatever they tell, kept or not, it has to be there."""

from __future__ import annotations

from chandlery.config.surroundings import surroundings
from chandlery.pipeline.binding import identified_store
from chandlery.stores.base import CandleStore


def store_to_read() -> CandleStore:
    """Raises StoreEmptied, StoreExchanged, StoreUnknown, or what is wrong with the store itself."""
    around = surroundings()
    return identified_store(around.store_url, around.home)
