"""The intervals of a market against each other: what is planted in one of them is named there, and nothing else is."""

import json
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from chandlery.candles.audit.agreement import Held, disagreements
from chandlery.candles.audit.flaw import Flaw, FlawKind
from chandlery.candles.frame import empty_candles
from chandlery.candles.interval import Interval
from chandlery.candles.resample import resample
from chandlery.candles.timerange import RangeSet, TimeRange
from tests.candles.audit.nested import (
    TEN_DAYS,
    Nested,
    archived,
    changed,
    honest,
    lacking,
    minutes,
    nested,
    slot,
    traded_hull,
)
from tests.candles.builders import at, between

SHORT, VOLUME, PRICES = FlawKind.INTERVALS_SHORT, FlawKind.INTERVALS_VOLUME, FlawKind.INTERVALS_PRICES
DROPPED = FlawKind.LAST_SLOT_DROPPED
M1, M5, M15, M30, M60, M240, M720, M1440 = Interval
DAY = between("2024-03-07", "2024-03-08")

intervals = st.sampled_from(list(Interval))
coarse_ones = st.sampled_from([i for i in Interval if i > 1])
shares = st.sampled_from([0.02, 0.3, 0.9])
quick = settings(max_examples=30)

Said = tuple[Interval, FlawKind, TimeRange, bool]


def said(flaws: list[Flaw]) -> list[Said]:
    return [(flaw.interval, flaw.kind, flaw.range, flaw.derivable) for flaw in flaws]


def only(flaws: list[Flaw]) -> Flaw:
    assert len(flaws) == 1, said(flaws)
    return flaws[0]


def planted(interval: Interval, series: Nested) -> Nested:
    """Honest series, with one of them replaced."""
    return honest() | {interval: series[interval]}


@st.composite
def stretches(draw: st.DrawFn, interval: Interval, longest: int = 40) -> TimeRange:
    """A range of whole slots within the ten days."""
    slots = TEN_DAYS.slots(interval)
    first = draw(st.integers(0, slots - 1))
    count = draw(st.integers(1, min(longest, slots - first)))
    start = TEN_DAYS.start + first * interval.delta
    return TimeRange(start, start + count * interval.delta)


# ------------------------------------------------------------------------------------------------------------ honest


@quick
@given(shares, st.sets(intervals, min_size=1), st.integers(1, 5))
def test_honest_series_agree(share: float, stored: set[Interval], seed: int) -> None:
    assert disagreements(nested(minutes(share, seed=seed), sorted(stored)), [TEN_DAYS.end]) == []


@quick
@given(st.data())
def test_time_that_is_not_covered_whole_is_not_compared(data: st.DataObject) -> None:
    held = honest(0.3)
    for interval in data.draw(st.sets(intervals, min_size=1)):
        lost = data.draw(stretches(interval))
        held[interval] = Held(lacking(held[interval], lost).candles, held[interval].covered - RangeSet([lost]))
    assert disagreements(held, [TEN_DAYS.end]) == []


def test_rows_in_time_that_is_not_covered_count_for_nothing() -> None:
    held = honest(intervals=[M60, M1440])
    held[M60] = Held(lacking(held[M60], slot(M60, "2024-03-07 05:00")).candles, RangeSet([DAY]) - RangeSet([DAY]))
    assert disagreements(held) == []


def test_volumes_within_the_tolerance_are_equal() -> None:
    held = honest()
    held[M60] = changed(held[M60], DAY, volume=pl.col("volume") * (1 + 5e-10))
    assert disagreements(held) == []


def test_a_candle_without_trades_is_as_good_as_none() -> None:
    held = honest(intervals=[M1, M5])
    empty = changed(held[M1], slot(M1, "2024-03-07 05:01"), trades=pl.lit(0), volume=pl.lit(0.0), high=pl.lit(9e9))
    held = nested(lacking(held[M1], slot(M1, "2024-03-07 05:01")).candles, [M5]) | {M1: empty}
    assert disagreements(held) == []


def test_one_interval_alone_agrees_with_itself() -> None:
    assert disagreements(honest(intervals=[M60]), [TEN_DAYS.end]) == []
    assert disagreements({}) == []


# ------------------------------------------------------------------------------------------------------------- short


def test_a_day_lost_at_one_interval_is_one_flaw_there() -> None:
    held = honest()
    held[M60] = lacking(held[M60], DAY)
    flaw = only(disagreements(held))
    assert said([flaw]) == [(M60, SHORT, DAY, True)]
    told = honest()[M30].candles.filter(pl.col("timestamp").dt.day() == 7)
    assert flaw.evidence == {
        "trades": 0,
        "other_trades": told["trades"].sum(),
        "volume": 0.0,
        "other_volume": pytest.approx(told["volume"].sum(), rel=1e-12),
        "other_interval_minutes": 30,
    }


def test_a_day_lost_at_the_finest_interval_is_one_flaw_there_and_cannot_be_derived() -> None:
    held = honest()
    held[M1] = lacking(held[M1], DAY)
    flaw = only(disagreements(held))
    assert said([flaw]) == [(M1, SHORT, DAY, False)]
    assert flaw.evidence["other_interval_minutes"] == 5
    assert (
        flaw.evidence["other_trades"] == honest()[M1440].candles.filter(pl.col("timestamp") == DAY.start)["trades"][0]
    )


def test_half_a_day_that_only_the_daily_candle_has_is_lost_at_every_finer_interval() -> None:
    lost = between("2024-03-07 12:00", "2024-03-08 00:00")
    held = {i: one if i is M1440 else lacking(one, lost) for i, one in honest().items()}
    found = disagreements(held)
    assert said(found) == [(i, SHORT, DAY, False) for i in Interval if i is not M1440]
    assert {flaw.evidence["other_interval_minutes"] for flaw in found} == {1440}


@quick
@given(st.data(), coarse_ones, shares)
def test_slots_lost_above_the_finest_interval_are_named_there_and_can_be_derived(
    data: st.DataObject, interval: Interval, share: float
) -> None:
    held = honest(share)
    lost = data.draw(stretches(interval))
    opens = held[interval].candles.filter(pl.col("timestamp").is_between(lost.start, lost.end, closed="left"))
    assume(not opens.is_empty())
    held[interval] = lacking(held[interval], lost)
    found = disagreements(held)
    # A quiet time of more than a day parts them.
    parts = 1 + (opens["timestamp"].diff() > timedelta(days=1) + interval.delta).sum()
    assert {(flaw.interval, flaw.kind, flaw.derivable) for flaw in found} == {(interval, SHORT, True)}
    assert len(found) == parts
    assert TimeRange(found[0].range.start, found[-1].range.end) == traded_hull(opens, lost, interval)
    assert sum(flaw.evidence["other_trades"] for flaw in found) == opens["trades"].sum()


@quick
@given(st.data(), st.sampled_from([0.3, 0.9]))
def test_minutes_lost_at_the_finest_interval_accuse_it_in_the_slots_of_the_next(
    data: st.DataObject, share: float
) -> None:
    held = honest(share)
    lost = data.draw(stretches(M1))
    hull = traded_hull(held[M1].candles, lost, M5)
    assume(hull is not None)
    held[M1] = lacking(held[M1], lost)
    assert said(disagreements(held)) == [(M1, SHORT, hull, False)]


@quick
@given(st.data(), coarse_ones)
def test_a_single_trade_too_few_is_found(data: st.DataObject, interval: Interval) -> None:
    held = honest()
    short = data.draw(stretches(interval, longest=1))
    assume(traded_hull(held[interval].candles, short, interval) is not None)
    held[interval] = changed(held[interval], short, trades=pl.col("trades") - 1)
    flaw = only(disagreements(held))
    assert said([flaw]) == [(interval, SHORT, short, True)]
    assert flaw.evidence["other_trades"] - flaw.evidence["trades"] == 1


def test_a_coarse_candle_that_finer_ones_exceed_is_mended_before_it_is_held_against_coarser_ones() -> None:
    held = honest()
    for interval in (M15, M240):
        held[interval] = lacking(held[interval], DAY)
    assert said(disagreements(held)) == [(M15, SHORT, DAY, True), (M240, SHORT, DAY, True)]


def test_the_same_loss_at_the_two_finest_intervals_is_told_by_the_third() -> None:
    held = honest()
    for interval in (M1, M5):
        held[interval] = lacking(held[interval], DAY)
    assert said(disagreements(held)) == [(M1, SHORT, DAY, False), (M5, SHORT, DAY, False)]


def test_a_loss_that_a_wider_one_holds_is_not_named_twice() -> None:
    held = honest()
    held[M5] = lacking(held[M5], slot(M5, "2024-03-07 05:00"))
    for interval in (M1, M5):
        held[interval] = lacking(held[interval], slot(M15, "2024-03-07 05:15"))
        held[interval] = changed(
            held[interval], between("2024-03-07 05:05", "2024-03-07 05:10"), trades=pl.col("trades") - 1
        )
    hour = between("2024-03-07 05:00", "2024-03-07 05:30")
    assert said(disagreements(held)) == [(M1, SHORT, hour, False), (M5, SHORT, hour, False)]


def test_a_finer_series_that_covers_a_part_is_accused_in_that_part_only() -> None:
    held = honest(intervals=[M1, M5, M60])
    noon = between("2024-03-07 00:00", "2024-03-07 12:00")
    held[M1] = Held(lacking(held[M1], DAY).candles, held[M1].covered - RangeSet([noon]))
    held[M5] = lacking(held[M5], DAY)
    afternoon = between("2024-03-07 12:00", "2024-03-08")
    assert said(disagreements(held)) == [(M1, SHORT, afternoon, False), (M5, SHORT, DAY, False)]


def test_two_losses_with_a_traded_slot_between_them_are_two_flaws() -> None:
    held = honest()
    first, second = slot(M60, "2024-03-07 05:00"), slot(M60, "2024-03-07 07:00")
    held[M60] = lacking(lacking(held[M60], first), second)
    assert said(disagreements(held)) == [(M60, SHORT, first, True), (M60, SHORT, second, True)]


def test_two_losses_with_quiet_hours_between_them_are_one_flaw() -> None:
    quiet = between("2024-03-07 06:00", "2024-03-07 09:00")
    held = nested(lacking(honest()[M1], quiet).candles)
    lost = between("2024-03-07 05:00", "2024-03-07 10:00")
    held[M60] = lacking(held[M60], lost)
    assert said(disagreements(held)) == [(M60, SHORT, lost, True)]


def test_quiet_time_of_more_than_a_day_parts_two_losses() -> None:
    quiet = between("2024-03-07 06:00", "2024-03-08 07:00")
    held = nested(lacking(honest()[M1], quiet).candles)
    held[M60] = lacking(held[M60], between("2024-03-07 05:00", "2024-03-08 08:00"))
    found = disagreements(held)
    assert [flaw.range for flaw in found] == [slot(M60, "2024-03-07 05:00"), slot(M60, "2024-03-08 07:00")]


def test_time_that_nobody_answered_for_parts_two_losses() -> None:
    unknown = between("2024-03-07 06:00", "2024-03-07 09:00")
    held = nested(lacking(honest()[M1], unknown).candles, within=RangeSet([TEN_DAYS]) - RangeSet([unknown]))
    held[M60] = lacking(held[M60], between("2024-03-07 05:00", "2024-03-07 10:00"))
    found = disagreements(held)
    assert [flaw.range for flaw in found] == [slot(M60, "2024-03-07 05:00"), slot(M60, "2024-03-07 09:00")]


# ------------------------------------------------------------------------------------------------- volume and prices

DOUBLED = {"volume": pl.col("volume") * 2}
RAISED = {"high": pl.col("high") * 1.5}


@quick
@given(st.data(), st.sampled_from([M5, M15, M30, M60, M240, M720]), st.sampled_from([DOUBLED, RAISED]))
def test_a_wrong_candle_between_right_ones_is_named_and_can_be_derived(
    data: st.DataObject, interval: Interval, spoiled: dict[str, pl.Expr]
) -> None:
    held = honest()
    wrong = data.draw(stretches(interval, longest=1))
    assume(traded_hull(held[interval].candles, wrong, interval) is not None)
    held[interval] = changed(held[interval], wrong, **spoiled)
    kind = VOLUME if spoiled is DOUBLED else PRICES
    flaw = only(disagreements(held))
    assert said([flaw]) == [(interval, kind, wrong, True)]
    assert "undecided" not in flaw.evidence


@quick
@given(st.data(), st.sampled_from([DOUBLED, RAISED]))
def test_a_wrong_candle_of_the_finest_interval_is_outvoted_and_cannot_be_derived(
    data: st.DataObject, spoiled: dict[str, pl.Expr]
) -> None:
    held = honest()
    wrong = data.draw(stretches(M1, longest=1))
    hull = traded_hull(held[M1].candles, wrong, M5)
    assume(hull is not None)
    held[M1] = changed(held[M1], wrong, **spoiled)
    assert said(disagreements(held)) == [(M1, VOLUME if spoiled is DOUBLED else PRICES, hull, False)]


@pytest.mark.parametrize("spoiled", [DOUBLED, RAISED])
def test_where_no_third_interval_votes_the_coarser_one_is_blamed_undecided(spoiled: dict[str, pl.Expr]) -> None:
    held = honest()
    held[M1440] = changed(held[M1440], DAY, **spoiled)
    flaw = only(disagreements(held))
    assert (flaw.interval, flaw.range, flaw.derivable) == (M1440, DAY, False)
    assert flaw.evidence["undecided"] is True


def test_a_third_interval_that_agrees_with_neither_decides_nothing() -> None:
    held = honest(intervals=[M5, M60, M1440])
    held[M60] = changed(held[M60], slot(M60, "2024-03-07 05:00"), **DOUBLED)
    held[M1440] = changed(held[M1440], DAY, volume=pl.col("volume") * 3)
    found = disagreements(held)
    assert said(found) == [(M60, VOLUME, slot(M60, "2024-03-07 05:00"), False), (M1440, VOLUME, DAY, False)]
    assert all(flaw.evidence["undecided"] for flaw in found)


def test_a_third_interval_that_cannot_tell_them_apart_decides_nothing() -> None:
    held = honest(intervals=[M5, M60, M1440])
    # The open of an hour in the middle of the day is no figure of the day.
    held[M60] = changed(held[M60], slot(M60, "2024-03-07 05:00"), open=(pl.col("low") + pl.col("high")) / 2)
    flaw = only(disagreements(held))
    assert said([flaw]) == [(M60, PRICES, slot(M60, "2024-03-07 05:00"), False)]
    assert flaw.evidence["undecided"] is True


def test_the_next_interval_that_covers_the_slot_votes() -> None:
    held = honest(intervals=[M5, M60, M240, M1440])
    held[M240] = Held(held[M240].candles, held[M240].covered - RangeSet([DAY]))
    held[M60] = changed(held[M60], slot(M60, "2024-03-07 05:00"), **DOUBLED)
    assert said(disagreements(held)) == [(M60, VOLUME, slot(M60, "2024-03-07 05:00"), True)]


def test_evidence_of_prices_names_what_differs_in_the_first_slot() -> None:
    held = honest()
    right = held[M60].candles.filter(pl.col("timestamp") == at("2024-03-07 05:00")).row(0, named=True)
    held[M60] = changed(held[M60], between("2024-03-07 05:00", "2024-03-07 07:00"), **RAISED, **DOUBLED)
    flaw = only(disagreements(held))
    assert said([flaw]) == [(M60, PRICES, between("2024-03-07 05:00", "2024-03-07 07:00"), True)]
    assert flaw.evidence == {
        "high": right["high"] * 1.5,
        "other_high": right["high"],
        "volume": pytest.approx(right["volume"] * 2),
        "other_volume": pytest.approx(right["volume"]),
        "slots": 2,
        "other_interval_minutes": 30,
    }


def test_evidence_of_volume_is_summed() -> None:
    held = honest()
    held[M60] = changed(held[M60], DAY, **DOUBLED)
    flaw = only(disagreements(held))
    assert said([flaw]) == [(M60, VOLUME, DAY, True)]
    assert flaw.evidence["volume"] == pytest.approx(2 * flaw.evidence["other_volume"])
    assert flaw.evidence["trades"] == flaw.evidence["other_trades"]


def test_evidence_is_json_even_of_a_price_that_is_none() -> None:
    held = honest()
    held[M60] = changed(held[M60], slot(M60, "2024-03-07 05:00"), high=pl.lit(float("nan")))
    flaw = only(disagreements(held))
    assert json.loads(json.dumps(flaw.evidence, allow_nan=False))["high"] == "nan"


@quick
@given(st.data())
def test_defects_of_two_intervals_on_two_days_are_both_named(data: st.DataObject) -> None:
    held = honest()
    one, other = data.draw(st.lists(st.sampled_from([M5, M15, M30, M60, M240, M720]), min_size=2, max_size=2))
    first, second = slot(one, "2024-03-05 05:00"), slot(other, "2024-03-09 17:00")
    held[one] = lacking(held[one], first)
    held[other] = changed(held[other], second, **DOUBLED)
    expected = [(one, SHORT, first, True), (other, VOLUME, second, True)]
    assert said(disagreements(held)) == sorted(expected, key=lambda said: (said[0], said[2]))


# -------------------------------------------------------------------------------------------- finer ones in patches


def test_what_finer_intervals_tell_together_is_held_against_the_coarser_one() -> None:
    held = honest()
    noon = between("2024-03-07 00:00", "2024-03-07 12:00")
    afternoon = between("2024-03-07 12:00", "2024-03-08 00:00")
    patched = {
        M1: Held(held[M1].candles, RangeSet([noon])),
        M5: Held(held[M5].candles, RangeSet([afternoon])),
        M1440: lacking(held[M1440], DAY),
    }
    assert said(disagreements(patched)) == [(M1440, SHORT, DAY, True)]


def test_a_conflict_in_which_nobody_finer_covers_the_slot_alone_stays_undecided() -> None:
    held = honest(intervals=[M1, M5, M60, M1440])
    half = between("2024-03-07 05:00", "2024-03-07 05:30")
    held[M1] = changed(Held(held[M1].candles, RangeSet([half])), half, **DOUBLED)
    held[M5] = Held(held[M5].candles, held[M5].covered - RangeSet([half]))
    found = disagreements(held)
    hour = slot(M60, "2024-03-07 05:00")
    # The day votes for the hour, but neither the minutes nor the five minutes tell the whole of it.
    assert said(found)[0] == (M60, VOLUME, hour, False)
    assert found[0].evidence["undecided"] is True


# -------------------------------------------------------------------------------------------- ends of archives

END = TEN_DAYS.end


def without_last_slots(held: Nested, *lost: Interval) -> Nested:
    return held | {i: lacking(held[i], TimeRange(END - i.delta, END)) for i in lost}


def test_the_last_slot_of_a_period_that_every_interval_lost_is_named_at_the_finest_too() -> None:
    found = disagreements(without_last_slots(honest(), *Interval), [END])
    last = {i: TimeRange(END - i.delta, END) for i in Interval}
    assert said(found) == [(M1, DROPPED, last[M1], False)] + [(i, SHORT, last[i], True) for i in Interval if i > 1]
    assert found[0].evidence == {
        "period_end": "2024-03-14T00:00:00Z",
        "contradicted_at": [5, 15, 30, 60, 240, 720, 1440],
    }


def test_intervals_that_nothing_contradicts_are_named_down_to_the_finest() -> None:
    # Its last trades before the last quarter of an hour.
    held = nested(lacking(minutes_held(), between("2024-03-13 23:40", "2024-03-13 23:59")).candles)
    found = disagreements(without_last_slots(held, *Interval), [END])
    dropped = [flaw.interval for flaw in found if flaw.kind is DROPPED]
    contradicted = [flaw.interval for flaw in found if flaw.kind is SHORT]
    assert dropped == [M1, M5, M15]
    assert contradicted == [M30, M60, M240, M720, M1440]


def minutes_held() -> Held:
    return honest(intervals=[M1])[M1]


def test_without_the_end_of_a_period_there_is_no_pattern() -> None:
    held = without_last_slots(honest(), *Interval)
    assert {flaw.kind for flaw in disagreements(held)} == {SHORT}
    assert {flaw.kind for flaw in disagreements(held, [END - timedelta(days=1), at("2030-01-01")])} == {SHORT}


def test_one_interval_without_its_last_slot_is_no_pattern() -> None:
    held = nested(lacking(minutes_held(), between("2024-03-13 23:50", "2024-03-14")).candles, [M1, M5, M60])
    found = disagreements(without_last_slots(held, M60), [END])
    assert said(found) == [(M60, SHORT, slot(M60, "2024-03-13 23:00"), True)]


def test_an_interval_that_has_its_last_slot_ends_the_chain() -> None:
    # The last minute is honestly quiet, and five minutes have theirs.
    held = nested(lacking(minutes_held(), slot(M1, "2024-03-13 23:59")).candles)
    found = disagreements(without_last_slots(held, M1440, M720, M240), [END])
    assert [flaw.interval for flaw in found] == [M240, M720, M1440]
    assert {flaw.kind for flaw in found} == {SHORT}


def test_an_interval_that_nobody_stored_does_not_end_the_chain() -> None:
    stored = [M15, M60, M720, M1440]
    found = disagreements(without_last_slots(honest(intervals=stored), *stored), [END])
    assert said(found)[0] == (M15, DROPPED, TimeRange(END - M15.delta, END), False)
    assert found[0].evidence["contradicted_at"] == [60, 720, 1440]


# ------------------------------------------------------------------------------------------------------------ real


@pytest.mark.parametrize(("market", "first", "days"), [("XBTUSD", "2013-10-06", 2722), ("ETHUSD", "2015-08-07", 2058)])
def test_real_hours_add_up_to_real_days(shared_data: Path, market: str, first: str, days: int) -> None:
    covered = RangeSet([between(first, "2021-04-01")])
    held = {i: Held(archived(shared_data / "kraken" / f"{market}_{int(i)}.csv"), covered) for i in (M60, M1440)}
    assert held[M1440].candles.height == days
    assert disagreements(held, [at("2021-04-01")]) == []
    summed = resample(held[M60].candles.filter(pl.col("timestamp") < at("2021-04-01")), M1440)
    apart = (summed["volume"] / held[M1440].candles["volume"] - 1).abs()
    assert summed["trades"].equals(held[M1440].candles["trades"])
    assert apart.max() < 1e-11  # type: ignore[operator]


def test_a_real_day_that_is_taken_away_is_named(shared_data: Path) -> None:
    covered = RangeSet([between("2013-10-06", "2021-04-01")])
    held = {i: Held(archived(shared_data / "kraken" / f"XBTUSD_{int(i)}.csv"), covered) for i in (M60, M1440)}
    held[M1440] = lacking(held[M1440], between("2020-03-12", "2020-03-13"))
    assert said(disagreements(held)) == [(M1440, SHORT, between("2020-03-12", "2020-03-13"), True)]


def test_no_candle_at_all_in_covered_time_is_contradicted_by_one() -> None:
    held = honest(intervals=[M60, M1440])
    held[M1440] = Held(empty_candles(), held[M1440].covered)
    assert said(disagreements(held)) == [(M1440, SHORT, TEN_DAYS, True)]
