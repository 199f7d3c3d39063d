"""Gaps: found, split at the API window's edge, derived, and matched with their records."""

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from chandlery.candles.evidence import Evidence, Source, extended
from chandlery.candles.gap import Gap, derivable, reconcile, split_at_window
from chandlery.candles.interval import Interval
from chandlery.candles.timerange import RangeSet, TimeRange
from tests.candles.builders import between
from tests.candles.test_verdict import hour, hours

WINDOW = between("2024-03-31 12:00", "2024-04-01")
CSV = Evidence(Source.CSV)
DERIVED = Evidence(Source.CSV, derived=True)


def test_a_gap_that_straddles_the_window_is_split_at_its_edge() -> None:
    inside, outside = split_at_window(between("2024-03-31 06:00", "2024-03-31 18:00"), WINDOW)
    assert inside == between("2024-03-31 12:00", "2024-03-31 18:00")
    assert outside == between("2024-03-31 06:00", "2024-03-31 12:00")


def test_a_gap_on_one_side_is_not_split() -> None:
    assert split_at_window(between("2024-03-30", "2024-03-31"), WINDOW) == (None, between("2024-03-30", "2024-03-31"))
    assert split_at_window(WINDOW, WINDOW) == (WINDOW, None)
    assert split_at_window(WINDOW, None) == (None, WINDOW)


def test_only_whole_coarse_slots_are_derivable() -> None:
    found = derivable(hours(0, 24), {CSV: hours(1, 11)}, Interval.M240, RangeSet())
    assert found == [(hours(4, 8), DERIVED)]


def test_unlisted_time_needs_no_answer() -> None:
    found = derivable(hours(0, 24), {CSV: hours(1, 11)}, Interval.M240, unlisted=hours(0, 1))
    assert found == [(hours(0, 8), DERIVED)]


def test_a_derived_slot_inherits_the_weakest_of_its_parts() -> None:
    trades, api = Evidence(Source.TRADES, proven=True), Evidence(Source.API)
    found = {
        kind: ranges
        for ranges, kind in derivable(hours(0, 12), {trades: hours(0, 6), api: hours(6, 12)}, Interval.M240, RangeSet())
    }
    assert found[Evidence(Source.TRADES, derived=True, proven=True)] == hours(0, 4)
    assert found[Evidence(Source.API, derived=True)] == hours(4, 12)


spans = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 6)), max_size=8).map(
    lambda spec: list(RangeSet(TimeRange(hour(a), hour(a + n)) for a, n in spec))
)


@given(spans, spans)
def test_every_gap_has_one_record_and_every_record_one_fate(recorded: list[TimeRange], found: list[TimeRange]) -> None:
    gaps = [Gap(Interval.M60, r) for r in found]
    outcome = reconcile(recorded, gaps)
    assert sorted([*outcome.kept.values(), *outcome.new], key=lambda g: g.range) == gaps
    assert sorted([*outcome.kept, *outcome.closed, *outcome.merged]) == list(range(len(recorded)))
    assert all(recorded[i].overlaps(gap.range) for i, gap in outcome.kept.items())
    assert all(not recorded[i].overlaps(r) for i in outcome.closed for r in found)


def test_the_earliest_piece_of_a_split_gap_keeps_the_record() -> None:
    first, second = (Gap(Interval.M60, r) for r in (*hours(0, 4), *hours(8, 10)))
    outcome = reconcile(list(hours(0, 10)), [second, first])
    assert outcome.kept == {0: first}
    assert outcome.new == [second]


def test_two_records_that_grew_together_leave_the_earlier_one() -> None:
    outcome = reconcile([*hours(0, 4), *hours(6, 8)], [Gap(Interval.M60, r) for r in hours(0, 8)])
    assert list(outcome.kept) == [0]
    assert outcome.merged == [1]
    assert outcome.closed == []


def test_a_direct_answer_takes_the_place_of_a_derived_one_in_any_order() -> None:
    one = extended(extended({}, DERIVED, hours(0, 10)), CSV, hours(2, 6))
    two = extended(extended({}, CSV, hours(2, 6)), DERIVED, hours(0, 10))
    assert one == two == {CSV: hours(2, 6), DERIVED: hours(0, 10) - hours(2, 6)}


def test_a_weaker_direct_answer_leaves_a_stronger_derived_one() -> None:
    proven = Evidence(Source.TRADES, derived=True, proven=True)
    grown = extended(extended({}, proven, hours(0, 10)), CSV, hours(2, 6))
    assert grown == {CSV: hours(2, 6), proven: hours(0, 10)}


pieces = st.lists(st.tuples(st.integers(0, 40), st.integers(1, 12)), max_size=4).map(
    lambda spec: RangeSet(TimeRange(hour(a), hour(a + n)) for a, n in spec)
)
KINDS = [CSV, DERIVED, Evidence(Source.TRADES, proven=True), Evidence(Source.API, provisional=True)]


@given(pieces, st.dictionaries(st.sampled_from(KINDS), pieces, min_size=1), pieces)
def test_an_open_slot_is_derivable_once_where_every_hour_of_it_is_known_or_unlisted(
    open_hours: RangeSet, finer: dict[Evidence, RangeSet], unlisted: RangeSet
) -> None:
    open_slots = open_hours.aligned_outwards(Interval.M240)
    found = derivable(open_slots, finer, Interval.M240, unlisted)
    known = RangeSet.union([unlisted, *finer.values()])
    whole = [slot for n in range(0, 60, 4) for slot in hours(n, n + 4) if known.covers(slot)]
    assert RangeSet.union(ranges for ranges, _ in found) == RangeSet(whole) & open_slots
    assert not any(one & other for (one, _), (other, _) in combinations(found, 2))
