from datetime import timedelta

import pytest

from chandlery.candles.ledger import DAY, WEEK
from chandlery.exchanges.kraken.api.errors import UnknownPair, UnsoundAnswer
from chandlery.exchanges.kraken.api.weekly import CountedWindow, parse_counted
from tests.exchanges.kraken.api.builders import Row, asking, error, ohlc_result, result, row

#: 2024-03-28, a Thursday, in weeks since the epoch.
THURSDAY = 2830
SECONDS = 604_800


def week(number: int, count: int = 3, volume: str | None = None) -> Row:
    return row((THURSDAY + number) * SECONDS, count=count, volume=volume)


def counted(rows: list[Row], last: int | None = None) -> CountedWindow:
    """`last`: the number of the last committed week; None: of the row before the last."""
    stated = rows[-2][0] if last is None else (THURSDAY + last) * SECONDS
    return parse_counted(ohlc_result(rows, stated), WEEK)


def figures(window: CountedWindow) -> tuple[int, list[int], list[float]]:
    return window.figures.first - THURSDAY, window.figures.trades.tolist(), window.figures.volume.tolist()


def test_weeks_are_counted_from_thursday_and_the_forming_one_is_left_out() -> None:
    window = counted([week(0, 7, "1.5"), week(1, 8, "2.5"), week(2, 1)])
    assert figures(window) == (0, [7, 8], [1.5, 2.5])
    assert [str(column.dtype) for column in (window.figures.trades, window.figures.volume)] == ["int64", "float64"]
    assert window.figures.width == WEEK


def test_a_week_that_is_left_out_traded_nothing() -> None:
    assert figures(counted([week(0, 7, "1.5"), week(3, 8, "2.5"), week(4)])) == (0, [7, 0, 0, 8], [1.5, 0, 0, 2.5])


def test_committed_weeks_after_the_last_row_traded_nothing() -> None:
    assert figures(counted([week(0, 7, "1.5")], last=2)) == (0, [7, 0, 0], [1.5, 0, 0])


def test_what_is_committed_is_said_by_the_answer_and_not_by_position() -> None:
    assert figures(counted([week(0), week(1), week(2)], last=0))[1] == [3]
    assert figures(counted([week(0), week(1), week(2)], last=2))[1] == [3, 3, 3]


@pytest.mark.parametrize("last", [None, 0, "soon"])
def test_without_that_word_the_last_row_is_the_forming_one(last: object) -> None:
    assert figures(parse_counted(ohlc_result([week(0), week(1)], last), WEEK))[1] == [3]


def test_the_first_trade_is_reached_where_the_window_is_not_full() -> None:
    full = [week(i) for i in range(721)]
    assert not counted(full).reaches_first
    assert counted(full[1:]).reaches_first


def test_the_first_trade_is_reached_where_the_window_begins_with_silence() -> None:
    window = counted([week(0, 0), week(1, 0), *(week(i) for i in range(2, 721))])
    assert window.reaches_first
    assert (window.figures.first - THURSDAY, len(window.figures.trades)) == (2, 718)


def test_a_market_without_a_committed_week_has_no_figures() -> None:
    for window in (parse_counted(ohlc_result([], 0), WEEK), counted([week(0)], last=-1), counted([week(0, 0)], last=0)):
        assert (len(window.figures.trades), len(window.figures.volume), window.reaches_first) == (0, 0, True)


def test_days_are_counted_as_weeks_are() -> None:
    days = [row(19_810 * 86_400, count=5), row(19_811 * 86_400, count=6), row(19_812 * 86_400)]
    window = parse_counted(ohlc_result(days, 19_811 * 86_400), DAY)
    told = window.figures
    assert (told.first, told.trades.tolist(), told.width) == (19_810, [5, 6], timedelta(days=1))


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (row(THURSDAY * SECONDS + 86_400), "row 1: time is .*a multiple of 604800 s since the epoch"),
        (week(0), "row 1: time is .*after that of the row before"),
        (week(1, 3, "-1"), "row 1: volume is '-1'; expected a volume of at least zero"),
        (week(1, 0, "1.0"), "row 1: volume is '1.0'; expected no volume where nothing was traded"),
        (week(1, -1), "row 1: count is -1"),
        (week(1)[:7], "row 1 is .*expected 8 values"),
    ],
)
def test_what_is_wrong_is_said_with_the_row(bad: Row, says: str) -> None:
    with pytest.raises(UnsoundAnswer, match=says):
        parse_counted(ohlc_result([week(0), bad], THURSDAY * SECONDS), WEEK)


def test_weeks_and_days_are_asked_for_by_their_minutes() -> None:
    answer = result(ohlc_result([week(0), week(1)], THURSDAY * SECONDS))
    weekly = asking(lambda api: api.weekly("XBTUSD"), answer)
    daily = asking(lambda api: api.daily("XBTUSD"), answer)
    assert isinstance(weekly.value, CountedWindow)
    assert figures(weekly.value) == (0, [3], [1.5])
    assert isinstance(daily.value, CountedWindow)
    assert daily.value.figures.first == THURSDAY * 7
    asked = [*weekly.asked, *daily.asked]
    assert [one.target for one in asked] == [f"/0/public/OHLC?pair=XBTUSD&interval={width}" for width in (10080, 1440)]


def test_the_window_of_a_market_that_is_gone_is_refused() -> None:
    outcome = asking(lambda api: api.weekly("GONEUSD"), error("EQuery:Unknown asset pair"))
    assert isinstance(outcome.problem, UnknownPair)
