"""The two commands of old, as someone goes on typing them: first the archives, then the gaps."""

import csv
import shlex
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from chandlery.candles.interval import Interval
from chandlery.candles.series import Series
from chandlery.candles.timerange import TimeRange
from chandlery.sandbox.archives import write_archive
from chandlery.sandbox.editions import Edition
from chandlery.sandbox.exchange import SandboxExchange
from chandlery.sandbox.market import SandboxMarket
from chandlery.sandbox.rest import SandboxApi
from chandlery.sandbox.server import SandboxServer, serve
from tests.acceptance.commands import Commands, lake_state
from tests.acceptance.in_process import lake_contents
from tests.acceptance.state import state_rows
from tests.candles.builders import at
from tests.conftest import CompletedRun
from tests.databases import copy_home
from tests.sandbox.asked import Hands

pytestmark = pytest.mark.slow

MARKET = SandboxMarket("ETHUSD", "ETH/USD", "XETH", "ZUSD", listed=at("2024-05-20 10:07"), share=0.2, depth=0.5)
EXCHANGE = SandboxExchange(cast=(MARKET,), outages=())
#: 720 hours before it are 2024-08-01 08:00.
NOW = at("2024-08-31 08:20")
QUARTER_END = at("2024-07-01")
#: Open before anybody is asked: 61 days, and 61 * 24 + 8 hours, of which the API tells 720 and forgot 752.
OPEN = "2 gaps (1,533 candles)"
LEFT = "2024-07-01 00:00 to 2024-08-01 08:00 UTC (752 candles)"
HOURS, DAYS = ("ETHUSD", "60"), ("ETHUSD", "1440")


class OldHand:
    """A home with an archive up to the second quarter and the sandbox to ask, and someone who types."""

    def __init__(self, commands: Commands, server: SandboxServer, api: SandboxApi, hands: Hands) -> None:
        self.commands, self.server, self.api, self.hands = commands, server, api, hands

    def __call__(self, *typed: object, now: datetime | None = None, api: str = "") -> CompletedRun:
        self.hands.now = now or NOW
        self.api.forget_requests()
        return self.commands(
            *typed,
            CLOCK=self.hands.now.isoformat(),
            TIERS_FILE="tiers.toml",
            KRAKEN_API=api or self.server.url,
            KRAKEN_RATE="0",
            KRAKEN_RETRY_WAIT="0",
        )

    def asked(self) -> list[tuple[str, str]]:
        """In the order of their names."""
        return sorted((r.query["pair"], r.query["interval"]) for r in self.api.requests if r.path.endswith("/OHLC"))

    def elsewhere(self, folder: Path) -> "OldHand":
        """The same home as it is now, in another place."""
        copy_home(self.commands.home, folder)
        return OldHand(Commands(folder), self.server, self.api, self.hands)

    def lake(self) -> dict[Series, pl.DataFrame]:
        return lake_contents(self.commands.lake)

    def everything(self) -> tuple[object, object]:
        """Store and state: equal if and only if nothing was written."""
        return lake_state(self.commands.lake), state_rows(self.commands.home, frozenset())


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[SandboxServer, SandboxApi, Hands]]:
    hands = Hands(NOW)
    api = SandboxApi(EXCHANGE, hands, monotonic=hands.seconds)
    with serve(api) as running:
        yield running, api, hands


@pytest.fixture(scope="module")
def untouched(server: tuple[SandboxServer, SandboxApi, Hands], tmp_path_factory: pytest.TempPathFactory) -> OldHand:
    """Archives, and nothing done yet."""
    home: Path = tmp_path_factory.mktemp("home")
    (home / "tiers.toml").write_text('[tiers]\nTIER1 = ["ETH"]\nTIER2 = []\nTIER3 = []\n')
    published = (Interval.M60, Interval.M1440)
    write_archive(EXCHANGE, Edition.complete("2024Q2", intervals=published), home / "data" / "archives")
    return OldHand(Commands(home), *server)


@pytest.fixture(scope="module")
def first_step(untouched: OldHand, tmp_path_factory: pytest.TempPathFactory) -> tuple[OldHand, CompletedRun]:
    """After `ingest_sequential`, with what that printed."""
    hand = untouched.elsewhere(tmp_path_factory.mktemp("first") / "home")
    done = hand("ingest_sequential", "--tier", "TIER1", "--yes")
    assert hand.asked() == []
    return hand, done


@pytest.fixture
def ingested(first_step: tuple[OldHand, CompletedRun], tmp_path: Path) -> OldHand:
    return first_step[0].elsewhere(tmp_path / "home")


@pytest.fixture(scope="module")
def second_step(
    first_step: tuple[OldHand, CompletedRun], tmp_path_factory: pytest.TempPathFactory
) -> tuple[OldHand, CompletedRun]:
    """After `backfill_kraken_gaps`, with what that printed."""
    hand = first_step[0].elsewhere(tmp_path_factory.mktemp("second") / "home")
    left = hand.commands.home / "left.csv"
    done = hand("backfill_kraken_gaps", "--tier", "TIER1", "--yes", "--export-unfillable", left)
    assert hand.asked() == sorted([HOURS, DAYS])
    return hand, done


@pytest.fixture
def backfilled(second_step: tuple[OldHand, CompletedRun], tmp_path: Path) -> OldHand:
    return second_step[0].elsewhere(tmp_path / "home")


def new_way(done: CompletedRun) -> list[str]:
    """What the warning says to type, without the program."""
    assert done.err.count("\n") == 1
    assert " is deprecated; the same" in done.err
    return shlex.split(done.err.rstrip().rpartition("python manage.py ")[2])


def same(one: dict[Series, pl.DataFrame], other: dict[Series, pl.DataFrame]) -> bool:
    return one.keys() == other.keys() and all(frame.equals(other[series]) for series, frame in one.items())


def test_ingest_sequential_brings_in_the_archives_of_a_tier_and_asks_nobody(
    first_step: tuple[OldHand, CompletedRun],
) -> None:
    hand, done = first_step
    assert done.status == 0, done.err
    assert "TIER1 Data Completeness Report" in done.out
    stored = hand.lake()
    assert sorted(series.interval for series in stored) == [60, 1440]
    for series, frame in stored.items():
        truth = EXCHANGE.truth(series, TimeRange(at("2024-05-20"), QUARTER_END))
        assert frame.select("timestamp", "open", "close", "trades").equals(
            truth.select("timestamp", "open", "close", "trades")
        )


def test_the_command_that_ingest_sequential_names_does_the_same(
    first_step: tuple[OldHand, CompletedRun], untouched: OldHand, tmp_path: Path
) -> None:
    hand, done = first_step
    named = new_way(done)
    assert named == [
        *("ingest_kraken_unified", "--tier", "TIER1", "--intervals", "60,1440"),
        *("--no-api-backfill", "--yes"),
    ]
    other = untouched.elsewhere(tmp_path / "home")
    assert other(*named).status == 0
    assert same(hand.lake(), other.lake())


def test_the_report_of_ingest_sequential_recommends_the_command_that_asks_the_api(
    first_step: tuple[OldHand, CompletedRun],
) -> None:
    assert "   python manage.py ingest_kraken_unified --tier TIER1 --intervals 60,1440 --yes\n" in first_step[1].out


def test_ingest_sequential_reads_the_folder_it_is_told_and_stops_at_an_error(
    untouched: OldHand, tmp_path: Path
) -> None:
    (tmp_path / "csv").mkdir()
    (tmp_path / "csv" / "ETHUSD_60.csv").write_text("nonsense\n")
    asked = ("ingest_sequential", "--tier", "tier1", "--data-dir", tmp_path / "csv", "--intervals", 60)
    hand = untouched.elsewhere(tmp_path / "home")
    failed, stopped = hand(*asked), hand(*asked, "--stop-on-error")
    assert (failed.status, stopped.status) == (1, 1)
    assert "TIER1 Data Completeness Report" in failed.out
    assert "Stopped at the first error, as --stop-on-error asks" in stopped.err
    assert f"--source {tmp_path / 'csv'} --no-api-backfill\n" in failed.err


def test_a_dry_run_shows_gaps_and_requests_and_writes_nothing(ingested: OldHand) -> None:
    before = ingested.everything()
    done = ingested("backfill_kraken_gaps", "--dry-run")
    assert done.status == 0, done.err
    assert f"Gaps of ETHUSD (60min, 1440min): {OPEN}" in done.out
    assert "API-fillable: 1 gap (61 candles)" in done.out
    assert "Across the API's edge: 1 gap (1,472 candles)" in done.out
    assert "720 can be filled, 752 need ETHUSD_60.csv in Kraken_OHLCVT_2024Q3.zip" in " ".join(done.out.split())
    assert "From the API: 2 requests, a few seconds (2024-07-01 to 2024-08-31)" in done.out
    assert ingested.everything() == before
    assert ingested.asked() == []


def test_on_a_fresh_home_a_dry_run_makes_no_database(untouched: OldHand, tmp_path: Path) -> None:
    hand = untouched.elsewhere(tmp_path / "home")
    done = hand("backfill_kraken_gaps", "--asset", "XETH", "--dry-run")
    assert done.status == 0, done.err
    assert "From the API: 2 requests" in done.out
    assert {path.name for path in (hand.commands.home / "data").iterdir()} == {"archives"}


def test_what_needs_a_file_is_listed_with_the_file_and_nothing_is_asked(ingested: OldHand) -> None:
    before = lake_state(ingested.commands.lake)
    done = ingested("backfill_kraken_gaps", "--show-unfillable-only", "--yes")
    assert done.status == 0, done.err
    assert "1 gap (752 candles) requires CSV" in done.out
    told = " ".join(done.out.split())
    assert f"ETHUSD 60min: {LEFT}: ETHUSD_60.csv in Kraken_OHLCVT_2024Q3.zip (not published yet" in told
    assert "1440min: 2024" not in done.out
    assert "Kraken's archives: https://assets.kraken.com/marketing/institutions/\n" in done.out
    assert (lake_state(ingested.commands.lake), ingested.asked()) == (before, [])


def test_exporting_alone_writes_the_list_and_asks_nobody(ingested: OldHand, tmp_path: Path) -> None:
    done = ingested("backfill_kraken_gaps", "--tier", "TIER1", "--export-unfillable", tmp_path / "left.csv")
    assert (done.status, ingested.asked()) == (0, [])
    [row] = csv.DictReader((tmp_path / "left.csv").read_text().splitlines())
    assert (row["required_csv_file"], row["gap_start"], row["gap_end"], row["candles"]) == (
        "ETHUSD_60_2024Q3.csv",
        "2024-07-01T00:00:00Z",
        "2024-08-01T08:00:00Z",
        "752",
    )
    assert new_way(done)[0] == "report_completeness"


def test_a_backfill_fills_what_the_api_tells_and_says_what_stays(second_step: tuple[OldHand, CompletedRun]) -> None:
    hand, done = second_step
    assert done.status == 0, done.err
    assert "Filled: 1 gap and part of 1 more gap (781 of 1,533 candles)" in done.out
    assert "Still open: 1 gap (752 candles)" in done.out
    [row] = csv.DictReader((hand.commands.home / "left.csv").read_text().splitlines())
    assert (row["required_csv_file"], row["candles"]) == ("ETHUSD_60_2024Q3.csv", "752")


def test_the_command_that_backfill_kraken_gaps_names_does_the_same(
    second_step: tuple[OldHand, CompletedRun], ingested: OldHand
) -> None:
    hand, done = second_step
    assert ingested(*new_way(done)).status == 0
    assert same(hand.lake(), ingested.lake())


def test_no_archive_is_read(untouched: OldHand, tmp_path: Path) -> None:
    hand = untouched.elsewhere(tmp_path / "home")
    done = hand("backfill_kraken_gaps", "--asset", "ETH", "--interval", 60, "--yes")
    assert done.status == 0, done.err
    assert "Begun: 1 series of which nothing was stored" in done.out
    [frame] = hand.lake().values()
    assert frame["timestamp"].min() == at("2024-08-01 08:00")


def test_with_only_fillable_gaps_no_other_is_shown(backfilled: OldHand) -> None:
    shown = backfilled("backfill_kraken_gaps", "--dry-run")
    left_out = backfilled("backfill_kraken_gaps", "--only-fillable", "--yes")
    assert (shown.status, left_out.status) == (0, 0)
    assert "Require CSV: 1 gap (752 candles)" in shown.out
    assert "Require CSV" not in left_out.out
    assert "Nothing to do: neither the API nor finer candles close any of it." in left_out.out
    assert backfilled.asked() == []


def test_from_last_fills_up_to_now_and_leaves_older_gaps(backfilled: OldHand) -> None:
    later = NOW + timedelta(hours=5)
    done = backfilled("backfill_kraken_gaps", "--from-last", "--yes", now=later)
    assert done.status == 0, done.err
    assert "Gaps of ETHUSD (60min, 1440min): 1 gap (5 candles)" in done.out
    assert "Last data point: 2024-08-31 07:00 UTC" in done.out
    assert "Filled: 1 gap (5 of 5 candles)" in done.out
    assert "Still open: nothing" in done.out
    assert "--incremental" in new_way(done)

    again = backfilled("backfill_kraken_gaps", "--from-last", "--yes", now=later)
    assert again.status == 0, again.err
    assert "Gaps of ETHUSD (60min, 1440min): no new gaps; 1 older gap left aside" in again.out
    assert "Nothing to do: nothing new since the last stored slot." in again.out
    assert backfilled.asked() == []


def test_an_api_that_does_not_answer_is_status_1_and_its_gaps_stay(ingested: OldHand) -> None:
    done = ingested("backfill_kraken_gaps", "--yes", api="http://127.0.0.1:9")
    assert done.status == 1
    assert "Filled: 0 gaps (0 of 1,533 candles)" in done.out
    assert "asked without success" in done.out
