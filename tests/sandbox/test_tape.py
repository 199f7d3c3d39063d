"""Trades first; candles are what they add up to."""

from datetime import datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from chandlery.candles.frame import CANDLE_SCHEMA, first_bad_row
from chandlery.candles.interval import Interval
from chandlery.candles.resample import resample
from chandlery.candles.timerange import TimeRange
from chandlery.sandbox.exchange import SandboxExchange
from chandlery.sandbox.market import counts, minute_of, trades_before
from chandlery.sandbox.tape import TRADE_SCHEMA, day_candles, minute_candles
from tests.candles.builders import at, between

EXCHANGE = SandboxExchange.small()
#: Around the listing of ETHEUR and the outage.
DAYS = between("2024-02-09", "2024-02-17")

MINUTES = st.integers(0, 8 * 1440).map(lambda minutes: DAYS.start + timedelta(minutes=minutes))
INSTANTS = st.integers(0, 8 * 86_400_000_000).map(lambda us: DAYS.start + timedelta(microseconds=us))


def candles_of(trades: pl.DataFrame, interval: Interval) -> pl.DataFrame:
    """The plain definition of a candle, in the words of polars; volumes are summed as whole lots."""
    slots = pl.col("time").dt.cast_time_unit("us").dt.truncate(f"{int(interval)}m")
    return (
        trades.group_by(slots.alias("timestamp"), maintain_order=True)
        .agg(
            pl.col("price").first().alias("open"),
            pl.col("price").max().alias("high"),
            pl.col("price").min().alias("low"),
            pl.col("price").last().alias("close"),
            (pl.col("volume") * 1e8).round().cast(pl.Int64).sum(),
            pl.len().cast(pl.Int64).alias("trades"),
        )
        # Divided by numpy: polars multiplies by the reciprocal, which is off in the last digit.
        .with_columns(pl.col("volume").map_batches(lambda lots: pl.Series(lots.to_numpy() / 1e8)))
        .select(*CANDLE_SCHEMA)
    )


@pytest.mark.parametrize("interval", Interval)
@pytest.mark.parametrize("altname", EXCHANGE.names)
def test_candles_are_what_the_trades_add_up_to(altname: str, interval: Interval) -> None:
    found = EXCHANGE.candles(altname, interval, DAYS)
    assert found.schema == pl.Schema(CANDLE_SCHEMA)
    assert found.height > 0
    assert_frame_equal(found, candles_of(EXCHANGE.trades(altname, DAYS), interval), check_exact=True)


@pytest.mark.parametrize("interval", Interval)
def test_candles_of_every_market_are_sound(interval: Interval) -> None:
    for altname in EXCHANGE.names:
        assert first_bad_row(EXCHANGE.candles(altname, interval, between("2024-01-01", "2024-07-01")), interval) is None


def test_coarse_candles_are_the_resampled_fine_ones() -> None:
    minutes = EXCHANGE.candles("XBTUSD", Interval.M1, DAYS)
    days = EXCHANGE.candles("XBTUSD", Interval.M1440, DAYS)
    assert_frame_equal(resample(minutes, Interval.M1440), days, rel_tol=1e-12)


@settings(max_examples=40)
@given(
    st.sampled_from(EXCHANGE.names), st.sampled_from(Interval), st.lists(INSTANTS, min_size=3, max_size=3, unique=True)
)
def test_a_range_split_anywhere_gives_the_same_candles(altname: str, interval: Interval, cuts: list[datetime]) -> None:
    start, cut, end = sorted(cuts)
    parts = [EXCHANGE.candles(altname, interval, TimeRange(a, b)) for a, b in ((start, cut), (cut, end))]
    whole = EXCHANGE.candles(altname, interval, TimeRange(start, end))
    assert_frame_equal(pl.concat(parts), whole, check_exact=True)
    within = EXCHANGE.candles(altname, interval, DAYS).filter(pl.col("timestamp").is_between(start, end, closed="left"))
    assert_frame_equal(whole, within, check_exact=True)


@settings(max_examples=40)
@given(st.sampled_from(EXCHANGE.names), st.lists(INSTANTS, min_size=3, max_size=3, unique=True))
def test_a_range_split_anywhere_gives_the_same_trades(altname: str, cuts: list[datetime]) -> None:
    start, cut, end = sorted(cuts)
    parts = [EXCHANGE.trades(altname, TimeRange(a, b)) for a, b in ((start, cut), (cut, end))]
    assert_frame_equal(pl.concat(parts), EXCHANGE.trades(altname, TimeRange(start, end)), check_exact=True)


def test_a_split_across_the_blocks_of_the_generator_changes_nothing() -> None:
    year = between("2023-03-05 07:11", "2024-04-01")
    halves = between("2023-03-05 07:11", "2023-09-01 13:13"), between("2023-09-01 13:13", "2024-04-01")
    whole = EXCHANGE.candles("XBTUSD", Interval.M5, year)
    assert_frame_equal(
        pl.concat(EXCHANGE.candles("XBTUSD", Interval.M5, half) for half in halves), whole, check_exact=True
    )


def test_trades_have_consecutive_ids_and_times_that_never_fall() -> None:
    trades = EXCHANGE.trades("XBTUSD", DAYS)
    assert trades.schema == pl.Schema(TRADE_SCHEMA)
    assert trades["id"].diff().drop_nulls().unique().to_list() == [1]
    assert trades["time"].is_sorted()
    assert trades["side"].unique().sort().to_list() == ["b", "s"]


def test_about_one_trade_in_eight_has_the_time_of_the_one_before_it_in_its_minute() -> None:
    trades = EXCHANGE.trades("XBTUSD", DAYS)
    minute = trades["time"].dt.truncate("1m")
    later = minute == minute.shift()
    shared = trades["time"] == trades["time"].shift()
    assert later.any()
    assert 0.1 < shared.filter(later).mean() < 0.15  # type: ignore[operator]
    assert not (shared & ~later).any()
    # Now and then an order fills three others and more.
    assert trades.group_by("time").len()["len"].max() > 2  # type: ignore[operator]


def test_the_id_of_a_trade_is_the_number_of_trades_before_it() -> None:
    first = EXCHANGE.first_trade("ETHEUR")
    assert first is not None
    ids = EXCHANGE.trades("ETHEUR", between("2024-01-01", "2024-03-01"))["id"]
    assert ids[0] == 0
    assert ids[-1] + 1 == len(ids) == trades_before(EXCHANGE.book("ETHEUR"), minute_of(at("2024-03-01")))


def test_the_id_counts_trades_over_years() -> None:
    book, start, end = SandboxExchange().book("XBTUSD"), minute_of(at("2014-01-01")), minute_of(at("2016-07-29"))
    assert trades_before(book, end) == counts(book, start, end).sum()


@given(st.sampled_from(EXCHANGE.names), MINUTES)
@settings(max_examples=30)
def test_trades_of_a_minute_are_as_many_as_its_count(altname: str, minute: datetime) -> None:
    number = counts(EXCHANGE.book(altname), minute_of(minute), minute_of(minute) + 1)[0]
    assert EXCHANGE.trades(altname, TimeRange(minute, minute + timedelta(minutes=1))).height == number


def test_prices_and_volumes_read_back_from_their_text() -> None:
    for altname in EXCHANGE.names:
        candles = EXCHANGE.candles(altname, Interval.M1, DAYS)
        read = pl.read_csv(candles.drop("timestamp").write_csv().encode(), schema_overrides={"volume": pl.Float64})
        assert_frame_equal(read, candles.drop("timestamp"), check_exact=True)


def test_prices_are_on_the_tick_and_volumes_have_eight_decimals() -> None:
    trades = EXCHANGE.trades("XBTUSD", DAYS)
    assert trades["price"].cast(pl.String).str.contains(r"^\d+\.\d$").all()
    lots = trades["volume"] * 1e8
    assert ((lots - lots.round()).abs() < 1e-3).all()
    assert trades["volume"].min() >= 1e-8  # type: ignore[operator]


def test_the_same_seed_gives_the_same_history_and_another_seed_another() -> None:
    same, other = SandboxExchange.small(), SandboxExchange.small(seed=2)
    here = EXCHANGE.candles("XBTUSD", Interval.M60, DAYS)
    assert_frame_equal(here, same.candles("XBTUSD", Interval.M60, DAYS), check_exact=True)
    assert not here["close"].equals(other.candles("XBTUSD", Interval.M60, DAYS)["close"])


@pytest.mark.parametrize("altname", EXCHANGE.names)
def test_days_worked_out_at_once_are_those_of_the_minutes(altname: str) -> None:
    book, days = EXCHANGE.book(altname), between("2024-01-01", "2024-05-01")
    start, end = minute_of(days.start), minute_of(days.end)
    by_minutes, at_once = minute_candles(book, start, end).coarser(1440), day_candles(book, start, end)
    assert len(at_once) > 70
    assert_frame_equal(at_once.frame(book.market), by_minutes.frame(book.market), check_exact=True)
    assert at_once.turnover.tolist() == pytest.approx(by_minutes.turnover.tolist(), rel=1e-12)


def test_a_history_never_changes_from_one_version_to_the_next() -> None:
    last = EXCHANGE.candles("XBTUSD", Interval.M1440, DAYS).row(-1)
    assert last == (at("2024-02-16"), 11197.0, 11210.4, 11043.8, 11170.7, 80.15640304, 2022)
