from itertools import pairwise

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from chandlery.candles.frame import CANDLE_SCHEMA, first_bad_row
from chandlery.candles.interval import Interval
from chandlery.candles.trades import MINUTE, TRADE_SCHEMA, fold, joined
from tests.candles.builders import at, candles_at

NOON = int(at("2024-03-31 12:00").timestamp()) * 1_000_000_000
SECOND = 1_000_000_000
Row = tuple[int, float, float, int | None]


def trades(*rows: tuple[float, float, float]) -> pl.DataFrame:
    """Of (seconds since 12:00, price, volume)."""
    return frame([(NOON + int(seconds * SECOND), price, volume, None) for seconds, price, volume in rows])


def frame(rows: list[Row]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=TRADE_SCHEMA, orient="row")


def test_no_trades_make_no_candles() -> None:
    assert fold(frame([])).schema == pl.Schema(CANDLE_SCHEMA)


def test_the_order_of_trade_decides_what_opens_and_closes_a_minute() -> None:
    candles = fold(trades((5, 100.0, 1.0), (5, 103.0, 0.5), (5, 99.0, 0.25), (59.9, 101.0, 0.25)))
    assert candles.schema == pl.Schema(CANDLE_SCHEMA)
    assert candles.rows() == [(at("2024-03-31 12:00"), 100.0, 103.0, 99.0, 101.0, 2.0, 4)]


def test_a_trade_at_the_very_start_of_a_minute_belongs_to_it() -> None:
    candles = fold(trades((59.999999, 1.0, 1.0), (60, 2.0, 1.0), (300, 3.0, 1.0)))
    assert candles["timestamp"].to_list() == [at("2024-03-31 12:00"), at("2024-03-31 12:01"), at("2024-03-31 12:05")]


def test_volumes_are_what_the_exchange_adds_up_to() -> None:
    assert fold(trades((1, 1.0, 0.1), (2, 1.0, 0.2)))["volume"].to_list() == [0.3]
    assert fold(trades(*[(1, 1.0, 0.00000001)] * 3))["volume"].to_list() == [0.00000003]


def test_volumes_that_are_huge_are_left_as_they_are() -> None:
    assert fold(trades((1, 1.0, 123456789012.5), (2, 1.0, 1e300)))["volume"].to_list() == [1e300]
    assert fold(trades((1, 1.0, 123456789012.5)))["volume"].to_list() == [123456789012.5]


def test_minutes_come_sorted_where_trades_do_not() -> None:
    candles = fold(trades((70, 3.0, 1.0), (5, 1.0, 1.0), (61, 4.0, 1.0)))
    assert candles.select("open", "close", "trades").rows() == [(1.0, 1.0, 1), (3.0, 4.0, 2)]


def test_frames_that_share_no_minute_are_put_one_after_the_other() -> None:
    one, other = candles_at(at("2024-03-31 12:00")), candles_at(at("2024-03-31 12:02"))
    assert joined(one, other).equals(pl.concat([one, other]))


def test_an_empty_frame_adds_nothing() -> None:
    one = candles_at(at("2024-03-31 12:00"))
    assert joined(one, fold(frame([]))).equals(one)
    assert joined(fold(frame([])), one).equals(one)


def test_a_minute_that_both_hold_becomes_one_candle() -> None:
    earlier, later = fold(trades((1, 5.0, 0.1), (2, 9.0, 0.1))), fold(trades((3, 2.0, 0.1), (4, 4.0, 0.1)))
    assert joined(earlier, later).row(0)[1:] == (5.0, 9.0, 2.0, 4.0, 0.4, 4)


@st.composite
def traded(draw: st.DrawFn) -> list[Row]:
    waits = draw(st.lists(st.integers(0, 90 * SECOND), min_size=1, max_size=40))
    time = NOON
    rows: list[Row] = []
    for wait in waits:
        time += wait
        price = draw(st.floats(0.0001, 1e5))
        rows.append((time, price, draw(st.integers(1, 10**12)) / 1e8, None))
    return rows


@given(rows=traded())
def test_candles_say_what_was_traded_in_their_minute(rows: list[Row]) -> None:
    candles = fold(frame(rows))
    assert first_bad_row(candles, Interval.M1) is None
    minutes = sorted({row[0] // MINUTE for row in rows})
    assert [int(moment.timestamp()) // 60 for moment in candles["timestamp"]] == minutes
    for minute, candle in zip(minutes, candles.rows(), strict=True):
        inside = [row for row in rows if row[0] // MINUTE == minute]
        prices = [row[1] for row in inside]
        units = sum(round(row[2] * 1e8) for row in inside)
        assert candle[1:] == (prices[0], max(prices), min(prices), prices[-1], units / 1e8, len(inside))


@given(rows=traded(), cuts=st.lists(st.integers(0, 40), max_size=4))
def test_folding_in_parts_is_folding_at_once(rows: list[Row], cuts: list[int]) -> None:
    ends = [0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)]
    whole = fold(frame([]))
    for start, end in pairwise(ends):
        whole = joined(whole, fold(frame(rows[start:end])))
    assert whole.equals(fold(frame(rows)))
