"""Whatever stops a run costs nothing: the command that it prints goes on, and in the end all is as if undisturbed."""

import itertools
import json
import random
import re
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import pytest

from chandlery.candles.interval import Interval
from chandlery.sandbox.rest import SandboxApi
from chandlery.sandbox.server import serve
from tests.acceptance.against_truth import assert_same_lake
from tests.acceptance.commands import Commands
from tests.acceptance.survival import (
    ASKED,
    EXCHANGE,
    MAIN,
    NOW,
    Gate,
    Left,
    Started,
    archive_in,
    assert_tidy,
    jobs_in,
    left_in,
    ran,
    started,
    writing_held_up,
)
from tests.databases import SERVER


@pytest.fixture(scope="module")
def exchange() -> Iterator[tuple[Gate, str]]:
    gate = Gate(SandboxApi(EXCHANGE, lambda: NOW))
    with serve(gate) as server:
        yield gate, server.url
        gate.open()


@pytest.fixture(scope="module")
def archived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("archived")
    archive_in(folder)
    return folder / "data" / "archives"


@pytest.fixture(scope="module")
def undisturbed(exchange: tuple[Gate, str], archived: Path, tmp_path_factory: pytest.TempPathFactory) -> Left:
    home = tmp_path_factory.mktemp("undisturbed")
    done = ran(home, exchange[1], MAIN, *ASKED, "--source", str(archived))
    assert (done.status, done.err) == (0, "")
    return left_in(home)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


def begun(home: Path, url: str, archived: Path) -> Started:
    return started(home, url, MAIN, *ASKED, "--source", str(archived))


def resume_printed(told: str) -> list[str]:
    """The command that was printed, as it is typed after the name of the program."""
    found = re.findall(r"go on with:\s+python manage.py (\S+ --resume \w+)$", told, re.MULTILINE)
    assert len(found) == 1, told
    return str(found[0]).split()


def check_goes_on(home: Path, url: str, told: str, undisturbed: Left) -> None:
    """The command that was printed tells how far the job had come, finishes it, and all is as if undisturbed."""
    done = ran(home, url, *resume_printed(told), "--yes")
    assert (done.status, done.err) == (0, "")
    assert re.search(r"^Resuming job \w+ \(PAUSED 2024-04-20 06:17 UTC\): files \d+/\d+", done.out, re.MULTILINE)
    check_same(home, undisturbed)
    assert [status for _, status in jobs_in(home)] == ["COMPLETED"]


def check_same(home: Path, undisturbed: Left) -> None:
    (lake, state), (expected_lake, expected_state) = left_in(home), undisturbed
    assert_same_lake(lake, expected_lake)
    for name, rows in expected_state.items():
        assert state[name] == rows, name
    assert_tidy(home)


class Held:
    """Where a run is held up: `begin` it, and wait `until_there`."""

    def __init__(self, where: str, home: Path, gate: Gate) -> None:
        self.where, self.gate = where, gate
        self._stack = ExitStack()
        self._holding: Sequence[AbstractContextManager[None]] = {
            "files": [writing_held_up(home, name, Interval.M60) for name in EXCHANGE.names[1:]],
            "requests": [gate.held(4)],
            "an answer": [writing_held_up(home, name, Interval.M30) for name in EXCHANGE.names],
            "derivation": [writing_held_up(home, "XBTUSD", Interval.M720)],
        }[where]

    def __enter__(self) -> "Held":
        for holding in self._holding:
            self._stack.enter_context(holding)
        if self.where == "an answer":
            self._stack.enter_context(self.gate.held(100))
        return self

    def __exit__(self, *_: object) -> None:
        self.go_on()

    def until_there(self, run: Started) -> None:
        match self.where:
            case "files":
                run.until("COMPLETED")
            case "requests":
                run.until("Step 5/6")
                # Four are answered, the others wait.
                self.gate.wait_for(9)
            case "an answer":
                run.until("Step 5/6")
                # All but one, which waits for a connection.
                self.gate.wait_for(8)
            case _:
                run.until("240min from 60min")
        assert run.wait(0.3) is None, "it is held up"

    def go_on(self) -> None:
        self._stack.close()


WHERE = ["files", "requests", "an answer", "derivation"]
#: One of each kind at once, all of them in the slow set.
STOPS = [
    pytest.param(
        *(where, number),
        id=f"{name}-{where}",
        marks=() if (name, where) in {("Ctrl-C", "requests"), ("SIGTERM", "files")} else pytest.mark.slow,
    )
    for name, number in (("Ctrl-C", signal.SIGINT), ("SIGTERM", signal.SIGTERM))
    for where in WHERE
]


@pytest.mark.parametrize(("where", "number"), STOPS)
def test_a_run_that_is_asked_to_stop_is_paused_and_goes_on_as_if_undisturbed(
    home: Path, exchange: tuple[Gate, str], archived: Path, undisturbed: Left, where: str, number: int
) -> None:
    gate, url = exchange
    with Held(where, home, gate) as held, begun(home, url, archived) as run:
        held.until_there(run)
        run.signal(number)
        run.until("Stopping after what is in hand")
        if where != "requests":  # which are dropped
            held.go_on()
        assert run.ended() == 130, run.text
    assert "Traceback" not in run.text, run.text
    assert [status for _, status in jobs_in(home)] == ["PAUSED"]
    assert_tidy(home)
    check_goes_on(home, url, run.text, undisturbed)


@pytest.mark.parametrize(
    "where", [pytest.param(where, marks=() if where == "derivation" else pytest.mark.slow) for where in WHERE]
)
def test_a_second_ctrl_c_stops_at_once_and_nothing_is_lost(
    home: Path, exchange: tuple[Gate, str], archived: Path, undisturbed: Left, where: str
) -> None:
    gate, url = exchange
    # A first answer is being written, and so waits for something: no request that would be dropped.
    with Held(where, home, gate) as held, begun(home, url, archived) as run:
        held.until_there(run)
        run.signal(signal.SIGINT)
        run.until("Stopping after what is in hand")
        run.signal(signal.SIGINT)
        # While it is still held up: who waits for that does not end.
        assert run.ended() == 130, run.text
    assert "Traceback" not in run.text, run.text
    assert [status for _, status in jobs_in(home)] == ["PAUSED"]
    check_goes_on(home, url, run.text, undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "times"),
    [
        pytest.param(signal.SIGKILL, 6 if SERVER else 20, id="killed"),
        pytest.param(signal.SIGINT, 5, id="Ctrl-C"),
        pytest.param(signal.SIGTERM, 5, id="SIGTERM"),
    ],
)
def test_stopped_at_random_moments_again_and_again_jobs_end_as_if_undisturbed(
    tmp_path: Path, exchange: tuple[Gate, str], archived: Path, undisturbed: Left, number: int, times: int
) -> None:
    """Resumed and stopped again until a job is done; then the next one, in another home."""
    _, url = exchange
    moments, stopped = random.Random(int(number)), 0
    while stopped < times:
        home = tmp_path / f"{len(list(tmp_path.iterdir()))}"
        home.mkdir()
        stopped += stop_until_done(home, url, archived, number, moments)
        check_same(home, undisturbed)


def stop_until_done(home: Path, url: str, archived: Path, number: int, moments: random.Random) -> int:
    """How often the command was stopped before it came to its end."""
    began = time.monotonic()
    jobs = jobs_of(home)
    start_up = time.monotonic() - began
    for stopped in itertools.count():
        resuming = ("--resume", jobs[0]["job_id"][:8], "--yes", "-v", "2") if jobs else ASKED
        with started(home, url, MAIN, *resuming, *([] if jobs else ["--source", str(archived)])) as run:
            # From before there is a job to its very end.
            if run.wait(start_up * moments.uniform(0.5, 3.0)) is None:
                run.signal(number)
            status = run.ended()
        assert "Traceback" not in run.text, run.text
        assert status in (0, 130, -number), run.text
        jobs = jobs_of(home)
        assert [job["status"] for job in jobs] in ([], ["FAILED"], ["PAUSED"], ["COMPLETED"])
        if status == 0:
            assert [job["status"] for job in jobs] == ["COMPLETED"]
            return stopped
    raise AssertionError("counting does not end")


def jobs_of(home: Path) -> list[dict[str, Any]]:
    """As the user is told of them."""
    found: list[dict[str, Any]] = json.loads(Commands(home)("list_jobs", "--json").out)["jobs"]
    return found
