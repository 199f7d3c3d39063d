import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chandlery.candles.trades import TRADE_SCHEMA
from chandlery.exchanges.kraken.api.errors import NoAnswer, UnknownPair, UnsoundAnswer
from chandlery.exchanges.kraken.api.trades import TradesPage, parse_trades
from tests.exchanges.kraken.api.builders import Row, asking, error, http, result

LAST = "1762820035982277754"
MIDNIGHT = 1_762_819_200


def traded(seconds: float, number: object = 1, *, price: str = "105433.60000", volume: str = "0.00027625") -> Row:
    return [price, volume, seconds, "b", "l", "", number]


def answer(*rows: object, last: object = LAST) -> dict[str, object]:
    return {"XXBTZUSD": list(rows), "last": last}


def parsed(*rows: object, last: object = LAST) -> TradesPage:
    return parse_trades(answer(*rows, last=last))


def ids(page: TradesPage) -> list[int | None]:
    return page.trades["id"].to_list()


# ---------------------------------------------------------------------------------------------------------- the answer


def test_a_row_becomes_a_trade() -> None:
    page = parsed(traded(MIDNIGHT + 0.25, 7))
    assert page.trades.schema == pl.Schema(TRADE_SCHEMA)
    assert page.trades.rows() == [(MIDNIGHT * 1_000_000_000 + 250_000_000, 105433.6, 0.00027625, 7)]


def test_the_cursor_is_kept_to_the_last_digit() -> None:
    assert parsed(last=LAST).last == LAST
    assert parsed(last="0").last == "0"


def test_an_empty_page_has_no_trades() -> None:
    page = parsed()
    assert page.trades.is_empty()
    assert page.trades.schema == pl.Schema(TRADE_SCHEMA)


def test_times_are_exact_to_the_seventh_decimal() -> None:
    written = ["1762795433.9717445", "1762820035.9822779", "1381095255.5134", "1762795433"]
    page = parsed(*(traded(json.loads(text), 4 - i) for i, text in enumerate(written)))
    for text, moment in zip(reversed(written), page.trades["time"], strict=True):
        # A JSON number of seconds is good to 0.24 µs.
        assert abs(moment - int(text.replace(".", "").ljust(19, "0"))) <= 200


@given(seconds=st.integers(1_381_000_000, 2_000_000_000), tenths_of_us=st.integers(0, 9_999_999))
def test_no_time_is_taken_for_one_of_another_minute(seconds: int, tenths_of_us: int) -> None:
    written = json.loads(f"{seconds}.{tenths_of_us:07}")
    moment = parsed(traded(written)).trades["time"][0]
    assert moment // 60_000_000_000 == int(written) // 60


def test_trades_come_sorted_by_their_ids() -> None:
    assert ids(parsed(traded(MIDNIGHT, 9), traded(MIDNIGHT, 7), traded(MIDNIGHT, 8))) == [7, 8, 9]


def test_old_rows_lack_the_id() -> None:
    assert ids(parsed(traded(MIDNIGHT)[:6], traded(MIDNIGHT, 0), traded(MIDNIGHT, None))) == [None, None, None]


def test_where_one_has_no_id_the_order_of_the_answer_holds() -> None:
    assert ids(parsed(traded(MIDNIGHT)[:6], traded(MIDNIGHT, 9), traded(MIDNIGHT, 8))) == [None, 9, 8]


def test_numbers_are_as_good_as_strings() -> None:
    page = parsed([105433.6, 2, MIDNIGHT, "s", "m", "", 1])
    assert page.trades.row(0)[1:3] == (105433.6, 2.0)


@pytest.mark.parametrize("last", [None, 1762820035982277754, 1.7e18, "", "soon", "-5", "1.5", "9" * 20, "１２"])
def test_a_cursor_that_is_no_string_of_digits_is_unsound(last: object) -> None:
    with pytest.raises(UnsoundAnswer, match="last is .*expected the digits"):
        parsed(traded(MIDNIGHT), last=last)


@pytest.mark.parametrize("result", [None, [], "rows", {}, {"last": LAST}, {"A": {}, "last": LAST}])
def test_a_result_without_one_list_of_rows_is_unsound(result: object) -> None:
    with pytest.raises(UnsoundAnswer):
        parse_trades(result)


def test_more_trades_than_a_page_holds_are_unsound() -> None:
    with pytest.raises(UnsoundAnswer, match="1,001 trades"):
        parsed(*[traded(MIDNIGHT, number) for number in range(1, 1002)])


def changed(place: int, value: object) -> Row:
    row = traded(MIDNIGHT, 2)
    row[place] = value
    return row


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ("row", "row 1 is 'row'; expected 6 values or more"),
        ([1, 2, 3, 4, 5], "row 1 is .*expected 6 values or more"),
        (changed(0, "0.00000"), "row 1: price is '0.00000'; expected a number above 0"),
        (changed(0, "-5"), "row 1: price is '-5'"),
        (changed(0, "nan"), "row 1: price is 'nan'"),
        (changed(0, None), "row 1: price is None"),
        (changed(1, "0"), "row 1: volume is '0'; expected a number above 0"),
        (changed(1, "inf"), "row 1: volume is 'inf'"),
        (changed(2, "1762819200"), "row 1: time is '1762819200'; expected a time in seconds"),
        (changed(2, float("nan")), "row 1: time is nan"),
        (changed(2, 0), "row 1: time is 0"),
        (changed(2, True), "row 1: time is True"),
        (changed(2, 10**12), "row 1: time is 1000000000000"),
        (changed(6, -1), "row 1: id is -1; expected a whole number"),
        (changed(6, "7"), "row 1: id is '7'"),
        (changed(6, 1.5), "row 1: id is 1.5"),
        (changed(6, 2**63), "row 1: id is 9223372036854775808"),
    ],
)
def test_what_is_wrong_is_said_with_the_row(bad: object, says: str) -> None:
    with pytest.raises(UnsoundAnswer, match=says):
        parsed(traded(MIDNIGHT), bad)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=8),
    max_leaves=20,
)


@given(rows=st.lists(st.lists(JSON, min_size=5, max_size=8) | JSON, max_size=4), last=JSON | st.just(LAST))
def test_whatever_comes_is_a_page_or_unsound(rows: list[Any], last: Any) -> None:
    try:
        page = parsed(*rows, last=last)
    except UnsoundAnswer:
        return
    assert page.trades.schema == pl.Schema(TRADE_SCHEMA)
    assert page.trades.height == len(rows)


def test_a_real_page(shared_data: Path) -> None:
    body = json.loads((shared_data / "kraken-api" / "Trades_XBTUSDT.json").read_text())
    page = parse_trades(body["result"])
    assert ids(page) == list(range(10_218_208, 10_219_208))
    assert page.last == LAST
    # The cursor is the time of the last trade, which the row itself tells to 0.2 µs only.
    assert abs(int(page.last) - page.trades["time"][-1]) <= 200


# -------------------------------------------------------------------------------------------------------- the question


def test_trades_are_asked_for_with_the_cursor_as_it_is() -> None:
    outcome = asking(lambda api: api.trades("XBTUSD", LAST), result(answer(traded(MIDNIGHT))))
    assert isinstance(outcome.value, TradesPage)
    assert outcome.value.last == LAST
    assert [asked.target for asked in outcome.asked] == [f"/0/public/Trades?pair=XBTUSD&since={LAST}"]


def test_fewer_trades_can_be_asked_for() -> None:
    outcome = asking(lambda api: api.trades("XBTUSD", "0", 1), result(answer(traded(MIDNIGHT))))
    assert outcome.asked[0].target == "/0/public/Trades?pair=XBTUSD&since=0&count=1"


def test_a_page_that_is_not_sound_is_asked_for_again() -> None:
    outcome = asking(lambda api: api.trades("XBTUSD", "0"), result(answer(["x"])), result(answer(traded(MIDNIGHT))))
    assert isinstance(outcome.value, TradesPage)
    assert outcome.requests == 2


def test_a_page_that_stays_unsound_is_no_answer() -> None:
    outcome = asking(lambda api: api.trades("XBTUSD", "0"), result(answer(["x"])))
    assert isinstance(outcome.problem, NoAnswer)
    assert str(outcome.problem).startswith("Kraken gave no usable answer to Trades of XBTUSD in 3 attempts")


def test_a_market_that_is_gone_is_known_to_be() -> None:
    outcome = asking(lambda api: api.trades("GONEUSD", "0"), error("EQuery:Unknown asset pair"))
    assert isinstance(outcome.problem, UnknownPair)


def test_a_real_page_over_the_wire(shared_data: Path) -> None:
    body = (shared_data / "kraken-api" / "Trades_XBTUSDT.json").read_bytes()
    outcome = asking(lambda api: api.trades("XBTUSDT", "1762795433000000000"), http(body))
    assert isinstance(outcome.value, TradesPage)
    assert outcome.value.trades.height == 1000
