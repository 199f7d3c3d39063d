"""Rows by themselves: what cannot be, what stands out and is back at once, what stands still for too long."""

from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from chandlery.candles.audit.agreement import Held
from chandlery.candles.audit.flaw import FlawKind
from chandlery.candles.audit.rows import FROZEN_CANDLES, frozen_runs, moved, row_flaws
from chandlery.candles.frame import CANDLE_SCHEMA
from chandlery.candles.interval import Interval
from chandlery.candles.resample import resample
from chandlery.candles.timerange import RangeSet, TimeRange
from tests.candles.audit.nested import TEN_DAYS, changed, honest, minutes, slot
from tests.candles.builders import between

NOON = slot(Interval.M5, "2024-03-08 12:00")
FIVE = honest()[Interval.M5].candles
HOURS = between("2024-03-08 09:00", "2024-03-08 14:00")


def one_flaw(candles: pl.DataFrame, interval: Interval = Interval.M5) -> tuple[FlawKind, TimeRange, dict[str, object]]:
    [flaw] = row_flaws(candles, interval)
    assert flaw.interval == interval
    return flaw.kind, flaw.range, dict(flaw.evidence)


def spoiled(candles: pl.DataFrame, slots: TimeRange, **columns: pl.Expr) -> pl.DataFrame:
    return changed(Held(candles, RangeSet([TEN_DAYS])), slots, **columns).candles


def still(candles: pl.DataFrame, within: TimeRange) -> pl.DataFrame:
    """Every candle of a range at the close of the one before."""
    before = candles.filter(pl.col("timestamp") < within.start)["close"][-1]
    return spoiled(candles, within, **{name: pl.lit(before) for name in ("open", "high", "low", "close")})


# -------------------------------------------------------------------------------------------------------------- rows


@pytest.mark.parametrize("interval", Interval)
def test_honest_rows_are_flawless(interval: Interval) -> None:
    assert row_flaws(honest()[interval].candles, interval) == []
    assert frozen_runs(honest()[interval].candles, interval) == []


@pytest.mark.parametrize(
    ("columns", "column", "value"),
    [
        ({"low": pl.col("high") * 2}, "low", None),
        ({"high": pl.lit(0.5)}, "low", None),
        ({"close": pl.lit(-1.0)}, "close", "-1.0"),
        ({"open": pl.lit(float("nan"))}, "open", "nan"),
        ({"high": pl.lit(float("inf"))}, "high", "inf"),
        ({"volume": pl.lit(-3.0)}, "volume", "-3.0"),
        ({"trades": pl.lit(-1, dtype=pl.Int64)}, "trades", "-1"),
    ],
)
def test_a_row_that_cannot_be_is_named_with_its_column(
    columns: dict[str, pl.Expr], column: str, value: str | None
) -> None:
    kind, within, evidence = one_flaw(spoiled(FIVE, NOON, **columns))

    assert (kind, within, evidence["column"]) == (FlawKind.BAD_ROW, NOON, column)
    assert value in (None, evidence["value"])
    assert evidence["expected"]


def test_trades_without_volume_and_volume_without_trades() -> None:
    nothing = pl.lit(0, dtype=pl.Int64)

    assert one_flaw(spoiled(FIVE, NOON, volume=pl.lit(0.0)))[0] is FlawKind.NO_VOLUME
    assert one_flaw(spoiled(FIVE, NOON, trades=nothing))[0] is FlawKind.NO_TRADES
    # A row that says that nothing traded is what the API tells of a quiet slot.
    assert row_flaws(spoiled(FIVE, NOON, volume=pl.lit(0.0), trades=nothing), Interval.M5) == []


def test_wrong_rows_in_adjacent_slots_are_one_flaw() -> None:
    hour = slot(Interval.M60, "2024-03-08 12:00")
    apart = spoiled(spoiled(FIVE, hour, volume=pl.lit(0.0)), slot(Interval.M5, "2024-03-08 15:00"), volume=pl.lit(0.0))

    flaws = row_flaws(apart, Interval.M5)

    assert [(flaw.range, flaw.evidence["candles"]) for flaw in flaws] == [
        (hour, 12),
        (slot(Interval.M5, "2024-03-08 15:00"), 1),
    ]


# ------------------------------------------------------------------------------------------------------------ spikes


@pytest.mark.parametrize(("column", "factor"), [("high", 3.0), ("high", 1.8), ("low", 0.4), ("low", 0.001)])
def test_a_price_far_off_that_is_back_at_once_is_a_spike(column: str, factor: float) -> None:
    kind, within, evidence = one_flaw(spoiled(FIVE, NOON, **{column: pl.col(column) * factor}))

    assert (kind, within) == (FlawKind.PRICE_SPIKE, NOON)
    assert evidence["factor"] == pytest.approx(factor, rel=0.05)
    assert isinstance(evidence["price"], float)


def test_a_whole_candle_that_is_far_off_is_a_spike() -> None:
    far = {name: pl.col(name) * 2 for name in ("open", "high", "low", "close")}

    assert one_flaw(spoiled(FIVE, NOON, **far))[:2] == (FlawKind.PRICE_SPIKE, NOON)


def test_a_price_that_stays_is_no_spike() -> None:
    doubled = {name: pl.col(name) * 2 for name in ("open", "high", "low", "close")}

    assert row_flaws(spoiled(FIVE, TimeRange(NOON.start, TEN_DAYS.end), **doubled), Interval.M5) == []


def test_a_price_that_comes_back_a_candle_later_is_no_spike_of_one_candle() -> None:
    doubled = {name: pl.col(name) * 2 for name in ("open", "high", "low", "close")}
    two = TimeRange(NOON.start, NOON.end + timedelta(minutes=5))

    assert row_flaws(spoiled(FIVE, two, **doubled), Interval.M5) == []


def test_what_is_far_off_in_one_market_is_an_hour_like_others_in_a_wild_one() -> None:
    rng = np.random.default_rng(7)
    n = FIVE.height
    wild = FIVE.with_columns(high=pl.Series(FIVE["high"].to_numpy() * np.exp(rng.exponential(0.4, n))))

    assert row_flaws(wild, Interval.M5) == []


def test_the_first_and_the_last_rows_are_not_judged() -> None:
    first, last = slot(Interval.M5, TEN_DAYS.start), slot(Interval.M5, TEN_DAYS.end - timedelta(minutes=5))
    ends = spoiled(spoiled(FIVE, first, high=pl.col("high") * 5), last, high=pl.col("high") * 5)

    assert row_flaws(ends, Interval.M5) == []


# ------------------------------------------------------------------------------------------------------------ frozen


def test_a_price_that_stands_still_for_far_longer_than_usual_is_found() -> None:
    [run] = frozen_runs(still(FIVE, HOURS), Interval.M5)

    assert (run.interval, run.range, run.candles) == (Interval.M5, HOURS, 60)
    assert run.price == FIVE.filter(pl.col("timestamp") < HOURS.start)["close"][-1]


def test_a_short_stand_is_not() -> None:
    within = TimeRange(NOON.start, NOON.start + (FROZEN_CANDLES - 1) * Interval.M5.delta)

    assert frozen_runs(still(FIVE, within), Interval.M5) == []


def test_a_stand_without_trades_to_speak_of_is_not() -> None:
    one = spoiled(still(FIVE, HOURS), HOURS, trades=pl.lit(0, dtype=pl.Int64))

    assert frozen_runs(one, Interval.M5) == []


def test_a_market_that_often_stands_still_is_not_suspected() -> None:
    steps = pl.Series(np.repeat(np.arange(minutes(0.9).height // 40 + 1), 40)[: minutes(0.9).height]) % 2
    price = steps.cast(pl.Float64) * 0.0001 + 1.0
    stable = minutes(0.9).with_columns(**dict.fromkeys(("open", "high", "low", "close"), price))

    assert frozen_runs(stable, Interval.M1) == []


def test_a_stand_goes_on_behind_slots_without_a_candle() -> None:
    lost = between("2024-03-08 11:00", "2024-03-08 12:00")

    is_lost = pl.col("timestamp").is_between(lost.start, lost.end, closed="left")
    [run] = frozen_runs(still(FIVE, HOURS).filter(~is_lost), Interval.M5)

    assert (run.range, run.candles) == (HOURS, 48)


@pytest.mark.parametrize("interval", [Interval.M1, Interval.M5, Interval.M15])
def test_what_is_frozen_by_the_minute_is_frozen_at_wider_intervals(interval: Interval) -> None:
    fine = still(minutes(0.9), HOURS)
    own = fine if interval is Interval.M1 else resample(fine, interval)

    [run] = frozen_runs(own, interval)

    assert HOURS.contains(run.range)
    assert HOURS.length - run.range.length < 2 * interval.delta


def test_another_market_moves_or_stands_still() -> None:
    assert moved(FIVE, HOURS)
    assert not moved(still(FIVE, HOURS), HOURS)
    assert not moved(pl.DataFrame(schema=CANDLE_SCHEMA), HOURS)
    assert not moved(FIVE, TimeRange(HOURS.start, HOURS.start + timedelta(minutes=10)))
    assert not moved(FIVE, between("2024-04-01", "2024-04-02"))


def test_no_rows_no_flaws() -> None:
    nothing = pl.DataFrame(schema=CANDLE_SCHEMA)

    assert (row_flaws(nothing, Interval.M1), frozen_runs(nothing, Interval.M1)) == ([], [])
