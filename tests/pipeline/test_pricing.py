"""How many trades are to be expected in a range: by the exchange's own weeks, or by candles stored nearby."""

from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chandlery.candles.interval import EPOCH, Interval
from chandlery.candles.ledger import NOT_COUNTED, WEEK, Figures
from chandlery.candles.timerange import TimeRange
from chandlery.pipeline.pricing import by_candles, by_ledger
from tests.candles.builders import at, between, candles_at, every

#: 2024-01-04, a Thursday.
FIRST = 2818


def weeks(*trades: int) -> Figures:
    counts = np.array(trades, dtype=np.int64)
    return Figures(FIRST, counts, np.zeros(len(counts)))


def from_week(number: float, length: float = 1.0) -> TimeRange:
    """So many weeks after the first one."""
    start = EPOCH + (FIRST + number) * WEEK
    return TimeRange(start, start + length * WEEK)


def test_a_whole_week_has_the_trades_that_the_exchange_counts() -> None:
    assert by_ledger(weeks(700, 1_400, 2_100), from_week(1)) == 1_400
    assert by_ledger(weeks(700, 1_400, 2_100), from_week(0, 3)) == 4_200


def test_a_part_of_a_week_has_its_share() -> None:
    assert by_ledger(weeks(700, 1_400), between("2024-01-05", "2024-01-07")) == pytest.approx(200)
    assert by_ledger(weeks(700, 1_400), between("2024-01-04 06:00", "2024-01-04 12:00")) == pytest.approx(25)


def test_a_range_across_weeks_takes_its_share_of_each() -> None:
    assert by_ledger(weeks(700, 1_400), from_week(0.5)) == pytest.approx(350 + 700)


def test_weeks_after_the_last_one_are_like_the_last_two() -> None:
    assert by_ledger(weeks(9_000_000, 1_000, 2_000), from_week(3)) == pytest.approx(1_500)
    assert by_ledger(weeks(9_000_000, 1_000, 2_000), from_week(2.5, 3)) == pytest.approx(1_000 + 2.5 * 1_500)


def test_a_week_in_between_that_is_not_known_is_like_the_last_two() -> None:
    assert by_ledger(weeks(700, NOT_COUNTED, 1_000, 2_000), from_week(1)) == pytest.approx(1_500)


def test_of_one_week_alone_the_others_are_like_it() -> None:
    assert by_ledger(weeks(700), from_week(4, 2)) == pytest.approx(1_400)


def test_the_first_week_of_a_market_says_nothing_of_the_pace_of_later_ones() -> None:
    assert by_ledger(weeks(10, 700), from_week(2)) == pytest.approx(700)


def test_before_the_first_week_nothing_traded() -> None:
    assert by_ledger(weeks(700, 1_400), from_week(-5, 5)) == 0
    assert by_ledger(weeks(700, 1_400), from_week(-5, 5.5)) == pytest.approx(350)


def test_a_ledger_that_knows_no_week_tells_nothing() -> None:
    assert by_ledger(weeks(), from_week(0)) is None
    assert by_ledger(weeks(NOT_COUNTED, NOT_COUNTED), from_week(0)) is None


@given(
    st.lists(st.integers(0, 10**6), min_size=1, max_size=6),
    st.integers(-3 * 10_080, 9 * 10_080),
    st.integers(1, 5 * 10_080),
    st.integers(1, 10**5),
)
def test_the_parts_of_a_range_have_together_what_the_whole_has(
    trades: list[int], start: int, length: int, cut: int
) -> None:
    minute = Interval.M1.delta
    first = at("2024-01-04") + start * minute
    whole = TimeRange(first, first + (length + cut) * minute)
    halves = (TimeRange(first, first + cut * minute), TimeRange(first + cut * minute, whole.end))
    told = [by_ledger(weeks(*trades), part) or 0.0 for part in halves]
    assert sum(told) == pytest.approx(by_ledger(weeks(*trades), whole))


# ------------------------------------------------------------------------------------------------------------- candles


def test_the_pace_of_candles_nearby_is_that_of_the_range() -> None:
    day = between("2024-03-01", "2024-03-02")
    hours = candles_at(*every(Interval.M60, "2024-03-01", 24), trades=10)

    assert by_candles([(day, hours)], between("2024-03-02", "2024-03-05")) == pytest.approx(720)


def test_quiet_time_nearby_counts_as_well() -> None:
    """Two candles of a whole day."""
    day = between("2024-03-01", "2024-03-02")

    assert by_candles([(day, candles_at(at("2024-03-01"), at("2024-03-01 05:00"), trades=6))], day) == pytest.approx(12)


def test_both_sides_count_by_their_lengths() -> None:
    before, after = between("2024-03-01", "2024-03-02"), between("2024-03-04", "2024-03-07")
    around = [(before, candles_at(before.start, trades=100)), (after, candles_at(after.start, trades=60))]

    assert by_candles(around, between("2024-03-02", "2024-03-04")) == pytest.approx(2 * 160 / 4)


def test_a_side_of_which_nothing_is_stored_tells_nothing() -> None:
    before, after = between("2024-03-01", "2024-03-02"), between("2024-03-04", "2024-03-07")
    around = [(before, candles_at(before.start, trades=100)), (after, candles_at())]

    assert by_candles(around, between("2024-03-02", "2024-03-04")) == pytest.approx(200)


def test_without_candles_nobody_knows() -> None:
    within = TimeRange(at("2024-03-01"), at("2024-03-01") + timedelta(minutes=1))

    assert by_candles([], within) is None
    assert by_candles([(within, candles_at())], within) is None
