"""Twelve years of 1,400 markets at eight intervals, held against the ledger: what that costs beyond reading candles."""

import json
import os
import random
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.measure import measure

if TYPE_CHECKING:
    from chandlery.models import Market
    from chandlery.pipeline.ledger_audit import LedgerAudit
    from chandlery.pipeline.weekly_sums import SumResult, SumTask

CHECKOUT = Path(__file__).parents[1]
NOW = datetime(2026, 1, 1, tzinfo=UTC)
MARKETS = 1_400
WEEKS = 626
#: One market in so many lost a day.
LOSING = 20
TARGET_SECONDS = 10.0


def run(folder: Path) -> dict[str, object]:
    """Audit a made-up state whose weeks were all counted just now, and audit it again; print and hand back the cost."""
    home = folder / "home"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    done = measure([sys.executable, "-m", "benchmarks.ledger"], {"CHANDLERY_HOME": str(home)}, CHECKOUT)
    told = json.loads(done.output.splitlines()[-1])
    print(f"Ledger: {MARKETS:,} markets × 8 intervals × 12 years, {told['weeks']:,} weeks compared")
    print(
        f"  every week new: {told['first']:.1f} s of CPU (target {TARGET_SECONDS:.0f} or less) beside reading candles"
    )
    print(f"  nothing new: {told['again']:.1f} s of CPU; reading what state knows: {told['know']:.1f} s of either")
    return {
        "weeks": told["weeks"],
        "cpu_seconds": round(told["first"], 2),
        "target_seconds": TARGET_SECONDS,
        "again_cpu_seconds": round(told["again"], 2),
        "know_cpu_seconds": round(told["know"], 2),
        "targets_met": max(told["first"], told["again"]) <= TARGET_SECONDS,
    }


class Stopwatch:
    """Seconds of this process's CPU, while it runs."""

    def __init__(self) -> None:
        self.seconds = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        started = time.process_time()
        yield
        self.seconds += time.process_time() - started


def main() -> None:
    """In a process of its own: make the state, audit it twice, print the figures as JSON."""
    import django
    from django.core.management import call_command

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chandlery.config.settings")
    django.setup()
    (Path(os.environ["CHANDLERY_HOME"]) / "data").mkdir(exist_ok=True)
    call_command("migrate", verbosity=0)
    markets = make_state()
    (first, weeks, know), (again, _, _) = audited(markets), audited(markets)
    print(json.dumps({"first": first, "again": again, "know": know, "weeks": weeks}))


def make_state() -> "list[Market]":
    """Markets with their ledgers, coverage and traded days: everything but candles."""
    import zlib

    from chandlery.candles.evidence import Source
    from chandlery.candles.interval import EPOCH, Interval
    from chandlery.candles.ledger import WEEK, Figures
    from chandlery.models import DataCoverageRange, Ledger, Market, TradedDays

    chance = np.random.default_rng(1)
    first = (NOW - EPOCH) // WEEK - WEEKS
    start = EPOCH + first * WEEK
    markets = Market.objects.bulk_create(Market(altname=f"COIN{n}USD", first_trade=start) for n in range(MARKETS))
    coverage, days = [], []
    for market in markets:
        trades = chance.integers(0, 2_000_000, WEEKS)
        Ledger.objects.put(
            market, Figures(first, trades, np.multiply(trades, 0.1, dtype=np.float64)), reaches_first=True, asked_at=NOW
        )
        for interval in Interval:
            for source, since, until in (
                (Source.CSV, start, NOW - timedelta(days=90)),
                (Source.TRADES, NOW - timedelta(days=90), NOW - timedelta(days=20)),
                (Source.API, NOW - timedelta(days=25), NOW),
            ):
                coverage.append(
                    DataCoverageRange(
                        market=market,
                        interval_minutes=int(interval),
                        start_date=interval.floor(since),
                        end_date=interval.floor(until),
                        source=source,
                        proven=source is Source.TRADES,
                        last_verified=NOW,
                    )
                )
            counts = np.full(WEEKS * 7, 1440 // int(interval), dtype="<u2")
            row = TradedDays(market=market, interval_minutes=int(interval), first_day=start.date())
            row.first_slot, row.last_slot, row.candles = start, NOW - interval.delta, int(counts.sum(dtype=np.int64))
            row.packed = zlib.compress(counts.tobytes(), 1)
            days.append(row)
    DataCoverageRange.objects.bulk_create(coverage, batch_size=1000)
    TradedDays.objects.bulk_create(days, batch_size=500)
    return markets


def audited(markets: "list[Market]") -> tuple[float, int, float]:
    """(seconds of CPU for all of it, weeks compared, seconds of these for what state knows)."""
    from django.db import transaction

    from chandlery.pipeline.knowledge import know
    from chandlery.pipeline.ledger_audit import LedgerAudit
    from chandlery.stores import open_store

    whole, state = Stopwatch(), Stopwatch()
    home = Path(os.environ["CHANDLERY_HOME"])
    with whole.running():
        with state.running():
            facts = know(markets, open_store("parquet:candles", home), NOW)
        audit = LedgerAudit.of(facts, "parquet:candles", home, NOW, transaction.atomic)
        due = audit.counts_due()
    results = sums(audit, due)
    with whole.running():
        audit.take_counts(results)
        audit.judge()
        audit.days_wanted()
        audit.pieces_due({})
        outcome = audit.settle()
    return whole.seconds, outcome.weeks, state.seconds


def sums(audit: "LedgerAudit", due: "list[SumTask]") -> "list[SumResult]":
    """What counting would come to: what the ledger says, but for a day that a few markets lost."""
    from chandlery.candles.ledger import WEEK, Figures, numbers_of
    from chandlery.pipeline.weekly_sums import SumResult

    chance = random.Random(1)
    found = []
    for task in due:
        ledger = audit.ledgers[task.series.market]
        parts = []
        for one in task.ranges:
            first, end = numbers_of(one, WEEK)
            held = ledger.over(first, end - first)
            trades = held.trades.copy()
            if int(task.series.market[4:-3]) % LOSING == 0:
                trades[chance.randrange(len(trades))] //= 2
            parts.append(Figures(first, trades, held.volume))
        found.append(SumResult(task, tuple(parts)))
    return found


if __name__ == "__main__":
    main()
