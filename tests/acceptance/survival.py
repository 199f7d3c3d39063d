"""A run with archives, an exchange and derivations that can be held up anywhere, and what it leaves behind."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import IO, Self
from wsgiref.types import StartResponse, WSGIEnvironment

import polars as pl
from filelock import FileLock

from chandlery.candles.interval import Interval
from chandlery.candles.series import Series
from chandlery.sandbox.archives import write_archive
from chandlery.sandbox.editions import Edition
from chandlery.sandbox.exchange import SandboxExchange
from chandlery.sandbox.rest import SandboxApi
from tests.acceptance.commands import Commands
from tests.acceptance.in_process import lake_contents
from tests.candles.builders import at
from tests.conftest import CHECKOUT, CompletedRun, clean_environment
from tests.databases import queried

EXCHANGE = SandboxExchange.small()
NOW = at("2024-04-20 06:17") + timedelta(seconds=23)
#: Hours and days come from files; 5, 30 and 60 minutes are asked for; the rest is derived.
ASKED = (
    "--markets",
    ",".join(EXCHANGE.names),
    "--intervals",
    "5,30,60,240,720,1440",
    "--workers",
    "1",
    "--yes",
    "-v",
    "2",
)
MAIN = "ingest_kraken_unified"
OVERDUE = 60.0


class Gate:
    """In front of a sandbox: lets the first `open_for` questions for candles through and holds up the others, all or
    those of one interval.
    """

    def __init__(self, api: SandboxApi) -> None:
        self.api = api
        self._changed = threading.Condition()
        self._open_for: int | None = None
        self._seen = 0
        self._part = "pair="

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"].endswith("/OHLC") and self._part in f"{environ['QUERY_STRING']}&":
            with self._changed:
                self._seen += 1
                number = self._seen
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._open_for is None or number <= self._open_for, OVERDUE)
        return self.api(environ, start_response)

    @contextmanager
    def held(self, open_for: int, interval: Interval | None = None) -> Iterator[None]:
        with self._changed:
            self._open_for, self._seen = open_for, 0
            self._part = "pair=" if interval is None else f"interval={int(interval)}&"
        try:
            yield
        finally:
            self.open()

    def open(self) -> None:
        with self._changed:
            self._open_for = None
            self._changed.notify_all()

    def wait_for(self, number: int) -> None:
        """Until so many questions for candles have come in since the gate was closed."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._seen >= number, OVERDUE), f"{self._seen} requests only"


class Started:
    """manage.py in a process group of its own, its lines read as they come; use it in a `with`."""

    def __init__(self, home: Path, *typed: str, trades: bool = False, **environment: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(CHECKOUT / "manage.py"), *Commands(home, trades).typed(typed, environment)],
            cwd=home,
            env=clean_environment(home) | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        self._lines: IO[str] = self._process.stdout
        self._told: list[str] = []
        # What neither ends nor says anything would keep a test waiting for ever.
        self._overdue = threading.Timer(OVERDUE, self.signal, (signal.SIGKILL,))
        self._overdue.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._overdue.cancel()
        self.signal(signal.SIGKILL)
        self._process.wait()
        self._lines.close()

    @property
    def text(self) -> str:
        return "".join(self._told)

    def until(self, said: str) -> Self:
        for line in self._lines:
            self._told.append(line)
            if said in line:
                return self
        raise AssertionError(f"{said!r} was not said:\n{self.text}")

    def signal(self, number: int) -> None:
        """To the command and all it started, as a terminal does."""
        try:
            os.killpg(self._process.pid, number)
        except ProcessLookupError:
            return

    def ended(self) -> int:
        """The exit status, once the last of its processes has ended: until then one of them keeps the output open."""
        self._told += self._lines.readlines()
        status = self._process.wait()
        assert self._overdue.is_alive(), f"not over after {OVERDUE:g} s:\n{self.text}"
        return status

    def wait(self, seconds: float) -> int | None:
        """The exit status if it ends in so many seconds."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None


def archive_in(home: Path) -> None:
    """A complete history up to the end of March."""
    edition = Edition.complete("2024Q1", intervals=(Interval.M60, Interval.M1440))
    write_archive(EXCHANGE, edition, home / "data" / "archives")


def started(home: Path, url: str, *typed: str, **environment: str) -> Started:
    """Asking the exchange at `url`, without a wait."""
    around = {"CLOCK": NOW.isoformat(), "KRAKEN_API": url, "KRAKEN_RATE": "0", "KRAKEN_RETRY_WAIT": "0"}
    return Started(home, *typed, trades=False, **{**around, **environment})


def ran(home: Path, url: str, *typed: str, **environment: str) -> CompletedRun:
    """The same, to its end; output and errors apart."""
    return Commands(home)(
        *typed,
        **{"CLOCK": NOW.isoformat(), "KRAKEN_RATE": "0", "KRAKEN_RETRY_WAIT": "0", **environment, "KRAKEN_API": url},
    )


@contextmanager
def writing_held_up(home: Path, market: str, interval: Interval) -> Iterator[None]:
    """Whoever writes this series waits for its lock."""
    folder = Commands(home).lake / ".locks"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / f"kraken={market}={int(interval)}.lock"):
        yield


Left = tuple[dict[Series, pl.DataFrame], dict[str, list[tuple[object, ...]]]]

#: What state knows, by names instead of keys and without the times at which it was noted.
_STATE = {
    "coverage": """select altname, interval_minutes, start_date, end_date, source, derived, proven, provisional,
        record_count from chandlery_datacoveragerange join chandlery_market m on market_id = m.id""",
    "days": """select altname, interval_minutes, first_day, packed, first_slot, last_slot, candles
        from chandlery_tradeddays join chandlery_market m on market_id = m.id""",
    "gaps": """select altname, interval_minutes, gap_start, gap_end, missing_candles, reason, is_api_fillable,
        overflow_candles, g.status, required_csv_file
        from chandlery_gaprecord g join chandlery_market m on market_id = m.id where g.status != 'FILLED'""",
    "files": """select file_name, file_hash, rank, interval_minutes, status, records_count, conflicting_records,
        date_range_start, date_range_end, error_message from chandlery_fileingestionrecord""",
    "markets": "select altname, wsname, status, first_trade, delisted_at, absent_since from chandlery_market",
}


def left_in(home: Path) -> Left:
    """Every candle of the lake, and what state knows of them."""
    state = {name: sorted(queried(home, query)) for name, query in _STATE.items()}
    return lake_contents(Commands(home).lake), state


def jobs_in(home: Path) -> list[tuple[str, str]]:
    """(id, status), oldest first, as they stand in the database, whoever asks."""
    return queried(home, "select job_id, status from chandlery_ingestionjob order by created_at, job_id")


def assert_tidy(home: Path) -> None:
    """No half-made file is left, and nobody holds anything."""
    lake = Commands(home).lake
    assert not list(lake.rglob("*.tmp"))
    staging = lake / ".staging"
    assert not staging.exists() or not list(staging.iterdir())
    assert queried(home, "select count(*) from chandlery_lease") == [(0,)]
