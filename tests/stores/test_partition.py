"""How a series is cut into files."""

from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chandlery.candles.interval import Interval
from chandlery.candles.timerange import RangeSet, TimeRange
from chandlery.stores.partition import NO_EDGES, Partition, edges, met, microseconds, split
from tests.candles.builders import at, between, candles_at, every


@pytest.mark.parametrize(
    ("interval", "name"),
    [
        (Interval.M1, "2023-12"),
        (Interval.M5, "2023"), (Interval.M15, "2023"), (Interval.M30, "2023"), (Interval.M60, "2023"),
        (Interval.M240, "all"), (Interval.M720, "all"), (Interval.M1440, "all"),
    ],
)  # fmt: skip
def test_fine_intervals_have_small_partitions(interval: Interval, name: str) -> None:
    assert Partition.holding(interval, microseconds(at("2023-12-31"))).name == name


def test_a_month_ends_where_the_next_begins() -> None:
    december = Partition.holding(Interval.M1, microseconds(at("2023-12-31 23:59")))
    january = Partition.holding(Interval.M1, microseconds(at("2024-01-01 00:00")))
    assert (december.name, january.name) == ("2023-12", "2024-01")
    assert december.end == january.start == microseconds(at("2024-01-01"))


@given(st.sampled_from(Interval), st.integers(microseconds(at("1970-01-01")), microseconds(at("2999-12-31"))))
def test_a_partition_is_found_again_by_its_name(interval: Interval, when: int) -> None:
    partition = Partition.holding(interval, when)
    assert partition.start <= when < partition.end
    assert Partition.named(interval, partition.name) == partition


@pytest.mark.parametrize("name", ["2024-13", "2024-00", "24", "2024-03-01", "all ", "copy of 2024", "0000", ""])
def test_foreign_names_are_no_partitions(name: str) -> None:
    assert [Partition.named(interval, name) for interval in Interval] == [None] * len(Interval)


def test_candles_are_cut_where_partitions_end() -> None:
    candles = candles_at(*every(Interval.M60, "2022-12-31 22:00", 4), at("2025-05-05"))
    parts = [(partition.name, part.height) for partition, part in split(candles, Interval.M60)]
    assert parts == [("2022", 2), ("2023", 2), ("2025", 1)]
    assert list(split(candles.clear(), Interval.M60)) == []


def test_a_partition_knows_whether_a_range_holds_or_touches_it() -> None:
    march = Partition.holding(Interval.M1, microseconds(at("2024-03-05")))
    assert march.inside(None)
    assert march.inside(between("2024-03-01", "2024-04-01"))
    assert not march.inside(between("2024-03-01", "2024-03-31 23:59"))
    assert march.overlaps(between("2024-03-31 23:59", "2024-05-01"))
    assert not march.overlaps(between("2024-04-01", "2024-05-01"))
    assert not march.overlaps(between("2024-01-01", "2024-03-01"))


def test_edges_are_starts_and_ends_in_turn() -> None:
    ranges = RangeSet([between("1970-01-01", "1970-01-02"), between("1970-01-03", "1970-01-04")])
    assert edges(ranges).tolist() == [day * 86_400_000_000 for day in (0, 1, 2, 3)]
    assert np.array_equal(edges(RangeSet()), NO_EDGES)


@given(
    st.sampled_from(Interval),
    st.lists(st.tuples(st.integers(0, 800), st.integers(1, 400)), max_size=4),
)
def test_partitions_that_ranges_meet_hold_all_of_them_cut(interval: Interval, days: list[tuple[int, int]]) -> None:
    start = at("2022-12-20")
    ranges = RangeSet(TimeRange(start + timedelta(days=d), start + timedelta(days=d + n)) for d, n in days)
    partitions = list(met(edges(ranges), interval))
    assert partitions == sorted(set(partitions))
    cuts = [partition.cut(edges(ranges)) for partition in partitions]
    assert all(len(cut) for cut in cuts)
    pieces = [piece for cut in cuts for piece in cut.reshape(-1, 2).tolist()]
    assert pieces == sorted(pieces)
    epoch = at("1970-01-01")
    joined = RangeSet(
        TimeRange(epoch + timedelta(microseconds=first), epoch + timedelta(microseconds=end)) for first, end in pieces
    )
    assert joined == ranges


def test_a_partition_cuts_nothing_out_of_ranges_beside_it() -> None:
    march = Partition.holding(Interval.M1, microseconds(at("2024-03-05")))
    beside = RangeSet([between("2024-02-01", "2024-03-01"), between("2024-04-01", "2024-05-01")])
    assert not len(march.cut(edges(beside)))
    assert not len(march.cut(NO_EDGES))
