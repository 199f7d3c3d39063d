"""Pages of trades: what is served is the truth, but for what Kraken itself loses at its edges."""

import json
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chandlery.candles.interval import EPOCH
from chandlery.candles.timerange import TimeRange
from chandlery.sandbox.exchange import SandboxExchange
from chandlery.sandbox.faults import Fault, Faults
from chandlery.sandbox.market import SandboxMarket
from chandlery.sandbox.quirks import Edges, Quirks
from chandlery.sandbox.rest import SandboxApi, Status
from tests.candles.builders import at, between
from tests.sandbox.asked import SMALL, Hands, ask

NOW = at("2024-04-03 07:44:30")
API = SandboxApi(SMALL, Hands(NOW))
REPEAT = SandboxApi(SMALL, Hands(NOW), quirks=Quirks(edges=Edges.REPEAT))
#: Trades in two thousand minutes or so: a page of it spans years.
RARE = SandboxMarket(
    "RAREUSD", "RARE/USD", "RARE", "ZUSD", listed=at("2010-03-04 05:06"), share=0.0005, depth=1, decimals=8, price=0.002
)


def page_of(api: SandboxApi, pair: str, **query: object) -> tuple[list[list[Any]], str]:
    """Rows and `last`."""
    body = ask(api, "Trades", pair=pair, **query)
    assert body["error"] == []
    last = body["result"].pop("last")
    (rows,) = body["result"].values()
    return rows, last


def walked(api: SandboxApi, pair: str, since: object, pages: int, **query: object) -> list[list[list[Any]]]:
    """The rows of pages in order, each asked for from the `last` of the one before; an empty one ends it."""
    found = []
    for _ in range(pages):
        rows, since = page_of(api, pair, since=since, **query)
        if not rows:
            break
        found.append(rows)
    return found


def truth(exchange: SandboxExchange, altname: str, end: datetime = NOW) -> pl.DataFrame:
    """Every trade up to `end` and at it, with the ids of the API and `ns`, its time as a number."""
    trades = exchange.trades(altname, TimeRange(at("2010-01-01"), end + timedelta(microseconds=1)))
    trades = trades.with_columns(pl.col("id") + 1, pl.col("time").to_physical().alias("ns"))
    return trades.filter(pl.col("ns") <= nanoseconds(end))


def nanoseconds(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1) * 1000


def ids(rows: list[list[Any]]) -> list[int]:
    return [row[6] for row in rows]


XBT = truth(SMALL, "XBTUSD")
LISTED = nanoseconds(SMALL.market("XBTUSD").listed)


@pytest.mark.parametrize("altname", SMALL.names)
def test_every_row_is_a_trade_of_the_market(altname: str) -> None:
    trades = truth(SMALL, altname).head(2500)
    decimals = max(5, SMALL.market(altname).decimals)
    rows = [row for page in walked(REPEAT, altname, 0, 3) for row in page]
    found = {row[6]: row for row in rows}
    assert len(found) >= 2500
    for price, volume, side, number, ns in trades.select("price", "volume", "side", "id", "ns").iter_rows():
        row = found[number]
        assert [*row[:4], row[5]] == [f"{price:.{decimals}f}", f"{volume:.8f}", ns / 10**9, side, ""]
    assert {row[4] for row in rows} == {"m", "l"}


@settings(max_examples=60)
@given(
    st.one_of(
        st.integers(LISTED - 10**15, nanoseconds(NOW) + 10**15),
        st.sampled_from(XBT["ns"].to_list()[::997]),
        st.just(0),
    ),
    st.integers(1, 1000),
    st.sampled_from(Edges),
)
def test_a_page_is_what_comes_after_since_oldest_first(since: int, count: int, edges: Edges) -> None:
    rows, last = page_of(API if edges is Edges.LOSE else REPEAT, "XBTUSD", since=since, count=count)
    first = XBT["ns"].search_sorted(since, side="right" if edges is Edges.LOSE else "left")
    expected = XBT[first : first + count]
    assert ids(rows) == expected["id"].to_list()
    assert last == str(expected["ns"][-1] if len(expected) else since)


def test_a_page_has_a_thousand_rows_and_no_more_than_asked_for() -> None:
    assert len(page_of(API, "XBTUSD", since=0)[0]) == 1000
    assert len(page_of(API, "XBTUSD", since=0, count=1000)[0]) == 1000
    assert ids(page_of(API, "XBTUSD", since=0, count=2)[0]) == [1, 2]


def test_without_since_it_is_the_newest_trades() -> None:
    rows, last = page_of(API, "XBTUSD")
    assert ids(rows) == XBT["id"].to_list()[-1000:]
    assert last == str(XBT["ns"][-1])
    assert ids(page_of(API, "XBTUSD", count=3)[0]) == XBT["id"].to_list()[-3:]


def test_without_since_a_young_market_shows_all_it_has() -> None:
    first = truth(SMALL, "ETHEUR").head(7)
    clock = Hands(EPOCH + timedelta(microseconds=first["ns"][6] // 1000 + 1))
    assert ids(page_of(SandboxApi(SMALL, clock), "ETHEUR")[0]) == list(range(1, 8))


def test_since_may_be_seconds() -> None:
    seconds = int(at("2024-03-01").timestamp())
    assert page_of(API, "XBTUSD", since=seconds) == page_of(API, "XBTUSD", since=seconds * 10**9)


def test_an_empty_page_gives_back_since_in_nanoseconds() -> None:
    now = int(NOW.timestamp())
    assert page_of(API, "XBTUSD", since=now + 1) == ([], f"{now + 1}000000000")
    assert page_of(API, "XBTUSD", since=9_999_999_999_999_999_999) == ([], "9999999999999999999")
    waiting = SandboxApi(SMALL, Hands(SMALL.market("ETHEUR").listed))
    assert page_of(waiting, "ETHEUR", since=0) == page_of(waiting, "ETHEUR") == ([], "0")


def test_last_is_a_text_of_nineteen_digits_and_time_a_number_of_seven_decimals_at_most() -> None:
    reply = API.answer("/0/public/Trades", {"pair": "XBTUSD", "count": "50"}).body.decode()
    body = json.loads(reply, parse_float=str)
    assert len(body["result"]["last"]) == 19
    decimals = {len(row[2].partition(".")[2]) for row in body["result"]["XXBTZUSD"]}
    assert max(decimals) == 7


def test_no_trade_is_shown_before_it_happened() -> None:
    trade = XBT.row(-500, named=True)
    moment = EPOCH + timedelta(microseconds=trade["ns"] // 1000)
    before = page_of(SandboxApi(SMALL, Hands(moment)), "XBTUSD")[0]
    after = page_of(SandboxApi(SMALL, Hands(moment + timedelta(microseconds=1))), "XBTUSD")[0]
    assert before[-1][6] < trade["id"] <= after[-1][6]


@pytest.mark.parametrize("count", [7, 40, 1000])
def test_whoever_goes_on_from_last_loses_the_trades_that_share_its_time_and_no_other(count: int) -> None:
    pages = walked(API, "XBTUSD", since=0, pages=80, count=count)
    end = pages[-1][-1][6]
    missing = set(range(1, end + 1)) - {number for page in pages for number in ids(page)}
    shared = dict(XBT.head(end).select("id", "ns").iter_rows())
    assert missing
    for page in pages[:-1]:
        number = page[-1][6] + 1
        while shared[number] == shared[page[-1][6]]:
            missing.remove(number)
            number += 1
    assert missing == set()


@pytest.mark.parametrize("count", [7, 40, 1000])
def test_or_sees_the_last_ones_again_and_loses_none(count: int) -> None:
    pages = walked(REPEAT, "XBTUSD", since=0, pages=80, count=count)
    assert all(one[-1] in two for one, two in pairwise(pages))
    end = pages[-1][-1][6]
    assert sorted({number for page in pages for number in ids(page)}) == list(range(1, end + 1))


def test_a_thin_markets_pages_span_years() -> None:
    exchange = SandboxExchange(cast=(RARE,), outages=())
    trades = truth(exchange, "RAREUSD")
    assert 5000 < len(trades) < 10_000
    rows = [row for page in walked(SandboxApi(exchange, Hands(NOW)), "RAREUSD", 0, 20) for row in page]
    assert rows[0][6] == 1
    assert set(ids(rows)) <= set(trades["id"])
    assert len(rows) > len(trades) - 10
    assert len(rows[0][0].partition(".")[2]) == 8


# -------------------------------------------------------------------------------------------- the old era, lost trades


def test_before_a_moment_trades_have_no_id() -> None:
    trade = XBT.row(300, named=True)
    since = EPOCH + timedelta(microseconds=trade["ns"] // 1000)
    rows, _ = page_of(SandboxApi(SMALL, Hands(NOW), quirks=Quirks(ids_since=since)), "XBTUSD", since=0)
    full, _ = page_of(API, "XBTUSD", since=0)
    first = next(position for position, row in enumerate(rows) if len(row) == 7)
    assert full[first][2] >= since.timestamp() > full[first - 1][2]
    assert rows == [row[:6] for row in full[:first]] + full[first:]


def test_lost_trades_are_on_no_page_and_their_ids_are_nobodys() -> None:
    gone = between("2022-10-07", "2022-10-09")
    api = SandboxApi(SMALL, Hands(NOW), quirks=Quirks(edges=Edges.REPEAT, lost_trades=(gone,)))
    rows = [row for page in walked(api, "XBTUSD", 0, 5) for row in page]
    end = rows[-1][6]
    left = XBT.head(end).filter(~pl.col("time").is_between(gone.start, gone.end, closed="left"))
    assert sorted(set(ids(rows))) == left["id"].to_list()
    assert len(left) < end - 1000


def test_the_newest_trades_may_be_lost_as_well() -> None:
    gone = TimeRange(NOW - timedelta(days=3), NOW + timedelta(days=1))
    rows, _ = page_of(SandboxApi(SMALL, Hands(NOW), quirks=Quirks(lost_trades=(gone,))), "XBTUSD")
    assert ids(rows) == XBT.filter(pl.col("time") < gone.start)["id"].to_list()[-1000:]


def test_candles_know_nothing_of_what_trades_lack() -> None:
    quirks = Quirks(ids_since=NOW, edges=Edges.REPEAT, lost_trades=(TimeRange(NOW - timedelta(days=3), NOW),))
    assert ask(SandboxApi(SMALL, Hands(NOW), quirks=quirks), "OHLC", pair="XBTUSD") == ask(API, "OHLC", pair="XBTUSD")


# ------------------------------------------------------------------------------------------------- as every request


@pytest.mark.parametrize(
    "query",
    [
        {"since": "0"},
        {"pair": "XBTUSD", "since": "yesterday"},
        {"pair": "XBTUSD", "since": "-1"},
        {"pair": "XBTUSD", "since": "1.7e9"},
        {"pair": "XBTUSD", "since": "1" * 20},
        {"pair": "XBTUSD", "count": "0"},
        {"pair": "XBTUSD", "count": "1001"},
        {"pair": "XBTUSD", "count": "many"},
    ],
)
def test_what_kraken_does_not_take_is_an_error_in_the_body(query: dict[str, str]) -> None:
    assert ask(API, "Trades", **query) == {"error": ["EGeneral:Invalid arguments"]}


def test_a_market_that_does_not_trade_now_is_an_unknown_asset_pair() -> None:
    api = SandboxApi(SMALL, Hands(at("2024-05-15 14:00")))
    for name in ("FOOUSD", "ADAUSD"):
        assert ask(api, "Trades", pair=name) == {"error": ["EQuery:Unknown asset pair"]}
    api.delist("XBTUSD")
    assert ask(api, "Trades", pair="XBTUSD", since=0) == {"error": ["EQuery:Unknown asset pair"]}


def test_in_maintenance_no_trade_is_served() -> None:
    api = SandboxApi(SMALL, Hands(NOW), status=Status.MAINTENANCE)
    assert ask(api, "Trades", pair="XBTUSD") == {"error": ["EService:Unavailable"]}


def test_candles_and_trades_of_a_market_share_one_budget() -> None:
    clock = Hands(NOW)
    api = SandboxApi(SMALL, clock, rate=1, monotonic=clock.seconds)
    asked = [("OHLC", "XBTUSD"), ("Trades", "XXBTZUSD"), ("Trades", "ETHEUR"), ("OHLC", "ETHEUR"), ("Time", "XBTUSD")]
    assert [bool(ask(api, method, pair=pair)["error"]) for method, pair in asked] == [False, True, False, True, False]


def test_what_befalls_requests_befalls_those_for_trades() -> None:
    api = SandboxApi(SMALL, Hands(NOW), faults=Faults().plus({Fault.RATE_LIMIT: 1.0}))
    assert ask(api, "Trades", pair="XBTUSD") == {"error": ["EGeneral:Too many requests"]}


def test_pages_have_the_shape_of_krakens(shared_data: Path) -> None:
    real = json.loads((shared_data / "kraken-api" / "Trades_XBTUSDT.json").read_text())["result"]
    rows, last = page_of(API, "XBTUSD")
    assert {tuple(map(type, row)) for row in rows} == {tuple(map(type, row)) for row in real["XBTUSDT"]}
    for column, digits in ((0, 5), (1, 8)):
        assert {len(row[column].partition(".")[2]) for row in (*rows, *real["XBTUSDT"])} == {digits}
    assert type(last) is type(real["last"])
    assert len(last) == len(real["last"])
    assert int(last) / 10**9 == rows[-1][2]
    assert int(real["last"]) / 10**9 == real["XBTUSDT"][-1][2]


def test_a_revised_market_has_the_ids_of_its_revised_trades() -> None:
    revised = replace(SMALL).revised(between("2022-10-06", "2022-10-07"), "XBTUSD")
    assert ids(page_of(SandboxApi(revised, Hands(NOW)), "XBTUSD", since=0)[0]) == list(range(1, 1001))
    newest = page_of(SandboxApi(revised, Hands(NOW)), "XBTUSD", count=1)[0]
    assert ids(newest) == [truth(revised, "XBTUSD")["id"][-1]]
    assert newest[0][6] > XBT["id"][-1]
