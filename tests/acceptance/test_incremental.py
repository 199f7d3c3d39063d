"""--incremental: from what is known to now, and silence where there is nothing new."""

import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from chandlery.candles.interval import Interval
from chandlery.sandbox.archives import write_archive
from chandlery.sandbox.editions import Edition
from chandlery.sandbox.exchange import SandboxExchange
from chandlery.sandbox.market import SandboxMarket
from chandlery.sandbox.rest import SandboxApi
from chandlery.sandbox.server import SandboxServer, serve
from tests.acceptance.commands import Commands, lake_state
from tests.acceptance.edge_truth import EdgeTruth
from tests.acceptance.in_process import lake_rows
from tests.acceptance.state import changed_tables, state_rows
from tests.candles.builders import at
from tests.conftest import CompletedRun
from tests.sandbox.asked import Hands

EXCHANGE = SandboxExchange(
    cast=(
        SandboxMarket("ETHUSD", "ETH/USD", "XETH", "ZUSD", listed=at("2024-05-20 10:07"), share=0.2, depth=0.5),
        SandboxMarket("ADAUSD", "ADA/USD", "ADA", "ZUSD", listed=at("2024-06-03 04:00"), share=0.1, depth=0.5),
    ),
    outages=(),
)
NOW = at("2024-08-31 08:20")
H60, H1440 = Interval.M60, Interval.M1440


class Daily:
    """A home with an archive up to the second quarter, and the sandbox to ask; `run` is a cron job's line."""

    def __init__(
        self, commands: Commands, server: SandboxServer, api: SandboxApi, hands: Hands, archives: Path
    ) -> None:
        self.commands, self.server, self.api, self.hands, self.archives = commands, server, api, hands, archives

    def run(self, *more: object, now: datetime | None = None, command: str = "ingest_kraken_unified") -> CompletedRun:
        self.hands.now = now or self.hands.now
        self.api.forget_requests()
        asked = ["--markets", "ETHUSD,ADAUSD", "--intervals", "60,1440"]
        if command == "ingest_kraken_unified":
            asked += ["--source", str(self.archives), "--yes"]
        clock = f"{self.hands.now:%Y-%m-%dT%H:%M:%SZ}"
        return self.commands(command, *asked, *more, KRAKEN_API=self.server.url, KRAKEN_RATE="0", CLOCK=clock)

    def asked(self) -> list[tuple[str, str]]:
        return [(r.query["pair"], r.query["interval"]) for r in self.api.requests if r.path.endswith("/OHLC")]

    def report(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run("--json", command="report_completeness").out)
        return found

    def newest_job(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.commands("list_jobs", "--json").out)["jobs"][0]
        return found

    def publish(self, edition: Edition) -> None:
        write_archive(EXCHANGE, edition, self.archives)


@pytest.fixture
def daily(fresh: Commands, tmp_path: Path) -> Iterator[Daily]:
    hands = Hands(NOW)
    api = SandboxApi(EXCHANGE, hands, monotonic=hands.seconds)
    with serve(api) as server:
        found = Daily(fresh, server, api, hands, tmp_path / "archives")
        found.publish(Edition.complete("2024Q2"))
        yield found


def test_with_nothing_new_it_says_and_writes_nothing(daily: Daily) -> None:
    daily.run()
    lake, state = lake_state(daily.commands.lake), state_rows(daily.commands.home)
    done = daily.run("--incremental", now=NOW + timedelta(minutes=3))

    assert (done.status, done.out, done.err) == (0, "", "")
    assert lake_state(daily.commands.lake) == lake
    assert changed_tables(state, state_rows(daily.commands.home)) == set()
    assert len(daily.asked()) == len(set(daily.asked())) <= 4


@pytest.mark.slow
def test_a_day_that_waits_for_its_last_hours_is_written_once(daily: Daily) -> None:
    """Made of hours that may still change, it is looked at by every run until these are settled."""
    daily.run()
    daily.run("--incremental", now=at("2024-09-01 00:10"))
    days = [lake_rows(daily.commands.lake, market, H1440).tail(1) for market in EXCHANGE.names]
    lake, state = lake_state(daily.commands.lake), state_rows(daily.commands.home)
    done = daily.run("--incremental", now=at("2024-09-01 00:13"))

    assert [(day["derived"].item(), day["provisional"].item()) for day in days] == [(True, True)] * 2
    assert (done.status, done.out, done.err) == (0, "", "")
    assert lake_state(daily.commands.lake) == lake
    assert changed_tables(state, state_rows(daily.commands.home)) == set()
    assert len(daily.asked()) == 2


def test_with_news_it_tells_the_last_point_what_was_fetched_and_the_new_candles(daily: Daily) -> None:
    daily.run()
    before = {key: lake_rows(daily.commands.lake, *key).height for key in SERIES}
    done = daily.run("--incremental", now=NOW + timedelta(days=1, hours=2))

    assert (done.status, done.err) == (0, "")
    grown = {key: lake_rows(daily.commands.lake, *key).height - rows for key, rows in before.items()}
    hours, days = (sum(n for (_, i), n in grown.items() if i == interval) for interval in (H60, H1440))
    assert "Last data point: 2024-08-31 07:00 UTC" in done.out
    assert "Range fetched: 2024-08-31 08:00 to 2024-09-01 10:00 UTC" in done.out
    assert f"New candles: 60min {hours}, 1440min {days}" in done.out
    assert days == 2
    status = [line for line in done.out.splitlines() if " complete" in line]
    assert len(status) == 1
    assert re.search(r"ETHUSD, ADAUSD (remain [\d.]+% complete|are now [\d.]+% complete \(was [\d.]+%\))", status[0])
    share = daily.report()["overall"]["completeness"]
    assert f"{int(share * 1000) / 10}% complete" in status[0]


@pytest.mark.slow
def test_what_it_brings_is_the_truth(daily: Daily) -> None:
    daily.run()
    truth = EdgeTruth(EXCHANGE, at("2024-07-01"), at("2024-10-01"))
    truth.run(NOW, (H60, H1440))
    for moment in (NOW + timedelta(hours=5), NOW + timedelta(days=1), NOW + timedelta(days=8, hours=1)):
        assert daily.run("--incremental", now=moment).status == 0
        truth.run(moment, (H60, H1440))
        for market, interval in SERIES:
            stored = lake_rows(daily.commands.lake, market, interval)
            expected = truth.series(market, interval, moment).rows
            recent = stored.filter(stored["timestamp"] >= truth.origin)
            assert recent.select("timestamp", "open", "high", "low", "close", "trades").equals(
                expected.select("timestamp", "open", "high", "low", "close", "trades")
            )
        assert len(daily.asked()) == len(set(daily.asked())) <= 4


@pytest.mark.slow
def test_where_nothing_is_known_it_is_a_first_run(daily: Daily) -> None:
    done = daily.run("--incremental")
    report = daily.report()

    assert done.status == 0, done.err
    assert daily.newest_job()["files_ingested"] == 4
    # Of hours, those between the archive and the window are nowhere to be had.
    assert {(s["interval_minutes"], len(s["gaps"])) for s in report["series"]} == {(60, 1), (1440, 0)}
    assert "Last data point: none" in done.out


@pytest.mark.slow
def test_a_new_quarter_that_follows_what_is_known_is_read_and_older_holes_are_left(daily: Daily) -> None:
    """Known up to the middle of August; then nobody ran it until the archive of that quarter was there."""
    daily.run(now=at("2024-08-15 00:20"))
    daily.publish(Edition.quarterly("2024Q3"))
    dry = daily.run("--incremental", "--dry-run", now=at("2024-11-20 12:20"))
    done = daily.run("--incremental", now=at("2024-11-20 12:20"))

    assert dry.status == 0, dry.err
    assert (done.status, done.err) == (0, "")
    assert daily.newest_job()["files_ingested"] == 4
    hours = next(s for s in daily.report()["series"] if (s["market"], s["interval_minutes"]) == ("ETHUSD", 60))
    # The quarter closed the hole of July as well, for a file that is read is ingested whole.
    assert [gap["start"] for gap in hours["gaps"]] == ["2024-10-01T00:00:00Z"]


@pytest.mark.slow
def test_files_of_older_times_are_left_to_a_full_run_and_counted(daily: Daily) -> None:
    for old in daily.archives.iterdir():
        old.unlink()
    daily.publish(Edition.quarterly("2024Q3"))
    daily.run(now=at("2024-11-20 12:20"))
    daily.publish(Edition.quarterly("2024Q2"))
    dry = daily.run("--incremental", "--dry-run", now=at("2024-11-20 13:20"))
    done = daily.run("--incremental", now=at("2024-11-20 13:20"))

    assert (done.status, done.err) == (0, "")
    assert daily.newest_job()["files_ingested"] == 0
    assert re.search(r"\b4 files\b", dry.out), dry.out
    assert daily.run(now=at("2024-11-20 13:40")).status == 0
    assert daily.newest_job()["files_ingested"] >= 4


SERIES = [(market, interval) for market in EXCHANGE.names for interval in (H60, H1440)]
