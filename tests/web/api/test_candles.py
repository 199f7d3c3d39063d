"""Candles by the API: page by page, as JSON and as Arrow."""

from io import BytesIO
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from django.conf import settings
from django.test import Client

from chandlery import open_candles
from chandlery.models import Market
from tests.candles.builders import at, between, candles_at
from tests.shelf import bound_store, put

pytestmark = pytest.mark.django_db
ASKED = "candles?market=XBTUSD&interval=60"


def told(client: Client, path: str) -> Any:
    answer = client.get(f"/api/v1/{path}")
    assert answer.status_code == 200, answer.content
    return answer.json()


def opens(said: Any) -> list[str]:
    return [one["timestamp"][11:13] for one in said["candles"]]


def test_candles_are_those_of_the_reader(client: Client, market: Market) -> None:
    said = told(client, f"{ASKED}&fill=flat&verdicts=true&start=2024-03-01&end=2024-03-02")
    rows = open_candles().read("XBTUSD", 60, "2024-03-01", "2024-03-02", fill="flat", verdicts=True)
    assert [one["close"] for one in said["candles"]] == rows["close"].to_list()
    assert [one["verdict"] for one in said["candles"]] == rows["verdict"].to_list()
    assert [one["filled"] for one in said["candles"]] == rows["filled"].to_list()


def test_stored_candles_have_neither_verdict_nor_filling(client: Client, market: Market) -> None:
    said = told(client, ASKED)
    assert opens(said) == ["00", "03", "20"]
    assert said["candles"][0] == {
        "timestamp": "2024-03-01T00:00:00Z",
        "open": 100.0,
        "high": 102.0,
        "low": 98.0,
        "close": 101.0,
        "volume": 1.5,
        "trades": 3,
    }


def test_pages_follow_one_another_without_a_gap_or_a_double(client: Client, market: Market) -> None:
    found: list[str] = []
    pages, start = 0, "2024-03-01"
    while start:
        said = told(client, f"{ASKED}&fill=flat&limit=5&start={start}")
        found, pages, start = found + opens(said), pages + 1, said["next"]
    assert pages == 5
    assert found == ["00", "01", "02", "03", "04", "05", "20", "21", "22", "23"]


def test_no_page_is_longer_than_its_limit(client: Client, market: Market) -> None:
    said = told(client, f"{ASKED}&verdicts=true&limit=7")
    assert (len(said["candles"]), said["next"]) == (7, "2024-03-01T07:00:00Z")
    refused = client.get(f"/api/v1/{ASKED}&limit=10001")
    assert (refused.status_code, refused.json()["error"]) == (400, "limit: Input should be less than or equal to 10000")


def test_a_range_in_which_nothing_has_closed_is_empty(client: Client, market: Market) -> None:
    said = told(client, f"{ASKED}&start=2030-01-01&end=2031-01-01")
    assert (said["candles"], said["next"], said["start"]) == ([], None, None)


def test_the_arrow_stream_is_read_by_arrow_and_says_where_it_goes_on(client: Client, market: Market) -> None:
    answer = client.get("/api/v1/candles.arrow?market=XBTUSD&interval=60&verdicts=true&limit=4")
    assert answer.headers["Content-Type"] == "application/vnd.apache.arrow.stream"
    assert answer.headers["X-Next-Start"] == "2024-03-01T04:00:00Z"
    table = pa.ipc.open_stream(BytesIO(answer.content)).read_all()
    assert table.column("verdict").to_pylist() == ["TRADED", "QUIET_CLAIMED", "QUIET_CLAIMED", "TRADED"]
    assert pl.read_ipc_stream(BytesIO(answer.content))["timestamp"].dtype == pl.Datetime("us", "UTC")
    assert "X-Next-Start" not in client.get("/api/v1/candles.arrow?market=XBTUSD&interval=60").headers


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("candles?market=NOSUCH&interval=60", 404, "Kraken has no market 'NOSUCH'"),
        ("candles?market=XBTUSD&interval=7", 400, "interval: Input should be '1'"),
        ("candles?interval=60", 400, "market: Field required"),
        (f"{ASKED}&start=soon", 422, "start 'soon' is no time from 1970 to 2099"),
        (f"{ASKED}&end=9999-12-31T23:59:59-23:00", 422, "is no time from 1970 to 2099"),
        (f"{ASKED}&start=2024-03-02&end=2024-03-01", 422, "start 2024-03-02 is not before end 2024-03-01"),
        (f"{ASKED}&fill=linear", 400, "fill: Input should be ''"),
    ],
)
def test_what_is_asked_wrongly_is_told_in_one_line(
    client: Client, market: Market, path: str, status: int, says: str
) -> None:
    answer = client.get(f"/api/v1/{path}")
    assert answer.status_code == status
    assert says in answer.json()["error"]


@pytest.mark.parametrize("more", ["", "&fill=flat", "&verdicts=true"])
def test_without_a_start_the_slot_of_the_first_trade_comes_first(client: Client, market: Market, more: str) -> None:
    market.first_trade = at("2024-02-28 14:07")
    market.save()
    day = candles_at(at("2024-02-28 00:00"), at("2024-03-01 00:00"))
    put(bound_store(settings.CHANDLERY_HOME), market, 1440, day, [between("2024-02-28", "2024-03-02")])
    said = told(client, f"candles?market=XBTUSD&interval=1440{more}")
    assert (said["start"], said["candles"][0]["close"]) == ("2024-02-28T00:00:00Z", 101.0)
