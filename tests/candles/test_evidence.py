"""Which answers keep their ranges, and which give way: whatever the order in which they came."""

from itertools import permutations

import pytest

from chandlery.candles.evidence import (
    Coverage,
    Evidence,
    Source,
    answered,
    direct,
    extended,
    settled,
    stale_ranges,
    unanswered,
    unsettled,
)
from chandlery.candles.timerange import RangeSet
from tests.candles.builders import between

DIRECT = Evidence(Source.CSV)
DERIVED = Evidence(Source.CSV, derived=True)
CUT = Evidence(Source.CSV, provisional=True)
DERIVED_FROM_CUT = Evidence(Source.CSV, derived=True, provisional=True)
API = Evidence(Source.API)
DERIVED_FROM_TRADES = Evidence(Source.TRADES, derived=True, proven=True)


def days(first: int, last: int) -> RangeSet:
    return RangeSet([between(f"2024-01-{first:02}", f"2024-01-{last:02}")])


def grown(*answers: tuple[Evidence, RangeSet]) -> Coverage:
    coverage: Coverage = {}
    for kind, ranges in answers:
        coverage = extended(coverage, kind, ranges)
    return coverage


ANSWERS = [
    (DIRECT, days(1, 5)),
    (DERIVED, days(3, 9)),
    (CUT, days(8, 13)),
    (DERIVED_FROM_CUT, days(12, 16)),
]


@pytest.mark.parametrize("order", list(permutations(ANSWERS)))
def test_whatever_the_order_each_slot_keeps_its_best_answer(order: tuple[tuple[Evidence, RangeSet], ...]) -> None:
    assert grown(*order) == {
        DIRECT: days(1, 5),
        DERIVED: days(5, 9),
        CUT: days(9, 13),
        DERIVED_FROM_CUT: days(13, 16),
    }


def test_direct_answers_of_two_sources_stand_side_by_side() -> None:
    assert grown((DIRECT, days(1, 5)), (API, days(3, 9))) == {DIRECT: days(1, 5), API: days(3, 9)}


def test_a_weaker_direct_answer_takes_no_place_of_a_stronger_derived_one() -> None:
    stronger = grown((DERIVED_FROM_TRADES, days(1, 9)), (DIRECT, days(1, 5)))
    assert stronger == {DERIVED_FROM_TRADES: days(1, 9), DIRECT: days(1, 5)}


def test_what_is_direct_settled_or_to_be_made_again() -> None:
    coverage = grown(*ANSWERS)
    assert settled(coverage) == days(1, 9)
    assert stale_ranges(coverage) == days(13, 16)
    assert direct(coverage) == {DIRECT: days(1, 5), CUT: days(9, 13)}


def test_what_is_left_is_what_was_not_answered_or_not_for_good() -> None:
    coverage, month = grown(*ANSWERS), days(1, 31)
    assert unanswered(month, coverage) == month - answered(coverage) == days(16, 31)
    assert unsettled(month, coverage) == month - settled(coverage) == days(9, 31)
