"""Half-open ranges and sets of them."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chandlery.candles.interval import Interval
from chandlery.candles.timerange import EmptyRange, NaiveTime, RangeSet, TimeRange
from tests.candles.builders import at, between

START = datetime(2024, 1, 1, tzinfo=UTC)
intervals = st.sampled_from(list(Interval))
minute_sets = st.lists(st.tuples(st.integers(0, 3000), st.integers(1, 200)), max_size=12)


def ranges(spec: list[tuple[int, int]]) -> list[TimeRange]:
    return [TimeRange(START + timedelta(minutes=a), START + timedelta(minutes=a + n)) for a, n in spec]


def minutes(found: RangeSet) -> set[int]:
    """The same set, spelled out minute by minute: the slow truth."""
    return {
        int((r.start - START).total_seconds()) // 60 + i
        for r in found
        for i in range(int(r.length.total_seconds()) // 60)
    }


def test_a_range_without_a_zone_is_refused() -> None:
    with pytest.raises(NaiveTime):
        TimeRange(datetime(2024, 1, 1), datetime(2024, 1, 2))  # noqa: DTZ001


def test_an_empty_range_is_refused() -> None:
    with pytest.raises(EmptyRange):
        between("2024-01-02", "2024-01-02")


def test_union_of_touching_ranges_is_one_range() -> None:
    touching = [between("2024-01-01", "2024-01-02"), between("2024-01-02", "2024-01-03")]
    assert list(RangeSet(touching)) == [between("2024-01-01", "2024-01-03")]


def test_a_range_holds_its_start_and_not_its_end() -> None:
    day = between("2024-01-01", "2024-01-02")
    assert at("2024-01-01") in day
    assert at("2024-01-02") not in day


def test_alignment_inwards_drops_cut_slots_and_outwards_takes_them_in() -> None:
    cut = between("2024-01-01 09:30", "2024-01-01 12:10")
    assert cut.aligned_inwards(Interval.M60) == between("2024-01-01 10:00", "2024-01-01 12:00")
    assert cut.aligned_outwards(Interval.M60) == between("2024-01-01 09:00", "2024-01-01 13:00")
    assert cut.aligned_inwards(Interval.M1440) is None
    assert cut.slots(Interval.M60) == 2


@given(minute_sets)
def test_a_set_is_sorted_disjoint_and_not_touching(spec: list[tuple[int, int]]) -> None:
    found = list(RangeSet(ranges(spec)))
    assert all(a.end < b.start for a, b in pairwise(found))


@given(minute_sets, minute_sets)
def test_set_algebra_equals_that_of_minutes(a: list[tuple[int, int]], b: list[tuple[int, int]]) -> None:
    one, two = RangeSet(ranges(a)), RangeSet(ranges(b))
    assert minutes(one | two) == minutes(one) | minutes(two)
    assert minutes(one & two) == minutes(one) & minutes(two)
    assert minutes(one - two) == minutes(one) - minutes(two)


@given(st.lists(minute_sets, max_size=4))
def test_the_union_of_many_sets_is_that_of_their_minutes(specs: list[list[tuple[int, int]]]) -> None:
    sets = [RangeSet(ranges(spec)) for spec in specs]
    assert minutes(RangeSet.union(sets)) == set().union(*(minutes(one) for one in sets))


@given(minute_sets, minute_sets)
def test_results_are_as_normal_as_a_new_set(a: list[tuple[int, int]], b: list[tuple[int, int]]) -> None:
    one, two = RangeSet(ranges(a)), RangeSet(ranges(b))
    for found in (one & two, one - two, one | two, RangeSet.union([one, two]), one.aligned_inwards(Interval.M15)):
        assert found == RangeSet(found)


@given(minute_sets, intervals)
def test_alignment_brackets_the_set(spec: list[tuple[int, int]], interval: Interval) -> None:
    found = RangeSet(ranges(spec))
    inwards, outwards = found.aligned_inwards(interval), found.aligned_outwards(interval)
    assert not (inwards - found)
    assert not (found - outwards)
    assert inwards.slots(interval) == found.slots(interval)


def test_ten_thousand_ranges_merge_into_the_same_minutes() -> None:
    many = ranges([(7 * i % 30_000, 1 + i % 5) for i in range(10_000)])
    assert minutes(RangeSet(many)) == {7 * i % 30_000 + k for i in range(10_000) for k in range(1 + i % 5)}


@given(st.integers(0, 200_000), st.integers(1, 200_000), intervals)
def test_slots_are_those_that_open_and_close_inside(second: int, length: int, interval: Interval) -> None:
    start = START + timedelta(seconds=second)
    within = TimeRange(start, start + timedelta(seconds=length))
    opens = (START + n * interval.delta for n in range(400_000 // interval.seconds))
    assert within.slots(interval) == sum(within.start <= t and t + interval.delta <= within.end for t in opens)
