"""How far a run has come with what it has in hand."""

from dataclasses import dataclass

import pytest

from chandlery.management.course import Course, Reading, Walking
from chandlery.pipeline.events import (
    AskDone,
    AskStarted,
    AuditStarted,
    CandlesAudited,
    FileDone,
    FilesDone,
    FilesStarted,
    FillDone,
    FillStarted,
    MarketAudited,
    SeriesFilled,
    WalkPlanned,
)
from tests.management.runs import DAILY, HOURLY, asked
from tests.management.walks import page, walk, walk_started


@dataclass
class Seconds:
    """A clock that is set by hand."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


# -------------------------------------------------------------------------------------------------------------- stages


def in_hand(course: Course) -> float | None:
    """The share of the stage under way."""
    return course.stage.share if course.stage else None


def test_between_stages_nothing_is_in_hand() -> None:
    course = Course(Seconds())
    assert in_hand(course) is None
    for begun, ended in (
        (FilesStarted(1, 10), FilesDone(1, 0, 0, 5, 1.0)),
        (AskStarted(3), AskDone(3, 0, 10, 0, 3, 1.0)),
        (AuditStarted(2), CandlesAudited(2, 4, 0, 0, 0, 0)),
        (FillStarted(2), FillDone(2, 10, 10)),
    ):
        course.follow(begun)
        assert in_hand(course) == 0
        course.follow(ended)
        assert in_hand(course) is None


@pytest.mark.parametrize(
    "event", [AskStarted(0), AskStarted(0, skipped="--no-api-backfill"), FillStarted(0, skipped="--no-auto-gap-fill")]
)
def test_a_step_that_does_nothing_is_no_stage(event: AskStarted | FillStarted) -> None:
    course = Course(Seconds())
    course.follow(event)
    assert course.stage is None


def test_files_count_by_their_bytes_and_those_being_read_are_named() -> None:
    clock = Seconds()
    course = Course(clock)
    course.follow(FilesStarted(4, 100, current=("/srv/Kraken.zip:XBTUSD_60.csv",)))
    assert course.stage is not None
    assert (course.stage.WHAT, course.stage.current) == ("reading files", "XBTUSD_60.csv")
    clock.now = 10.0
    done = FileDone("/srv/a.csv", 25, "COMPLETED", rows=500, current=("/srv/K.zip:x/ETHUSD_60.csv", "/A_1.csv"))
    course.follow(done)
    assert course.stage.current == "ETHUSD_60.csv, A_1.csv"
    assert (course.stage.share, course.stage.remaining) == (0.25, 30.0)
    assert course.stage.text == "1 of 4 files, 50 rows/s, ETA 0:30"


def test_files_without_a_byte_count_one_by_one() -> None:
    stage = Reading()
    stage.expect(FilesStarted(4, 0))
    stage.advance(FileDone("/srv/a.csv", 0, "FAILED"))
    assert stage.share == 0.25


def test_more_files_of_the_same_run_are_one_stage() -> None:
    course = Course(Seconds())
    course.follow(FilesStarted(1, 10))
    course.follow(FileDone("/srv/a.csv", 10, "COMPLETED"))
    course.follow(FilesStarted(1, 10))
    assert course.stage is not None
    assert (course.stage.done, course.stage.total, course.stage.share) == (1, 2, 0.5)


def test_before_the_first_answer_the_rate_limit_tells_how_long_it_takes() -> None:
    clock = Seconds()
    course = Course(clock)
    course.follow(AskStarted(4, 42.0))
    assert course.stage is not None
    assert course.stage.text == "0 of 4 series, 0 candles, ETA 0:42"
    clock.now = 5.0
    course.follow(asked("XBTUSD", 640, "ETHUSD 60min"))
    assert course.stage.text == "1 of 4 series, 640 candles, ETA 0:15"
    assert (course.stage.WHAT, course.stage.current) == ("asking the exchange", "ETHUSD 60min")


def test_markets_are_looked_through_and_series_derived_one_by_one() -> None:
    clock = Seconds()
    course = Course(clock)
    course.follow(AuditStarted(4))
    course.follow(MarketAudited("XBTUSD"))
    assert course.stage is not None
    assert (course.stage.figures, course.stage.current) == ("audit: 1 of 4 markets", "XBTUSD")
    course.follow(FillStarted(2))
    course.follow(SeriesFilled("XBTUSD", DAILY, HOURLY, 640, 646))
    assert (course.stage.figures, course.stage.current) == ("1 of 2 series, 640 candles", "XBTUSD 1440min")


def test_walks_are_as_far_as_each_market_has_come() -> None:
    course = Course(Seconds())
    course.follow(walk_started(walk("XBTUSD", 4), walk("ETHUSD", 4)))
    course.follow(page("2026-08-06", "XBTUSD"))
    assert course.stage is not None
    assert course.stage.figures == "1 page, 1.00k trades"
    assert course.stage.current.startswith("XBTUSD 2026-08-")


# --------------------------------------------------------------------------------------------------------------- walks


def road(*walks: WalkPlanned, seconds: float = 100.0) -> Walking:
    found = Walking()
    found.expect(walk_started(*walks, seconds=seconds))
    return found


def left(found: Walking, after: float) -> float | None:
    """What remains after so many seconds."""
    found.seconds = after
    return found.remaining


def advance(found: Walking, pages: int, market: str = "XBTUSD") -> None:
    for _ in range(pages):
        found.advance(page("2026-08-06", market))


# ------------------------------------------------------------------------------------------------- how far walks are


def test_at_the_start_nothing_of_the_way_is_done() -> None:
    found = road(walk("XBTUSD", 40), walk("ETHUSD", 10))

    assert (found.share, found.total, found.done, found.came) == (0.0, 50, 0, 0)


def test_each_page_is_one_of_the_requests_expected() -> None:
    found = road(walk("XBTUSD", 40), walk("ETHUSD", 10))
    advance(found, 4)
    advance(found, 1, "ETHUSD")

    assert (found.share, found.total, found.done, found.came) == (0.1, 50, 5, 5_000)


def test_the_time_that_a_page_reaches_counts_for_nothing() -> None:
    """Where a walk goes on, or looks further back first, its pages begin anywhere in the range."""
    found = road(walk("XBTUSD", 4))
    found.advance(page("2026-07-01"))
    found.advance(page("2026-08-10"))

    assert found.share == 0.5


def test_a_page_without_a_trade_is_a_page() -> None:
    found = road(walk("XBTUSD", 4))
    found.advance(page("2026-08-06", trades=0))

    assert (found.share, found.came) == (0.25, 0)


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

    assert (found.share, found.expected) == (0.5, 120.0)


# ------------------------------------------------------------------------------------------------------- how long still


def test_before_the_first_page_what_was_expected_is_left() -> None:
    assert left(road(walk(), seconds=100.0), 10.0) == 100.0


def test_without_a_limit_of_the_rate_nothing_is_expected() -> None:
    assert left(road(walk(), seconds=0.0), 10.0) is None


def test_one_market_goes_on_at_its_pace() -> None:
    found = road(walk("XBTUSD", 40))
    advance(found, 10)

    assert left(found, 20.0) == pytest.approx(60.0)


def test_markets_walked_side_by_side_take_as_long_as_the_longest() -> None:
    found = road(walk("XBTUSD", 100), walk("ETHUSD", 20))
    advance(found, 10)
    advance(found, 10, "ETHUSD")

    assert left(found, 10.0) == pytest.approx(90.0)


def test_while_some_wait_for_their_turn_it_is_the_pace_of_all_together_that_counts() -> None:
    """Nine of ten requests are those of markets that nobody has begun with."""
    found = road(walk("XBTUSD", 10), *(walk(f"M{number}USD", 10) for number in range(9)))
    advance(found, 5)

    assert left(found, 10.0) == pytest.approx(190.0)


def test_one_that_is_longer_than_all_that_wait_counts_by_itself() -> None:
    found = road(walk("XBTUSD", 100), walk("ETHUSD", 20), walk("SOLUSD", 1))
    advance(found, 10)
    advance(found, 20, "ETHUSD")

    # The 91 that are left would be gone in 30 seconds at the pace of both.
    assert left(found, 10.0) == pytest.approx(90.0)


def test_at_the_end_nothing_is_left() -> None:
    found = road(walk("XBTUSD", 5))
    advance(found, 5)

    assert (found.share, left(found, 10.0)) == (1.0, 0.0)


def test_a_walk_that_takes_more_than_expected_is_taken_to_be_at_its_end() -> None:
    found = road(walk("XBTUSD", 5))
    advance(found, 8)

    assert (found.share, left(found, 10.0)) == (1.0, 0.0)


def test_while_one_price_is_unknown_nobody_knows_how_long_it_takes() -> None:
    found = road(walk("XBTUSD", 5), walk("ETHUSD", None))
    assert left(found, 0.0) is None
    advance(found, 2)

    assert left(found, 10.0) is None
