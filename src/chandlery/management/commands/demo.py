"""The whole story on a made-up exchange, one screen after another, and every figure held against the truth."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import polars as pl
from django.conf import settings
from django.core.management.base import CommandParser

from chandlery.candles.compare import compare
from chandlery.candles.interval import Interval
from chandlery.candles.series import Series
from chandlery.candles.timerange import TimeRange
from chandlery.config.options import OPTIONS
from chandlery.errors import ChandleryError, UsageError
from chandlery.exchanges.kraken.names import asset_ticker
from chandlery.management.base import ChandleryCommand
from chandlery.management.ingestion import PAUSED
from chandlery.sandbox.archives import write_archive
from chandlery.sandbox.editions import Container, Edition, Shape
from chandlery.sandbox.exchange import SandboxExchange
from chandlery.sandbox.rest import SandboxApi
from chandlery.sandbox.server import serve
from chandlery.stores import open_store
from chandlery.stores.parquet import ParquetLake

#: Where the archives end, and what time it is on the made-up exchange.
ARCHIVED_UNTIL = datetime(2024, 7, 1, tzinfo=UTC)
NOW = datetime(2024, 8, 29, 10, 17, 30, tzinfo=UTC)
LATER = NOW + timedelta(hours=2)
INTERVALS = (Interval.M60, Interval.M720, Interval.M1440)
#: Some archives leave out 30, 240 and 720 minutes.
PUBLISHED = (Interval.M1, Interval.M5, Interval.M15, Interval.M60, Interval.M1440)
#: The real exchange allows one request a second for a market; nobody waits for that in a demo.
RATE = "50"
_SETTINGS = {option.name for option in OPTIONS} - {"WORKERS"}
#: Longer than any run here.
PATIENCE_SECONDS = 120.0


class NotTheTruth(ChandleryError):
    """The report and the made-up exchange disagree about {what}: reported {found}, true {expected}."""


class NotEmpty(UsageError):
    """{url} holds candles, and the demo makes its own; name a table that is not there yet"""


class CommandFailed(ChandleryError):
    """The command ended with status {status}; expected {expected}."""


@dataclass(slots=True)
class HandSetClock:
    """The made-up exchange's time of day."""

    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now


@dataclass(slots=True)
class Home:
    """Where the story takes place: a folder with settings of its own."""

    folder: Path
    clock: HandSetClock = field(default_factory=HandSetClock)
    #: Where its candles are kept.
    store_url: str = field(default="parquet:data/candles", repr=False)

    @property
    def shown_store(self) -> str:
        store = open_store(self.store_url, self.folder)
        return str(store.root) if isinstance(store, ParquetLake) else store.url

    @property
    def log(self) -> Path:
        return self.folder / "ingest.jsonl"

    def start(self, command: Sequence[str], *, quiet: bool = False) -> "subprocess.Popen[str]":
        """One of our commands, as a person would start it."""
        program = [sys.executable, *([sys.argv[0]] if settings.PROGRAM.startswith("python") else ["-m", "chandlery"])]
        return subprocess.Popen(
            [*program, *command],
            # Nothing that is set for real candles may reach a made-up exchange's.
            env={name: value for name, value in os.environ.items() if name not in _SETTINGS}
            | {"CHANDLERY_HOME": str(self.folder), "CLOCK": self.clock.now.isoformat()},
            stdout=subprocess.PIPE if quiet else None,
            text=True,
        )


class Command(ChandleryCommand):
    help = (
        "Show the main job offline: a made-up exchange publishes archives and answers on loopback, one command brings "
        "everything in, is interrupted, goes on, and is kept current; truth is checked."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--folder", metavar="PATH", help="made anew (default: build/demo in the home folder)")
        parser.add_argument(
            "--store",
            metavar="STORE",
            default="parquet:data/candles",
            help="keep its candles in questdb://…/TABLE instead, which has to be empty",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        named = options["folder"]
        folder = Path(named).absolute() if named else Path(settings.CHANDLERY_HOME) / "build" / "demo"
        home = Home(folder, store_url=options["store"])
        made_up = exchange()
        with serve(SandboxApi(made_up, home.clock, rate=float(RATE))) as server:
            _start_afresh(home, server.url)
            self._tell(made_up, home)

    def _tell(self, exchange: SandboxExchange, home: Home) -> None:
        self._say("A made-up exchange publishes its history up to the last quarter: a complete set, one more ZIP")
        for line in _publish(exchange, home.folder / "data" / "archives"):
            self.stdout.write(f"  {line}")
        what = ["--tier", "TIER1", "--intervals", ",".join(str(int(i)) for i in INTERVALS)]
        ingest = ["ingest_kraken_unified", *what]
        self._say("One command brings it in. Someone presses Ctrl-C when a first file is through")
        self._run(home, [*ingest, "--complete", "--yes"], expected=PAUSED, interrupt=True)
        self._say(
            "The command that it printed goes on: the rest of the files, the exchange's weekly counts against them,"
            "\n  and trades for the two months since the last archive, of which the API tells the newest 30 days only"
        )
        job = json.loads(self._run(home, ["list_jobs", "--json"], quiet=True))["jobs"][0]["job_id"][:8]
        self._run(home, ["ingest_kraken_unified", "--resume", job, "--yes"])
        home.clock.now = LATER
        self._say("Two hours later, as cron would do it: only what is new")
        self._run(home, [*ingest, "--incremental", "--yes"])
        self._say("And again at the same time: nothing is new, nothing is written")
        self._run(home, [*ingest, "--incremental", "--yes"])
        self._say("Every figure of the report, and every candle, held against the truth")
        reported = json.loads(self._run(home, ["report_completeness", *what, "--json"], quiet=True))
        self.stdout.write(f"  {_held_against_truth(exchange, home, reported)}")
        self._say("What do I have?")
        self._run(home, ["report_completeness", *what])
        self.stdout.write(f"\nThe candles are in {home.shown_store}")

    def _say(self, text: str) -> None:
        self.stdout.write(f"\n▸ {text}\n")

    def _run(
        self, home: Home, command: list[str], *, expected: int = 0, quiet: bool = False, interrupt: bool = False
    ) -> str:
        """Run one of our commands as a person would, in the demo's home. Raises CommandFailed."""
        if not quiet:
            self.stdout.write(f"  $ {settings.PROGRAM} {' '.join(command)}\n")
        self.stdout.flush()
        with home.start(command, quiet=quiet) as process:
            if interrupt:
                _wait_for_a_file(home.log, process)
                process.send_signal(signal.SIGINT)
            out, _ = process.communicate()
        if process.returncode != expected:
            raise CommandFailed(status=process.returncode, expected=expected)
        return out or ""


def _wait_for_a_file(log: Path, process: "subprocess.Popen[str]") -> None:
    """Until the run's log says that a file is through, or the run is over."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        if log.exists() and '"FileDone"' in log.read_text():
            return
        time.sleep(0.02)


def exchange() -> SandboxExchange:
    """The made-up one: those of its dollar markets that traded when the last archive was made."""
    whole = SandboxExchange()
    return whole.only(*(m.altname for m in whole.cast if m.quote == "ZUSD" and m.listed < ARCHIVED_UNTIL))


def _start_afresh(home: Home, api: str) -> None:
    """An empty home, with a tier of the made-up exchange's assets, and its address in place of Kraken's."""
    shutil.rmtree(home.folder, ignore_errors=True)
    store = open_store(home.store_url, home.folder)
    if any(store.series()):
        raise NotEmpty(url=store.url)
    home.folder.mkdir(parents=True)
    tickers = ", ".join(f'"{asset_ticker(market.base)}"' for market in exchange().cast)
    (home.folder / "tiers.toml").write_text(f"[tiers]\nTIER1 = [{tickers}]\nTIER2 = []\nTIER3 = []\n")
    said = {"TIERS_FILE": "tiers.toml", "KRAKEN_API": api, "KRAKEN_RATE": RATE, "LOG_FILE": home.log.name}
    said["CANDLE_STORE"] = home.store_url
    (home.folder / "settings.env").write_text("".join(f"{name}={value}\n" for name, value in said.items()))


def _publish(exchange: SandboxExchange, folder: Path) -> list[str]:
    parts = Shape(container=Container.SPLIT, part_bytes=32 << 20, manifest=True)
    editions = (
        (Edition.complete("2024Q1", intervals=PUBLISHED), parts),
        (Edition.quarterly("2024Q2", intervals=PUBLISHED), Shape(nested="master_q2", macosx=True)),
    )
    said = []
    with ProcessPoolExecutor(settings.WORKERS, mp_context=get_context("forkserver")) as executor:
        for edition, shape in editions:
            written = write_archive(exchange, edition, folder, shape, executor)
            parted = f" in {len(written.files)} parts" if len(written.files) > 1 else ""
            said.append(f"{written.path.name}{parted}: {written.pairs} markets, {written.rows:,} candles")
    return said


def _held_against_truth(exchange: SandboxExchange, home: Home, reported: dict[str, Any]) -> str:
    """What was compared. Raises NotTheTruth at the first figure or candle that differs."""
    store = open_store(home.store_url, home.folder)
    slots = candles = 0
    expected_series = {(market.altname, int(interval)) for market in exchange.cast for interval in INTERVALS}
    found = {(entry["market"], entry["interval_minutes"]): entry for entry in reported["series"]}
    _agree("the series", set(found), expected_series)
    for (name, minutes), entry in sorted(found.items()):
        interval = Interval(minutes)
        series = Series("kraken", name, interval)
        first = exchange.first_trade(name)
        assert first is not None, "every market of the demo trades"
        within = TimeRange(interval.floor(first), interval.floor(LATER))
        truth = exchange.truth(series, within)
        expected = _expected(truth, within, interval)
        _agree(f"gaps of {series}", entry["gaps"], [])
        for figure, value in expected.items():
            _agree(f"{figure} of {series}", entry[figure], value)
        compared = compare(store.read(series), truth)
        _agree(f"candles of {series}", compared.identical, True)
        slots += within.slots(interval)
        candles += truth.height
    return f"Equal: {len(found)} series, {slots:,} slots, {candles:,} candles, candle by candle."


def _expected(truth: pl.DataFrame, within: TimeRange, interval: Interval) -> dict[str, float]:
    """The figures of a series: what is quiet is confirmed up to the end of the archives, proven up to the end of the
    walk over trades, and after that what the API claims.
    """

    def quiet(start: datetime, end: datetime) -> int:
        part = within.intersection(TimeRange(start, end)) if start < end else None
        if part is None:
            return 0
        return (
            part.slots(interval)
            - truth.filter(pl.col("timestamp").is_between(part.start, part.end, closed="left")).height
        )

    slots, walked_until = within.slots(interval), interval.floor(NOW)
    return {
        "slots": slots,
        "traded": truth.height,
        "quiet_confirmed": quiet(within.start, ARCHIVED_UNTIL),
        "quiet_proven": quiet(ARCHIVED_UNTIL, walked_until),
        "quiet_claimed": quiet(walked_until, within.end),
        "suspect": 0,
        "missing": 0,
        "unlisted": 0,
        "completeness": 1.0,
        "density": truth.height / slots,
    }


def _agree(what: str, found: object, expected: object) -> None:
    if found != expected:
        raise NotTheTruth(what=what, found=found, expected=expected)
