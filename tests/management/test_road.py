"""How far walks have come: by the pages that are there, against the requests that are expected, market by market."""

import pytest

from chandlery.management.road import Road
from chandlery.pipeline.events import WalkPlanned
from tests.management.walks import page, walk, walk_started


def road(*walks: WalkPlanned, seconds: float = 100.0) -> Road:
    found = Road()
    found.expect(walk_started(*walks, seconds=seconds))
    return found


def advance(found: Road, pages: int, market: str = "XBTUSD") -> None:
    for _ in range(pages):
        found.advance(page("2026-08-06", market))


# -------------------------------------------------------------------------------------------------------- how far it is


def test_at_the_start_nothing_of_the_way_is_done() -> None:
    found = road(walk("XBTUSD", 40), walk("ETHUSD", 10))

    assert (found.share, found.total, found.pages, found.trades) == (0.0, 50, 0, 0)


def test_each_page_is_one_of_the_requests_expected() -> None:
    found = road(walk("XBTUSD", 40), walk("ETHUSD", 10))
    advance(found, 4)
    advance(found, 1, "ETHUSD")

    assert (found.share, found.total, found.pages, found.trades) == (0.1, 50, 5, 5_000)


def test_the_time_that_a_page_reaches_counts_for_nothing() -> None:
    """Where a walk goes on, or looks further back first, its pages begin anywhere in the range."""
    found = road(walk("XBTUSD", 4))
    found.advance(page("2026-07-01"))
    found.advance(page("2026-08-10"))

    assert found.share == 0.5


def test_a_page_without_a_trade_is_a_page() -> None:
    found = road(walk("XBTUSD", 4))
    found.advance(page("2026-08-06", trades=0))

    assert (found.share, found.trades) == (0.25, 0)


def test_a_walk_that_takes_more_than_expected_makes_the_way_longer() -> None:
    found = road(walk("XBTUSD", 2), walk("ETHUSD", 10))
    advance(found, 5)

    assert found.total == 15
    assert found.share == pytest.approx(1 / 3)


def test_one_market_that_takes_more_takes_nothing_off_another() -> None:
    found = road(walk("XBTUSD", 2), walk("ETHUSD", 10))
    advance(found, 12)

    assert found.share == pytest.approx(12 / 22)


def test_a_walk_without_a_price_is_as_long_as_it_has_been_so_far() -> None:
    found = road(walk("XBTUSD", 3), walk("ETHUSD", None))
    advance(found, 2, "ETHUSD")

    assert (found.total, found.share) == (5, 0.4)


def test_walks_that_are_added_later_are_a_longer_way() -> None:
    found = road(walk("XBTUSD", 10))
    advance(found, 10)
    found.expect(walk_started(walk("ETHUSD", 10), seconds=20.0))

    assert (found.share, found.seconds) == (0.5, 120.0)


# ------------------------------------------------------------------------------------------------------- how long still


def test_before_the_first_page_what_was_expected_is_left() -> None:
    assert road(walk(), seconds=100.0).remaining(10.0) == 100.0


def test_without_a_limit_of_the_rate_nothing_is_expected() -> None:
    assert road(walk(), seconds=0.0).remaining(10.0) is None


def test_one_market_goes_on_at_its_pace() -> None:
    found = road(walk("XBTUSD", 40))
    advance(found, 10)

    assert found.remaining(20.0) == pytest.approx(60.0)


def test_markets_walked_side_by_side_take_as_long_as_the_longest() -> None:
    found = road(walk("XBTUSD", 100), walk("ETHUSD", 20))
    advance(found, 10)
    advance(found, 10, "ETHUSD")

    assert found.remaining(10.0) == pytest.approx(90.0)


def test_while_some_wait_for_their_turn_it_is_the_pace_of_all_together_that_counts() -> None:
    """Nine of ten requests are those of markets that nobody has begun with."""
    found = road(walk("XBTUSD", 10), *(walk(f"M{number}USD", 10) for number in range(9)))
    advance(found, 5)

    assert found.remaining(10.0) == pytest.approx(190.0)


def test_one_that_is_longer_than_all_that_wait_counts_by_itself() -> None:
    found = road(walk("XBTUSD", 100), walk("ETHUSD", 20), walk("SOLUSD", 1))
    advance(found, 10)
    advance(found, 20, "ETHUSD")

    # The 91 that are left would be gone in 30 seconds at the pace of both.
    assert found.remaining(10.0) == pytest.approx(90.0)


def test_at_the_end_nothing_is_left() -> None:
    found = road(walk("XBTUSD", 5))
    advance(found, 5)

    assert (found.share, found.remaining(10.0)) == (1.0, 0.0)


def test_a_walk_that_takes_more_than_expected_is_taken_to_be_at_its_end() -> None:
    found = road(walk("XBTUSD", 5))
    advance(found, 8)

    assert (found.share, found.remaining(10.0)) == (1.0, 0.0)


def test_while_one_price_is_unknown_nobody_knows_how_long_it_takes() -> None:
    found = road(walk("XBTUSD", 5), walk("ETHUSD", None))
    assert found.remaining(0.0) is None
    advance(found, 2)

    assert found.remaining(10.0) is None
