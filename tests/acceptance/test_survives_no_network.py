"""Without a network: what archives tell is had, one line says what is missing, and the next run makes up for it."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from chandlery.sandbox.rest import SandboxApi
from chandlery.sandbox.server import serve
from tests.acceptance.against_truth import assert_same_lake
from tests.acceptance.commands import Commands
from tests.acceptance.in_process import lake_contents
from tests.acceptance.survival import ASKED, EXCHANGE, MAIN, NOW, archive_in, assert_tidy, jobs_in, left_in, ran
from tests.conftest import CompletedRun


@pytest.fixture
def nowhere() -> Iterator[str]:
    """An address at which nobody listens, and nobody else will."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture(scope="module")
def exchange() -> Iterator[tuple[SandboxApi, str]]:
    api = SandboxApi(EXCHANGE, lambda: NOW)
    with serve(api) as server:
        yield api, server.url


@pytest.fixture
def home(tmp_path: Path) -> Path:
    archive_in(tmp_path / "home")
    return tmp_path / "home"


def complaints(done: CompletedRun) -> list[str]:
    return [
        line
        for line in (done.out + done.err).splitlines()
        if line.startswith(("FAILED", "Error", "WARNING", "PROBLEM", "Traceback")) or "Warning" in line
    ]


def test_archives_are_ingested_one_line_is_said_and_the_next_run_makes_up_for_it(
    home: Path, nowhere: str, exchange: tuple[SandboxApi, str], tmp_path: Path
) -> None:
    done = ran(home, nowhere, MAIN, *ASKED)
    assert done.status == 1
    [line] = complaints(done)
    assert line.startswith("FAILED Kraken's API")
    assert f"Kraken's API at {nowhere} cannot be reached: Connection refused. Given up, 9 series not asked" in line
    assert "Step 3/6: CSV: 6 ingested, 0 skipped, 0 failed" in done.out
    # What archives tell is derived all the same.
    assert any(int(series.interval) == 720 for series in lake_contents(Commands(home).lake))
    assert [status for _, status in jobs_in(home)] == ["COMPLETED"]
    assert_tidy(home)

    again = ran(home, exchange[1], MAIN, *ASKED)
    assert (again.status, again.err) == (0, "")
    archive_in(tmp_path / "other")
    assert ran(tmp_path / "other", exchange[1], MAIN, *ASKED).status == 0
    (lake, state), (other_lake, other_state) = left_in(home), left_in(tmp_path / "other")
    assert_same_lake(lake, other_lake)
    assert state == other_state


@pytest.mark.slow
def test_under_cron_it_is_the_one_line_and_the_status(
    home: Path, nowhere: str, exchange: tuple[SandboxApi, str]
) -> None:
    assert ran(home, exchange[1], MAIN, *ASKED[:-2]).status == 0
    before = lake_contents(Commands(home).lake)
    done = ran(home, nowhere, MAIN, *ASKED[:-2], "--incremental", CLOCK="2024-04-20T09:20:00Z")
    assert done.status == 1
    [line] = complaints(done)
    assert "cannot be reached" in line
    assert_same_lake(lake_contents(Commands(home).lake), before)


@pytest.mark.parametrize("option", ["--no-api-backfill", "--no-auto-gap-fill"])
def test_who_does_not_want_the_exchange_to_be_asked_is_obeyed(
    home: Path, exchange: tuple[SandboxApi, str], option: str
) -> None:
    api, url = exchange
    api.forget_requests()
    done = ran(home, url, MAIN, *ASKED, option)
    assert (done.status, done.err) == (0, "")
    assert api.requests == ()
    assert "6 ingested, 0 skipped, 0 failed" in done.out


@pytest.mark.slow
def test_nothing_is_left_open_with_or_without_a_network(
    home: Path, nowhere: str, exchange: tuple[SandboxApi, str]
) -> None:
    shown = {"PYTHONWARNINGS": "always::ResourceWarning"}
    for url, status in ((nowhere, 1), (exchange[1], 0)):
        done = ran(home, url, MAIN, *ASKED, **shown)
        assert (done.status, done.err) == (status, "")
