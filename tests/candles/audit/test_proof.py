"""What is proven is right, and what disagrees with it is wrong."""

from collections.abc import Mapping
from typing import Any

import pytest

from chandlery.candles.audit.flaw import Flaw, FlawKind
from chandlery.candles.audit.proof import merged, settled_by_proof
from chandlery.candles.interval import Interval
from chandlery.candles.timerange import RangeSet, TimeRange
from tests.candles.builders import between

SHORT, EXCESS = FlawKind.INTERVALS_SHORT, FlawKind.INTERVALS_EXCESS
VOLUME, PRICES = FlawKind.INTERVALS_VOLUME, FlawKind.INTERVALS_PRICES
HOURS, DAYS = Interval.M60, Interval.M1440
DAY = between("2024-03-08", "2024-03-09")
WEEK = between("2024-03-07", "2024-03-14")
NOON = between("2024-03-08 12:00", "2024-03-08 13:00")
AFTERNOON = between("2024-03-08 12:00", "2024-03-08 18:00")

Ranges = Mapping[Interval, RangeSet]
NOTHING: Ranges = {}


def against(
    other: Interval, kind: FlawKind = SHORT, within: TimeRange = AFTERNOON, interval: Interval = HOURS, **figures: Any
) -> Flaw:
    """A flaw of the hours, held against another interval."""
    told = figures or {"trades": 7, "other_trades": 90}
    return Flaw(interval, kind, within, {**told, "other_interval_minutes": int(other)})


def of(interval: Interval, *ranges: TimeRange) -> Ranges:
    return {interval: RangeSet(ranges)}


def by_interval(flaws: list[Flaw]) -> list[tuple[Interval, FlawKind, TimeRange]]:
    return [(flaw.interval, flaw.kind, flaw.range) for flaw in flaws]


# ------------------------------------------------------------------------------------------------------ the proven side


def test_where_nothing_is_proven_flaws_are_as_they_were() -> None:
    flaws = [against(DAYS), Flaw(DAYS, FlawKind.BAD_ROW, DAY)]

    assert settled_by_proof(flaws, NOTHING, NOTHING) == flaws


@pytest.mark.parametrize("kind", [kind for kind in FlawKind if kind not in (SHORT, VOLUME, PRICES)])
def test_a_candle_that_is_proven_is_not_flawed(kind: FlawKind) -> None:
    assert settled_by_proof([Flaw(HOURS, kind, NOON)], of(HOURS, DAY), NOTHING) == []


def test_proof_of_another_interval_says_nothing_of_a_row_by_itself() -> None:
    spike = Flaw(HOURS, FlawKind.PRICE_SPIKE, NOON)

    assert settled_by_proof([spike], of(DAYS, DAY), NOTHING) == [spike]


def test_what_of_a_flaw_is_not_proven_stays_with_its_figures() -> None:
    frozen = Flaw(HOURS, FlawKind.FROZEN_PRICE, AFTERNOON, {"price": 7.0})
    two_hours = between("2024-03-08 14:00", "2024-03-08 16:00")

    left = settled_by_proof([frozen], of(HOURS, two_hours), NOTHING)

    assert [(flaw.range, flaw.evidence) for flaw in left] == [
        (between("2024-03-08 12:00", "2024-03-08 14:00"), {"price": 7.0}),
        (between("2024-03-08 16:00", "2024-03-08 18:00"), {"price": 7.0}),
    ]


# ------------------------------------------------------------------------------------------------------- the other side


def test_the_other_side_of_a_proven_candle_is_accused_over_its_whole_slot() -> None:
    [accused] = settled_by_proof([against(DAYS)], of(HOURS, AFTERNOON), NOTHING)

    assert (accused.interval, accused.range) == (DAYS, DAY)


def test_what_is_accused_can_be_made_anew_of_the_proven_candles() -> None:
    [accused] = settled_by_proof([against(DAYS)], of(HOURS, AFTERNOON), NOTHING)

    assert accused.derivable


def test_the_figures_of_both_sides_are_swapped() -> None:
    flaw = against(DAYS, VOLUME, volume=1.5, other_volume=2.5, slots=6)

    [accused] = settled_by_proof([flaw], of(HOURS, AFTERNOON), NOTHING)

    assert accused.evidence == {"volume": 2.5, "other_volume": 1.5, "slots": 6, "other_interval_minutes": 60}


@pytest.mark.parametrize(("kind", "other"), [(SHORT, EXCESS), (VOLUME, VOLUME), (PRICES, PRICES)])
def test_what_is_short_here_is_too_much_there_and_anything_else_is_called_alike(
    kind: FlawKind, other: FlawKind
) -> None:
    [accused] = settled_by_proof([against(DAYS, kind)], of(HOURS, AFTERNOON), NOTHING)

    assert accused.kind == other


def test_of_a_flaw_that_is_proven_in_part_only_the_slots_there_are_accused() -> None:
    two_days = between("2024-03-08 18:00", "2024-03-09 06:00")

    found = settled_by_proof([against(DAYS, within=two_days)], of(HOURS, DAY), NOTHING)

    rest = between("2024-03-09", "2024-03-09 06:00")
    assert by_interval(found) == [(HOURS, SHORT, rest), (DAYS, EXCESS, DAY)]


@pytest.mark.parametrize("kind", [SHORT, VOLUME, PRICES])
def test_where_both_sides_are_proven_neither_is_wrong(kind: FlawKind) -> None:
    proven = {HOURS: RangeSet([DAY]), DAYS: RangeSet([WEEK])}

    assert settled_by_proof([against(DAYS, kind)], proven, NOTHING) == []


def test_a_finer_interval_is_not_accused_for_a_slot_of_it_may_be_right() -> None:
    flaw = against(HOURS, within=DAY, interval=DAYS)

    assert settled_by_proof([flaw], of(DAYS, DAY), NOTHING) == []


# ------------------------------------------------------------------------------------------------------ confirmed weeks


@pytest.mark.parametrize(("kind", "other"), [(SHORT, EXCESS), (VOLUME, VOLUME)])
def test_a_confirmed_week_settles_counts_and_volume(kind: FlawKind, other: FlawKind) -> None:
    found = settled_by_proof([against(DAYS, kind)], NOTHING, of(HOURS, WEEK))

    assert by_interval(found) == [(DAYS, other, DAY)]


def test_a_confirmed_week_settles_no_prices() -> None:
    flaw = against(DAYS, PRICES, open=1.0, other_open=2.0)

    assert settled_by_proof([flaw], NOTHING, of(HOURS, WEEK)) == [flaw]


@pytest.mark.parametrize("kind", [FlawKind.BAD_ROW, FlawKind.PRICE_SPIKE, FlawKind.FROZEN_PRICE, FlawKind.NO_VOLUME])
def test_a_confirmed_week_says_nothing_of_rows(kind: FlawKind) -> None:
    flaw = Flaw(HOURS, kind, NOON)

    assert settled_by_proof([flaw], NOTHING, of(HOURS, WEEK)) == [flaw]


def test_a_confirmed_week_accuses_nothing_that_trades_have_proven() -> None:
    assert settled_by_proof([against(DAYS)], of(DAYS, DAY), of(HOURS, WEEK)) == []


# -------------------------------------------------------------------------------------------------------------- merging


def test_flaws_of_hours_of_one_day_accuse_that_day_once() -> None:
    morning = between("2024-03-08 03:00", "2024-03-08 04:00")
    flaws = [against(DAYS, within=NOON, trades=1, other_trades=2), against(DAYS, within=morning)]

    found = settled_by_proof(flaws, of(HOURS, DAY), NOTHING)

    assert by_interval(found) == [(DAYS, EXCESS, DAY)]


def test_flaws_that_overlap_are_one_with_the_figures_of_the_first() -> None:
    early = Flaw(HOURS, SHORT, between("2024-03-08 09:00", "2024-03-08 13:00"), {"trades": 1})
    late = Flaw(HOURS, SHORT, AFTERNOON, {"trades": 2})

    assert merged([late, early]) == [Flaw(HOURS, SHORT, between("2024-03-08 09:00", "2024-03-08 18:00"), {"trades": 1})]


def test_flaws_that_only_touch_stay_apart() -> None:
    one, next_one = Flaw(HOURS, SHORT, NOON), Flaw(HOURS, SHORT, between("2024-03-08 13:00", "2024-03-08 14:00"))

    assert merged([next_one, one]) == [one, next_one]


@pytest.mark.parametrize(
    "other",
    [Flaw(HOURS, VOLUME, NOON), Flaw(Interval.M30, SHORT, NOON), Flaw(HOURS, SHORT, NOON, derivable=True)],
    ids=["kind", "interval", "derivable"],
)
def test_flaws_that_differ_in_more_than_time_stay_apart(other: Flaw) -> None:
    assert len(merged([Flaw(HOURS, SHORT, NOON), other])) == 2


def test_flaws_come_by_interval_then_by_time() -> None:
    flaws = [Flaw(DAYS, SHORT, DAY), Flaw(HOURS, SHORT, AFTERNOON), Flaw(HOURS, VOLUME, NOON)]

    found = by_interval(merged(flaws))

    assert found == [(HOURS, VOLUME, NOON), (HOURS, SHORT, AFTERNOON), (DAYS, SHORT, DAY)]
