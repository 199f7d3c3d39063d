import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from chandlery.candles.frame import CANDLE_SCHEMA
from chandlery.candles.interval import EPOCH, Interval
from chandlery.candles.timerange import RangeSet, TimeRange
from chandlery.exchanges.kraken.api.ohlc import parse_ohlc
from chandlery.exchanges.kraken.api.trades import TradesPage, parse_trades
from chandlery.exchanges.kraken.walk import (
    PROVEN,
    UNPROVEN,
    Break,
    CursorStuck,
    UnreadableWalk,
    Walk,
    cursor_at,
)
from tests.candles.builders import at, between
from tests.exchanges.kraken.paging import (
    BEFORE,
    MARCH,
    NOON,
    SECOND,
    WANTED,
    Pager,
    Trade,
    clock,
    frame,
    minutes_of,
    proven,
    trade,
    walked,
)

# --------------------------------------------------------------------------------------------------------- one by one


def test_minutes_between_two_trades_are_proven_and_the_quiet_ones_with_them() -> None:
    trades = [
        trade("11:59:30", 7),
        trade("12:00:10", 8, price=101.0),
        trade("12:00:50", 9, price=99.0),
        trade("12:05:00", 10),
        trade("12:10:00", 11),
    ]
    seen = walked(Walk.start(WANTED, BEFORE), Pager(trades).page)

    assert seen.answers == proven(WANTED)
    assert seen.candles.equals(minutes_of(trades, WANTED))
    assert seen.candles.height == 2
    assert (seen.trades, seen.breaks, len(seen.steps)) == (5, [], 1)


def test_a_walk_ends_at_the_first_trade_after_the_range_and_takes_no_other() -> None:
    trades = [trade("11:59:30", 7), trade("12:01:00", 8), trade("13:00:00", 9), trade("13:00:01", 10)]
    seen = walked(Walk.start(WANTED, BEFORE), Pager(trades).page)
    assert (seen.trades, seen.walk.last_id) == (3, 9)


def test_an_empty_page_answers_up_to_the_minute_in_which_it_was_asked_for() -> None:
    trades = [trade("11:59:30", 7), trade("12:01:30", 8)]
    seen = walked(Walk.start(WANTED, BEFORE), Pager(trades).page, at("2024-03-31 12:04") + timedelta(seconds=59))

    assert seen.answers == proven(clock("12:00", "12:04"))
    assert seen.candles.height == 1
    assert seen.walk.reached == at("2024-03-31 12:04")


def test_a_minute_that_is_still_open_at_the_end_is_not_handed_out() -> None:
    trades = [trade("11:59:30", 7), trade("12:01:30", 8)]
    seen = walked(Walk.start(WANTED, BEFORE), Pager(trades).page, at("2024-03-31 12:01") + timedelta(seconds=40))

    assert seen.answers == proven(clock("12:00", "12:01"))
    assert seen.candles.is_empty()


def test_an_empty_page_after_the_end_of_the_range_answers_no_more_than_the_range() -> None:
    seen = walked(Walk.start(WANTED, BEFORE), Pager([trade("11:59:30", 7), trade("12:09:59", 8)]).page)
    assert seen.answers == proven(WANTED)
    assert seen.candles.height == 1


def test_a_short_page_is_no_end() -> None:
    trades = [trade("11:59:30", 1), *(trade(f"12:0{i}:00", i + 2) for i in range(10)), trade("12:10:00", 12)]
    pager = Pager(trades, sizes=[5])
    seen = walked(Walk.start(WANTED, BEFORE), pager.page)

    assert seen.candles.equals(minutes_of(trades, WANTED))
    assert pager.asked == [BEFORE, str(trades[4].time), str(trades[9].time)]


def test_coverage_grows_page_by_page_and_the_open_minute_waits() -> None:
    trades = [trade("11:59:30", 1), trade("12:02:10", 2), trade("12:02:20", 3, price=90.0), trade("12:10:00", 4)]
    seen = walked(Walk.start(WANTED, BEFORE), Pager(trades, sizes=[2]).page)

    assert [step.answers for step in seen.steps] == [proven(clock("12:00", "12:02")), proven(clock("12:02", "12:10"))]
    assert [step.candles.height for step in seen.steps] == [0, 1]
    assert seen.candles.row(0)[1:] == (100.0, 100.0, 90.0, 90.0, 2.0, 2)


def test_a_range_in_the_midst_gets_only_its_own_minutes() -> None:
    trades = [trade(f"12:{i:02}:30", i + 1) for i in range(30)]
    seen = walked(Walk.start(clock("12:10", "12:12"), cursor_at(at("2024-03-31 12:07"))), Pager(trades).page)
    assert seen.candles["timestamp"].to_list() == [at("2024-03-31 12:10"), at("2024-03-31 12:11")]


# -------------------------------------------------------------------------------------------------------- the beginning


def test_what_came_before_the_first_trade_of_the_market_stays_unanswered() -> None:
    trades = [trade("12:03:20", 1), trade("12:03:40", 2), trade("12:10:00", 3)]
    seen = walked(Walk.start(WANTED, "0", from_first=True), Pager(trades).page)

    assert seen.answers == proven(clock("12:03", "12:10"))
    assert seen.candles.equals(minutes_of(trades, WANTED))


def test_a_market_that_never_traded_is_answered_for_nowhere() -> None:
    pager = Pager([])
    seen = walked(Walk.start(WANTED, "0", from_first=True), pager.page)
    assert (seen.answers, pager.asked) == ({}, ["0"])


def test_a_market_that_began_after_the_range_is_answered_for_nowhere() -> None:
    seen = walked(Walk.start(WANTED, "0", from_first=True), Pager([trade("13:00:00", 1)]).page)
    assert (seen.answers, seen.trades) == ({}, 1)


def test_without_a_trade_before_the_range_it_is_looked_for_further_back() -> None:
    trades = [trade("04:30:00", 1), trade("12:01:00", 2), trade("12:10:00", 3)]
    pager = Pager(trades)
    seen = walked(Walk.start(WANTED, cursor_at(at("2024-03-31 11:00"))), pager.page)

    assert seen.answers == proven(WANTED)
    assert [int(cursor) - MARCH for cursor in pager.asked] == [-3600 * SECOND - 1, -8 * (3600 * SECOND + 1)]


def test_at_last_what_came_before_the_first_trade_is_answered_for_but_not_proven() -> None:
    trades = [trade("12:03:20", 5), trade("12:06:00", 6), trade("12:10:00", 7)]
    pager = Pager(trades)
    seen = walked(Walk.start(WANTED, cursor_at(at("2024-03-31 11:00"))), pager.page)

    assert seen.answers == {
        UNPROVEN: RangeSet([clock("12:00", "12:04")]),
        PROVEN: RangeSet([clock("12:04", "12:10")]),
    }
    assert seen.candles.equals(minutes_of(trades, WANTED))
    assert [(MARCH - int(cursor)) // (3600 * SECOND) for cursor in pager.asked] == [1, 8, 64, 512, 4096]


def test_a_silence_that_nobody_saw_begin_is_not_proven() -> None:
    seen = walked(Walk.start(WANTED, cursor_at(at("2024-03-31 11:00"))), Pager([]).page)
    assert seen.answers == {UNPROVEN: RangeSet([WANTED])}


def test_looking_back_ends_at_the_first_trade_of_all() -> None:
    early = TimeRange(at("1970-03-01"), at("1970-03-02"))
    first = Trade(int((at("1970-03-01 05:00") - EPOCH).total_seconds()) * SECOND, id=1)
    pager = Pager([first])
    seen = walked(Walk.start(early, cursor_at(at("1970-02-20"))), pager.page)

    assert pager.asked[1] == "0"
    assert seen.answers == proven(between("1970-03-01 05:00", "1970-03-02"))


def test_a_cursor_inside_of_the_range_is_moved_to_before_it() -> None:
    trades = [trade("11:59:00", 1), trade("12:02:30", 2), trade("12:03:30", 3), trade("12:10:00", 4)]
    seen = walked(Walk.start(WANTED, cursor_at(at("2024-03-31 12:03"))), Pager(trades).page)
    assert seen.answers == proven(WANTED)
    assert seen.candles.equals(minutes_of(trades, WANTED))


def test_from_zero_the_first_minute_is_not_proven_unless_it_is_said_to_be_the_first() -> None:
    pager = Pager([trade("12:03:20", 1), trade("12:10:00", 2)])
    seen = walked(Walk.start(WANTED, "0"), pager.page)
    assert seen.answers[UNPROVEN] == RangeSet([clock("12:00", "12:04")])
    assert pager.asked == ["0"]


# ---------------------------------------------------------------------------------------------------------- the cursor


def test_the_cursor_goes_back_as_it_came() -> None:
    page = TradesPage(frame([trade("11:59:00", 1), trade("12:01:00", 2)]), "1711886460000000123")
    assert Walk.start(WANTED, BEFORE).taken(page, NOON).walk.next_cursor == "1711886460000000123"


def test_the_cursor_before_a_moment_is_exact() -> None:
    assert cursor_at(at("2025-11-11 00:13") + timedelta(microseconds=982277)) == "1762819980982276999"
    assert cursor_at(EPOCH) == "0"


def test_trades_lost_at_the_edge_of_a_page_are_found_from_before_it() -> None:
    same = [trade("12:01:00", number, price=100.0 + number) for number in (2, 3, 4)]
    trades = [trade("11:59:00", 1), *same, trade("12:02:00", 5), trade("12:10:00", 6)]
    pager = Pager(trades, sizes=[2, 4])
    seen = walked(Walk.start(WANTED, BEFORE), pager.page)

    edge = trades[1].time
    assert pager.asked[:3] == [BEFORE, str(edge), str(edge - 1)]
    assert seen.candles.equals(minutes_of(trades, WANTED))
    assert (seen.answers, seen.breaks) == (proven(WANTED), [])


def test_an_exchange_that_loses_trades_at_edges_is_asked_from_before_them_from_then_on() -> None:
    trades = [trade("11:59:00", 1), *(trade(f"12:0{i // 3}:00", i + 2) for i in range(24)), trade("12:10:00", 26)]
    pager = Pager(trades, sizes=[5])
    seen = walked(Walk.start(WANTED, BEFORE), pager.page)

    assert seen.candles.equals(minutes_of(trades, WANTED))
    # One page was asked for twice, and never another.
    assert len([step for step in seen.steps if step.trades == 0]) == 1


def test_trades_that_come_twice_at_the_edge_of_a_page_count_once() -> None:
    same = [trade("12:01:00", number) for number in (2, 3, 4)]
    trades = [trade("11:59:00", 1), *same, trade("12:02:00", 5), trade("12:10:00", 6)]
    seen = walked(Walk.start(WANTED, BEFORE), Pager(trades, sizes=[4], inclusive=True).page)
    assert (seen.trades, seen.answers) == (6, proven(WANTED))
    assert seen.candles.equals(minutes_of(trades, WANTED))


def test_trades_lost_behind_the_last_page_are_found_before_the_end_is_believed() -> None:
    trades = [trade("11:59:00", 1), trade("12:01:00", 2), trade("12:01:00", 3, price=105.0)]
    pager = Pager(trades, sizes=[2])
    seen = walked(Walk.start(WANTED, BEFORE), pager.page)

    assert seen.candles["trades"].to_list() == [2]
    assert seen.answers == proven(WANTED)


@pytest.mark.parametrize("inclusive", [False, True])
def test_more_trades_at_one_time_than_fit_on_a_page_are_an_error_and_no_endless_walk(inclusive: bool) -> None:
    trades = [trade("11:59:00", 1), *(trade("12:01:00", number) for number in range(2, 2500))]
    with pytest.raises(CursorStuck, match="Kraken's Trades do not go on from .*: 1,000 trades, all of them known"):
        walked(Walk.start(WANTED, BEFORE), Pager(trades, inclusive=inclusive).page, most_pages=10)


@pytest.mark.parametrize("rows", [3, 1000])
@pytest.mark.parametrize("numbered", [False, True])
def test_an_exchange_that_gives_the_same_page_whatever_is_asked_ends_the_walk(rows: int, numbered: bool) -> None:
    ever = [Trade(MARCH - SECOND * (rows - i), id=i + 1 if numbered else None) for i in range(rows)]
    page = TradesPage(frame(ever), str(ever[-1].time))
    with pytest.raises(CursorStuck):
        walked(Walk.start(WANTED, BEFORE), lambda _: page, most_pages=10)


def test_a_cursor_that_leads_back_ends_the_walk() -> None:
    first = TradesPage(frame([trade("11:59:00", 1), trade("12:01:00", 2)]), str(trade("12:01:00").time))
    second = TradesPage(frame([trade("12:02:00", 3)]), str(trade("11:59:00").time))
    walk = Walk.start(WANTED, BEFORE).taken(first, NOON).walk
    with pytest.raises(CursorStuck, match="lies before"):
        walk.taken(second, NOON)


def test_a_walk_that_is_done_takes_no_page() -> None:
    seen = walked(Walk.start(WANTED, BEFORE), Pager([]).page)
    with pytest.raises(ValueError, match="done"):
        seen.walk.taken(TradesPage(frame([]), "1"), NOON)


# ----------------------------------------------------------------------------------------- what is broken or unnumbered


def test_a_gap_in_the_ids_inside_of_a_page_is_asked_for_once_more_and_then_reported() -> None:
    trades = [trade("11:59:00", 1), trade("12:02:10", 2), trade("12:04:50", 6), trade("12:10:00", 7)]
    pager = Pager(trades)
    seen = walked(Walk.start(WANTED, BEFORE), pager.page)

    assert pager.asked == [BEFORE, BEFORE]
    assert seen.breaks == [Break(2, 6, clock("12:02", "12:05"))]
    assert seen.breaks[0].missing == 3
    assert seen.answers == {
        PROVEN: RangeSet([clock("12:00", "12:02"), clock("12:05", "12:10")]),
        UNPROVEN: RangeSet([clock("12:02", "12:05")]),
    }
    assert seen.candles.equals(minutes_of(trades, WANTED))


def test_a_gap_between_pages_that_stays_is_reported() -> None:
    trades = [trade("11:59:00", 1), trade("12:02:10", 2), trade("12:04:50", 6), trade("12:10:00", 7)]
    pager = Pager(trades, sizes=[2, 2, 3])
    seen = walked(Walk.start(WANTED, BEFORE), pager.page)

    assert pager.asked == [BEFORE, str(trades[1].time), str(trades[1].time - 1)]
    assert seen.breaks == [Break(2, 6, clock("12:02", "12:05"))]


def test_a_gap_that_is_closed_when_asked_again_leaves_no_trace() -> None:
    whole = [trade("11:59:00", 1), trade("12:02:10", 2), trade("12:03:00", 3), trade("12:10:00", 4)]
    answers = iter([Pager([whole[0], whole[1], whole[3]]), Pager(whole)])
    seen = walked(Walk.start(WANTED, BEFORE), lambda cursor: next(answers).page(cursor))

    assert (seen.answers, seen.breaks) == (proven(WANTED), [])
    assert seen.candles.equals(minutes_of(whole, WANTED))


def test_several_gaps_of_a_page_cost_one_more_page() -> None:
    trades = [trade(f"12:0{i}:00", 2 * i + 1) for i in range(10)]
    pager = Pager([trade("11:59:00", 0 + 1), *trades[1:], trade("12:10:00", 20)])
    seen = walked(Walk.start(WANTED, BEFORE), pager.page)
    assert (len(pager.asked), len(seen.breaks)) == (2, 9)


def test_gaps_before_the_range_are_of_no_interest() -> None:
    pager = Pager([trade("11:50:00", 1), trade("11:55:00", 5), trade("12:01:00", 6), trade("12:10:00", 7)])
    seen = walked(Walk.start(WANTED, cursor_at(at("2024-03-31 11:45"))), pager.page)
    assert (len(pager.asked), seen.breaks, seen.answers) == (1, [], proven(WANTED))


def test_trades_without_ids_answer_and_prove_nothing() -> None:
    trades = [trade("11:59:00"), trade("12:01:00"), trade("12:05:00"), trade("12:10:00")]
    seen = walked(Walk.start(WANTED, BEFORE), Pager(trades, sizes=[2]).page)
    assert seen.answers == {UNPROVEN: RangeSet([WANTED])}
    assert seen.breaks == []
    assert seen.candles.equals(minutes_of(trades, WANTED))


def test_equal_trades_without_ids_at_the_edge_of_a_page_are_counted_as_often_as_they_were_made() -> None:
    trades = [trade("11:59:00"), *[trade("12:01:00")] * 4, trade("12:01:00", price=101.0), trade("12:10:00")]
    for inclusive in (False, True):
        seen = walked(Walk.start(WANTED, BEFORE), Pager(trades, sizes=[3, 6], inclusive=inclusive).page)
        assert seen.candles["trades"].to_list() == [5]


def test_where_ids_begin_the_minutes_after_are_proven() -> None:
    trades = [trade("11:59:00"), trade("12:03:10"), trade("12:05:20", 1), trade("12:05:30", 2), trade("12:10:00", 3)]
    seen = walked(Walk.start(WANTED, BEFORE), Pager(trades).page)
    assert seen.answers == {UNPROVEN: RangeSet([clock("12:00", "12:06")]), PROVEN: RangeSet([clock("12:06", "12:10")])}


def test_the_silence_after_a_trade_without_id_is_not_proven() -> None:
    seen = walked(Walk.start(WANTED, BEFORE), Pager([trade("11:59:00"), trade("12:03:10")]).page)
    assert seen.answers == {UNPROVEN: RangeSet([WANTED])}
    assert seen.candles.height == 1


@pytest.mark.parametrize("state", [None, {}, {"range": ["a", "b"]}, {"range": ["2024-01-01T00:00:00+00:00"]}])
def test_what_is_no_walk_is_said_to_be_none(state: Any) -> None:
    with pytest.raises(UnreadableWalk, match="no state of a walk"):
        Walk.from_json(state)


# ------------------------------------------------------------------------------------------------------- the real thing


def test_the_real_trades_rebuild_the_real_minutes(shared_data: Path) -> None:
    page = parse_trades(json.loads((shared_data / "kraken-api" / "Trades_XBTUSDT.json").read_text())["result"])
    recorded = json.loads((shared_data / "kraken-api" / "OHLC_XBTUSDT_1.json").read_text())["result"]
    first, last = (EPOCH + timedelta(microseconds=int(page.trades["time"][end]) // 1000) for end in (0, -1))
    wanted = TimeRange(Interval.M1.ceil(first), Interval.M1.floor(last))
    step = Walk.start(wanted, cursor_at(first)).taken(page, last)

    rows = parse_ohlc(recorded, Interval.M1).rows
    same = rows.filter(pl.col("timestamp").is_between(wanted.start, wanted.end, closed="left"))
    traded = same.filter(pl.col("trades") > 0).select(*CANDLE_SCHEMA)
    assert step.candles.equals(traded)
    assert (traded.height, same.height - traded.height) == (272, 137)
    assert step.answers == proven(wanted)
    assert (step.trades, step.breaks) == (1000, ())
