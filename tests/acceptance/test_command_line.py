"""What the commands print and how they end: plans, reports, exit statuses, comparisons, and being interrupted."""

import csv
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from tests.acceptance.commands import Commands, lake_state
from tests.conftest import CHECKOUT, clean_environment
from tests.databases import copy_home, replace_state
from tests.exchanges.kraken.archive.builders import HOUR, START, hours, unpacked

pytestmark = pytest.mark.slow

NOW, LATER = "2024-06-01T00:00:00Z", "2024-06-01T06:00:00Z"
TWO_DAYS = ("--markets", "XBTUSD,ETHUSD", "--intervals", "60,1440", "--end-date", "2024-01-02")
#: One day more than the files hold.
THREE_DAYS = (*TWO_DAYS[:-1], "2024-01-03")


def contents(folder: Path) -> dict[Path, tuple[str, int]]:
    """Every file and folder below; of a file, what it holds and when it was last written."""
    return {
        path: (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns) if path.is_file() else ("", 0)
        for path in sorted(folder.rglob("*"))
    }


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpacked(tmp_path_factory.mktemp("source"), {f"{m}_60.csv": hours(48) for m in ("XBTUSD", "ETHUSD")})


@pytest.fixture(scope="module")
def ingested(commands: Commands, source: Path) -> Commands:
    done = commands("ingest_kraken_unified", "--source", source, *TWO_DAYS, "--complete", "--yes", CLOCK=NOW)
    # Nothing is missing from these two days, so --complete is content.
    assert done.status == 0, done.err
    return commands


def test_a_dry_run_in_a_new_home_tells_the_plan_and_writes_nothing(untouched: Commands, source: Path) -> None:
    before = contents(untouched.home.parent)
    done = untouched("ingest_kraken_unified", "--source", source, *THREE_DAYS, "--dry-run", CLOCK=NOW)
    assert done.status == 0, done.err
    assert f"{source}/XBTUSD_60.csv" in done.out
    assert contents(untouched.home.parent) == before


def test_a_dry_run_in_a_home_in_use_writes_nothing(ingested: Commands, source: Path, tmp_path: Path) -> None:
    unpacked(tmp_path, {"MATICUSD_60.csv": hours(48), "XRPUSD_60.csv": hours(30)})
    sources = ("--source", source, "--source", tmp_path)
    asked = ("--markets", "XBTUSD,XRPUSD,MATICUSD", "--intervals", "60,1440", "--end-date", "2024-01-03")
    before = contents(ingested.home)
    done = ingested("ingest_kraken_unified", *sources, *asked, "--dry-run", CLOCK=NOW)
    assert done.status == 0, done.err
    assert "MATICUSD_60.csv" in done.out
    assert f"{source}/XBTUSD_60.csv" not in done.out  # known, so not to be read
    assert contents(ingested.home) == before


def test_json_is_all_of_standard_output_and_files_are_written_beside_it(
    ingested: Commands, source: Path, tmp_path: Path
) -> None:
    table, missing = tmp_path / "report.csv", tmp_path / "missing.csv"
    outputs = ("--json", "--report-csv", table, "--export-unfillable", missing)
    asked = ("--source", source, *THREE_DAYS, "--complete", "--yes")
    done = ingested("ingest_kraken_unified", *asked, *outputs, CLOCK=LATER)
    assert done.status == 3  # the third day is open, and --complete was asked
    report = json.loads(done.out)
    assert [len(series["gaps"]) for series in report["series"]] == [1, 1, 1, 1]
    for said in ("Step 1/6", "Step 5/6", "COMPLETED", str(table), str(missing)):
        assert said in done.err

    rows = {(row["market"], row["interval_minutes"]): row for row in csv.DictReader(table.read_text().splitlines())}
    told = {(s["market"], str(s["interval_minutes"])): s for s in report["series"]}
    assert rows.keys() == told.keys()
    for key, row in rows.items():
        assert (int(row["traded"]), int(row["missing"])) == (told[key]["traded"], told[key]["missing"])
        assert float(row["completeness"]) == told[key]["completeness"]
        assert row["gaps"] == "1"

    needed = list(csv.DictReader(missing.read_text().splitlines()))
    # Hours lie outside the API's window by June, days inside it.
    assert [(row["required_csv_file"], row["archive"]) for row in needed] == [
        ("ETHUSD_60_2024Q1.csv", "Kraken_OHLCVT_2024Q1.zip"),
        ("XBTUSD_60_2024Q1.csv", "Kraken_OHLCVT_2024Q1.zip"),
    ]
    assert needed[0]["gap_start"] == "2024-01-03T00:00:00Z"

    # The report alone says the same, without having changed anything.
    again = ingested("report_completeness", *THREE_DAYS, "--json", CLOCK=LATER)
    assert (again.status, json.loads(again.out)) == (0, report)


def test_list_jobs_tells_the_newest_first(ingested: Commands) -> None:
    done = ingested("list_jobs", "--json")
    jobs = json.loads(done.out)["jobs"]
    first = jobs[-1]
    assert (first["status"], first["markets"], first["intervals"]) == ("COMPLETED", ["XBTUSD", "ETHUSD"], [60, 1440])
    assert (first["files_ingested"], first["records_ingested"], first["candles_derived"]) == (2, 96, 4)
    text = ingested("list_jobs", "--limit", "1").out
    assert jobs[0]["job_id"][:8] in text
    assert text.count("COMPLETED") == 1


def test_the_first_bad_file_stops_the_run_where_that_is_asked(fresh: Commands, tmp_path: Path) -> None:
    bad = hours(48).replace(b"130.5", b"130,5", 1)
    files: dict[str, bytes | str] = {"XBTUSD_60.csv": bad + hours(48, START + 48 * HOUR), "ETHUSD_60.csv": hours(48)}
    unpacked(tmp_path / "files", files)
    asked = ("--source", tmp_path / "files", *TWO_DAYS, "--workers", "1", "--yes")
    done = fresh("ingest_kraken_unified", *asked, "--stop-on-error", CLOCK=NOW)
    assert done.status == 1
    assert "Error: Stopped at the first error, as --stop-on-error asks: " in done.err
    assert "XBTUSD_60.csv:31: the row is" in done.err
    [job] = json.loads(fresh("list_jobs", "--json").out)["jobs"]
    assert (job["status"], job["files_ingested"], job["files_failed"]) == ("FAILED", 0, 1)

    # Without it the other file goes in; that a file failed counts for more than that gaps remain.
    goes_on = fresh("ingest_kraken_unified", *asked, "--complete", CLOCK=NOW)
    assert goes_on.status == 1, goes_on.err
    assert pl.read_parquet(fresh.lake / "**/*.parquet", hive_partitioning=True)["market"].unique().to_list() == [
        "ETHUSD"
    ]


def test_compare_candles_finds_a_lake_equal_to_the_files_it_came_from(ingested: Commands, source: Path) -> None:
    done = ingested("compare_candles", "--with", source, "--json")
    by_series = {(s["market"], s["interval_minutes"]): s for s in json.loads(done.out)["series"]}
    for market in ("XBTUSD", "ETHUSD"):
        hourly, daily = by_series[market, 60], by_series[market, 1440]
        assert (hourly["equal"], hourly["different"], hourly["only_here"], hourly["only_there"]) == (48, 0, 0, 0)
        # Days were derived, the files have none.
        assert (daily["equal"], daily["only_here"], daily["only_there"]) == (0, 2, 0)
    assert done.status == 1
    lake = ingested("compare_candles", "--with", ingested.lake)
    assert lake.status == 0
    assert "Identical." in lake.out


def test_compare_candles_counts_what_differs_by_series(ingested: Commands, tmp_path: Path) -> None:
    rows = hours(48).splitlines(keepends=True)
    changed = rows[3].replace(b",103.5,", b",103.25,")
    theirs = [*rows[:3], changed, *rows[4:40], hours(2, START + 48 * HOUR)]
    unpacked(tmp_path, {"XBTUSD_60.csv": b"".join(theirs), "XRPUSD_60.csv": hours(7)})
    done = ingested("compare_candles", "--with", tmp_path, "--markets", "XBTUSD,XRPUSD", "--json")
    assert done.status == 1
    found = {(s["market"], s["interval_minutes"]): s for s in json.loads(done.out)["series"]}
    kinds = ("equal", "different", "only_here", "only_there")
    assert [found["XBTUSD", 60][kind] for kind in kinds] == [39, 1, 8, 2]
    assert found["XBTUSD", 60]["first_difference"] == "2024-01-01T03:00:00Z"
    assert [found["XRPUSD", 60][kind] for kind in kinds] == [0, 0, 0, 7]
    assert [found["XBTUSD", 1440][kind] for kind in kinds] == [0, 0, 2, 0]


MANY = ("XBTUSD", "ETHUSD", "XRPUSD", "LTCUSD", "ADAUSD", "SOLUSD", "XMRUSD", "DOTUSD")
ASKED = ("--markets", ",".join(MANY), "--intervals", "60,1440", "--workers", "1", "--yes")


@pytest.fixture(scope="module")
def much(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file for each market and interval, large enough that a run is not over at once."""
    folder = tmp_path_factory.mktemp("much")
    return unpacked(folder, {f"{m}_60.csv": hours(24 * 400 + n) for n, m in enumerate(MANY)})


@pytest.fixture(scope="module")
def undisturbed(much: Path, tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    home = Commands(tmp_path_factory.mktemp("undisturbed"))
    assert home("ingest_kraken_unified", "--source", much, *ASKED, CLOCK="2025-06-01T00:00:00Z").status == 0
    return lake_of(home)


def lake_of(home: Commands) -> pl.DataFrame:
    return pl.read_parquet(home.lake / "**/*.parquet", hive_partitioning=True).sort("market", "interval", "timestamp")


Kill = Callable[[int, int], None]


def interrupted(home: Commands, much: Path, number: int, hour: int = 0, kill: Kill = os.killpg) -> tuple[int, str]:
    """Run, and once a first file is read, send a signal: to the command and all it started, as a terminal does."""
    asked = ("--source", str(much), *ASKED, "--no-api-backfill", "-v", "2")
    with subprocess.Popen(
        [sys.executable, str(CHECKOUT / "manage.py"), "ingest_kraken_unified", *asked],
        cwd=home.home,
        env=clean_environment(home.home) | {"CLOCK": f"2025-06-01T{hour:02}:00:00Z"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        told = []
        for line in process.stdout:
            told.append(line)
            if "COMPLETED" in line and "_60.csv" in line:
                kill(process.pid, number)
                break
        # The output ends when the last of its processes does.
        overdue = threading.Timer(60, os.killpg, (process.pid, signal.SIGKILL))
        overdue.start()
        told += process.stdout.readlines()
        assert overdue.is_alive(), "a process outlived its command by a minute"
        overdue.cancel()
        return process.wait(timeout=60), "".join(told)


def test_a_run_that_is_interrupted_is_paused_and_goes_on_where_it_stood(
    fresh: Commands, much: Path, undisturbed: pl.DataFrame
) -> None:
    read = 0
    for hour, number in enumerate((signal.SIGINT, signal.SIGTERM)):
        status, told = interrupted(fresh, much, number, hour)
        assert status == 130, told
        assert "Paused. Nothing is lost; go on with:\n  python manage.py ingest_kraken_unified --resume " in told
        assert "Traceback" not in told
        job = json.loads(fresh("list_jobs", "--json").out)["jobs"][0]
        assert (job["status"], job["files_failed"], job["files_skipped"]) == ("PAUSED", 0, read)
        assert 1 <= job["files_ingested"] < len(MANY) - read
        read += job["files_ingested"]
    before = lake_state(fresh.lake)
    done = fresh("ingest_kraken_unified", "--source", much, *ASKED, CLOCK="2025-06-01T00:00:00Z")
    assert done.status == 0, done.err
    assert f"{len(MANY) - read} ingested, {read} skipped, 0 failed" in done.out
    # What was in the lake was not written again.
    assert before.items() <= lake_state(fresh.lake).items()
    assert lake_of(fresh).equals(undisturbed)


@pytest.mark.parametrize("kill", [os.killpg, os.kill], ids=["with its workers", "alone"])
def test_a_run_that_is_killed_leaves_nothing_half_done_and_nobody_behind(
    fresh: Commands, much: Path, undisturbed: pl.DataFrame, kill: Kill
) -> None:
    status, _ = interrupted(fresh, much, signal.SIGKILL, kill=kill)
    assert status == -signal.SIGKILL
    done = fresh("ingest_kraken_unified", "--source", much, *ASKED, CLOCK="2025-06-01T00:00:00Z")
    assert done.status == 0, done.err
    assert lake_of(fresh).equals(undisturbed)
    assert not list(fresh.lake.rglob("*.tmp"))


def test_candles_that_were_written_but_not_recorded_are_taken_up_by_the_next_run(
    fresh: Commands, source: Path, tmp_path: Path
) -> None:
    """As after a kill between the store and the database: the lake of a later time beside the state of an earlier."""
    assert fresh("ingest_kraken_unified", *TWO_DAYS, "--yes").status == 0
    copy_home(fresh.home, tmp_path / "earlier")
    assert fresh("ingest_kraken_unified", "--source", source, *TWO_DAYS, "--yes").status == 0
    written = lake_of(fresh)
    replace_state(fresh.home, by=tmp_path / "earlier")
    again = fresh("ingest_kraken_unified", "--source", source, *TWO_DAYS, "--complete", "--yes")
    assert again.status == 0, again.err
    assert "2 ingested, 0 skipped, 0 failed" in again.out
    assert lake_of(fresh).equals(written)


def test_a_dry_run_as_json_is_one_object_on_standard_output(fresh: Commands, tmp_path: Path) -> None:
    (tmp_path / "XBTUSD_60.csv").write_text("1704067200,100,101,99,100,1.5,3\n1704070800,100,101,99,100,1.5,3\n")
    done = fresh(
        "ingest_kraken_unified", "--source", tmp_path / "XBTUSD_60.csv", "--markets", "XBTUSD", "--intervals", "60",
        "--end-date", "2024-01-01", "--dry-run", "--json", CLOCK="2024-05-01T00:00:00Z",
    )  # fmt: skip
    plan = json.loads(done.out)["plan"]
    assert [file["label"].rpartition("/")[2] for file in plan["files"]] == ["XBTUSD_60.csv"]
    assert plan["open"][0]["range"] == {"start": "2024-01-01T02:00:00Z", "end": "2024-01-02T00:00:00Z"}
