"""Stored weeks against the ledger, and which of their slots are to blame."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chandlery.candles.evidence import Evidence, Source
from chandlery.candles.interval import EPOCH, Interval
from chandlery.candles.ledger import (
    DAY,
    NOT_COUNTED,
    WEEK,
    Figures,
    Shortfall,
    WeekVerdict,
    blamed,
    compare,
    compared_weeks,
    is_systematic,
    ranges_of,
    shortfalls,
    tolerance,
    whole_pieces,
)
from chandlery.candles.timerange import RangeSet, TimeRange
from chandlery.candles.verdict import Knowledge, Life, Verdict, quiet_ranges
from tests.candles.builders import at

#: 2024-01-04, a Thursday.
FIRST = 2818


def weeks(*trades: int, volume: float = 0.5, first: int = FIRST) -> Figures:
    """So many trades in each week, each of this volume."""
    counts = np.array(trades, dtype=np.int64)
    return Figures(first, counts, np.maximum(counts, 0) * volume)


def week(number: int, count: int = 1) -> TimeRange:
    """From week FIRST + number on."""
    return TimeRange(EPOCH + (FIRST + number) * WEEK, EPOCH + (FIRST + number + count) * WEEK)


ALL = RangeSet([week(-10, 30)])


def verdicts(ledger: Figures, stored: Figures, covered: RangeSet = ALL) -> list[WeekVerdict]:
    return [WeekVerdict(v) for v in compare(ledger, stored, covered)]


def test_weeks_begin_on_thursdays() -> None:
    assert week(0).start == at("2024-01-04")
    assert week(0).start.strftime("%A") == "Thursday"


def test_equal_trades_and_volume_confirm_a_week() -> None:
    assert verdicts(weeks(10, 0), weeks(10, 0)) == [WeekVerdict.CONFIRMED] * 2


def test_a_volume_may_differ_in_its_last_digits() -> None:
    assert verdicts(weeks(10), weeks(10, volume=0.5 * (1 + 1e-10))) == [WeekVerdict.CONFIRMED]
    assert verdicts(weeks(10), weeks(10, volume=0.5 * (1 + 1e-8))) == [WeekVerdict.VOLUME]


def test_in_a_thin_market_every_trade_counts() -> None:
    assert verdicts(weeks(20_159), weeks(20_158)) == [WeekVerdict.SHORT]


def test_in_a_busy_market_half_an_average_minute_may_be_missing() -> None:
    ledger = weeks(*[201_600] * 3)
    assert verdicts(ledger, weeks(201_591, 201_590, 201_589)) == [
        WeekVerdict.NEARLY,
        WeekVerdict.NEARLY,
        WeekVerdict.SHORT,
    ]


def test_more_trades_than_the_ledger_counts_are_an_excess() -> None:
    assert verdicts(weeks(10), weeks(11)) == [WeekVerdict.EXCESS]


def test_a_week_that_is_not_whole_in_one_answered_range_is_not_judged() -> None:
    first_hour_missing = RangeSet([TimeRange(week(0).start + timedelta(hours=1), week(0, 2).end)])
    assert verdicts(weeks(5, 5), weeks(5, 5), first_hour_missing) == [WeekVerdict.UNKNOWN, WeekVerdict.CONFIRMED]


def test_a_week_that_nobody_counted_is_not_judged() -> None:
    assert verdicts(weeks(5, NOT_COUNTED, 5), weeks(NOT_COUNTED, 5, 5)) == [
        WeekVerdict.UNKNOWN,
        WeekVerdict.UNKNOWN,
        WeekVerdict.CONFIRMED,
    ]


def test_sums_of_other_weeks_are_cut_to_those_of_the_ledger() -> None:
    assert verdicts(weeks(7, 8), weeks(6, 7, 8, 9, first=FIRST - 1)) == [WeekVerdict.CONFIRMED] * 2


counts = st.one_of(st.just(NOT_COUNTED), st.integers(0, 5), st.sampled_from([20_159, 20_160, 20_161, 100_000]))
near = st.integers(-6, 6)


@st.composite
def compared(draw: st.DrawFn) -> tuple[Figures, Figures, RangeSet]:
    ledger = draw(st.lists(counts, min_size=1, max_size=8))
    start = draw(st.integers(-3, 3))
    stored = [
        max(NOT_COUNTED, ledger[i + start] + draw(near)) if 0 <= i + start < len(ledger) else draw(counts)
        for i in range(draw(st.integers(0, 8)))
    ]
    held = weeks(*stored, first=FIRST + start)
    factor = draw(st.sampled_from([1.0, 1 + 1e-12, 1.001]))
    held = Figures(held.first, held.trades, np.multiply(held.volume, factor, dtype=np.float64))
    hours = draw(st.lists(st.tuples(st.integers(-200, 1500), st.integers(1, 900)), max_size=4))
    begin = week(0).start
    covered = RangeSet(
        TimeRange(begin + timedelta(hours=a), begin + timedelta(hours=a + length)) for a, length in hours
    )
    return weeks(*ledger), held, covered


@given(compared())
def test_comparing_says_what_looking_at_each_week_says(case: tuple[Figures, Figures, RangeSet]) -> None:
    ledger, stored, covered = case
    assert verdicts(ledger, stored, covered) == [
        _looked_at(ledger, stored, covered, FIRST + i) for i in range(len(ledger))
    ]


def _looked_at(ledger: Figures, stored: Figures, covered: RangeSet, number: int) -> WeekVerdict:
    if not stored.first <= number < stored.end or not covered.covers(week(number - FIRST)):
        return WeekVerdict.UNKNOWN
    due, held = int(ledger.trades[number - ledger.first]), int(stored.trades[number - stored.first])
    if due < 0 or held < 0:
        return WeekVerdict.UNKNOWN
    if held > due:
        return WeekVerdict.EXCESS
    if held < due:
        return WeekVerdict.SHORT if due - held > due / 20_160 // 1 else WeekVerdict.NEARLY
    a, b = float(ledger.volume[number - ledger.first]), float(stored.volume[number - stored.first])
    return WeekVerdict.CONFIRMED if abs(a - b) <= 1e-9 * max(a, b) else WeekVerdict.VOLUME


@given(st.lists(st.booleans(), max_size=20))
def test_flags_and_ranges_say_the_same(flags: list[bool]) -> None:
    held = np.array(flags, dtype=np.bool_)
    assert whole_pieces(ranges_of(held, FIRST), FIRST, len(flags)).tolist() == flags


def test_the_tolerance_is_half_an_average_minute_at_every_width() -> None:
    assert tolerance(np.array([20_159, 20_160, 60_000])).tolist() == [0, 1, 2]
    assert tolerance(np.array([2_879, 2_880]), DAY).tolist() == [0, 1]


@pytest.mark.parametrize(
    ("short", "compared", "many"), [(3, 10, False), (4, 10, True), (4, 200, False), (5, 249, True)]
)
def test_more_than_two_percent_and_at_least_four_weeks_have_one_cause(short: int, compared: int, many: bool) -> None:
    assert is_systematic(short, compared) is many


def test_a_short_week_names_the_finest_series_that_is_confirmed() -> None:
    ledger = weeks(10, 10)
    sums = {Interval.M1: weeks(10, 9), Interval.M60: weeks(10, 10), Interval.M1440: weeks(8, 9)}
    judged = {interval: compare(ledger, held, ALL) for interval, held in sums.items()}
    assert shortfalls(ledger, sums, judged) == [
        Shortfall(Interval.M1, FIRST + 1, 10, 9, Interval.M60),
        Shortfall(Interval.M1440, FIRST, 10, 8, Interval.M1),
        Shortfall(Interval.M1440, FIRST + 1, 10, 9, Interval.M60),
    ]


def test_only_finer_candles_spare_the_trades() -> None:
    assert Shortfall(Interval.M60, FIRST, 10, 9).needs_trades
    assert Shortfall(Interval.M60, FIRST, 10, 9, Interval.M1440).needs_trades
    assert not Shortfall(Interval.M60, FIRST, 10, 9, Interval.M30).needs_trades


def test_weeks_are_looked_for_in_the_wider_slots_of_both_series_or_in_days() -> None:
    assert Shortfall(Interval.M60, FIRST, 10, 9, Interval.M5).width == timedelta(hours=1)
    assert Shortfall(Interval.M5, FIRST, 10, 9, Interval.M60).width == timedelta(hours=1)
    assert Shortfall(Interval.M60, FIRST, 10, 9).width == DAY


def test_weeks_compared_at_any_interval_count_once() -> None:
    ledger = weeks(1, 1, 1)
    judged = [compare(ledger, weeks(1, -1, -1), ALL), compare(ledger, weeks(2, 2, -1), ALL)]
    assert compared_weeks(judged) == 2
    assert compared_weeks([]) == 0


def days(*trades: int) -> Figures:
    counts = np.array(trades, dtype=np.int64)
    return Figures(7 * FIRST, counts, np.multiply(counts, 0.5, dtype=np.float64), DAY)


def day(number: int) -> RangeSet:
    return RangeSet([TimeRange(week(0).start + number * DAY, week(0).start + (number + 1) * DAY)])


def test_the_day_that_falls_short_is_blamed() -> None:
    due, held = days(5, 5, 5, 5, 5, 5, 5), days(5, 5, 0, 5, 5, 5, 5)
    assert blamed(due, held, week(0), exactly=False) == day(2)


def test_a_day_within_the_tolerance_is_not_blamed_beside_one_that_is_beyond_it() -> None:
    due, held = days(*[28_800] * 7), days(28_795, 28_800, 20_000, *[28_800] * 4)
    assert blamed(due, held, week(0), exactly=False) == day(2)
    assert blamed(due, held, week(0), exactly=True) == day(0) | day(2)


def test_days_within_the_tolerance_are_blamed_where_nothing_else_is() -> None:
    due, held = days(*[28_800] * 7), days(28_795, 28_799, *[28_800] * 5)
    assert blamed(due, held, week(0), exactly=False) == day(0) | day(1)


def test_nothing_is_blamed_where_not_every_day_is_known() -> None:
    assert not blamed(days(5, 5, 5), days(0, 0, 0, 0, 0, 0, 0), week(0), exactly=False)


def test_later_figures_take_the_place_of_earlier_ones_where_they_are_known() -> None:
    laid = weeks(1, 2, 3).overlaid(weeks(9, NOT_COUNTED, 8, first=FIRST + 1))
    assert (laid.first, laid.trades.tolist()) == (FIRST, [1, 9, 3, 8])


def test_weeks_between_two_pieces_of_figures_are_not_known() -> None:
    laid = weeks(1).overlaid(weeks(2, first=FIRST + 2))
    assert laid.trades.tolist() == [1, NOT_COUNTED, 2]


class NeverTraded:
    """A series without a candle."""

    def count(self, within: TimeRange) -> int:
        return 0

    def opens(self, within: TimeRange) -> Sequence[datetime]:
        return ()


def test_only_what_an_archive_claims_is_confirmed() -> None:
    kinds = [Evidence(Source.CSV), Evidence(Source.CSV, derived=True), Evidence(Source.API), Evidence(Source.TRADES)]
    coverage = {kind: RangeSet([week(i)]) for i, kind in enumerate(kinds)}
    known = Knowledge(Interval.M60, Life(), coverage, NeverTraded(), confirmed=RangeSet([week(0, 4)]))
    quiet = quiet_ranges(known)
    assert quiet[Verdict.QUIET_CONFIRMED] == RangeSet([week(0, 2)])
    assert quiet[Verdict.QUIET_CLAIMED] == RangeSet([week(2, 2)])
