"""Leases between real processes: killed, stopped, and several at once on one database file."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from chandlery.models import IngestionJob, JobStatus, Lease, Market
from chandlery.pipeline.lease import Held, SeriesHeld
from chandlery.pipeline.process_identity import LocalProcesses, ProcessIdentity, is_alive, this_process
from tests.candles.builders import at
from tests.conftest import clean_environment
from tests.factories import IngestionJobFactory, MarketFactory

START = at("2026-11-23 22:30")

#: A run of its own: it answers each line it is told with one line. The clock is ahead by so many minutes.
RUN = """
import os, sys
import django
django.setup()
from datetime import UTC, datetime, timedelta
from django.db import transaction
from chandlery.config.database import ensure_migrated
from chandlery.errors import ChandleryError
from chandlery.models import IngestionJob, Lease, Market
from chandlery.pipeline.lease import Held, settle_dead
from chandlery.pipeline.process_identity import LocalProcesses, ProcessIdentity, is_alive, this_process

class Processes:
    host = sys.argv[1] or LocalProcesses().host
    def is_alive(self, process):
        return is_alive(process)

clock = lambda: datetime.now(UTC) + timedelta(minutes=int(sys.argv[2]))
me = this_process()
me = ProcessIdentity(Processes.host, me.pid, me.started)

def prepare():
    ensure_migrated()
    Market.objects.bulk_create(Market(altname=f"M{n}USD") for n in range(50))

def acquire(first, last):
    global held
    series = [(m, i) for m in Market.objects.order_by("pk")[int(first):int(last)] for i in (60, 1440)]
    with transaction.atomic():
        job = IngestionJob.objects.create(status="RUNNING", created_at=clock())
        held = Held.acquire(f"job {os.getpid()}", job, series, clock, me, Processes())

def check():
    with transaction.atomic():
        held.check()

def settle():
    return sum(1 for job in settle_dead(clock(), Processes()))

def leases():
    return Lease.objects.count(), IngestionJob.objects.filter(status="RUNNING").count()

print("ready", flush=True)
for line in sys.stdin:
    verb, *arguments = line.split()
    try:
        print("done", globals()[verb](*arguments), flush=True)
    except ChandleryError as error:
        print(type(error).__name__, error, flush=True)
"""


@dataclass(frozen=True, slots=True)
class OtherRun:
    """`run("acquire 0 10")` tells it, and returns what it answers."""

    process: "subprocess.Popen[str]"

    def __call__(self, line: str) -> str:
        self.tell(line)
        return self.answer()

    def tell(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def answer(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


StartRun = Callable[..., OtherRun]


@pytest.fixture
def start_run(home: Path) -> Iterator[StartRun]:
    """`start_run(host="feeder-2", ahead=3)`: a process on the database of `home`."""
    environment = clean_environment(home) | {"DJANGO_SETTINGS_MODULE": "chandlery.config.settings"}
    with ExitStack() as runs:

        def start(host: str = "", ahead: int = 0) -> OtherRun:
            arguments = [sys.executable, "-c", RUN, host, str(ahead)]
            run = OtherRun(runs.enter_context(living(arguments, environment)))
            assert run.answer() == "ready"
            return run

        yield start


@contextmanager
def living(arguments: list[str], environment: dict[str, str] | None = None) -> Iterator["subprocess.Popen[str]"]:
    """A process that is killed in the end."""
    process = subprocess.Popen(
        arguments, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def lingering() -> AbstractContextManager["subprocess.Popen[str]"]:
    return living([sys.executable, "-c", "import sys; sys.stdin.read()"])


def identity(process: "subprocess.Popen[str]") -> ProcessIdentity:
    return ProcessIdentity(LocalProcesses().host, process.pid, psutil.Process(process.pid).create_time())


def kill(process: "subprocess.Popen[str]") -> None:
    """As kill -9 does, and nobody has reaped it yet."""
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)


@pytest.fixture
def market() -> Market:
    return MarketFactory.create(altname="XBTUSD")


# ---------------------------------------------------------------------------------------- who is alive


def test_a_process_is_alive_until_it_is_killed() -> None:
    with lingering() as process:
        known = identity(process)
        assert is_alive(known)
        kill(process)
        assert not is_alive(known)  # a zombie by now
        process.wait()
        assert not is_alive(known)


def test_a_stopped_process_is_alive() -> None:
    with lingering() as process:
        known = identity(process)
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
        assert is_alive(known)


def test_a_pid_that_is_used_again_is_another_process() -> None:
    me = this_process()
    assert is_alive(ProcessIdentity(me.host, me.pid, me.started + 1.5))
    assert not is_alive(ProcessIdentity(me.host, me.pid, me.started - 60))


@pytest.mark.django_db
def test_the_lease_of_a_killed_process_falls_at_once(market: Market) -> None:
    job = IngestionJobFactory.create()
    with lingering() as process:
        Held.acquire("job 1a2b3c4d", job, [(market, 60)], lambda: START, identity(process))
        with pytest.raises(SeriesHeld, match=f"process {process.pid} on this machine"):
            Held.acquire("job 9f8e7d6c", None, [(market, 60)], lambda: START)
        kill(process)
        held = Held.acquire("job 9f8e7d6c", None, [(market, 60)], lambda: START)
    assert Lease.objects.get().pk == held.token
    assert IngestionJob.objects.get().status == JobStatus.FAILED


@pytest.mark.django_db
def test_the_lease_of_a_pid_that_is_used_again_falls(market: Market) -> None:
    me = this_process()
    before = ProcessIdentity(me.host, me.pid, me.started - 3600)
    Held.acquire("job 1a2b3c4d", None, [(market, 60)], lambda: START, before)
    held = Held.acquire("job 9f8e7d6c", None, [(market, 60)], lambda: START)
    assert Lease.objects.get().pk == held.token


# ---------------------------------------------------------------------------------- on one database file


@pytest.mark.slow
def test_of_runs_that_start_at_once_exactly_one_gets_the_series(start_run: StartRun) -> None:
    start_run()("prepare")
    runs = [start_run() for _ in range(4)]
    for n, run in enumerate(runs):
        run.tell(f"acquire {n} {n + 40}")
    answers = [run.answer() for run in runs]
    won = [run for run, answer in zip(runs, answers, strict=True) if answer.startswith("done")]
    refused = [answer for answer in answers if answer.startswith("SeriesHeld")]
    assert (len(won), len(refused)) == (1, 3), answers
    assert all(f"job {won[0].process.pid} (process {won[0].process.pid} on this machine" in line for line in refused)
    assert won[0]("check") == "done None"
    assert won[0]("leases") == "done (1, 1)"


@pytest.mark.slow
def test_of_runs_that_find_a_killed_one_in_the_way_exactly_one_takes_its_place(start_run: StartRun) -> None:
    first = start_run()
    first("prepare")
    first("acquire 0 50")
    runs = [start_run() for _ in range(3)]
    assert runs[0]("acquire 10 20").startswith("SeriesHeld")
    kill(first.process)
    for run in runs:
        run.tell("acquire 0 50")
    answers = sorted(run.answer().split()[0] for run in runs)
    assert answers == ["SeriesHeld", "SeriesHeld", "done"]
    assert runs[0]("leases") == "done (1, 1)"


@pytest.mark.slow
def test_a_killed_run_is_marked_by_the_next_one_that_looks(start_run: StartRun) -> None:
    killed, living = start_run(), start_run()
    killed("prepare")
    killed("acquire 0 10")
    living("acquire 10 20")
    kill(killed.process)
    looking = start_run()
    assert looking("settle") == "done 1"
    assert looking("leases") == "done (1, 1)"
    assert living("check") == "done None"


@pytest.mark.slow
def test_a_stopped_run_finds_that_another_host_has_taken_over(start_run: StartRun) -> None:
    stopped, early, late = start_run("feeder-1"), start_run("feeder-2", 1), start_run("feeder-2", 3)
    stopped("prepare")
    stopped("acquire 0 10")
    stopped.process.send_signal(signal.SIGSTOP)
    assert early("acquire 5 15").startswith("SeriesHeld")
    assert late("acquire 5 15") == "done None"
    stopped.process.send_signal(signal.SIGCONT)
    assert stopped("check").startswith("LeaseLost")
    assert late("check") == "done None"
