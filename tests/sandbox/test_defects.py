"""Prices that spike or freeze, and slots that are gone: where they were asked for, and nowhere else."""

from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from chandlery.candles.frame import CANDLE_SCHEMA, TIMESTAMP, first_bad_row
from chandlery.candles.interval import Interval
from chandlery.candles.resample import resample
from chandlery.candles.timerange import TimeRange
from chandlery.sandbox.archives import write_archive
from chandlery.sandbox.defects import (
    Defect,
    DefectOfNothing,
    FrozenPrice,
    MissingLastSlot,
    MissingSlots,
    NoSpike,
    Spike,
)
from chandlery.sandbox.editions import Container, Edition, Shape
from chandlery.sandbox.exchange import SandboxExchange
from chandlery.sandbox.market import SandboxMarket
from tests.candles.builders import at, between

EXCHANGE = SandboxExchange.small()
FORTNIGHT = between("2024-01-08", "2024-01-22")
HOURS = between("2024-01-10 09:00", "2024-01-10 21:00")
PRICES = ("open", "high", "low", "close")
#: The minute of a trade of XBTUSD.
NOON = EXCHANGE.trades("XBTUSD", between("2024-01-10 12:00", "2024-01-10 13:00"))["time"][0].replace(
    second=0, microsecond=0
)

Files = dict[Interval, pl.DataFrame]


def files_with(
    folder: Path,
    *defects: Defect,
    market: str = "XBTUSD",
    intervals: tuple[Interval, ...] = tuple(Interval),
    within: TimeRange = FORTNIGHT,
    exchange: SandboxExchange = EXCHANGE,
) -> Files:
    """The candles that the files of one market hold."""
    edition = Edition.loose(within, markets=(market,), intervals=intervals, defects=defects)
    write_archive(exchange, edition, folder, Shape(Container.LOOSE))
    schema = {**CANDLE_SCHEMA, "timestamp": pl.Int64}
    return {
        interval: pl.read_csv(folder / f"{market}_{int(interval)}.csv", has_header=False, schema=schema).with_columns(
            (pl.col("timestamp") * 1_000_000).cast(TIMESTAMP)
        )
        for interval in intervals
    }


def truth(market: str = "XBTUSD") -> Files:
    return {interval: EXCHANGE.candles(market, interval, FORTNIGHT) for interval in Interval}


def changed_rows(found: pl.DataFrame, sound: pl.DataFrame) -> list[datetime]:
    """Slots whose row is not the sound one; both have a row for the same slots."""
    differs = pl.Series([a != b for a, b in zip(found.rows(), sound.rows(), strict=True)], dtype=pl.Boolean)
    return found.filter(differs)["timestamp"].to_list()


def row_at(candles: pl.DataFrame, slot: datetime) -> dict[str, float]:
    return candles.row(by_predicate=pl.col("timestamp") == slot, named=True)


def assert_nested(files: Files) -> None:
    """Every file says what the minutes say."""
    for interval, candles in files.items():
        assert first_bad_row(candles, interval) is None
        assert_frame_equal(candles, resample(files[Interval.M1], interval), rel_tol=1e-12)


def test_slots_can_be_missing_at_one_interval(tmp_path: Path) -> None:
    found, sound = files_with(tmp_path, MissingSlots(HOURS, "XBTUSD", Interval.M60)), truth()
    gone = pl.col("timestamp").is_between(HOURS.start, HOURS.end, closed="left")
    assert sound[Interval.M60].filter(gone).height == 12
    assert_frame_equal(found[Interval.M60], sound[Interval.M60].filter(~gone), check_exact=True)
    for interval in set(Interval) - {Interval.M60}:
        assert_frame_equal(found[interval], sound[interval], check_exact=True)


def test_slots_missing_at_all_intervals_are_those_that_open_in_the_range(tmp_path: Path) -> None:
    found, sound = files_with(tmp_path, MissingSlots(HOURS)), truth()
    for interval in Interval:
        gone = sound[interval].join(found[interval], on="timestamp", how="anti")["timestamp"]
        assert gone.to_list() == [slot for slot in sound[interval]["timestamp"] if HOURS.start <= slot < HOURS.end]
    # Slots of twelve hours that open at 0 and 12, of four that open at 12, 16 and 20: the last reaches beyond.
    assert found[Interval.M720].height == sound[Interval.M720].height - 1
    assert found[Interval.M240].height == sound[Interval.M240].height - 3
    assert_frame_equal(found[Interval.M1440], sound[Interval.M1440], check_exact=True)


def test_the_last_slot_can_be_missing_at_several_intervals(tmp_path: Path) -> None:
    several = (Interval.M60, Interval.M240, Interval.M720, Interval.M1440)
    found, sound = files_with(tmp_path, *(MissingLastSlot("XBTUSD", interval) for interval in several)), truth()
    for interval in Interval:
        left = sound[interval]
        if interval in several:
            assert left["timestamp"][-1] == FORTNIGHT.end - interval.delta
            left = left[:-1]
        assert_frame_equal(found[interval], left, check_exact=True)


@pytest.mark.parametrize("interval", Interval)
@pytest.mark.parametrize(("factor", "column"), [(1.5, "high"), (20.0, "high"), (0.6, "low")])
def test_a_spike_changes_one_price_of_one_row_of_one_interval(
    tmp_path: Path, interval: Interval, factor: float, column: str
) -> None:
    found, sound = files_with(tmp_path, Spike(NOON, factor, "XBTUSD", interval)), truth()
    slot = interval.floor(NOON)
    assert changed_rows(found[interval], sound[interval]) == [slot]
    old, new = row_at(sound[interval], slot), row_at(found[interval], slot)
    assert new == old | {column: pytest.approx(old[column] * factor, abs=0.06)}
    assert first_bad_row(found[interval], interval) is None
    for other in set(Interval) - {interval}:
        assert_frame_equal(found[other], sound[other], check_exact=True)


@pytest.mark.parametrize(("factor", "column"), [(1.5, "high"), (0.6, "low")])
def test_a_spike_at_all_intervals_is_one_price_that_all_of_them_tell(
    tmp_path: Path, factor: float, column: str
) -> None:
    found, sound = files_with(tmp_path, Spike(NOON, factor)), truth()
    price = row_at(found[Interval.M1], NOON)[column]
    assert price == pytest.approx(row_at(sound[Interval.M1], NOON)[column] * factor, abs=0.06)
    for interval in Interval:
        assert changed_rows(found[interval], sound[interval]) == [interval.floor(NOON)]
        assert row_at(found[interval], interval.floor(NOON))[column] == price
    assert_nested(found)


def test_the_smallest_spike_is_a_tick(tmp_path: Path) -> None:
    found, sound = files_with(tmp_path, Spike(NOON, 1.000_000_1), intervals=(Interval.M1,)), truth()
    high = row_at(sound[Interval.M1], NOON)["high"]
    assert row_at(found[Interval.M1], NOON)["high"] == pytest.approx(high + 0.1, abs=1e-9)


@pytest.mark.parametrize("interval", Interval)
def test_a_price_can_freeze_at_one_interval(tmp_path: Path, interval: Interval) -> None:
    days = between("2024-01-10", "2024-01-13 00:00")
    found, sound = files_with(tmp_path, FrozenPrice(days, "XBTUSD", interval)), truth()
    inside = pl.col("timestamp").is_between(days.start, days.end, closed="left")
    before = sound[interval].filter(pl.col("timestamp") < days.start)["close"][-1]
    frozen = sound[interval].with_columns(pl.when(inside).then(before).otherwise(pl.col(n)).alias(n) for n in PRICES)
    assert sound[interval].filter(inside).height > 2
    assert_frame_equal(found[interval], frozen, check_exact=True)
    for other in set(Interval) - {interval}:
        assert_frame_equal(found[other], sound[other], check_exact=True)


def test_a_price_that_freezes_at_all_intervals_freezes_every_slot_inside_at_the_same_price(tmp_path: Path) -> None:
    found, sound = files_with(tmp_path, FrozenPrice(HOURS)), truth()
    price = sound[Interval.M1].filter(pl.col("timestamp") < HOURS.start)["close"][-1]
    assert_nested(found)
    for interval in Interval:
        assert_frame_equal(
            found[interval].select("timestamp", "volume", "trades"),
            sound[interval].select("timestamp", "volume", "trades"),
            check_exact=True,
        )
        wholly = found[interval].filter(
            (pl.col("timestamp") >= HOURS.start) & (pl.col("timestamp") + interval.delta <= HOURS.end)
        )
        assert {value for name in PRICES for value in wholly[name]} <= {price}
        touched = {interval.floor(HOURS.start), interval.floor(HOURS.end - timedelta(minutes=1))}
        inside = [slot for slot in found[interval]["timestamp"] if HOURS.start <= slot < HOURS.end]
        assert set(changed_rows(found[interval], sound[interval])) <= touched | set(inside)
    assert found[Interval.M60].filter(pl.col("open") == price).height >= 12


def test_a_price_frozen_over_the_start_of_an_archive_is_the_last_one_before_it(tmp_path: Path) -> None:
    over = between("2024-01-06", "2024-01-09")
    found = files_with(tmp_path, FrozenPrice(over, interval=Interval.M60), intervals=(Interval.M60,))[Interval.M60]
    before = EXCHANGE.candles("XBTUSD", Interval.M60, between("2024-01-06", "2024-01-08"))["close"][-1]
    assert found.filter(pl.col("timestamp") < over.end).select(PRICES).unique().rows() == [(before,) * 4]


def test_a_price_frozen_from_the_first_trade_on_is_the_first_price(tmp_path: Path) -> None:
    life = between("2022-10-01", "2022-10-08")
    found = files_with(tmp_path, FrozenPrice(life), intervals=(Interval.M60,), within=life)[Interval.M60]
    first = EXCHANGE.trades("XBTUSD", life)["price"][0]
    assert found.height > 20
    assert found.select(PRICES).unique().rows() == [(first,) * 4]


def test_a_price_frozen_over_the_blocks_of_the_generator_is_one_price(tmp_path: Path) -> None:
    long = between("2023-06-01", "2023-11-01")
    history = between("2023-05-01", "2023-12-01")
    found = files_with(tmp_path, FrozenPrice(long), intervals=(Interval.M60, Interval.M1440), within=history)
    for candles in found.values():
        inside = candles.filter(pl.col("timestamp").is_between(long.start, long.end, closed="left"))
        assert inside.height > 150
        assert inside.select(PRICES).unique().height == 1


def test_a_frozen_price_can_spike(tmp_path: Path) -> None:
    found = files_with(tmp_path, Spike(NOON, 2.0), FrozenPrice(HOURS))[Interval.M1]
    inside = found.filter(pl.col("timestamp").is_between(HOURS.start, HOURS.end, closed="left"))
    assert inside.filter(pl.col("high") > pl.col("low"))["timestamp"].to_list() == [NOON]


@settings(max_examples=15)
@given(
    start=st.integers(0, 13 * 1440),
    length=st.integers(600, 3000),
    factor=st.sampled_from([0.2, 0.7, 1.3, 4.0]),
    of=st.integers(0, 5000),
)
def test_defects_of_all_intervals_leave_them_in_agreement(
    tmp_path_factory: pytest.TempPathFactory, start: int, length: int, factor: float, of: int
) -> None:
    opens = FORTNIGHT.start + timedelta(minutes=start)
    minute = truth()[Interval.M1]["timestamp"][of]
    frozen = FrozenPrice(TimeRange(opens, opens + timedelta(minutes=length)))
    files = files_with(tmp_path_factory.mktemp("files"), frozen, Spike(minute, factor))
    assert_nested(files)


def test_a_defect_of_one_market_leaves_the_others_alone(tmp_path: Path) -> None:
    defects = (Spike(NOON, 2.0, "XBTUSD"), FrozenPrice(HOURS, "XBTUSD"), MissingSlots(HOURS, "XBTUSD"))
    edition = Edition.loose(FORTNIGHT, intervals=(Interval.M1,))
    write_archive(EXCHANGE, edition, tmp_path / "sound", Shape(Container.LOOSE))
    spoiled = Edition.loose(FORTNIGHT, intervals=(Interval.M1,), defects=defects)
    write_archive(EXCHANGE, spoiled, tmp_path / "spoiled", Shape(Container.LOOSE))
    same = [
        name
        for name in ("XBTUSD_1.csv", "ADAUSD_1.csv")
        if (tmp_path / "sound" / name).read_bytes() == (tmp_path / "spoiled" / name).read_bytes()
    ]
    assert same == ["ADAUSD_1.csv"]


@pytest.mark.parametrize(
    ("defect", "told"),
    [
        (Spike(at("2024-03-01 12:00"), 2.0), "price to change from 2024-03-01 12:00 on in the minutes of XBTUSD"),
        (Spike(at("2024-03-01 12:00"), 2.0, interval=Interval.M60), r"in XBTUSD_60\.csv, so a Spike"),
        (FrozenPrice(between("2024-03-01", "2024-03-02")), "from 2024-03-01 00:00 on in the minutes of XBTUSD"),
        (FrozenPrice(HOURS, interval=Interval.M1440), r"in XBTUSD_1440\.csv, so a FrozenPrice of it would change"),
        (Spike(NOON, 2.0, "ETHEUR"), "no market ETHEUR"),
        (FrozenPrice(HOURS, "ETHEUR"), "no market ETHEUR"),
        (MissingSlots(HOURS, "ETHEUR"), "no market ETHEUR"),
    ],
)
def test_a_defect_that_would_change_nothing_is_refused(tmp_path: Path, defect: Defect, told: str) -> None:
    with pytest.raises(DefectOfNothing, match=told):
        files_with(tmp_path, defect)


def test_a_defect_of_an_interval_that_is_not_held_is_refused(tmp_path: Path) -> None:
    for defect in (Spike(NOON, 2.0, None, Interval.M5), MissingSlots(HOURS, None, Interval.M5)):
        with pytest.raises(DefectOfNothing, match="no interval 5"):
            files_with(tmp_path, defect, intervals=(Interval.M60,))


def test_a_quiet_minute_cannot_spike(tmp_path: Path) -> None:
    minutes = truth()[Interval.M1]["timestamp"]
    quiet = minutes.filter(minutes.diff().shift(-1) > timedelta(minutes=1))[0] + timedelta(minutes=1)
    with pytest.raises(DefectOfNothing, match="in the minutes of XBTUSD"):
        files_with(tmp_path, Spike(quiet, 2.0))


def test_a_price_of_one_tick_cannot_fall(tmp_path: Path) -> None:
    cent = SandboxMarket("AUSD", "A/USD", "A", "ZUSD", listed=at("2024-01-01"), price=0.000_1)
    exchange = SandboxExchange(cast=(cent,), outages=())
    first = exchange.candles("AUSD", Interval.M1, FORTNIGHT)["timestamp"][0]
    with pytest.raises(DefectOfNothing, match="price to change"):
        files_with(tmp_path, Spike(first, 0.5), market="AUSD", exchange=exchange)


@pytest.mark.parametrize("factor", [0.0, 1.0, -2.0, float("nan"), float("inf")])
def test_a_factor_that_makes_no_spike_is_refused(factor: float) -> None:
    with pytest.raises(NoSpike, match="makes no spike: it must be above 0 and not 1"):
        Spike(NOON, factor)
