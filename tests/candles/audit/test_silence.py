"""Silences that are all but impossible at the market's own pace."""

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chandlery.candles.audit.silence import Silence, TradeCounts, improbable_silences
from chandlery.candles.frame import empty_candles
from chandlery.candles.interval import EPOCH, Interval
from chandlery.candles.timerange import RangeSet, TimeRange
from tests.candles.audit.silences import SPAN, counted, found, numbers, real_counts, slowly, steady, whole
from tests.candles.builders import at, between, candles_at, every

HOUR, DAY = Interval.M60, Interval.M1440
LOST = between("2024-03-05 10:00", "2024-03-05 12:00")


# ------------------------------------------------------------------------------------------------------ trade counts


def test_candles_become_slot_numbers_and_trades() -> None:
    counts = TradeCounts.of(candles_at(at("1970-01-01 02:00"), at("1970-01-01 05:00"), trades=7), HOUR)
    assert (counts.slots.tolist(), counts.trades.tolist()) == ([2, 5], [7, 7])


def test_seen_are_the_trades_of_slots_that_open_inside() -> None:
    counts = TradeCounts.of(candles_at(*every(HOUR, "2024-03-01", 6), trades=5), HOUR)
    assert counts.seen(between("2024-03-01 01:00", "2024-03-01 04:00")) == 15


def test_a_slot_that_began_before_is_not_seen() -> None:
    counts = TradeCounts.of(candles_at(*every(HOUR, "2024-03-01", 6), trades=5), HOUR)
    assert counts.seen(between("2024-03-01 01:30", "2024-03-01 02:30")) == 5


def test_the_pace_is_that_of_the_slower_side() -> None:
    slots = {slot: 80 if EPOCH + slot * HOUR.delta < LOST.start else 30 for slot in numbers(SPAN, HOUR)}
    assert counted(slots, HOUR).pace_around(LOST) == 30


def test_the_pace_is_that_of_a_slow_tenth_of_the_rows() -> None:
    slots = {slot: 20 if slot % 24 < 4 else 80 for slot in numbers(SPAN, HOUR)}
    assert counted(slots, HOUR).pace_around(LOST) == 20


def test_what_a_market_did_inside_says_nothing_of_its_pace() -> None:
    assert steady(HOUR, LOST, low=1).pace_around(LOST) == 100


def test_the_nearest_row_may_be_cut_and_is_left_out() -> None:
    # Three slow rows of 25 would be more than a tenth, two of 24 are not.
    after = numbers(TimeRange(LOST.end, LOST.end + 25 * HOUR.delta), HOUR)
    slots = dict.fromkeys(numbers(TimeRange(SPAN.start, LOST.start), HOUR), 100)
    slots |= {slot: 2 if i < 3 else 100 for i, slot in enumerate(after)}
    assert counted(slots, HOUR).pace_around(LOST) == 100


@pytest.mark.parametrize(("rows", "pace"), [(24, None), (25, 100)])
def test_a_side_of_fewer_than_24_rows_beside_the_nearest_tells_no_pace(rows: int, pace: float | None) -> None:
    counts = steady(HOUR, LOST, span=TimeRange(at("2024-02-01"), LOST.end + rows * HOUR.delta))
    assert counts.pace_around(LOST) == pace


@pytest.mark.parametrize(("every_nth", "pace"), [(2, 100), (3, None)])
def test_rows_in_more_than_twice_as_many_slots_tell_no_pace(every_nth: int, pace: float | None) -> None:
    assert counted({s: 100 for s in numbers(SPAN, HOUR) if s % every_nth == 0}, HOUR).pace_around(LOST) == pace


def test_a_series_without_candles_has_no_pace_and_no_silence() -> None:
    counts = TradeCounts.of(empty_candles(), HOUR)
    assert counts.pace_around(LOST) is None
    assert improbable_silences(counts, RangeSet([SPAN])) == []


# ---------------------------------------------------------------------------------------------------------- silences


def test_a_part_of_a_silence_keeps_its_pace() -> None:
    part = Silence(HOUR, LOST, 120.0).part(between("2024-03-05 10:00", "2024-03-05 11:00"))
    assert (part.slots, part.due) == (1, 120.0)


def test_lost_hours_of_a_busy_market_are_found() -> None:
    assert improbable_silences(steady(HOUR, LOST), RangeSet([SPAN])) == [Silence(HOUR, LOST, 100.0)]


@pytest.mark.parametrize(("trades", "silences"), [(74, []), (75, [LOST])])
def test_a_silence_is_improbable_from_150_due_trades_on(trades: int, silences: list[TimeRange]) -> None:
    assert found(steady(HOUR, LOST, trades=trades)) == silences


def test_a_lost_day_is_found_in_a_daily_series() -> None:
    lost = between("2024-04-10", "2024-04-11")
    assert found(steady(DAY, lost, trades=1000, span=between("2024-01-01", "2024-07-01"))) == [lost]


def test_a_market_that_closes_every_night_is_not_silent() -> None:
    nights = [between(f"2024-03-{day:02} 01:00", f"2024-03-{day:02} 04:00") for day in range(1, 28)]
    assert found(steady(HOUR, *nights)) == []


def test_a_market_that_rests_every_sunday_is_not_silent() -> None:
    sundays = [TimeRange(one, one + DAY.delta) for one in every(DAY, "2024-01-07", 150)[::7]]
    assert found(steady(DAY, *sundays, trades=1000, span=between("2024-01-01", "2024-07-01"))) == []


@pytest.mark.parametrize(("days", "silences"), [(4, [LOST]), (5, [])])
def test_ten_of_fourteen_days_must_have_traded_at_that_hour(days: int, silences: list[TimeRange]) -> None:
    before = [TimeRange(LOST.start - n * DAY.delta, LOST.end - n * DAY.delta) for n in range(1, days + 1)]
    silent = steady(HOUR, LOST, *before)
    assert [one for one in found(silent) if one == LOST] == silences


def test_days_in_a_row_are_compared_with_the_days_around_them() -> None:
    lost = between("2024-03-05", "2024-03-15")
    assert found(steady(HOUR, lost)) == [lost]


def test_the_end_of_a_series_is_not_judged() -> None:
    assert found(steady(HOUR, span=TimeRange(SPAN.start, LOST.start)), RangeSet([SPAN])) == []


def test_what_nobody_called_quiet_is_not_judged() -> None:
    assert found(steady(HOUR, LOST), RangeSet([SPAN]) - RangeSet([LOST])) == []


def test_a_run_is_cut_where_the_word_for_it_ends() -> None:
    lost = between("2024-03-05 10:00", "2024-03-05 18:00")
    proven = between("2024-03-05 12:00", "2024-03-05 13:00")
    assert found(steady(HOUR, lost), RangeSet([SPAN]) - RangeSet([proven])) == [
        between("2024-03-05 10:00", "2024-03-05 12:00"),
        between("2024-03-05 13:00", "2024-03-05 18:00"),
    ]


def test_only_whole_slots_of_the_word_count() -> None:
    lost = between("2024-03-05 10:00", "2024-03-05 18:00")
    quiet = RangeSet([between("2024-03-05 10:20", "2024-03-05 14:40")])
    assert found(steady(HOUR, lost), quiet) == [between("2024-03-05 11:00", "2024-03-05 14:00")]


def test_a_stray_candle_cuts_a_run_in_two() -> None:
    first, second = between("2024-03-05 10:00", "2024-03-05 12:00"), between("2024-03-05 13:00", "2024-03-05 15:00")
    assert found(steady(HOUR, first, second)) == [first, second]


INTERVALS = [HOUR, Interval.M240, Interval.M720, DAY]


@st.composite
def sparse_series(draw: st.DrawFn) -> tuple[TradeCounts, RangeSet]:
    """Some hundred slots, of which most trade in bursts, with holes; and where somebody called it quiet."""
    interval = draw(st.sampled_from(INTERVALS))
    size = draw(st.integers(100, 700))
    chance = np.random.default_rng(draw(st.integers(0, 2**32)))
    pace = draw(st.integers(1, 60)) * np.repeat(chance.uniform(0.2, 2.0, size), 5)[:size]
    trades = 1 + chance.poisson(pace)
    trades[chance.random(size) > draw(st.sampled_from([0.5, 0.8, 0.95, 1.0]))] = 0
    for start, length in draw(st.lists(st.tuples(st.integers(0, size - 1), st.integers(1, 60)), max_size=4)):
        trades[start : start + length] = 0
    first = draw(st.integers(400_000, 400_100))
    edges = sorted(draw(st.sets(st.integers(0, size), max_size=6)) | {0, size})
    ranges = [
        TimeRange(EPOCH + (first + a) * interval.delta + timedelta(minutes=a % 3), EPOCH + (first + b) * interval.delta)
        for a, b in zip(edges[::2], edges[1::2], strict=False)
    ]
    held = {first + i: count for i, count in enumerate(trades.tolist()) if count}
    return counted(held, interval), RangeSet(ranges)


@settings(max_examples=150)
# Between two tenths, as no product of slots and a 10 % quantile of whole numbers is.
@given(sparse_series(), st.integers(1, 300).map(lambda whole: whole + 0.05))
def test_what_is_found_is_what_the_rule_says(series: tuple[TradeCounts, RangeSet], least: float) -> None:
    counts, quiet = series
    got, expected = improbable_silences(counts, quiet, least), slowly(counts, quiet, least)
    assert [(one.interval, one.range) for one in got] == [(one.interval, one.range) for one in expected]
    assert [one.pace for one in got] == pytest.approx([one.pace for one in expected])


@settings(max_examples=50)
@given(sparse_series())
def test_a_silence_found_has_the_pace_that_is_told_for_its_range(series: tuple[TradeCounts, RangeSet]) -> None:
    counts, _ = series
    if len(counts.slots):
        for one in improbable_silences(counts, whole(counts), 5.0):
            assert counts.pace_around(one.range) == one.pace


# --------------------------------------------------------------------------------------------------------- real files


def shown(counts: TradeCounts) -> list[tuple[str, int]]:
    """Each improbable silence: its first slot, and how many there are."""
    return [(f"{one.start:%F %R}", one.slots(counts.interval)) for one in found(counts)]


def test_bitcoins_real_outages_are_found_and_none_of_its_early_quiet_hours(shared_data: Path) -> None:
    assert shown(real_counts(shared_data, "XBTUSD_60")) == [
        ("2017-12-10 06:00", 2),
        ("2018-01-11 07:00", 5),
        ("2018-01-11 13:00", 1),
        ("2018-01-11 16:00", 23),
        ("2018-01-12 16:00", 19),
        ("2018-01-13 12:00", 2),
        ("2018-04-21 17:00", 1),
        ("2019-07-14 22:00", 3),
        ("2020-10-24 17:00", 1),
        ("2021-01-29 16:00", 1),
        ("2021-07-22 22:00", 4),
        ("2021-07-23 13:00", 1),
    ]


def test_ethers_real_outages_are_found_and_none_of_its_early_quiet_hours(shared_data: Path) -> None:
    assert shown(real_counts(shared_data, "ETHUSD_60")) == [
        ("2017-12-10 06:00", 2),
        ("2018-01-11 07:00", 5),
        ("2018-01-11 13:00", 2),
        ("2018-01-11 19:00", 40),
        ("2018-01-13 12:00", 2),
        ("2018-04-21 17:00", 1),
        ("2019-07-14 22:00", 3),
        ("2020-10-24 17:00", 2),
        ("2021-01-29 16:00", 1),
        ("2021-07-22 22:00", 4),
        ("2021-07-23 13:00", 1),
    ]


@pytest.mark.parametrize(
    ("name", "silences"),
    [
        ("XBTUSD_1440", []),
        ("ETHUSD_1440", [("2018-01-12 00:00", 1)]),
        ("ADAUSD_1440", []),
        ("XMRUSD_1440", [("2018-01-12 00:00", 1)]),
        ("XBTUSDC_1", []),
    ],
)
def test_no_other_silence_of_the_real_files_is_improbable(
    name: str, silences: list[tuple[str, int]], shared_data: Path
) -> None:
    assert shown(real_counts(shared_data, name)) == silences


@pytest.mark.parametrize("name", ["XBTUSD_60", "ETHUSD_60", "XBTUSDC_1"])
def test_honest_real_silences_stay_far_from_the_threshold(name: str, shared_data: Path) -> None:
    counts = real_counts(shared_data, name)
    dues = [one.due for one in improbable_silences(counts, whole(counts), 5.0)]
    assert [due for due in dues if 22 < due < 150] == []
