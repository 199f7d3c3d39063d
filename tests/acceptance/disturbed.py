"""Runs that are disturbed: a sandbox that can hold its answers back, commands to be signalled, and what they leave."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from threading import Condition, Event, Thread
from typing import IO
from wsgiref.types import StartResponse, WSGIEnvironment

import psutil
from polars.testing import assert_frame_equal

from chandlery.sandbox.exchange import SandboxExchange
from chandlery.sandbox.market import SandboxMarket
from chandlery.sandbox.rest import SandboxApi
from chandlery.sandbox.server import SandboxServer, serve
from tests.acceptance.commands import Commands
from tests.acceptance.in_process import lake_contents
from tests.candles.builders import at
from tests.conftest import CHECKOUT, CompletedRun, clean_environment
from tests.databases import queried
from tests.sandbox.asked import Hands

NAMES = ("XBTUSD", "ETHUSD", "SOLUSD", "ADAUSD")
FOUR = SandboxExchange(
    cast=tuple(
        SandboxMarket(name, f"{name[:3]}/USD", name[:3], "ZUSD", listed=at("2024-05-02 10:07"), share=0.2, depth=0.5)
        for name in NAMES
    ),
    outages=(),
)
#: Six weeks after the newest archive ends: of hours there is a hole, days have none.
NOW = at("2024-08-20 14:07")
#: Nothing in a test takes longer, unless it hangs. Seconds.
PATIENCE = 60.0


# ----------------------------------------------------------------------------------------------------------- sandbox


@dataclass
class Watched:
    """The sandbox's API, each request noted as it arrives; those that `held` names wait until they are let go."""

    api: SandboxApi
    held: Callable[[str], bool] = lambda request: False
    arrived: list[str] = field(default_factory=list)
    _changed: Condition = field(default_factory=Condition)
    _gate: Event = field(default_factory=Event)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        request = f"{environ['PATH_INFO']}?{environ['QUERY_STRING']}"
        with self._changed:
            self.arrived.append(request)
            self._changed.notify_all()
        if self.held(request):
            self._gate.wait(PATIENCE)
        return self.api(environ, start_response)

    def wait_for(self, requests: int, of: str = "OHLC") -> None:
        """Until so many requests have arrived whose address holds `of`."""
        with self._changed:
            there = self._changed.wait_for(lambda: sum(of in one for one in self.arrived) >= requests, PATIENCE)
        assert there, self.arrived

    def hold(self, of: str = "OHLC", after: int = 0) -> None:
        """From now on let requests wait whose address holds `of`, except the first `after`."""
        self._gate.clear()
        left = iter(range(after))
        self.held = lambda request: of in request and next(left, None) is None

    def let_go(self) -> None:
        self.held = lambda request: False
        self._gate.set()


@dataclass(frozen=True, slots=True)
class Sandbox:
    """What is served, and how."""

    server: SandboxServer
    watched: Watched
    api: SandboxApi
    hands: Hands

    @property
    def environment(self) -> dict[str, str]:
        clock = f"{self.hands.now:%Y-%m-%dT%H:%M:%SZ}"
        return {"KRAKEN_API": self.server.url, "KRAKEN_RATE": "0", "KRAKEN_RETRY_WAIT": "0", "CLOCK": clock}

    def run(self, commands: Commands, *arguments: object, **others: str) -> CompletedRun:
        """A command that asks it, and its clock."""
        return commands(*arguments, **self.environment | others)


@contextmanager
def sandbox(exchange: SandboxExchange = FOUR, now: datetime = NOW, rate: float = 0.0) -> Iterator[Sandbox]:
    """`rate` is measured by a real clock."""
    hands = Hands(now)
    api = SandboxApi(exchange, hands, rate=rate)
    watched = Watched(api)
    with serve(watched) as server:
        try:
            yield Sandbox(server, watched, api, hands)
        finally:
            watched.let_go()


# --------------------------------------------------------------------------------------------------------- commands


class Started:
    """A command that runs, in a process group of its own, and what it has said so far."""

    def __init__(self, commands: Commands, *arguments: object, python: Iterable[str] = (), **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, *python, str(CHECKOUT / "manage.py"), *commands.typed(arguments, environment)],
            cwd=commands.home,
            env=clean_environment(commands.home) | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._said: dict[str, list[str]] = {"out": [], "err": []}
        self._changed = Condition()
        self._ended: set[str] = set()
        streams = {"out": self.process.stdout, "err": self.process.stderr}
        self._readers = [Thread(target=self._read, args=(name, stream)) for name, stream in streams.items()]
        for reader in self._readers:
            reader.start()

    def wait_for(self, text: str, times: int = 1, of: str = "out") -> None:
        """Until so many lines held what the pattern `text` finds."""
        with self._changed:
            self._changed.wait_for(lambda: self._has(text, times, of) or of in self._ended, PATIENCE)
            assert self._has(text, times, of), (text, self._said)

    def signal(self, number: int) -> None:
        """To the command and all it has started, as a terminal does it."""
        os.killpg(self.process.pid, number)

    def end(self, within: float = PATIENCE) -> CompletedRun:
        """Once the last of its processes has ended. A second more is given to those that it started."""
        status = self.process.wait(within)
        for reader in self._readers:
            reader.join(PATIENCE)
            assert not reader.is_alive(), "a process outlived its command"
        return CompletedRun(status, "".join(self._said["out"]), "".join(self._said["err"]))

    def kill(self) -> CompletedRun:
        self.signal(signal.SIGKILL)
        return self.end()

    def close(self) -> None:
        """Nothing is left behind, whatever came of the test."""
        for process in self._session():
            process.kill()
        self.process.wait(PATIENCE)
        for reader in self._readers:
            reader.join(PATIENCE)
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()

    def left_behind(self) -> list[psutil.Process]:
        """What still runs of all that it has started, once what is just ending has ended."""
        left: list[psutil.Process] = psutil.wait_procs(self._session(), PATIENCE)[1]
        return left

    def _session(self) -> list[psutil.Process]:
        found: list[psutil.Process] = []
        for process in psutil.process_iter():
            try:
                if os.getsid(process.pid) == self.process.pid and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except (ProcessLookupError, psutil.NoSuchProcess):
                continue
        return found

    def _read(self, name: str, stream: IO[str] | None) -> None:
        assert stream is not None, "both are pipes"
        for line in stream:
            with self._changed:
                self._said[name].append(line)
                self._changed.notify_all()
        with self._changed:
            self._ended.add(name)
            self._changed.notify_all()

    def _has(self, text: str, times: int, of: str) -> bool:
        return sum(re.search(text, line) is not None for line in self._said[of]) >= times


@contextmanager
def started(
    commands: Commands, *arguments: object, python: Iterable[str] = (), **environment: str
) -> Iterator[Started]:
    run = Started(commands, *arguments, python=python, **environment)
    try:
        yield run
    finally:
        run.close()


def assert_clean(run: CompletedRun) -> None:
    """No traceback, no warning: nothing on standard error but lines of ours."""
    for sign in ("Traceback", "Warning", "Exception ignored", "leaked", "Error in"):
        assert sign not in run.err, run.err
        assert sign not in run.out, run.out


def errors(run: CompletedRun) -> list[str]:
    """The lines that say that something went wrong."""
    said = [*run.out.splitlines(), *run.err.splitlines()]
    return [line for line in said if line.startswith(("FAILED", "PROBLEM", "Error", "WARNING"))]


# ------------------------------------------------------------------------------------------------- what runs leave

_MARKET = "(select altname from chandlery_market m where m.id = t.market_id)"
#: What state knows of series, without keys and times of recording. Of gaps those that are open: how an interrupted run
#: came to close one is its own history.
_KNOWN = {
    "coverage": (
        f"select {_MARKET}, interval_minutes, source, derived, proven, provisional, start_date, end_date, record_count"
        " from chandlery_datacoveragerange t"
    ),
    "days": (
        f"select {_MARKET}, interval_minutes, first_day, packed, first_slot, last_slot from chandlery_tradeddays t"
    ),
    "gaps": (
        f"select {_MARKET}, interval_minutes, gap_start, gap_end, missing_candles, reason, is_api_fillable,"
        " overflow_candles, status, required_csv_file, error_message"
        " from chandlery_gaprecord t where status <> 'FILLED'"
    ),
    "files": (
        f"select {_MARKET}, interval_minutes, file_name, file_hash, status, records_count, date_range_start,"
        " date_range_end from chandlery_fileingestionrecord t"
    ),
}


def known(home: Path) -> dict[str, list[tuple[object, ...]]]:
    """What state says of every series, in order, read by nothing of ours."""
    return {name: sorted(queried(home, query), key=repr) for name, query in _KNOWN.items()}


def assert_as_undisturbed(disturbed: Commands, undisturbed: Commands) -> None:
    """The same candles, and the same said of them; nothing half made, nobody's lock."""
    ours, theirs = lake_contents(disturbed.lake), lake_contents(undisturbed.lake)
    assert ours.keys() == theirs.keys()
    for series, rows in theirs.items():
        assert_frame_equal(ours[series], rows, check_exact=True)
    found, expected = known(disturbed.home), known(undisturbed.home)
    for name, state in expected.items():
        assert found[name] == state, name
    assert not list((disturbed.lake / ".staging").iterdir())
    assert queried(disturbed.home, "select count(*) from chandlery_lease") == [(0,)]
