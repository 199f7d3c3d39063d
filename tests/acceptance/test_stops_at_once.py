"""A second Ctrl-C, where what is in hand never ends: workers that hang, and requests that nobody answers."""

import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from chandlery.candles.interval import Interval
from chandlery.sandbox.archives import write_archive
from chandlery.sandbox.editions import Edition
from tests.acceptance.commands import Commands
from tests.acceptance.disturbed import (
    FOUR,
    NAMES,
    Sandbox,
    Started,
    assert_as_undisturbed,
    assert_clean,
    sandbox,
    started,
)

pytestmark = pytest.mark.slow

EVERY = ",".join(str(int(interval)) for interval in Interval)
#: Two intervals are in the archive, the others are asked for and derived.
ASKED = ("--markets", ",".join(NAMES), "--intervals", EVERY, "--yes", "--verbosity", "2", "--workers", "1")
#: A line that tells of the first of each.
FIRST_FILE, FIRST_ANSWER, FIRST_DERIVED = r"^  COMPLETED ", r"^  \w+ \d+min: [\d,]+ new", r"min from \d+min: "
#: Seconds. A second or two, on a machine that has a lot else to do; whoever waits for an answer waits for 20.
AT_ONCE = 15.0


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    edition = Edition.complete("2024Q2", intervals=(Interval.M1, Interval.M60))
    return write_archive(FOUR, edition, tmp_path_factory.mktemp("archives")).path


@pytest.fixture(scope="module")
def one_sandbox() -> Iterator[Sandbox]:
    with sandbox() as found:
        yield found


@pytest.fixture
def there(one_sandbox: Sandbox) -> Iterator[Sandbox]:
    one_sandbox.watched.arrived.clear()
    yield one_sandbox
    one_sandbox.watched.let_go()


@pytest.fixture(scope="module")
def undisturbed(archive: Path, one_sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Commands:
    commands = Commands(tmp_path_factory.mktemp("undisturbed"))
    done = one_sandbox.run(commands, "ingest_kraken_unified", "--source", archive, *ASKED)
    assert done.status == 0, done.err
    assert re.search(FIRST_DERIVED, done.out)
    return commands


def newest_job(commands: Commands) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(commands("list_jobs", "--json").out)["jobs"][0]
    return found


MOMENTS = {"files": FIRST_FILE, "requests": FIRST_ANSWER, "derivation": FIRST_DERIVED}


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_second_one_stops_at_once_even_while_workers_work_and_requests_wait(
    fresh: Commands, archive: Path, there: Sandbox, undisturbed: Commands, moment: str
) -> None:
    there.watched.hold(after=3)
    if moment == "derivation":
        there.watched.let_go()
    asked = ("ingest_kraken_unified", "--source", archive, *ASKED)
    with started(fresh, *asked, python=["-X", "dev"], **there.environment) as run:
        run.wait_for(MOMENTS[moment])
        # What they have in hand is never finished.
        freeze_workers(run)
        run.signal(signal.SIGINT)
        run.wait_for("Stopping after what is in hand", of="err")
        run.signal(signal.SIGINT)
        stopped = run.end(within=AT_ONCE)
        assert run.left_behind() == []
    assert stopped.status == 130, stopped
    assert_clean(stopped)
    job = newest_job(fresh)
    assert job["status"] == "PAUSED"
    assert f"ingest_kraken_unified --resume {job['job_id'][:8]}" in stopped.err
    there.watched.let_go()
    done = there.run(fresh, "ingest_kraken_unified", "--resume", job["job_id"][:8])
    assert done.status == 0, done
    assert_as_undisturbed(fresh, undisturbed)


def freeze_workers(run: Started) -> None:
    """They are started by a process that the command has started."""
    workers = [child for server in psutil.Process(run.process.pid).children() for child in server.children()]
    assert workers
    for worker in workers:
        worker.suspend()
