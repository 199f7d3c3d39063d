"""Which gaps only trades can tell, how far a walk over them reaches, and which of the walks a run can pay for."""

from collections.abc import Mapping
from datetime import datetime

from chandlery.candles.interval import Interval
from chandlery.candles.series import Series
from chandlery.candles.timerange import RangeSet, TimeRange
from chandlery.candles.verdict import Life
from chandlery.pipeline.walks import Price, TradeWalk, Trail, requests_of
from tests.candles.builders import at, between

#: The hour that closed last, and the minute.
HOUR, UNTIL = at("2024-08-31 08:00"), at("2024-08-31 08:20")
#: What one answer of the API tells of hours.
WINDOW = TimeRange(at("2024-08-01 08:00"), HOUR)
OLD = between("2024-06-01", "2024-08-01 08:00")


def series(minutes: int = 60, market: str = "XBTUSD") -> Series:
    return Series("kraken", market, Interval(minutes))


def a_day(trades: float) -> Price:
    """The same pace everywhere."""
    return lambda market, within: trades * within.length.total_seconds() / 86_400


def trail(
    price: Price = lambda market, within: 0.0,
    *,
    markets: tuple[str, ...] = ("XBTUSD",),
    budget: int | None = None,
    walked: Mapping[str, RangeSet] | None = None,
    standing: Mapping[str, datetime] | None = None,
    first_trade: datetime | None = None,
) -> Trail:
    lives = {"XBTUSD": Life(first_trade)}
    return Trail(UNTIL, frozenset(markets), price, budget, walked or {}, standing or {}, lives)


def walks(
    of: Trail,
    *left: TimeRange,
    asked: tuple[TimeRange, ...] = (),
    end: datetime = HOUR,
    within: Series = series(),  # noqa: B008 - a value
) -> list[TradeWalk]:
    """What is due of one series that is wanted up to `end`."""
    return of.walks({within: RangeSet(left)}, {within: RangeSet(asked)}, {within: end})


def ranges(found: list[TradeWalk]) -> dict[str, list[TimeRange]]:
    return {walk.market: list(walk.ranges) for walk in found}


# --------------------------------------------------------------------------------------------------- how far it reaches


def test_what_the_api_would_tell_of_a_gap_is_walked_with_the_rest_of_it() -> None:
    found = walks(trail(), OLD, asked=(WINDOW,), end=at("2024-09-01"))

    assert ranges(found) == {"XBTUSD": [TimeRange(OLD.start, HOUR)]}


def test_what_the_api_tells_whole_is_not_walked() -> None:
    apart = between("2024-08-05", "2024-08-06")

    assert walks(trail(), asked=(WINDOW,)) == []
    assert ranges(walks(trail(), between("2024-06-01", "2024-06-02"), asked=(apart,))) == {
        "XBTUSD": [between("2024-06-01", "2024-06-02")]
    }


def test_a_walk_that_reaches_the_newest_slot_goes_on_to_the_newest_minute() -> None:
    assert ranges(walks(trail(), OLD, asked=(WINDOW,))) == {"XBTUSD": [TimeRange(OLD.start, UNTIL)]}


def test_a_gap_that_ends_before_the_newest_slot_is_walked_to_its_end() -> None:
    assert ranges(walks(trail(), OLD)) == {"XBTUSD": [OLD]}


def test_where_an_end_was_asked_for_the_walk_does_not_go_beyond_it() -> None:
    assert ranges(walks(trail(), OLD, end=OLD.end)) == {"XBTUSD": [OLD]}


def test_the_day_that_is_still_open_is_walked_only_where_days_are_wanted_up_to_the_last_one() -> None:
    """Yesterday is the newest day: less than a day lies between its end and the newest minute."""
    days, gap = series(1440), between("2024-06-01", "2024-08-31")

    assert ranges(walks(trail(), gap, end=at("2024-08-31"), within=days)) == {"XBTUSD": [TimeRange(gap.start, UNTIL)]}


def test_the_gaps_of_all_widths_are_one_walk_over_minutes() -> None:
    left = {
        series(60): RangeSet([between("2024-06-01 05:00", "2024-06-02")]),
        series(240): RangeSet([between("2024-06-01 04:00", "2024-06-02 04:00"), between("2024-07-01", "2024-07-02")]),
    }
    [walk] = trail().walks(left, {}, dict.fromkeys(left, HOUR))

    assert walk.series == series(1)
    assert list(walk.ranges) == [between("2024-06-01 04:00", "2024-06-02 04:00"), between("2024-07-01", "2024-07-02")]


# -------------------------------------------------------------------------------------------------- what is left alone


def test_what_was_walked_is_not_walked_again() -> None:
    first, rest = between("2024-06-01", "2024-07-01"), TimeRange(at("2024-07-01"), OLD.end)

    assert ranges(walks(trail(walked={"XBTUSD": RangeSet([first])}), OLD)) == {"XBTUSD": [rest]}
    assert walks(trail(walked={"XBTUSD": RangeSet([OLD])}), OLD) == []


def test_what_was_walked_of_one_market_says_nothing_of_another() -> None:
    of = trail(markets=("XBTUSD", "ETHUSD"), walked={"ETHUSD": RangeSet([OLD])})

    assert ranges(walks(of, OLD)) == {"XBTUSD": [OLD]}


def test_before_a_first_trade_there_is_nothing_to_walk() -> None:
    """The rest of a walk was done: what is left of the coarse slot that holds the first trade lies before it."""
    first_trade = at("2024-06-01 09:33")
    of = trail(walked={"XBTUSD": RangeSet([TimeRange(first_trade, UNTIL)])}, first_trade=first_trade)

    assert walks(of, between("2024-06-01 08:00", "2024-06-01 12:00"), within=series(240)) == []
    assert walks(trail(first_trade=first_trade), OLD)[0].ranges == RangeSet([TimeRange(first_trade, OLD.end)])


def test_markets_that_are_not_listed_are_not_walked() -> None:
    assert walks(trail(markets=("ETHUSD",)), OLD) == []


def test_where_nothing_is_open_there_is_nothing_to_walk() -> None:
    assert walks(trail()) == []


def test_a_walk_that_was_interrupted_is_finished_although_the_api_tells_the_rest() -> None:
    of = trail(
        standing={"XBTUSD": at("2024-08-20 11:13")},
        walked={"XBTUSD": RangeSet([between("2024-06-01", "2024-08-20 11:13")])},
    )
    found = walks(of, asked=(WINDOW,))

    assert ranges(found) == {"XBTUSD": [TimeRange(at("2024-08-20 11:13"), UNTIL)]}


def test_an_interrupted_walk_that_stands_elsewhere_makes_no_other_gap_due() -> None:
    newest = between("2024-08-31 05:00", "2024-08-31 08:00")

    assert walks(trail(standing={"XBTUSD": at("2024-08-20 11:13")}), asked=(newest,)) == []
    assert walks(trail(standing={"ETHUSD": at("2024-08-31 06:13")}), asked=(newest,)) == []


# --------------------------------------------------------------------------------------------------------------- prices


def test_a_walk_takes_a_request_for_every_thousand_trades_and_one_more() -> None:
    def requests(trades: float) -> int | None:
        [walk] = walks(trail(lambda market, within: trades), OLD)
        assert walk.trades == trades
        return walk.requests

    assert [requests(trades) for trades in (0.0, 999.0, 1000.0, 12_345.6)] == [1, 1, 2, 13]


def test_at_the_newest_minute_one_more_request_says_that_nothing_follows() -> None:
    [walk] = walks(trail(lambda market, within: 5_500.0), OLD, asked=(WINDOW,))

    assert walk.requests == 6 + 1


def test_each_part_of_a_walk_is_priced_by_itself() -> None:
    [walk] = walks(trail(a_day(600)), between("2024-06-01", "2024-06-03"), between("2024-07-01", "2024-07-02"))

    assert (walk.trades, walk.requests) == (1_800.0, 2 + 1)


def test_where_the_price_of_one_part_is_not_known_that_of_the_walk_is_not() -> None:
    def price(market: str, within: TimeRange) -> float | None:
        return 100.0 if within.start < at("2024-07-01") else None

    [walk] = walks(trail(price), between("2024-06-01", "2024-06-03"), between("2024-07-01", "2024-07-02"))

    assert (walk.trades, walk.requests) == (None, None)


def test_the_price_of_several_walks_is_their_sum_where_all_are_known() -> None:
    def walk(requests: int | None) -> TradeWalk:
        return TradeWalk(series(1), RangeSet([OLD]), requests=requests)

    assert requests_of([walk(3), walk(4)]) == 7
    assert requests_of([walk(3), walk(None)]) is None
    assert requests_of([]) == 0


# --------------------------------------------------------------------------------------------------------------- budget

PRICES = {"XBTUSD": 9_500.0, "ETHUSD": 2_500.0, "SOLUSD": 500.0}
ALL = tuple(PRICES)


def chosen(budget: int | None, prices: Mapping[str, float | None] = PRICES) -> list[tuple[str, int | None]]:
    """Markets that are walked, in this order, with their price."""
    of = trail(lambda market, within: prices[market], markets=ALL, budget=budget)
    left = {series(market=name): RangeSet([OLD]) for name in ALL}
    return [(walk.market, walk.requests) for walk in of.walks(left, {}, dict.fromkeys(left, HOUR))]


def test_the_cheapest_walk_comes_first() -> None:
    assert chosen(None) == [("SOLUSD", 1), ("ETHUSD", 3), ("XBTUSD", 10)]


def test_a_walk_is_begun_as_long_as_something_is_left_of_the_budget() -> None:
    names = {budget: [name for name, _ in chosen(budget)] for budget in (14, 5, 4, 2, 1, 0)}

    assert names == {
        14: ["SOLUSD", "ETHUSD", "XBTUSD"],
        5: ["SOLUSD", "ETHUSD", "XBTUSD"],
        4: ["SOLUSD", "ETHUSD"],
        2: ["SOLUSD", "ETHUSD"],
        1: ["SOLUSD"],
        0: [],
    }


def test_a_budget_that_is_overdrawn_begins_nothing() -> None:
    assert chosen(-1) == []


def test_a_walk_whose_price_is_not_known_comes_first_and_counts_as_one_request() -> None:
    prices = {**PRICES, "XBTUSD": None}

    assert chosen(2, prices) == [("XBTUSD", None), ("SOLUSD", 1)]


def test_walks_of_one_price_go_by_their_names() -> None:
    assert [name for name, _ in chosen(None, dict.fromkeys(ALL, 100.0))] == sorted(ALL)
