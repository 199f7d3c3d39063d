"""One market audited from a lake, part by part: what comes of it is what comes of all of its candles at once."""

from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from chandlery.candles.audit.flaw import Flaw, FlawKind
from chandlery.candles.audit.rows import FrozenRun, frozen_runs, row_flaws
from chandlery.candles.audit.silence import IMPROBABLE, WITNESS, Silence, TradeCounts, improbable_silences
from chandlery.candles.evidence import Origin, Source
from chandlery.candles.frame import CANDLE_SCHEMA
from chandlery.candles.interval import Interval
from chandlery.candles.resample import resample
from chandlery.candles.series import Series
from chandlery.candles.timerange import RangeSet, TimeRange
from chandlery.pipeline.audit_task import AuditedRanges, AuditResult, AuditTask, audit_market
from chandlery.stores import open_store
from tests.candles.builders import at, between

SPAN = between("2023-11-11", "2024-04-03")
MINUTE = timedelta(minutes=1)
PRICES = ("open", "high", "low", "close")
#: Where parts meet: years, and months of minutes.
ENDS = [at("2023-12-01"), at("2024-01-01"), at("2024-02-01"), at("2024-03-01")]


@cache
def minutes(share: float) -> pl.DataFrame:
    """Trades in so many of the minutes, at a price that walks about."""
    chance = np.random.default_rng(7)
    number = SPAN.slots(Interval.M1)
    closes = 100.0 * np.exp(np.cumsum(chance.normal(0.0, 0.0004, number)))
    opens = np.concatenate([[100.0], closes[:-1]])
    candles = pl.DataFrame(
        {
            "timestamp": pl.datetime_range(SPAN.start, SPAN.end, "1m", closed="left", eager=True),
            "open": opens,
            "high": np.maximum(opens, closes) * 1.0002,
            "low": np.minimum(opens, closes) * 0.9998,
            "close": closes,
            "volume": np.ones(number),
            "trades": chance.integers(5, 15, number),
        },
        schema=CANDLE_SCHEMA,
    )
    return candles.filter(pl.Series(chance.random(number) < share))


def still(candles: pl.DataFrame, within: TimeRange) -> pl.DataFrame:
    inside = pl.col("timestamp").is_between(within.start, within.end, closed="left")
    price = candles.filter(pl.col("timestamp") < within.start)["close"][-1]
    return candles.with_columns(**{name: pl.when(inside).then(price).otherwise(name) for name in PRICES})


def spiked(candles: pl.DataFrame, *opens: datetime) -> pl.DataFrame:
    is_one = pl.col("timestamp").is_in(list(opens))
    return candles.with_columns(high=pl.when(is_one).then(pl.col("high") * 3).otherwise("high"))


def silenced(candles: pl.DataFrame, *ranges: TimeRange) -> pl.DataFrame:
    quiet = [pl.col("timestamp").is_between(one.start, one.end, closed="left") for one in ranges]
    return candles.filter(~pl.any_horizontal(*quiet))


def audited(home: Path, candles: pl.DataFrame, *wider: Interval, within: RangeSet | None = None) -> AuditResult:
    """Of minutes, and of what `wider` intervals make of them; `within`: only what is to be looked at there."""
    whole = RangeSet([SPAN])
    store = open_store("parquet:candles", home)
    series: dict[Interval, AuditedRanges] = {}
    for interval in (Interval.M1, *wider):
        own = candles if interval is Interval.M1 else resample(candles, interval)
        store.write(Series("kraken", "XBTUSD", interval), own, Origin(Source.CSV))
        asked = whole if within is None else within
        none = RangeSet()
        series[interval] = AuditedRanges(
            whole, whole, none, none, none, rows=asked, silence=asked, reading=asked.widened(timedelta(days=10)) & whole
        )
    days = whole if within is None else within
    return audit_market(AuditTask("kraken", "XBTUSD", "XBT", series, days, (), "parquet:candles", home))


def flaws_of(result: AuditResult) -> set[tuple[Interval, TimeRange, FlawKind]]:
    return {(flaw.interval, flaw.range, flaw.kind) for flaw in result.flaws}


def at_once(candles: pl.DataFrame) -> tuple[list[Flaw], list[FrozenRun], list[Silence]]:
    counts = TradeCounts.of(candles, Interval.M1)
    silences = improbable_silences(counts, RangeSet([SPAN]), WITNESS)
    return row_flaws(candles, Interval.M1), frozen_runs(candles, Interval.M1), silences


def check_as_at_once(result: AuditResult, candles: pl.DataFrame) -> None:
    flaws, frozen, silences = at_once(candles)
    assert flaws_of(result) == {(flaw.interval, flaw.range, flaw.kind) for flaw in flaws}
    assert list(result.silences) == silences
    assert sorted(result.frozen, key=lambda run: run.range) == frozen


def test_honest_minutes_have_no_flaw(tmp_path: Path) -> None:
    result = audited(tmp_path, minutes(0.9))
    check_as_at_once(result, minutes(0.9))
    assert (result.flaws, result.frozen) == ((), ())


@pytest.mark.parametrize("share", [0.9, 0.06])
def test_spikes_are_found_on_either_side_of_where_parts_meet(tmp_path: Path, share: float) -> None:
    opens = minutes(share)["timestamp"]
    near = [opens.filter(opens < end)[-4] for end in ENDS] + [opens.filter(opens >= end)[3] for end in ENDS]
    candles = spiked(minutes(share), *near)
    result = audited(tmp_path, candles)
    check_as_at_once(result, candles)
    assert len(result.flaws) == len(near)


@pytest.mark.parametrize("end", ENDS, ids=str)
def test_a_silence_across_where_parts_meet_is_one(tmp_path: Path, end: datetime) -> None:
    candles = silenced(minutes(0.9), TimeRange(end - timedelta(hours=5), end + timedelta(hours=7)))
    result = audited(tmp_path, candles)
    check_as_at_once(result, candles)
    assert sum(one.due >= IMPROBABLE for one in result.silences) == 1


@pytest.mark.parametrize(
    ("before", "after"),
    [(timedelta(hours=5), timedelta(hours=9)), (timedelta(days=2), timedelta(days=2)), (timedelta(0), MINUTE * 20)],
    ids=str,
)
@pytest.mark.parametrize("end", ENDS, ids=str)
def test_a_price_that_stands_still_across_where_parts_meet_is_one(
    tmp_path: Path, end: datetime, before: timedelta, after: timedelta
) -> None:
    candles = still(minutes(0.9), TimeRange(end - before, end + after))
    result = audited(tmp_path, candles)
    check_as_at_once(result, candles)
    assert len(result.frozen) == 1


@pytest.mark.parametrize("stand", [between("2024-01-22", "2024-02-09"), between("2024-01-20", "2024-03-12")], ids=str)
def test_a_price_that_stands_still_for_weeks_is_one(tmp_path: Path, stand: TimeRange) -> None:
    """Longer than what is looked at around a month, and than a month."""
    candles = still(minutes(0.9), stand)
    result = audited(tmp_path, candles)
    check_as_at_once(result, candles)
    assert [run.range.length > stand.length - timedelta(hours=1) for run in result.frozen] == [True]


def test_what_intervals_tell_of_each_other_is_told_wherever_parts_meet(tmp_path: Path) -> None:
    """An hour that lacks its trades, at either side of each end."""
    candles = minutes(0.9)
    lost = [TimeRange(end - timedelta(hours=1), end + timedelta(hours=1)) for end in ENDS]
    store = open_store("parquet:candles", tmp_path)
    fine = audited(tmp_path, candles, Interval.M60)
    assert fine.flaws == ()
    series = Series("kraken", "XBTUSD", Interval.M60)
    with store.writer(series) as writer:
        for one in lost:
            writer.clear(one)
        writer.commit()
    result = audit_market(fine.task)
    hours = {(Interval.M60, part, FlawKind.INTERVALS_SHORT) for one in lost for part in _in_years(one)}
    assert flaws_of(result) == hours


def _in_years(one: TimeRange) -> list[TimeRange]:
    """What lies on both sides of a year's end is told of each year."""
    new_year = at("2024-01-01")
    return [TimeRange(one.start, new_year), TimeRange(new_year, one.end)] if new_year in one else [one]


def test_what_is_looked_at_again_is_all_that_is_read(tmp_path: Path) -> None:
    """A spike far from it is not told again."""
    candles = spiked(minutes(0.9), at("2023-11-25 07:00"), at("2024-02-10 07:00"))
    result = audited(tmp_path, candles, within=RangeSet([between("2024-02-09", "2024-02-12")]))
    slot = TimeRange(at("2024-02-10 07:00"), at("2024-02-10 07:01"))
    assert flaws_of(result) == {(Interval.M1, slot, FlawKind.PRICE_SPIKE)}
