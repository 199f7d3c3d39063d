"""Kraken's own recorded page of trades, served on loopback, walked by the real command: Kraken's own minutes."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs
from wsgiref.types import StartResponse, WSGIEnvironment

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from chandlery.candles.frame import CANDLE_SCHEMA
from chandlery.candles.interval import Interval
from chandlery.sandbox.server import serve
from tests.acceptance.commands import Commands, lake_state
from tests.acceptance.disturbed import known
from tests.acceptance.in_process import lake_rows
from tests.candles.builders import at
from tests.conftest import CompletedRun

MARKET = "XBTUSDT"
#: The minutes of the first and of the last trade of the page are whole in the recorded candles only.
FIRST, LAST = at("2025-11-10 17:23"), at("2025-11-11 00:13")
#: So late that the API's window of 12 hours no longer reaches back to the first trade: at one minute a walk is due.
NOW = at("2025-11-11 06:00") + timedelta(seconds=30)
SELECTION = ("--markets", MARKET, "--intervals", "1,5")
#: A day that begins long before the page, which is all that this exchange has.
WALK = ("ingest_kraken_unified", *SELECTION, "--start-date", "2025-11-10", "--complete", "--yes")
#: Its first week is the forming one: there is nothing yet to hold the candles against.
NO_WEEKS = {"error": [], "result": {MARKET: [], "last": 0}}


@dataclass
class Recorded:
    """The exchange as it was recorded: every body as it came, all trades of the page and none besides.

    What is asked for after some trade of the page is answered with the rows after it, so after the last with none. The
    first trade of the page is the first there ever was. The clock stands at `NOW`.
    """

    bodies: Path
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        method = environ["PATH_INFO"].rpartition("/")[2]
        query = {name: values[0] for name, values in parse_qs(environ["QUERY_STRING"]).items()}
        self.asked.append((method, query))
        answers: dict[str, Callable[[], bytes]] = {
            "AssetPairs": lambda: self._body("AssetPairs"),
            "SystemStatus": lambda: self._body("SystemStatus"),
            "Time": lambda: json.dumps({"error": [], "result": {"unixtime": int(NOW.timestamp())}}).encode(),
            "OHLC": lambda: json.dumps(NO_WEEKS).encode(),
            "Trades": lambda: self._trades(int(query["since"]), int(query.get("count", "1000"))),
        }
        body = answers[method]()
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]

    @property
    def walked(self) -> list[str]:
        """The cursors of the pages asked for; not that of the one trade that dates the market."""
        return [query["since"] for method, query in self.asked if method == "Trades" and "count" not in query]

    def _body(self, name: str) -> bytes:
        return (self.bodies / f"{name}.json").read_bytes()

    def _trades(self, since: int, count: int) -> bytes:
        page = self._body("Trades_XBTUSDT")
        result = json.loads(page, parse_float=Decimal)["result"]
        # The last one's time is known to the nanosecond, the others' to some hundred.
        times = [int(row[2] * 10**9) for row in result[MARKET][:-1]] + [int(result["last"])]
        skipped = sum(time <= since for time in times)
        if not skipped and count == len(times):
            return page  # not one byte of it changed
        rows = json.loads(page)["result"][MARKET][skipped : skipped + count]
        last = str(times[skipped + len(rows) - 1]) if rows else str(since)
        return json.dumps({"error": [], "result": {MARKET: rows, "last": last}}).encode()


@dataclass(frozen=True, slots=True)
class Walked:
    """What the walk left."""

    commands: Commands
    exchange: Recorded
    environment: dict[str, str]
    done: CompletedRun

    @property
    def minutes(self) -> pl.DataFrame:
        return lake_rows(self.commands.lake, MARKET, Interval.M1)

    def report(self, *more: str) -> dict[int, dict[str, Any]]:
        """Figures by interval, as `report_completeness --json` prints them."""
        done = self.commands("report_completeness", *SELECTION, *more, "--json", CLOCK=NOW.isoformat())
        return {one["interval_minutes"]: one for one in json.loads(done.out)["series"]}


@pytest.fixture(scope="module")
def bodies(shared_data: Path) -> Path:
    return shared_data / "kraken-api"


@pytest.fixture(scope="module")
def walked(bodies: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walked]:
    commands, exchange = Commands(tmp_path_factory.mktemp("home"), trades=True), Recorded(bodies)
    with serve(exchange) as server:
        around = {"KRAKEN_API": server.url, "KRAKEN_RATE": "0", "KRAKEN_RETRY_WAIT": "0", "CLOCK": NOW.isoformat()}
        yield Walked(commands, exchange, around, commands(*WALK, **around))


@pytest.fixture(scope="module")
def told(bodies: Path) -> pl.DataFrame:
    """The recorded candles of the minutes of which the page holds every trade, those without a trade included."""
    rows = json.loads((bodies / "OHLC_XBTUSDT_1.json").read_text())["result"][MARKET]
    candles = [
        (datetime.fromtimestamp(seconds, UTC), *map(float, (opened, high, low, close, volume)), count)
        for seconds, opened, high, low, close, _, volume, count in rows
    ]
    found = pl.DataFrame(candles, schema=CANDLE_SCHEMA, orient="row")
    return found.filter(pl.col("timestamp").is_between(FIRST, LAST, closed="none"))


def inner(stored: pl.DataFrame, first: datetime = FIRST, last: datetime = LAST) -> pl.DataFrame:
    return stored.filter(pl.col("timestamp").is_between(first, last, closed="none"))


def test_the_walk_comes_to_its_end(walked: Walked) -> None:
    assert (walked.done.status, walked.done.err) == (0, ""), walked.done.out
    assert "1 market walked: 1,000 trades on 3 pages, 274 new candles" in walked.done.out


def test_the_cursor_is_handed_back_as_it_came(walked: Walked) -> None:
    # Nothing follows the last trade, and nothing more shares its nanosecond: it takes two questions to know that.
    assert walked.exchange.walked == ["0", "1762820035982277754", "1762820035982277753"]


def test_its_trades_make_the_candles_that_kraken_made_of_them(walked: Walked, told: pl.DataFrame) -> None:
    traded = told.filter(pl.col("trades") > 0)
    stored = inner(walked.minutes)

    assert traded.height == 272
    assert_frame_equal(stored.select(*CANDLE_SCHEMA), traded, check_exact=True)
    assert set(stored["source"]) == {"TRADES"}
    assert not stored["derived"].any()
    assert not stored["provisional"].any()


def test_minutes_in_which_nothing_was_traded_are_proven_quiet(walked: Walked, told: pl.DataFrame) -> None:
    quiet = told.filter(pl.col("trades") == 0).height
    assert quiet == 137

    # All that is known of the minutes: their trades, whose ids are without a break up to the empty page.
    [minutes] = [row for row in known(walked.commands.home)["coverage"] if row[1] == 1]
    assert minutes == (MARKET, 1, "TRADES", 0, 1, 0, f"{FIRST:%F %T}", f"{NOW:%F %H:%M}:00", 274)
    silence = (NOW - LAST) // timedelta(minutes=1) - 1
    figures = walked.report("--start-date", "2025-11-10")[1]
    assert (figures["traded"], figures["quiet_proven"]) == (274, quiet + silence)
    assert (figures["missing"], figures["suspect"], figures["quiet_claimed"]) == (0, 0, 0)


def test_what_was_before_the_first_trade_there_is_was_not_listed(walked: Walked) -> None:
    # Less than a day can be answered: the rest is no gap, since `since=0` begins with the page's first trade.
    figures = walked.report("--start-date", "2025-11-10")[1]

    assert figures["unlisted"] == (FIRST - at("2025-11-10")) // timedelta(minutes=1)
    assert figures["gaps"] == []


def test_wider_candles_are_made_of_the_minutes(walked: Walked, told: pl.DataFrame) -> None:
    first, last = at("2025-11-10 17:20"), at("2025-11-11 00:10")
    whole = (
        told.filter(pl.col("trades") > 0)
        .group_by_dynamic("timestamp", every="5m")
        .agg(
            pl.col("open").first(),
            pl.col("high").max(),
            pl.col("low").min(),
            pl.col("close").last(),
            pl.col("volume").sum().round(8),
            pl.col("trades").sum(),
        )
        .filter(pl.col("timestamp").is_between(first, last, closed="none"))
    )
    stored = inner(lake_rows(walked.commands.lake, MARKET, Interval.M5), first, last)

    assert whole.height > 70
    exact = [name for name in CANDLE_SCHEMA if name != "volume"]
    assert_frame_equal(stored.select(exact), whole.select(exact), check_exact=True)
    assert ((stored["volume"] / whole["volume"] - 1).abs() <= 1e-9).all()
    figures = walked.report("--start-date", "2025-11-10")[5]
    assert figures["quiet_proven"] == figures["slots"] - figures["unlisted"] - figures["traded"] > 0


def test_walked_once_it_is_asked_for_no_more(walked: Walked) -> None:
    asked, lake = len(walked.exchange.asked), lake_state(walked.commands.lake)

    again = walked.commands(*WALK, **walked.environment)

    assert (again.status, again.err) == (0, "")
    assert len(walked.exchange.asked) == asked
    assert lake_state(walked.commands.lake) == lake
