"""Candles for a script: what is stored, what is filled, and what is known of each slot."""

import json
import subprocess
import sys
from datetime import date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from pytest_django import Settings

from chandlery import open_candles
from chandlery.candles.frame import CANDLE_SCHEMA
from chandlery.candles.interval import UnknownInterval
from chandlery.exchanges.kraken.names import UnknownMarket
from chandlery.reader.opening import HomeIsSet
from chandlery.reader.options import NoPandas, NothingBetween, WrongFill, WrongFrame, WrongMoment
from chandlery.reader.read import Candles
from tests.candles.builders import at, between, candles_at
from tests.conftest import CHECKOUT, clean_environment
from tests.factories import MarketFactory
from tests.shelf import bitcoin, bound_store, put

DAY = between("2024-03-01", "2024-03-02")


@pytest.fixture
def candles(home: Path, settings: Settings, db: None) -> Candles:
    """XBTUSD traded at 00:00, 03:00 and 20:00; an archive has spoken for the day up to 06:00, and from 18:00 on."""
    settings.CLOCK = at("2024-03-02 00:30")
    traded = candles_at(*(at(f"2024-03-01 {hour:02}:00") for hour in (0, 3, 20)), price=100.0)
    claimed = [between("2024-03-01", "2024-03-01 06:00"), between("2024-03-01 18:00", "2024-03-02")]
    put(bound_store(home), bitcoin(), 60, traded, claimed)
    return open_candles()


def hours(rows: pl.DataFrame) -> list[int]:
    return [moment.hour for moment in rows["timestamp"].to_list()]


def test_stored_candles_come_as_they_are(candles: Candles) -> None:
    rows = candles.read("XBTUSD", 60)
    assert rows.schema == pl.Schema(CANDLE_SCHEMA)
    assert hours(rows) == [0, 3, 20]


@pytest.mark.parametrize("name", ["xbtusd", "BTC/USD", "XBT/USD"])
def test_a_market_may_be_named_as_people_name_it(candles: Candles, name: str) -> None:
    assert candles.read(name, "60").height == 3


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2024-03-01T03:00:00Z", "2024-03-01T20:00:00Z"),
        ("2024-03-01 03:00", "2024-03-01 20:00"),
        ("2024-03-01T04:00:00+01:00", datetime(2024, 3, 1, 20)),  # noqa: DTZ001 - without a zone it is UTC
        (at("2024-03-01 02:30"), at("2024-03-01 20:00")),
        (at("2024-03-01 03:00"), at("2024-03-01 04:00")),
    ],
)
def test_a_range_is_half_open_and_in_utc(candles: Candles, start: Any, end: Any) -> None:
    assert hours(candles.read("XBTUSD", 60, start, end)) == [3]


def test_a_day_is_its_midnight(candles: Candles) -> None:
    assert candles.read("XBTUSD", 60, date(2024, 3, 1), date(2024, 3, 2)).height == 3
    assert candles.read("XBTUSD", 60, "2024-03-02").height == 0


def test_quiet_slots_are_filled_flat_and_marked(candles: Candles) -> None:
    rows = candles.read("XBTUSD", 60, fill="flat")
    assert hours(rows) == [0, 1, 2, 3, 4, 5, 20, 21, 22, 23]
    assert [hour for hour, filled in zip(hours(rows), rows["filled"], strict=True) if filled] == [
        1,
        2,
        4,
        5,
        21,
        22,
        23,
    ]
    assert rows.filter("filled")["close"].unique().to_list() == [101.0]


def test_what_is_missing_is_not_filled_and_hides_the_price_of_what_follows(candles: Candles) -> None:
    rows = candles.read("XBTUSD", 60, "2024-03-01T05:00Z", "2024-03-01T20:00Z", fill="flat", verdicts=True)
    verdicts = rows["verdict"].to_list()
    assert verdicts == ["QUIET_CLAIMED"] + ["MISSING"] * 12 + ["QUIET_CLAIMED"] * 2
    assert rows["close"].to_list() == [101.0] + [None] * 14


def test_a_range_that_begins_in_silence_has_the_price_from_before(candles: Candles) -> None:
    rows = candles.read("XBTUSD", 60, "2024-03-01T04:00Z", "2024-03-01T06:00Z", fill="flat")
    assert rows["close"].to_list() == [101.0, 101.0]
    assert rows["filled"].to_list() == [True, True]


def test_verdicts_come_with_a_row_for_every_slot(candles: Candles) -> None:
    rows = candles.read("XBTUSD", 60, "2024-03-01", "2024-03-02", verdicts=True)
    assert hours(rows) == list(range(24))
    assert "filled" not in rows.columns
    counts = dict(rows["verdict"].value_counts().iter_rows())
    assert counts == {"TRADED": 3, "QUIET_CLAIMED": 9, "MISSING": 12}


def test_slots_that_have_not_closed_are_not_told(candles: Candles, settings: Settings) -> None:
    settings.CLOCK = at("2024-03-01 05:30")
    rows = open_candles().read("XBTUSD", 60, "2024-03-01", "2024-03-05", verdicts=True)
    assert hours(rows) == [0, 1, 2, 3, 4]


def test_of_what_nobody_knows_there_is_an_empty_frame_of_the_same_columns(candles: Candles) -> None:
    MarketFactory.create(altname="ETHUSD")
    for more in ({}, {"fill": "flat"}, {"verdicts": True}, {"fill": "flat", "verdicts": True}):
        rows = candles.read("ETHUSD", 5, **more)
        known = candles.read("XBTUSD", 60, **more)
        assert (rows.height, rows.schema) == (0, known.schema)


def test_an_interval_of_which_nothing_is_stored_is_missing_from_the_market_s_first_candle_on(candles: Candles) -> None:
    rows = candles.read("XBTUSD", 5, fill="flat", verdicts=True)
    assert (rows.height, set(rows["verdict"])) == (24 * 12 + 6, {"MISSING"})
    assert rows["close"].null_count() == rows.height


@pytest.mark.parametrize(
    ("asked", "problem", "says"),
    [
        ({"market": "NOSUCH"}, UnknownMarket, "Kraken has no market 'NOSUCH'"),
        ({"interval": 7}, UnknownInterval, "Interval 7 is not known"),
        ({"start": "soon"}, WrongMoment, "start 'soon' is no time from 1970 to 2099"),
        ({"end": "1492-10-12"}, WrongMoment, "end '1492-10-12' is no time"),
        ({"start": "2024-02-01", "end": "2024-02-01"}, NothingBetween, "half-open"),
        ({"fill": "linear"}, WrongFill, "'linear' is no way to fill"),
        ({"frame": "excel"}, WrongFrame, "'excel' is not known"),
    ],
)
def test_a_wrong_value_is_told_in_one_line(
    candles: Candles, asked: dict[str, Any], problem: type[Exception], says: str
) -> None:
    given: dict[str, Any] = {"market": "XBTUSD", "interval": 60} | asked
    with pytest.raises(problem, match=says):
        candles.read(**given)


def test_where_pandas_is_not_installed_that_is_said(candles: Candles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(NoPandas, match="pip install pandas"):
        candles.read("XBTUSD", 60, frame="pandas")


def test_another_home_than_that_of_this_process_is_refused(candles: Candles, tmp_path: Path) -> None:
    with pytest.raises(HomeIsSet):
        open_candles(tmp_path / "elsewhere")


def script(home: Path, text: str) -> subprocess.CompletedProcess[str]:
    """A program that knows nothing of Django."""
    environment = clean_environment(home)
    environment.pop("CHANDLERY_HOME")
    return subprocess.run(
        [sys.executable, "-c", text], env=environment, cwd=CHECKOUT.parent, capture_output=True, text=True, check=False
    )


def test_a_script_needs_no_settings(home: Path, run: Any) -> None:
    assert run("load_tiers").status == 0
    program = f"""
import asyncio, json
from chandlery import open_candles
async def cell():
    rows = open_candles({str(home)!r}).read("XBTUSD", 60, "2024-01-01", "2024-02-01", fill="flat")
    print(json.dumps([rows.columns, rows.height]))
asyncio.run(cell())
"""
    ended = script(home, program)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout) == [[*CANDLE_SCHEMA, "filled"], 0]


@pytest.mark.sqlite
def test_a_home_without_a_database_is_told_in_words(home: Path) -> None:
    ended = script(home, f"from chandlery import open_candles; open_candles({str(home)!r})")
    assert "NothingStored: There is no database" in ended.stderr
    assert list(home.iterdir()) == []


def test_importing_the_package_loads_nothing() -> None:
    loaded = script(Path(), "import sys, chandlery; print({'django', 'polars', 'numpy'} & set(sys.modules))")
    assert loaded.stdout == "set()\n", loaded.stderr


@pytest.fixture
def listed_at_noon(home: Path, settings: Settings, db: None) -> Candles:
    """XBTUSD was first traded in the middle of a day, and of a slot of four hours."""
    settings.CLOCK = at("2024-03-04 00:30")
    market, store = bitcoin(), bound_store(home)
    market.first_trade = at("2024-03-01 14:07")
    market.save()
    for minutes, first in ((1440, "2024-03-01 00:00"), (240, "2024-03-01 12:00")):
        claimed = [between(first, "2024-03-04")]
        put(store, market, minutes, candles_at(at(first), at("2024-03-03 00:00")), claimed)
    return open_candles()


@pytest.mark.parametrize("asked", [{}, {"fill": "flat"}, {"verdicts": True}, {"fill": "flat", "verdicts": True}])
@pytest.mark.parametrize(("interval", "first"), [(1440, "2024-03-01 00:00"), (240, "2024-03-01 12:00")])
def test_the_slot_of_the_first_trade_comes_first(
    listed_at_noon: Candles, interval: int, first: str, asked: dict[str, Any]
) -> None:
    rows = listed_at_noon.read("XBTUSD", interval, **asked)
    assert (rows["timestamp"][0], rows["close"][0]) == (at(first), 101.0)


def test_a_start_within_a_slot_leaves_that_slot_out(listed_at_noon: Candles) -> None:
    rows = listed_at_noon.read("XBTUSD", 1440, "2024-03-01T14:00Z", verdicts=True)
    assert rows["timestamp"][0] == at("2024-03-02 00:00")
