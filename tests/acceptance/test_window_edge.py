"""A gap across the edge of the API's window: the inside is filled, the outside stays, explained, on the same record."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from chandlery.candles.interval import Interval
from chandlery.exchanges.kraken.api.settings import ApiSettings
from chandlery.models import GapRecord, GapStatus
from chandlery.pipeline.request import Selection
from chandlery.sandbox.archives import write_archive
from chandlery.sandbox.editions import Edition
from chandlery.sandbox.exchange import SandboxExchange
from chandlery.sandbox.market import SandboxMarket
from chandlery.sandbox.rest import SandboxApi
from chandlery.sandbox.server import SandboxServer, serve
from tests.acceptance.commands import Commands
from tests.acceptance.in_process import Runs
from tests.candles.builders import at
from tests.sandbox.asked import Hands

MARKET = SandboxMarket("ETHUSD", "ETH/USD", "XETH", "ZUSD", listed=at("2024-05-20 10:07"), share=0.1, depth=0.5)
EXCHANGE = SandboxExchange(cast=(MARKET,), outages=())
#: 720 hours before it are 2024-08-01 08:00.
NOW = at("2024-08-31 08:20")
QUARTER_END, WINDOW, CLOSED = at("2024-07-01"), at("2024-08-01 08:00"), at("2024-08-31 08:00")
HOUR = timedelta(hours=1)


@pytest.fixture
def hands() -> Hands:
    return Hands(NOW)


@pytest.fixture
def server(hands: Hands) -> Iterator[SandboxServer]:
    with serve(SandboxApi(EXCHANGE, hands, monotonic=hands.seconds)) as running:
        yield running


@pytest.fixture
def runs(home: Path, server: SandboxServer) -> Runs:
    asked = Selection((Interval.M60,), markets=("ETHUSD",), start=at("2024-06-01"))
    return Runs(home, asked, NOW, ApiSettings(base_url=server.url, rate=0))


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return write_archive(EXCHANGE, Edition.complete("2024Q2"), tmp_path / "archives").path


def open_gaps() -> list[GapRecord]:
    return list(GapRecord.objects.exclude(status=GapStatus.FILLED).order_by("gap_start"))


def later(runs: Runs, hands: Hands, moment: datetime) -> Runs:
    hands.now = moment
    return runs.at(moment)


@pytest.mark.django_db
def test_before_anybody_is_asked_it_is_one_record_that_tells_both_parts(runs: Runs, archive: Path) -> None:
    Runs(runs.home, runs.selection, NOW).ingest(archive)

    [gap] = open_gaps()
    assert (gap.gap_start, gap.gap_end, gap.missing_candles) == (QUARTER_END, CLOSED, (CLOSED - QUARTER_END) // HOUR)
    assert (gap.is_api_fillable, gap.overflow_candles) == (False, (WINDOW - QUARTER_END) // HOUR)
    assert (gap.status, gap.required_csv_file) == (GapStatus.DETECTED, "ETHUSD_60_2024Q3.csv")
    [told] = runs.report()["series"][0]["gaps"]
    assert told["action"].startswith("download ETHUSD_60.csv in Kraken_OHLCVT_2024Q3.zip")
    assert "the API reaches back 720 candles, to 2024-08-01 08:00 UTC, and answers from there on" in told["action"]


@pytest.mark.django_db
def test_the_inside_is_filled_and_the_outside_keeps_the_record(runs: Runs, archive: Path) -> None:
    Runs(runs.home, runs.selection, NOW).ingest(archive)
    [before] = open_gaps()
    runs.ingest(archive)

    [gap] = open_gaps()
    assert gap.pk == before.pk
    assert (gap.gap_start, gap.gap_end, gap.missing_candles) == (QUARTER_END, WINDOW, (WINDOW - QUARTER_END) // HOUR)
    assert (gap.is_api_fillable, gap.overflow_candles) == (False, gap.missing_candles)
    assert (gap.status, gap.required_csv_file) == (GapStatus.UNFILLABLE, "ETHUSD_60_2024Q3.csv")
    assert gap.backfill_attempted_at == NOW
    assert GapRecord.objects.count() == 1
    [told] = runs.report()["series"][0]["gaps"]
    assert (told["candles"], told["api_fillable"], told["status"]) == (gap.missing_candles, False, "UNFILLABLE")
    assert told["required_csv_file"] == "ETHUSD_60_2024Q3.csv"
    assert "(not published yet: due 2024-10-29 to 2024-12-17)" in told["action"]
    assert "answers from there on" not in told["action"]


@pytest.mark.django_db
def test_as_time_goes_on_nothing_is_split(runs: Runs, hands: Hands, archive: Path) -> None:
    """The window moves over a gap that nobody asked for: one record, of which ever more lies outside."""
    silent = Runs(runs.home, runs.selection, NOW)
    silent.ingest(archive)
    [first] = open_gaps()
    overflow = [first.overflow_candles]
    for days in (1, 2, 40):
        silent.at(NOW + timedelta(days=days)).ingest(archive)
        [gap] = open_gaps()
        assert (gap.pk, gap.gap_start, gap.gap_end) == (first.pk, QUARTER_END, CLOSED + timedelta(days=days))
        overflow.append(gap.overflow_candles)
    assert overflow == sorted(set(overflow))
    assert GapRecord.objects.count() == 1

    later(runs, hands, NOW + timedelta(days=40)).ingest(archive)
    [gap] = open_gaps()
    assert (gap.pk, gap.gap_end) == (first.pk, WINDOW + timedelta(days=40))


@pytest.mark.django_db
def test_a_month_without_a_run_is_a_second_gap_beside_the_first(runs: Runs, hands: Hands, archive: Path) -> None:
    runs.ingest(archive)
    [first] = open_gaps()
    moment = NOW + timedelta(days=31)
    later(runs, hands, moment).ingest(archive)

    kept, new = open_gaps()
    assert (kept.pk, kept.gap_start, kept.gap_end) == (first.pk, QUARTER_END, WINDOW)
    # The last slots that were asked for could still change then, and nobody can be asked about them any more.
    assert CLOSED - 3 * HOUR <= new.gap_start <= CLOSED
    assert new.gap_end == WINDOW + timedelta(days=31)
    assert (new.status, new.is_api_fillable) == (GapStatus.UNFILLABLE, False)


@pytest.mark.django_db
def test_a_gap_inside_of_the_window_that_nobody_may_ask_for_waits(runs: Runs, archive: Path) -> None:
    asked = Selection((Interval.M60,), markets=("ETHUSD",), start=at("2024-08-10"))
    Runs(runs.home, asked, NOW).ingest(archive)

    [gap] = open_gaps()
    assert (gap.status, gap.is_api_fillable, gap.overflow_candles) == (GapStatus.DETECTED, True, 0)
    assert gap.required_csv_file == ""
    runs.of(asked).ingest(archive)
    gap.refresh_from_db()
    assert (gap.status, gap.filled_at, gap.missing_candles) == (GapStatus.FILLED, NOW, 0)


@pytest.mark.slow
def test_the_command_says_which_file_to_fetch_and_why(fresh: Commands, server: SandboxServer, archive: Path) -> None:
    asked = ("ingest_kraken_unified", "--source", archive, "--markets", "ETHUSD", "--intervals", "60", "--yes")
    clock = "2024-08-31T08:20:00Z"
    plan = fresh(*asked, "--dry-run", KRAKEN_API=server.url, KRAKEN_RATE="0", CLOCK=clock)
    done = fresh(*asked, "--complete", KRAKEN_API=server.url, KRAKEN_RATE="0", CLOCK=clock)
    told = fresh("report_completeness", "--markets", "ETHUSD", "--intervals", "60", "--json", CLOCK=clock)

    assert plan.status == 0, plan.err
    assert "1 request" in plan.out
    assert done.status == 3, done.err
    assert "ETHUSD_60.csv in Kraken_OHLCVT_2024Q3.zip" in done.out
    assert "not published yet: due 2024-10-29 to 2024-12-17" in done.out
    [gap] = gaps_in(told.out)
    assert (gap["start"], gap["end"]) == ("2024-07-01T00:00:00Z", "2024-08-01T08:00:00Z")


def gaps_in(text: str) -> list[dict[str, Any]]:
    [series] = json.loads(text)["series"]
    found: list[dict[str, Any]] = series["gaps"]
    return found
