"""The live edge as a value: what can still be told, and what an answer will cover."""

from chandlery.candles.evidence import Evidence, Source
from chandlery.candles.interval import Interval
from chandlery.candles.series import Series
from chandlery.candles.timerange import RangeSet
from chandlery.pipeline.edge import Edge
from tests.candles.builders import at, between

EDGE = Edge(at("2024-08-31 08:20"), frozenset({"XBTUSD"}))
HOURS, HALF_DAYS = Series("kraken", "XBTUSD", Interval.M60), Series("kraken", "XBTUSD", Interval.M720)


def test_the_window_is_the_newest_720_closed_slots() -> None:
    assert EDGE.window(HOURS) == between("2024-08-01 08:00", "2024-08-31 08:00")


def test_half_days_reach_as_far_as_the_four_hours_they_are_made_of() -> None:
    assert EDGE.source(HALF_DAYS) == Series("kraken", "XBTUSD", Interval.M240)
    assert EDGE.window(HALF_DAYS) == between("2024-05-03 12:00", "2024-08-31")


def test_a_market_that_is_not_listed_has_no_window() -> None:
    assert EDGE.window(Series("kraken", "ETHUSD", Interval.M60)) is None


def test_nobody_is_asked_twice() -> None:
    again = Edge(EDGE.now, EDGE.markets, frozenset({HOURS, EDGE.source(HALF_DAYS)}))

    assert (again.window(HOURS), again.window(HALF_DAYS)) == (None, None)


def test_an_answer_settles_all_but_the_newest_three_slots() -> None:
    held = EDGE.answered({}, Interval.M60)

    assert held == {
        Evidence(Source.API): RangeSet([between("2024-08-01 08:00", "2024-08-31 05:00")]),
        Evidence(Source.API, provisional=True): RangeSet([between("2024-08-31 05:00", "2024-08-31 08:00")]),
    }


def test_an_answer_settles_what_was_young_before() -> None:
    young = Evidence(Source.API, provisional=True)
    held = EDGE.answered({young: RangeSet([between("2024-08-31 02:00", "2024-08-31 05:00")])}, Interval.M60)

    assert held[young] == RangeSet([between("2024-08-31 05:00", "2024-08-31 08:00")])
