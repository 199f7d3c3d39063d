"""Where a market's history begins."""

from chandlery.candles.interval import Interval
from chandlery.candles.start import earliest_slot
from tests.candles.builders import at


def test_the_hour_refines_the_day_it_lies_in() -> None:
    firsts = {Interval.M1440: at("2013-10-06"), Interval.M60: at("2013-10-06 21:00")}
    assert earliest_slot(firsts) == at("2013-10-06 21:00")


def test_a_finer_series_that_starts_later_tells_nothing_of_it() -> None:
    firsts = {Interval.M1440: at("2013-10-06"), Interval.M60: at("2013-10-06 21:00"), Interval.M1: at("2020-01-01")}
    assert earliest_slot(firsts) == at("2013-10-06 21:00")


def test_a_coarser_series_that_starts_later_changes_nothing() -> None:
    assert earliest_slot({Interval.M60: at("2013-10-06 21:00"), Interval.M1440: at("2014-01-01")}) == at(
        "2013-10-06 21:00"
    )


def test_nothing_stored_begins_nowhere() -> None:
    assert earliest_slot({}) is None
