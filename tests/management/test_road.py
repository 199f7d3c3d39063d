"""How far walks have come: by the time that is known, each weighing as much as it is expected to take."""

import pytest

from chandlery.management.road import Road
from chandlery.pipeline.events import WalkPlanned
from tests.candles.builders import between
from tests.management.walks import PART, page, walk, walk_started


def road(*walks: WalkPlanned, seconds: float = 100.0) -> Road:
    found = Road()
    found.expect(walk_started(*walks, seconds=seconds))
    return found


def test_at_the_start_nothing_of_the_way_is_done() -> None:
    found = road(walk())

    assert (found.pace(0.0).share, found.pace(10.0).remaining, found.seconds) == (0.0, None, 100.0)


def test_the_share_is_that_of_the_time_that_is_known() -> None:
    found = road(walk())
    found.advance(page("2026-08-02"))
    found.advance(page("2026-08-03 12:00"))

    assert found.pace(10.0).share == 0.25
    assert found.pace(10.0).remaining == pytest.approx(30.0)
    assert (found.pages, found.trades) == (2, 2_000)


def test_at_the_end_all_of_it_is_done() -> None:
    found = road(walk())
    found.advance(page("2026-08-11"))

    assert (found.pace(10.0).share, found.pace(10.0).remaining) == (1.0, 0.0)


def test_a_page_that_brings_it_no_further_is_counted_and_takes_nothing_back() -> None:
    found = road(walk())
    found.advance(page("2026-08-06"))
    found.advance(page("2026-08-06", trades=0))

    assert (found.pace(1.0).share, found.pages, found.trades) == (0.5, 2, 1_000)


def test_what_is_looked_for_before_the_range_is_no_step_back() -> None:
    found = road(walk())
    found.advance(page("2026-07-01"))

    assert found.pace(1.0).share == 0.0


def test_of_several_markets_the_expensive_one_weighs_more() -> None:
    found = road(walk("XBTUSD", 900), walk("ETHUSD", 100))
    found.advance(page("2026-08-11", "ETHUSD"))
    assert found.pace(1.0).share == pytest.approx(0.1)

    found.advance(page("2026-08-06", "XBTUSD"))
    assert found.pace(1.0).share == pytest.approx(0.55)


def test_a_walk_whose_price_is_not_known_weighs_as_one_request() -> None:
    found = road(walk("XBTUSD", 3), walk("ETHUSD", None))
    found.advance(page("2026-08-11", "ETHUSD"))

    assert found.pace(1.0).share == pytest.approx(0.25)


def test_the_parts_of_one_market_are_one_way() -> None:
    """Eight days and two days; between them lies what is known."""
    first, second = between("2026-08-01", "2026-08-09"), between("2026-09-01", "2026-09-03")
    found = road(walk(part=between("2026-08-01", "2026-09-03"), minutes=10 * 1_440))

    found.advance(page("2026-08-09", part=first))
    assert found.pace(1.0).share == pytest.approx(0.8)
    found.advance(page("2026-09-02", part=second))
    assert found.pace(1.0).share == pytest.approx(0.9)


def test_a_page_that_knows_more_than_the_range_is_no_more_than_the_whole() -> None:
    found = road(walk("XBTUSD", 1), walk("ETHUSD", 1))
    found.advance(page("2026-09-01", "ETHUSD"))

    assert found.pace(1.0).share == 0.5


def test_walks_that_are_added_later_are_a_longer_way() -> None:
    found = road(walk("XBTUSD", 10))
    found.advance(page("2026-08-11", "XBTUSD"))
    found.expect(walk_started(walk("ETHUSD", 10), seconds=20.0))

    assert (found.pace(1.0).share, found.seconds) == (0.5, 120.0)


def test_the_length_of_a_walk_is_that_of_its_minutes() -> None:
    assert walk().slots == 10 * 1_440
    assert PART.length.days == 10
