"""Kraken's own recorded answers, served on loopback, by the real command."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import pytest
from pytest_httpserver import HTTPServer

from chandlery.candles.frame import CANDLE_SCHEMA
from chandlery.candles.interval import Interval
from tests.acceptance.commands import Commands, lake_state
from tests.acceptance.in_process import lake_rows
from tests.acceptance.state import Rows, changed_tables, state_rows
from tests.candles.builders import at
from tests.conftest import CompletedRun

FIRST, FORMING = at("2025-11-10 12:17"), at("2025-11-11 00:17")
ASKED = ("ingest_kraken_unified", "--markets", "XBTUSDT", "--intervals", "1", "--yes")
COVERAGE, GAPS = "chandlery_datacoveragerange", "chandlery_gaprecord"


class Seen(NamedTuple):
    """What a run left behind."""

    done: CompletedRun
    job: dict[str, Any]
    lake: dict[Path, tuple[int, int]]
    state: Rows


@pytest.fixture(scope="module")
def answers(shared_data: Path) -> Path:
    return shared_data / "kraken-api"


@pytest.fixture(scope="module")
def server() -> Iterator[HTTPServer]:
    with HTTPServer() as running:
        yield running


def serve(server: HTTPServer, answers: Path, ohlc: dict[str, Any] | None = None) -> None:
    server.clear()
    for method in ("SystemStatus", "Time", "AssetPairs"):
        body = (answers / f"{method}.json").read_bytes()
        server.expect_request(f"/0/public/{method}").respond_with_data(body, content_type="application/json")
    body = (answers / "OHLC_XBTUSDT_1.json").read_bytes() if ohlc is None else json.dumps(ohlc).encode()
    server.expect_request("/0/public/OHLC", query_string={"pair": "XBTUSDT", "interval": "1"}).respond_with_data(
        body, content_type="application/json"
    )


def run(home: Commands, server: HTTPServer, now: str, *more: str) -> Seen:
    done = home(*ASKED, *more, KRAKEN_API=server.url_for("").rstrip("/"), KRAKEN_RATE="0", CLOCK=now)
    assert done.status == 0, done.err
    job = done.out.partition("Job ")[2][:8]
    return Seen(done, json.loads(home("show_job", job, "--json").out), lake_state(home.lake), state_rows(home.home))


def recorded(answers: Path) -> list[list[Any]]:
    rows: list[list[Any]] = json.loads((answers / "OHLC_XBTUSDT_1.json").read_text())["result"]["XBTUSDT"]
    return rows


def candles_of(rows: list[list[Any]]) -> pl.DataFrame:
    """The recorded rows with trades of closed slots."""
    traded = [
        (datetime.fromtimestamp(seconds, UTC), *map(float, (opened, high, low, close, volume)), count)
        for seconds, opened, high, low, close, _, volume, count in rows
        if count
    ]
    return pl.DataFrame(traded, schema=CANDLE_SCHEMA, orient="row")


def figures(home: Commands, now: str) -> dict[str, Any]:
    done = home("report_completeness", "--markets", "XBTUSDT", "--intervals", "1", "--json", CLOCK=now)
    [series] = json.loads(done.out)["series"]
    names = ("start", "end", "slots", "traded", "quiet_claimed", "missing", "unlisted", "gaps")
    return {name: series[name] for name in names}


@pytest.fixture(scope="module")
def asked(commands: Commands, server: HTTPServer, answers: Path) -> Commands:
    """A home in which the recorded window was asked for once, 30 seconds after its last slot had closed."""
    serve(server, answers)
    seen = run(commands, server, "2025-11-11T00:17:30Z")
    assert (seen.job["candles_fetched"], seen.job["candles_revised"], seen.job["series_failed"]) == (505, 0, 0)
    return commands


def test_a_window_is_720_committed_slots_and_the_forming_one_is_left_out(asked: Commands) -> None:
    told = figures(asked, "2025-11-11T00:17:30Z")

    # The first stored candle is that of 12:28; what came before is known to be quiet, but not that it was listed.
    assert (told["traded"], told["missing"], told["gaps"]) == (505, 0, [])
    whole = asked(
        *("report_completeness", "--markets", "XBTUSDT", "--intervals", "1", "--start-date", "2025-11-10", "--json"),
        CLOCK="2025-11-11T00:17:30Z",
    )
    [series] = json.loads(whole.out)["series"]
    before = (FIRST - at("2025-11-10")) // timedelta(minutes=1)
    assert (series["traded"], series["quiet_claimed"], series["missing"]) == (505, 215, before)
    assert series["end"] == f"{FORMING:%Y-%m-%dT%H:%M:%SZ}"


def test_every_stored_candle_equals_its_recorded_row(asked: Commands, answers: Path) -> None:
    stored = lake_rows(asked.lake, "XBTUSDT", Interval.M1)

    assert stored.select(*CANDLE_SCHEMA).equals(candles_of(recorded(answers)[:-1]))
    assert stored.height == 505
    assert set(stored["source"]) == {"API"}
    assert not stored["derived"].any()


def test_the_trades_of_the_same_hours_make_the_same_candles(asked: Commands, answers: Path) -> None:
    page = json.loads((answers / "Trades_XBTUSDT.json").read_text())["result"]["XBTUSDT"]
    trades = pl.DataFrame(
        [(float(price), float(volume), time) for price, volume, time, *_ in page],
        schema=["price", "volume", "time"],
        orient="row",
    )
    minutes = (
        trades.with_columns(timestamp=pl.from_epoch(pl.col("time") // 60 * 60).cast(CANDLE_SCHEMA["timestamp"]))
        .group_by("timestamp", maintain_order=True)
        .agg(
            pl.col("price").first().alias("open"),
            pl.col("price").max().alias("high"),
            pl.col("price").min().alias("low"),
            pl.col("price").last().alias("close"),
            pl.col("volume").sum(),
            pl.len().cast(pl.Int64).alias("trades"),
        )[1:-1]
    )
    first, last = minutes["timestamp"][0], minutes["timestamp"][-1]
    stored = lake_rows(asked.lake, "XBTUSDT", Interval.M1).filter(pl.col("timestamp").is_between(first, last))

    exact = ["timestamp", "open", "high", "low", "close", "trades"]
    assert stored.select(exact).equals(minutes.select(exact))
    assert ((stored["volume"] / minutes["volume"] - 1).abs() <= 1e-9).all()
    assert minutes.height == 272
    # The first and the last minute of the page are whole in the answer only.
    inner = (page[-1][2] // 60) - (page[0][2] // 60) - 1
    assert inner - minutes.height == 137


@pytest.mark.slow
def test_a_minute_later_only_what_changed_is_written(asked: Commands, server: HTTPServer, answers: Path) -> None:
    serve(server, answers)
    first = run(asked, server, "2025-11-11T00:17:30Z")
    second = run(asked, server, "2025-11-11T00:18:30Z")
    third = run(asked, server, "2025-11-11T00:18:30Z")

    # The slot that was forming has closed, but the exchange has not said so: it stays open.
    assert (second.job["candles_fetched"], second.job["candles_revised"]) == (0, 0)
    assert second.lake == first.lake
    assert changed_tables(first.state, second.state) == {GAPS}
    assert figures(asked, "2025-11-11T00:18:30Z")["missing"] == 1
    # Nothing was new to the third; only that the open slot was asked for is on record.
    assert (third.job["candles_fetched"], third.job["candles_revised"]) == (0, 0)
    assert third.lake == second.lake
    assert changed_tables(second.state, third.state) <= {GAPS}


@pytest.mark.slow
def test_what_closed_and_what_was_revised_since_is_written_and_counted(
    fresh: Commands, server: HTTPServer, answers: Path
) -> None:
    """Asked while the last candle that traded was young, then again when it counts a trade more."""
    rows = recorded(answers)
    body = {"error": [], "result": {"XBTUSDT": rows, "last": rows[-2][0]}}
    serve(server, answers, body)
    first = run(fresh, server, "2025-11-11T00:14:30Z")
    young = next(row for row in rows if row[0] == int(at("2025-11-11 00:13").timestamp()))
    young[6], young[7] = "0.00010000", 2
    serve(server, answers, body)
    second = run(fresh, server, "2025-11-11T00:14:40Z")
    third = run(fresh, server, "2025-11-11T00:17:30Z")

    assert (first.job["candles_fetched"], first.job["candles_revised"]) == (505, 0)
    assert (second.job["candles_fetched"], second.job["candles_revised"]) == (0, 1)
    assert second.lake != first.lake
    assert (third.job["candles_fetched"], third.job["candles_revised"]) == (0, 0)
    stored = lake_rows(fresh.lake, "XBTUSDT", Interval.M1)
    assert stored.select(*CANDLE_SCHEMA).equals(candles_of(rows[:-1]))
    assert not stored["provisional"].any()


@pytest.mark.slow
def test_a_clock_that_is_far_off_is_told(fresh: Commands, server: HTTPServer, answers: Path) -> None:
    serve(server, answers)
    near = run(fresh, server, "2025-11-11T00:17:30Z")
    far = run(fresh, server, "2025-11-11T00:19:30Z")

    assert "the clock of this machine" not in near.done.out
    # Recorded at 00:17:04.
    assert "the clock of this machine is 2 min 26 s ahead of Kraken's" in far.done.out


def test_its_list_of_markets_is_the_shipped_one(fresh: Commands, server: HTTPServer, answers: Path) -> None:
    serve(server, answers)
    done = fresh("sync_markets", KRAKEN_API=server.url_for("").rstrip("/"), CLOCK="2025-11-11T00:17:30Z")

    assert (done.status, done.out) == (0, "Kraken lists 1,434 markets.\nNothing has changed.\n")
