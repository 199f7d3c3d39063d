"""Figures speak of one candle store: where it is not there any more, nothing is told of it, kept or not."""

from pathlib import Path

import pytest
from django.test import Client

from chandlery.models import Market, StoreBinding
from tests.web.api.conftest import market

__all__ = ["market"]
pytestmark = pytest.mark.django_db

FIGURES = (
    "/",
    "/coverage/",
    "/coverage/cells",
    "/coverage/cell?market=XBTUSD",
    "/markets/XBTUSD/",
    "/markets/XBTUSD/chart",
    "/metrics",
    "/api/v1/tiers",
    "/api/v1/completeness?markets=XBTUSD",
)


@pytest.fixture(params=FIGURES)
def address(request: pytest.FixtureRequest, client: Client, market: Market, monkeypatch: pytest.MonkeyPatch) -> str:
    """Asked for once while all was well; what is made of state is kept."""
    monkeypatch.setattr("chandlery.web.pages.kept.state_version", lambda: ("as it was",))
    found: str = request.param
    assert client.get(found).status_code == 200
    return found


def test_an_emptied_store_is_not_reported_as_complete(address: str, client: Client, home: Path) -> None:
    (home / "data" / "candles" / "_lake.json").unlink()
    answer = client.get(address)
    said = answer.content.decode()
    assert (answer.status_code, "is empty or not there" in said, "rebuild_state" in said) == (503, True, True)


def test_nor_is_another_store(address: str, client: Client) -> None:
    StoreBinding.objects.update(store_id="another")
    answer = client.get(address)
    assert answer.status_code == 503
    assert "is not the store" in answer.content.decode()


def test_once_it_is_back_it_is_told_again(address: str, client: Client, home: Path) -> None:
    lake = home / "data" / "candles" / "_lake.json"
    lake.rename(lake.with_name("away"))
    client.get(address)
    lake.with_name("away").rename(lake)
    assert client.get(address).status_code == 200


def test_metrics_say_why_in_a_line(client: Client, market: Market, home: Path) -> None:
    (home / "data" / "candles" / "_lake.json").unlink()
    answer = client.get("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert answer.content.decode().startswith("# CANDLE_STORE ")
    assert answer.content.count(b"\n") == 1
