"""The whole story on a made-up exchange: its archives in, the report out, every figure held against the truth."""

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser

from chandlery.candles.compare import compare
from chandlery.candles.interval import Interval
from chandlery.candles.series import Series
from chandlery.candles.timerange import TimeRange
from chandlery.errors import ChandleryError
from chandlery.exchanges.kraken.names import asset_ticker
from chandlery.management.base import ChandleryCommand
from chandlery.sandbox.archives import write_archive
from chandlery.sandbox.editions import Container, Edition, Shape
from chandlery.sandbox.exchange import SandboxExchange
from chandlery.stores import open_store

LAST_DAY = "2024-06-30"
INTERVALS = (Interval.M60, Interval.M720, Interval.M1440)
#: Some archives leave out 30, 240 and 720 minutes.
PUBLISHED = (Interval.M1, Interval.M5, Interval.M15, Interval.M60, Interval.M1440)


class NotTheTruth(ChandleryError):
    """The report and the made-up exchange disagree about {what}: reported {found}, true {expected}."""


class CommandFailed(ChandleryError):
    """The command ended with status {status}; expected {expected}."""


class Command(ChandleryCommand):
    help = (
        "Show the main job offline: a made-up exchange publishes archives, one command ingests them, truth is checked."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--folder", metavar="PATH", help="made anew (default: build/demo in the home folder)")

    def handle(self, *args: Any, **options: Any) -> None:
        named = options["folder"]
        home = Path(named).absolute() if named else Path(settings.CHANDLERY_HOME) / "build" / "demo"
        exchange = _exchange()
        self._say("A made-up exchange publishes its history: a complete set in parts, and one quarter more")
        _start_afresh(home)
        for line in _publish(exchange, home / "data" / "archives"):
            self.stdout.write(f"  {line}")
        command = ["ingest_kraken_unified", "--tier", "TIER1", "--intervals", "60,720,1440", "--end-date", LAST_DAY]
        command += ["--complete", "--yes"]
        self._say("One command brings it in; 720 minutes are not in the archives, so they are derived")
        self._run(home, command)
        self._say("The same command again has nothing to do")
        self._run(home, [*command, "--verbosity", "0"], quiet=True)
        jobs = json.loads(self._run(home, ["list_jobs", "--json"], quiet=True))["jobs"]
        self.stdout.write(f"  {jobs[0]['files_ingested']} files read, {jobs[0]['files_skipped']} known and skipped")
        self._say("Every figure of the report, and every candle, held against the truth")
        asked = [
            "report_completeness",
            "--tier",
            "TIER1",
            "--intervals",
            "60,720,1440",
            "--end-date",
            LAST_DAY,
            "--json",
        ]
        reported = json.loads(self._run(home, asked, quiet=True))
        self.stdout.write(f"  {_held_against_truth(exchange, home, reported)}")
        self.stdout.write(f"\nThe candles are in {home / 'data' / 'candles'}")

    def _say(self, text: str) -> None:
        self.stdout.write(f"\n▸ {text}\n")

    def _run(self, home: Path, command: list[str], *, quiet: bool = False) -> str:
        """Run one of our commands as a person would, in the demo's home. Raises CommandFailed."""
        if not quiet:
            self.stdout.write(f"  $ {settings.PROGRAM} {' '.join(command)}\n")
        self.stdout.flush()
        program = [sys.executable, *([sys.argv[0]] if settings.PROGRAM.startswith("python") else ["-m", "chandlery"])]
        environment = {**os.environ, "CHANDLERY_HOME": str(home)}
        ended = subprocess.run(
            [*program, *command], env=environment, stdout=subprocess.PIPE if quiet else None, text=True, check=False
        )
        if ended.returncode != 0:
            raise CommandFailed(status=ended.returncode, expected=0)
        return ended.stdout or ""


def _exchange() -> SandboxExchange:
    """Those of its dollar markets that traded by then."""
    exchange = SandboxExchange()
    return exchange.only(*(m.altname for m in exchange.cast if m.quote == "ZUSD" and m.listed < _end()))


def _end() -> datetime:
    return datetime.fromisoformat(f"{LAST_DAY}T00:00:00Z") + timedelta(days=1)


def _start_afresh(home: Path) -> None:
    """An empty home, with a tier of the made-up exchange's assets."""
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    tickers = ", ".join(f'"{asset_ticker(market.base)}"' for market in _exchange().cast)
    (home / "tiers.toml").write_text(f"[tiers]\nTIER1 = [{tickers}]\nTIER2 = []\nTIER3 = []\n")
    (home / "settings.env").write_text("TIERS_FILE=tiers.toml\n")


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


def _held_against_truth(exchange: SandboxExchange, home: Path, reported: dict[str, Any]) -> str:
    """What was compared. Raises NotTheTruth at the first figure or candle that differs."""
    store = open_store("parquet:data/candles", home)
    slots = candles = 0
    expected_series = {(market.altname, int(interval)) for market in exchange.cast for interval in INTERVALS}
    found = {(entry["market"], entry["interval_minutes"]): entry for entry in reported["series"]}
    _agree("the series", set(found), expected_series)
    for (name, minutes), entry in sorted(found.items()):
        interval = Interval(minutes)
        series = Series("kraken", name, interval)
        first = exchange.first_trade(name)
        assert first is not None, "every market of the demo trades"
        within = TimeRange(interval.floor(first), _end())
        truth = exchange.truth(series, within)
        expected = {
            "slots": within.slots(interval),
            "traded": truth.height,
            "quiet_claimed": within.slots(interval) - truth.height,
            "quiet_proven": 0,
            "quiet_confirmed": 0,
            "suspect": 0,
            "missing": 0,
            "unlisted": 0,
            "completeness": 1.0,
            "density": truth.height / within.slots(interval),
            "gaps": [],
        }
        for figure, value in expected.items():
            _agree(f"{figure} of {series}", entry[figure], value)
        compared = compare(store.read(series), truth)
        _agree(f"candles of {series}", compared.identical, True)
        slots += within.slots(interval)
        candles += truth.height
    return f"Equal: {len(found)} series, {slots:,} slots, {candles:,} candles, candle by candle."


def _agree(what: str, found: object, expected: object) -> None:
    if found != expected:
        raise NotTheTruth(what=what, found=found, expected=expected)
