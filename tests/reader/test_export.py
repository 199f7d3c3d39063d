"""Candles as files for other programs, as freqtrade lays them out."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from django.core.management import call_command
from pyarrow import feather
from pyarrow import parquet as pq
from pytest_django import Settings

from chandlery.candles.interval import Interval
from chandlery.management.base import Error
from chandlery.reader.export import TIMEFRAMES
from tests.candles.builders import at, between, candles_at
from tests.factories import MarketFactory
from tests.shelf import bitcoin, bound_store, put

#: Of freqtrade 2026.9: constants.DEFAULT_DATAFRAME_COLUMNS, floats, and dates of milliseconds in UTC.
LAYOUT = pa.schema(
    [
        ("date", pa.timestamp("ms", "UTC")),
        *((name, pa.float64()) for name in ("open", "high", "low", "close", "volume")),
    ]
)


@pytest.fixture
def shelf(home: Path, settings: Settings, db: None) -> Path:
    """XBTUSD traded at 00:00 and 03:00 of a day that an archive has spoken for; a folder to export to."""
    settings.CLOCK = at("2024-03-02 00:30")
    traded = candles_at(at("2024-03-01 00:00"), at("2024-03-01 03:00"))
    put(bound_store(home), bitcoin(), 60, traded, [between("2024-03-01", "2024-03-01 05:00")])
    return home / "user_data" / "data" / "kraken"


def export(folder: Path, **options: Any) -> str:
    out = StringIO()
    given = {"markets": ["XBTUSD"], "intervals": ["60,1440"], "output": str(folder)}
    call_command("export_candles", stdout=out, **(given | options))
    return out.getvalue()


def test_feather_has_the_name_and_layout_of_freqtrade(shelf: Path) -> None:
    said = export(shelf)
    path = shelf / "BTC_USD-1h.feather"
    assert said == f"{path}: 2 candles, 2024-03-01 to 2024-03-01\n"
    table = feather.read_table(path)
    assert table.schema.equals(LAYOUT)
    assert table.to_pylist()[1] == {
        "date": at("2024-03-01 03:00"),
        "open": 100.0,
        "high": 102.0,
        "low": 98.0,
        "close": 101.0,
        "volume": 1.5,
    }
    assert [path.name for path in shelf.iterdir()] == ["BTC_USD-1h.feather"]


def test_parquet_has_the_same_layout(shelf: Path) -> None:
    export(shelf, format="parquet")
    assert pq.read_schema(shelf / "BTC_USD-1h.parquet").remove_metadata().equals(LAYOUT)


def test_csv_is_read_by_anything(shelf: Path) -> None:
    export(shelf, format="csv")
    assert (shelf / "BTC_USD-1h.csv").read_text() == (
        "date,open,high,low,close,volume\n"
        "2024-03-01T00:00:00Z,100.0,102.0,98.0,101.0,1.5\n"
        "2024-03-01T03:00:00Z,100.0,102.0,98.0,101.0,1.5\n"
    )


def test_quiet_slots_are_filled_when_asked_and_what_is_missing_never(shelf: Path) -> None:
    export(shelf, fill="flat")
    rows = pl.read_ipc(shelf / "BTC_USD-1h.feather")
    assert [date.hour for date in rows["date"].to_list()] == [0, 1, 2, 3, 4]
    assert rows["volume"].to_list() == [1.5, 0.0, 0.0, 1.5, 0.0]


def test_dates_are_inclusive_days(shelf: Path) -> None:
    assert "Nothing to export" in export(shelf, start_date="2024-02-01", end_date="2024-02-29")
    assert "2 candles" in export(shelf, start_date="2024-03-01", end_date="2024-03-01")


def test_an_existing_file_is_replaced_as_a_whole(shelf: Path) -> None:
    export(shelf)
    before = (shelf / "BTC_USD-1h.feather").stat().st_ino
    export(shelf)
    assert (shelf / "BTC_USD-1h.feather").stat().st_ino != before
    assert len(list(shelf.iterdir())) == 1


def test_json_names_every_file(shelf: Path) -> None:
    [file] = json.loads(export(shelf, json=True))["files"]
    assert file == {
        "path": str(shelf / "BTC_USD-1h.feather"),
        "market": "XBTUSD",
        "interval_minutes": 60,
        "candles": 2,
        "start": "2024-03-01T00:00:00Z",
        "end": "2024-03-01T03:00:00Z",
    }


def test_two_markets_with_one_pair_do_not_overwrite_each_other(shelf: Path, home: Path) -> None:
    first = bitcoin()
    dark = MarketFactory.create(base=first.base, quote=first.quote, altname="XBTUSD.d")
    put(bound_store(home), dark, 60, candles_at(at("2024-03-01 01:00")), [between("2024-03-01", "2024-03-02")])
    export(shelf, markets=["XBTUSD", "XBTUSD.d"], intervals=["60"])
    assert sorted(path.name for path in shelf.iterdir()) == ["BTC_USD-1h.feather", "XBTUSD_d-1h.feather"]


def test_every_interval_has_a_timeframe() -> None:
    assert list(TIMEFRAMES) == list(Interval)
    assert list(TIMEFRAMES.values()) == ["1m", "5m", "15m", "30m", "1h", "4h", "12h", "1d"]


def test_a_file_in_the_place_of_the_folder_is_wrong_usage(shelf: Path, home: Path) -> None:
    (home / "taken").write_text("")
    with pytest.raises(Error, match="is a file; name a folder"):
        export(home / "taken")


def test_a_market_first_traded_in_the_middle_of_a_day_is_exported_from_that_day_on(shelf: Path) -> None:
    market = bitcoin()
    market.first_trade = at("2024-02-28 14:07")
    market.save()
    days = candles_at(at("2024-02-28 00:00"), at("2024-03-01 00:00"))
    put(bound_store(shelf.parents[2]), market, 1440, days, [between("2024-02-28", "2024-03-02")])
    export(shelf, intervals=["1440"], fill="flat")
    dates = feather.read_table(shelf / "BTC_USD-1d.feather")["date"].to_pylist()
    assert dates == [at(f"2024-{day} 00:00") for day in ("02-28", "02-29", "03-01")]
