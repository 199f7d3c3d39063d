"""A home with a market in it, and a browser on this machine."""

from pathlib import Path

import pytest
from pytest_django import Settings

from chandlery.models import Market
from tests.candles.builders import at, between, candles_at
from tests.shelf import bitcoin, bound_store, put

NOW = "2024-03-02 00:30"


@pytest.fixture
def market(home: Path, settings: Settings, db: None) -> Market:
    """XBTUSD traded at 00:00, 03:00 and 20:00; an archive has spoken for the day up to 06:00, and from 18:00 on."""
    settings.CLOCK = at(NOW)
    market = bitcoin()
    traded = candles_at(*(at(f"2024-03-01 {hour:02}:00") for hour in (0, 3, 20)), price=100.0)
    claimed = [between("2024-03-01", "2024-03-01 06:00"), between("2024-03-01 18:00", "2024-03-02")]
    put(bound_store(home), market, 60, traded, claimed)
    return market
