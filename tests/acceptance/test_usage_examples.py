"""The commands as people are told to type them: a fresh start, an hourly run from cron, going on with a job."""

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from chandlery.candles.interval import Interval
from chandlery.sandbox.archives import write_archive
from chandlery.sandbox.editions import Edition, Shape
from chandlery.sandbox.exchange import SandboxExchange
from chandlery.sandbox.rest import SandboxApi
from chandlery.sandbox.server import serve
from tests.acceptance.commands import Commands, lake_state
from tests.candles.builders import at

NOW = at("2024-04-20 06:17")
EXCHANGE = SandboxExchange.small()
#: Assets of its markets that are quoted in dollars; the other is quoted in euros.
TIERS = '[tiers]\nTIER1 = ["BTC", "ADA"]\nTIER2 = []\nTIER3 = []\n'


class Everyday:
    """A home with the settings of someone whose exchange is the sandbox, and its clock."""

    def __init__(self, commands: Commands, api: SandboxApi, url: str) -> None:
        self.commands, self.api = commands, api
        said = {"KRAKEN_API": url, "KRAKEN_RATE": "0", "TIERS_FILE": "tiers.toml"}
        (commands.home / "settings.env").write_text("".join(f"{name}={value}\n" for name, value in said.items()))
        (commands.home / "tiers.toml").write_text(TIERS)
        self.url = url
        self.now = NOW

    def __call__(self, *typed: str) -> tuple[int, str, str]:
        self.api.forget_requests()
        ended = self.commands(*typed, CLOCK=self.now.isoformat(), KRAKEN_API=self.url)
        return ended.status, ended.out, ended.err


@pytest.fixture(scope="module")
def everyday(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Everyday]:
    home: Path = tmp_path_factory.mktemp("home")
    clocked: list[Everyday] = []
    api = SandboxApi(EXCHANGE, lambda: clocked[0].now if clocked else NOW)
    published = (Interval.M60, Interval.M240, Interval.M1440)
    write_archive(
        EXCHANGE, Edition.complete("2024Q1", intervals=published), home / "data" / "archives", Shape(manifest=True)
    )
    with serve(api) as server:
        clocked.append(Everyday(Commands(home), api, server.url))
        yield clocked[0]


def test_a_fresh_start_brings_in_archives_and_what_the_api_tells(everyday: Everyday) -> None:
    status, out, err = everyday("ingest_kraken_unified", "--tier", "TIER1", "--complete", "--yes")
    assert (status, err) == (0, "")
    assert "Step 3/6: CSV: 4 ingested" in out
    assert re.search(r"Step 5/6: Fill: \d series asked of the API: [\d,]+ new candles", out)
    assert "TIER1 Data Completeness Report" in out
    assert "• Complete Assets: 2 (100%)" in out


def test_an_hour_later_cron_fetches_what_is_new_and_says_so(everyday: Everyday) -> None:
    everyday.now = NOW + timedelta(hours=1)
    status, out, err = everyday("ingest_kraken_unified", "--tier", "TIER1", "--incremental", "--yes")
    assert (status, err) == (0, "")
    assert out.splitlines()[0].startswith("Last data point: 2024-04-20 05:00 UTC")
    assert "Range fetched: 2024-04-20 06:00 to 2024-04-20 07:00 UTC" in out
    assert re.search(r"^New candles: 60min \d$", out, re.MULTILINE)
    assert "TIER1 remains 100% complete" in out


def test_at_the_same_time_again_there_is_nothing_to_say_and_nothing_to_write(everyday: Everyday) -> None:
    before = lake_state(everyday.commands.lake)
    assert everyday("ingest_kraken_unified", "--tier", "TIER1", "--incremental", "--yes") == (0, "", "")
    assert lake_state(everyday.commands.lake) == before
    asked = [(r.query["pair"], r.query["interval"]) for r in everyday.api.requests if r.path.endswith("OHLC")]
    assert len(asked) == len(set(asked)) <= 4


def test_a_finished_job_is_resumed_up_to_now(everyday: Everyday) -> None:
    everyday.now = NOW + timedelta(hours=3)
    jobs = json.loads(everyday("list_jobs", "--json")[1])["jobs"]
    first = jobs[-1]["job_id"]
    status, out, err = everyday("ingest_kraken_unified", "--resume", first[:8], "--yes")
    assert (status, err) == (0, "")
    assert f"Resuming job {first[:8]} (COMPLETED 2024-04-20 06:17 UTC): files 4/4" in out
    assert "• Complete Assets: 2 (100%)" in out
    resumed = json.loads(everyday("show_job", first, "--json")[1])
    assert (resumed["status"], resumed["completed_at"]) == ("COMPLETED", "2024-04-20T09:17:00Z")


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (("--resume", "zz"), "No job 'zz'"),
        (("--resume", "0" * 8), "No job '00000000'"),
        (("--resume", "1a2b3c4d", "--tier", "TIER1"), "--resume goes on with what the job was asked for"),
    ],
)
def test_a_wrong_resume_is_one_line(everyday: Everyday, typed: tuple[str, ...], said: str) -> None:
    status, out, err = everyday("ingest_kraken_unified", *typed)
    assert (status, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1
