"""Kraken's own files, by the real command."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from chandlery.candles.frame import CANDLE_SCHEMA
from chandlery.candles.interval import Interval
from chandlery.candles.resample import resample
from tests.acceptance.commands import Commands
from tests.candles.builders import at

MARKETS = "XBTUSD,ETHUSD,ADAUSD,XMRUSD"
ASKED = ("--markets", MARKETS, "--intervals", "60,1440", "--end-date", "2023-01-07", "--no-api-backfill", "--yes")


def rows_of(path: Path) -> pl.DataFrame:
    """A file as it stands, by an independent reader."""
    names = list(CANDLE_SCHEMA)
    frame = pl.read_csv(
        path, has_header=False, new_columns=names, schema_overrides=[pl.Int64] + [pl.Float64] * 5 + [pl.Int64]
    )
    return frame.with_columns(pl.from_epoch("timestamp").cast(pl.Datetime("us")).dt.replace_time_zone("UTC"))


def lake_of(home: Path, market: str, minutes: int, columns: list[str] | None = None) -> pl.DataFrame:
    """A series of the lake, by nothing of ours."""
    pattern = home / "data" / "candles" / "exchange=kraken" / f"market={market}" / f"interval={minutes}" / "*.parquet"
    return pl.read_parquet(pattern, hive_partitioning=False).sort("timestamp").select(columns or list(CANDLE_SCHEMA))


@pytest.fixture(scope="module")
def ingested(commands: Commands, shared_data: Path) -> Commands:
    done = commands("ingest_kraken_unified", "--source", str(shared_data / "kraken"), *ASKED)
    assert done.status == 0, done.err
    return commands


def report_of(run: Commands) -> dict[tuple[str, int], dict[str, Any]]:
    done = run(
        "report_completeness", "--markets", MARKETS, "--intervals", "60,1440", "--end-date", "2023-01-07", "--json"
    )
    assert done.status == 0, done.err
    return {(s["market"], s["interval_minutes"]): s for s in json.loads(done.out)["series"]}


@pytest.mark.parametrize("name", ["XBTUSD_60", "ETHUSD_60", "XBTUSD_1440", "ETHUSD_1440", "ADAUSD_1440", "XMRUSD_1440"])
def test_every_row_of_the_files_is_in_the_lake_and_equal(ingested: Commands, shared_data: Path, name: str) -> None:
    market, minutes = name.split("_")
    expected = rows_of(shared_data / "kraken" / f"{name}.csv")
    stored = lake_of(ingested.home, market, int(minutes))
    assert stored.join(expected, on="timestamp", how="semi").equals(expected)


@pytest.mark.parametrize("market", ["XBTUSD", "ETHUSD"])
def test_the_days_that_no_daily_file_has_are_derived_from_hours(
    ingested: Commands, shared_data: Path, market: str
) -> None:
    end = at("2023-01-07") if market == "XBTUSD" else at("2023-01-08")
    hours = rows_of(shared_data / "kraken" / f"{market}_60.csv")
    late = (pl.col("timestamp") >= at("2021-04-01")) & (pl.col("timestamp") < end)
    expected = resample(hours.filter(late), Interval.M1440)
    stored = lake_of(ingested.home, market, 1440, [*CANDLE_SCHEMA, "derived"]).filter(
        pl.col("timestamp") >= at("2021-04-01")
    )
    assert stored.select(*CANDLE_SCHEMA).equals(expected)
    assert stored["derived"].all()


def test_quiet_slots_inside_a_file_are_claimed_and_no_gaps(ingested: Commands) -> None:
    series = report_of(ingested)
    hours = series["XBTUSD", 60]
    # 2013-10-06 21:00 to 2023-01-07 09:00, the cut-off last slot included: 81,109 slots, of which 70,253 traded.
    assert (hours["traded"], hours["quiet_claimed"]) == (70_253, 10_856)
    assert [g["start"] for g in hours["gaps"]] == ["2023-01-07T10:00:00Z"]
    assert hours["missing"] == 14
    eth = series["ETHUSD", 60]
    assert eth["gaps"] == []
    assert eth["completeness"] == 1.0
    assert series["ADAUSD", 1440]["quiet_claimed"] == 0


def test_density_over_the_span_of_the_file_is_shown(ingested: Commands) -> None:
    done = ingested("report_completeness", "--markets", "XBTUSD", "--intervals", "60", "--end-date", "2023-01-07")
    assert "86.6%" in done.out


def test_what_came_before_a_loose_file_is_missing_and_said_so(ingested: Commands) -> None:
    done = ingested(
        "report_completeness",
        "--markets",
        "ADAUSD",
        "--intervals",
        "1440",
        "--start-date",
        "2018-09-01",
        "--end-date",
        "2021-03-31",
        "--json",
    )
    [series] = json.loads(done.out)["series"]
    assert (series["missing"], series["unlisted"], series["traded"]) == (27, 0, 916)
    text = ingested("report_completeness", "--markets", "ADAUSD", "--intervals", "1440", "--end-date", "2021-03-31").out
    assert "first stored slot" in text
    assert "first trade unknown" in text


def test_a_second_run_skips_every_file_and_writes_nothing(ingested: Commands, shared_data: Path) -> None:
    lake = ingested.home / "data" / "candles"
    before = {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in lake.rglob("*.parquet")}
    done = ingested("ingest_kraken_unified", "--source", str(shared_data / "kraken"), *ASKED)
    assert done.status == 0
    assert {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in lake.rglob("*.parquet")} == before
    newest = json.loads(ingested("list_jobs", "--json").out)["jobs"][0]
    assert (newest["files_skipped"], newest["files_ingested"], newest["candles_derived"]) == (6, 0, 0)


def test_the_cut_off_last_row_is_provisional(ingested: Commands) -> None:
    stored = lake_of(ingested.home, "XBTUSD", 60, ["timestamp", "provisional"])
    assert stored.filter("provisional")["timestamp"].to_list() == [at("2023-01-07 09:00")]
    assert not lake_of(ingested.home, "ETHUSD", 60, ["provisional"])["provisional"].any()
