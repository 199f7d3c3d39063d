"""The dashboard over 1,400 markets, eight intervals and twelve years, asked by ten clients at once."""

import json
import os
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.measure import lasting, measure

if TYPE_CHECKING:
    from chandlery.candles.interval import Interval
    from chandlery.models import DataCoverageRange, Market, TradedDays

CHECKOUT = Path(__file__).parents[1]
NOW = datetime(2026, 1, 1, 12, 34, tzinfo=UTC)
START = datetime(2014, 1, 2, tzinfo=UTC)
MARKETS = 1_400
CLIENTS = 10
SECONDS = 15
#: Milliseconds that 95 of 100 answers may take.
TARGETS = {"map": 300.0, "overview": 200.0}
PATHS = {"map": "/coverage/cells?interval=60", "overview": "/"}
#: Seconds that the server may take to come up, and its first answer, of which nothing is kept yet.
PATIENCE = 120.0
_REPORT = (
    'done = function(summary, latency) io.write(string.format("p95 %.3f n %d errors %d\\n", latency:percentile(95)'
)
_REPORT += " / 1000, summary.requests, summary.errors.status + summary.errors.timeout + summary.errors.read)) end\n"


def run(folder: Path) -> dict[str, object]:
    """Ask a server over a made-up state; print and hand back what 95 of 100 answers take at most."""
    if shutil.which("wrk") is None:
        print("Dashboard: not measured, so not met: wrk is not installed; on Debian: apt-get install wrk")
        return {"left_out": "wrk is not installed", "targets_met": False}
    home = folder / "home"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    told = {"CHANDLERY_HOME": str(home), "CLOCK": NOW.isoformat()}
    measure([sys.executable, "-m", "benchmarks.dashboard"], told, CHECKOUT)
    script = folder / "report.lua"
    script.write_text(_REPORT)
    figures: dict[str, dict[str, float]] = {}
    print(f"Dashboard: {MARKETS:,} markets × 8 intervals × 12 years, {CLIENTS} clients")
    with served(told) as address:
        for name, path in PATHS.items():
            figures[name] = asked(f"{address}{path}", script)
            print(f"  {name}: {_said(figures[name])} (target {TARGETS[name]:.0f} ms)")
        with changing(home / "data" / "chandlery.sqlite3"):
            for name, path in PATHS.items():
                figures[f"{name}_while_state_changes"] = told_now = asked(f"{address}{path}", script)
                print(f"  {name} while state changes every second: {_said(told_now)}")
    met = all(figures[name]["p95_ms"] <= target for name, target in TARGETS.items())
    return {**figures, "targets_ms": TARGETS, "targets_met": met}


def asked(url: str, script: Path) -> dict[str, float]:
    """The first answer, then what ten clients see."""
    started = time.perf_counter()
    with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
        size = len(answer.read())
    first = time.perf_counter() - started
    command = ["wrk", "-t2", f"-c{CLIENTS}", f"-d{SECONDS}s", "--timeout", "10s", "-s", str(script), url]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"p95 ([\d.]+) n (\d+) errors (\d+)", out)
    assert found is not None, out
    return {
        "p95_ms": float(found[1]),
        "requests_a_second": int(found[2]) / SECONDS,
        "errors": int(found[3]),
        "bytes": size,
        "first_seconds": round(first, 2),
    }


@contextmanager
def changing(state: Path) -> Iterator[None]:
    """A commit a second by somebody else, as a running job makes them: what is kept has to be looked at again."""
    over = Event()

    def change() -> None:
        connection = sqlite3.connect(state, timeout=30)
        while not over.wait(1):
            connection.execute("UPDATE chandlery_ingestionjob SET records_ingested = records_ingested + 1")
            connection.commit()
        connection.close()

    writer = Thread(target=change)
    writer.start()
    try:
        yield
    finally:
        over.set()
        writer.join()


def _said(figures: dict[str, float]) -> str:
    return (
        f"95 of 100 answers within {figures['p95_ms']:.0f} ms, {figures['requests_a_second']:.0f} a second, "
        f"{figures['bytes'] / 1e6:.2f} MB each, the first one after {figures['first_seconds']} s"
    )


@contextmanager
def served(environment: dict[str, str]) -> Iterator[str]:
    """The production server on a port of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, str(CHECKOUT / "manage.py"), "serve", "--port", str(port)]
    with subprocess.Popen(command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL) as process:
        try:
            with lasting(process.pid):
                wait_for(f"{address}/healthz", process)
                yield address
        finally:
            process.terminate()


def wait_for(url: str, process: "subprocess.Popen[Any]") -> None:
    """Until it answers. Raises RuntimeError where it never does."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"the server does not answer at {url}")


def main() -> None:
    """In a process of its own: make the state."""
    import django
    from django.core.management import call_command

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chandlery.config.settings")
    django.setup()
    (Path(os.environ["CHANDLERY_HOME"]) / "data").mkdir(exist_ok=True)
    call_command("migrate", verbosity=0)
    make_state()
    print(json.dumps({"markets": MARKETS}))


def make_state() -> None:
    """Markets in four tiers with coverage, traded days, confirmed weeks, gaps and findings: everything but candles."""
    from django.conf import settings

    from chandlery.candles.interval import Interval
    from chandlery.exchanges.base import Category, Tier
    from chandlery.models import Asset, IngestionJob, JobStatus, Market, TradedDays
    from chandlery.models.coverage import DataCoverageRange
    from chandlery.pipeline.binding import bind
    from chandlery.stores import open_store

    chance = np.random.default_rng(1)
    bind(open_store(settings.CANDLE_STORE, Path(settings.CHANDLERY_HOME)), NOW)
    Market.objects.all().delete()
    usd, _ = Asset.objects.get_or_create(ticker="USD", defaults={"category": Category.FIAT})
    tiers = [*([Tier.TIER1] * 20), *([Tier.TIER2] * 80), *([Tier.TIER3] * 300), *([Tier.TIER4] * 1000)]
    assets = Asset.objects.bulk_create(Asset(ticker=f"C{n:04}", tier=tier) for n, tier in enumerate(tiers[:MARKETS]))
    markets = Market.objects.bulk_create(
        Market(altname=f"{asset.ticker}USD", base=asset, quote=usd, status="online", first_trade=_listed(n))
        for n, asset in enumerate(assets)
    )
    IngestionJob.objects.create(
        tier="TIER1,TIER2,TIER3,TIER4",
        intervals=[int(interval) for interval in Interval],
        status=JobStatus.COMPLETED,
        created_at=NOW,
    )
    for first in range(0, len(markets), 100):
        batch = list(enumerate(markets))[first : first + 100]
        series = [(n, market, interval) for n, market in batch for interval in Interval]
        DataCoverageRange.objects.bulk_create(row for n, m, i in series for row in _coverage(n, m, i))
        TradedDays.objects.bulk_create(_days(n, market, interval, chance) for n, market, interval in series)
        _audits(batch)


def _listed(number: int) -> datetime:
    """A few are as old as the exchange, most came later."""
    return START + timedelta(days=3 * number % 3600, hours=number % 24)


def _coverage(number: int, market: "Market", interval: "Interval") -> "Iterator[DataCoverageRange]":
    """Archives with a hole in some, trades, the API; the edges of the latter two lie inside of days."""
    from chandlery.candles.evidence import Source
    from chandlery.models import DataCoverageRange

    first = interval.floor(_listed(number))
    archived = NOW.replace(hour=0, minute=0) - timedelta(days=92)
    hole = archived - timedelta(days=30 + number % 200)
    walked = NOW - timedelta(days=21, hours=number % 24)
    spans = [
        (Source.CSV, first, hole if number % 10 == 0 else archived, False),
        *([(Source.CSV, hole + timedelta(days=3), archived, False)] if number % 10 == 0 else []),
        (Source.TRADES, archived, walked, True),
        (Source.API, NOW - timedelta(days=24, hours=number % 12), NOW - timedelta(minutes=30 * (number % 40)), False),
    ]
    for source, since, until, proven in spans:
        start, end = interval.floor(since), interval.floor(until)
        if start < end:
            yield DataCoverageRange(
                market=market,
                interval_minutes=int(interval),
                start_date=start,
                end_date=end,
                source=source,
                proven=proven,
                last_verified=NOW,
            )


def _days(number: int, market: "Market", interval: "Interval", chance: np.random.Generator) -> "TradedDays":
    """Candles on every day, many or few."""
    from chandlery.models import TradedDays

    first, last = interval.floor(_listed(number)), interval.floor(NOW - timedelta(days=1))
    slots = 1440 // int(interval)
    density = 0.02 + 0.98 * (number % 17) / 16
    counts = chance.binomial(slots, density, (last.date() - first.date()).days + 1).astype("<u2")
    row = TradedDays(market=market, interval_minutes=int(interval), first_day=first.date(), first_slot=first)
    row.last_slot, row.candles = last, int(counts.sum(dtype=np.int64))
    row.packed = zlib.compress(counts.tobytes(), 1)
    return row


def _audits(batch: "list[tuple[int, Market]]") -> None:
    """Confirmed weeks of hourly and daily candles; one finding in a market out of twenty."""
    from chandlery.candles.interval import EPOCH
    from chandlery.candles.ledger import WEEK
    from chandlery.models import AuditedWeeks, FindingKind, QualityFinding, Severity

    weeks, findings = [], []
    for number, market in batch:
        first, end = (_listed(number) - EPOCH) // WEEK + 1, (NOW - EPOCH) // WEEK - 14
        for minutes in (60, 1440) if first < end else ():
            row = AuditedWeeks(market=market, interval_minutes=minutes, first_week=first, end_week=end)
            row.verdicts = zlib.compress(np.ones(end - first, dtype=np.uint8).tobytes(), 1)
            row.counted_weeks = row.confirmed_weeks = end - first
            weeks.append(row)
            if number % 20 == 0:
                start = EPOCH + (end - 9) * WEEK
                counted = {"stored_trades": 1_200, "ledger_trades": 1_700}
                told = {
                    "kind": FindingKind.LEDGER_SHORT,
                    "severity": Severity.ERROR,
                    "found_at": NOW,
                    "evidence": counted,
                }
                stretch = {"start": start, "end": start + WEEK}
                findings.append(QualityFinding(market=market, interval_minutes=minutes, **stretch, **told))
    AuditedWeeks.objects.bulk_create(weeks)
    QualityFinding.objects.bulk_create(findings)


if __name__ == "__main__":
    main()
