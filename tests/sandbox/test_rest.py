"""The public REST API, asked without a server: what Kraken would answer, from the truth of the sandbox."""

import json
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any
from wsgiref.handlers import SimpleHandler
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest
from polars.testing import assert_frame_equal

from chandlery.candles.interval import Interval
from chandlery.exchanges.kraken.names import parse_asset_pairs
from chandlery.sandbox.exchange import SandboxExchange, UnknownMarket
from chandlery.sandbox.listing import key_of_market
from chandlery.sandbox.market import SandboxMarket
from chandlery.sandbox.rest import SandboxApi, Status
from tests.candles.builders import at, between
from tests.sandbox.asked import SMALL, Hands, ask, candles_of, rows_of

NOW = at("2024-04-03 07:44:30")
API = SandboxApi(SMALL, Hands(NOW))

# -------------------------------------------------------------------------------------------------------------- asked


@pytest.mark.parametrize("name", ["XBTUSD", "XXBTZUSD", "XBT/USD"])
def test_a_market_is_asked_for_by_any_name_and_answered_under_its_key(name: str) -> None:
    assert list(ask(API, "OHLC", pair=name)["result"]) == ["XXBTZUSD", "last"]


@pytest.mark.parametrize(
    "query",
    [
        {"pair": "XBTUSD", "interval": "720"},
        {"pair": "XBTUSD", "interval": "7"},
        {"pair": "XBTUSD", "interval": "1m"},
        {"pair": "XBTUSD", "since": "yesterday"},
        {"interval": "60"},
    ],
)
def test_what_kraken_does_not_take_is_an_error_in_the_body(query: dict[str, str]) -> None:
    reply = API.answer("/0/public/OHLC", query)
    assert reply.status == "200 OK"
    assert json.loads(reply.body) == {"error": ["EGeneral:Invalid arguments"]}


def test_an_unknown_market_and_one_not_listed_yet_are_unknown_asset_pairs() -> None:
    api = SandboxApi(SMALL, Hands(at("2024-02-14 10:06:59")))
    for name in ("FOOUSD", "ETHEUR", "XETHZEUR"):
        assert ask(api, "OHLC", pair=name) == {"error": ["EQuery:Unknown asset pair"]}


def test_a_delisted_market_is_unknown_from_that_moment() -> None:
    clock = Hands(at("2024-05-15 13:59:59"))
    api = SandboxApi(SMALL, clock)
    assert rows_of(api, "ADAUSD", 60)
    clock.pass_by(1)
    assert ask(api, "OHLC", pair="ADAUSD", interval=60) == {"error": ["EQuery:Unknown asset pair"]}


def test_a_market_may_be_delisted_while_it_is_asked_for() -> None:
    api = SandboxApi(SMALL, Hands(NOW))
    assert "XXBTZUSD" in ask(api, "AssetPairs")["result"]
    api.delist("XBTUSD")
    assert ask(api, "OHLC", pair="XBTUSD") == {"error": ["EQuery:Unknown asset pair"]}
    assert list(ask(api, "AssetPairs")["result"]) == ["XETHZEUR", "ADAUSD"]
    with pytest.raises(UnknownMarket):
        api.delist("FOOUSD")


def test_a_market_may_be_made_up() -> None:
    mine = SandboxMarket("AAAUSD", "AAA/USD", "AAA", "ZUSD", listed=at("2024-01-01"), price=5, decimals=0)
    exchange = SandboxExchange(cast=(mine,))
    rows = rows_of(SandboxApi(exchange, Hands(NOW)), "AAAUSD", 60)
    newest = between("2024-03-04 07:00", "2024-04-03 07:00")
    assert_frame_equal(candles_of(rows[:-1]), exchange.candles("AAAUSD", Interval.M60, newest))
    assert "." not in rows[0][1]


@pytest.mark.parametrize("path", ["/0/public/Depth", "/0/private/Balance", "/", "/0/public/", "/1/public/Time"])
def test_anything_else_is_an_unknown_method(path: str) -> None:
    assert json.loads(API.answer(path, {}).body) == {"error": ["EGeneral:Unknown method"]}


# -------------------------------------------------------------------------------------------------------- rate limit


def refused(api: SandboxApi, method: str, **query: object) -> bool:
    errors = ask(api, method, **query)["error"]
    assert errors in ([], ["EGeneral:Too many requests"])
    return bool(errors)


def test_a_market_answers_so_many_requests_a_second_and_refuses_the_rest() -> None:
    clock = Hands(NOW)
    api = SandboxApi(SMALL, clock, rate=1, monotonic=clock.seconds)
    assert [refused(api, "OHLC", pair="XBTUSD") for _ in range(3)] == [False, True, True]
    clock.pass_by(0.5)
    assert refused(api, "OHLC", pair="XXBTZUSD")
    clock.pass_by(0.5)
    assert [refused(api, "OHLC", pair="XBT/USD") for _ in range(2)] == [False, True]


def test_each_market_has_its_own_limit_and_everything_else_one_together() -> None:
    clock = Hands(NOW)
    api = SandboxApi(SMALL, clock, rate=1, monotonic=clock.seconds)
    assert not any(refused(api, "OHLC", pair=name) for name in SMALL.names)
    assert [refused(api, method) for method in ("Time", "SystemStatus", "AssetPairs")] == [False, True, True]


def test_over_a_minute_no_more_are_answered_than_the_rate_allows() -> None:
    clock = Hands(NOW)
    api = SandboxApi(SMALL, clock, rate=2, monotonic=clock.seconds)
    answered = 0
    for _ in range(600):
        answered += not refused(api, "Time")
        clock.pass_by(0.1)
    assert 119 <= answered <= 122


def test_a_client_that_keeps_the_pace_is_not_refused_for_the_jitter_of_its_network() -> None:
    clock = Hands(NOW)
    api = SandboxApi(SMALL, clock, rate=1, monotonic=clock.seconds)
    for late in (0.0, 0.05, 0.0, 0.08, 0.01):
        clock.pass_by(late)
        assert not refused(api, "Time")
        clock.pass_by(1 - late)


def test_without_a_rate_nothing_is_refused() -> None:
    assert not any(refused(API, "Time") for _ in range(50))


# ------------------------------------------------------------------------------------------------------ other methods


def test_time_and_status_are_those_of_the_clock() -> None:
    api = SandboxApi(SMALL, Hands(at("2025-11-11 00:17:04")))
    assert ask(api, "Time") == {
        "error": [],
        "result": {"unixtime": 1762820224, "rfc1123": "Tue, 11 Nov 25 00:17:04 +0000"},
    }
    assert ask(api, "SystemStatus")["result"] == {"status": "online", "timestamp": "2025-11-11T00:17:04Z"}


def test_in_maintenance_no_candle_is_served_and_the_status_says_so() -> None:
    api = SandboxApi(SMALL, Hands(NOW), status=Status.MAINTENANCE)
    assert ask(api, "SystemStatus")["result"]["status"] == "maintenance"
    assert ask(api, "OHLC", pair="XBTUSD") == {"error": ["EService:Unavailable"]}
    api.status = Status.POST_ONLY
    assert ask(api, "SystemStatus")["result"]["status"] == "post_only"
    assert rows_of(api, "XBTUSD", 60)


def test_asset_pairs_are_the_markets_that_are_listed_now() -> None:
    pairs = {
        moment: ask(SandboxApi(SMALL, Hands(at(moment))), "AssetPairs")["result"]
        for moment in ("2023-01-01", "2024-04-01", "2024-05-15 14:00")
    }
    assert [list(found) for found in pairs.values()] == [
        ["XXBTZUSD"],
        ["XXBTZUSD", "XETHZEUR", "ADAUSD"],
        ["XXBTZUSD", "XETHZEUR"],
    ]


def test_asset_pairs_of_some_markets() -> None:
    assert list(ask(API, "AssetPairs", pair="ADA/USD,XBTUSD")["result"]) == ["ADAUSD", "XXBTZUSD"]
    assert ask(API, "AssetPairs", pair="XBTUSD,FOOUSD") == {"error": ["EQuery:Unknown asset pair"]}


def test_the_reader_of_krakens_listings_reads_these() -> None:
    listings = parse_asset_pairs(ask(API, "AssetPairs"))
    assert [listing.altname for listing in listings] == list(SMALL.names)


# ------------------------------------------------------------------------------------------------- as the real ones


def shape(value: object) -> object:
    """Types in place of values; a list is as its first item."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shape(inner) for inner in value[:1]]
    return type(value)


def recorded(folder: Path, name: str) -> Any:
    return json.loads((folder / "kraken-api" / name).read_text())


def test_candles_have_the_shape_of_krakens(shared_data: Path) -> None:
    real, ours = recorded(shared_data, "OHLC_XBTUSDT_1.json"), ask(API, "OHLC", pair="ADAUSD")
    rows, own = real["result"].pop("XBTUSDT"), ours["result"].pop("ADAUSD")
    assert shape(ours) == shape(real)
    assert len(own) == len(rows) == 721
    assert {tuple(map(type, row)) for row in own} == {tuple(map(type, row)) for row in rows}
    quiet, own_quiet = ([row[5:] for row in found if row[7] == 0] for found in (rows, own))
    assert {tuple(row) for row in quiet} == {tuple(row) for row in own_quiet}
    assert real["result"]["last"] == rows[-2][0]
    assert ours["result"]["last"] == own[-2][0]


@pytest.mark.parametrize("method", ["Time", "SystemStatus"])
def test_time_and_status_have_the_shape_of_krakens(method: str, shared_data: Path) -> None:
    assert shape(ask(API, method)) == shape(recorded(shared_data, f"{method}.json"))


def test_listings_have_the_shape_and_the_keys_of_krakens(shared_data: Path) -> None:
    real = recorded(shared_data, "AssetPairs.json")["result"]
    cast = SandboxExchange().cast
    api = SandboxApi(SandboxExchange(), Hands(at("2024-08-30")))
    ours = ask(api, "AssetPairs")["result"]
    assert len(ours) == len(cast)
    optional = {"long_position_limit", "short_position_limit"}
    fields = {key: type(value) for key, value in real["XXBTZUSD"].items() if key not in optional}
    assert all({key: type(value) for key, value in pair.items()} == fields for pair in ours.values())
    by_altname = {pair["altname"]: key for key, pair in real.items()}
    keys = {market.altname: key_of_market(market) for market in cast if market.altname in by_altname}
    assert len(keys) >= 11
    assert keys == {altname: by_altname[altname] for altname in keys}


# ---------------------------------------------------------------------------------------------------- WSGI, the log


def test_it_keeps_to_the_rules_of_wsgi() -> None:
    query = "pair=XBT%2FUSD&interval=60"
    environ: dict[str, Any] = {"SCRIPT_NAME": "", "PATH_INFO": "/0/public/OHLC", "QUERY_STRING": query}
    setup_testing_defaults(environ)
    sent = BytesIO()
    SimpleHandler(BytesIO(), sent, StringIO(), environ).run(validator(API))
    head, _, body = sent.getvalue().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.0 200 OK")
    assert json.loads(body) == ask(API, "OHLC", pair="XBTUSD", interval=60)


def test_it_remembers_what_it_was_asked_and_what_became_of_it() -> None:
    clock = Hands(NOW)
    api = SandboxApi(SMALL, clock, monotonic=clock.seconds)
    ask(api, "Time")
    clock.pass_by(2)
    ask(api, "OHLC", pair="FOOUSD", interval=60)
    first, second = api.requests
    assert (first.path, first.query, first.outcome) == ("/0/public/Time", {}, "ok")
    assert (second.query, second.outcome) == ({"pair": "FOOUSD", "interval": "60"}, "EQuery:Unknown asset pair")
    assert second.at - first.at == pytest.approx(2)
    assert api.outcomes == {"ok": 1, "EQuery:Unknown asset pair": 1}
    api.forget_requests()
    assert api.requests == ()
