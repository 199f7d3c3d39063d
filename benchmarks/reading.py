"""Reading as a script does it: five years of hours of twenty markets, as stored, filled, and with verdicts."""

import json
import os
import shutil
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from benchmarks.measure import measure

if TYPE_CHECKING:
    from chandlery.models import Market

CHECKOUT = Path(__file__).parents[1]
MARKETS = 20
START, END = datetime(2021, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)
#: Of all hours so many traded.
DENSITY = 0.97
REPEATED = 3
#: Seconds for all of it, with the first market's name not yet looked up and no file in any cache of ours.
TARGET = 1.0
WAYS: dict[str, dict[str, Any]] = {
    "stored": {},
    "filled": {"fill": "flat"},
    "verdicts": {"fill": "flat", "verdicts": True},
}


def run(folder: Path) -> dict[str, object]:
    """Make a home, read it in processes of their own; print and hand back seconds."""
    home = folder / "home"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    told = {"CHANDLERY_HOME": str(home), "CLOCK": END.isoformat()}
    measure([sys.executable, "-m", "benchmarks.reading", "make"], told, CHECKOUT)
    seconds: dict[str, float] = {}
    print(f"Reading: {MARKETS} markets × 5 years of hours, of which {DENSITY:.0%} traded")
    for way in WAYS:
        told_by = [
            json.loads(measure([sys.executable, "-m", "benchmarks.reading", way], told, CHECKOUT).output)
            for _ in range(REPEATED)
        ]
        seconds[way] = min(one["seconds"] for one in told_by)
        print(f"  {way:10} {seconds[way]:6.3f} s  {told_by[0]['rows']:>9,} rows  (target: under {TARGET:g} s)")
    return {"seconds": seconds, "targets_met": all(one < TARGET for one in seconds.values())}


def make() -> None:
    """Twenty markets as an archive would leave them: candles, coverage and traded days."""
    import django

    django.setup()
    from django.conf import settings
    from django.db import transaction

    from chandlery.candles.evidence import Evidence, Origin, Source
    from chandlery.candles.frame import CANDLE_SCHEMA
    from chandlery.candles.interval import Interval
    from chandlery.candles.timerange import RangeSet, TimeRange
    from chandlery.config.database import ensure_migrated
    from chandlery.config.surroundings import tiers
    from chandlery.pipeline.binding import bind
    from chandlery.pipeline.knowledge import series_of
    from chandlery.pipeline.markets import ensure_markets
    from chandlery.pipeline.record import record_answers
    from chandlery.stores import open_store

    ensure_migrated()
    ensure_markets(tiers())
    store = open_store(settings.CANDLE_STORE, Path(settings.CHANDLERY_HOME))
    bind(store, END)
    hours = (END - START) // timedelta(hours=1)
    chance = np.random.default_rng(7)
    for market in chosen():
        traded = np.flatnonzero(chance.random(hours) < DENSITY)
        price = 100 * np.exp(np.cumsum(chance.normal(0, 0.003, len(traded))))
        opens = pl.Series(traded * 3_600_000_000 + int(START.timestamp()) * 1_000_000).cast(CANDLE_SCHEMA["timestamp"])
        columns = {"timestamp": opens, "open": price, "high": price * 1.01, "low": price * 0.99, "close": price}
        more = {"volume": chance.random(len(traded)), "trades": chance.integers(1, 500, len(traded))}
        candles = pl.DataFrame(columns | more, schema=CANDLE_SCHEMA)
        written = store.write(series_of(market, Interval.M60), candles, Origin(Source.CSV))
        first, last = (candles["timestamp"][place].replace(tzinfo=UTC) for place in (0, -1))
        answers = {Evidence(Source.CSV): RangeSet([TimeRange(START, END)])}
        with transaction.atomic():
            record_answers(market, Interval.M60, answers, written, store, END, first, last)


def chosen() -> "list[Market]":
    """The markets that are stored."""
    from chandlery.models import Market

    found = Market.objects.filter(quote__ticker="USD", base__category="CRYPTO").order_by("altname")
    return list(found[:MARKETS])


def read(way: str) -> None:
    """Say as JSON how long it took, and how many rows there were. What it takes to start is not counted."""
    from chandlery import open_candles

    candles = open_candles()
    names = [market.altname for market in chosen()]
    started = time.perf_counter()
    frames = [candles.read(name, 60, START, END, **WAYS[way]) for name in names]
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "rows": sum(frame.height for frame in frames)}))


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chandlery.config.settings")
    if sys.argv[1] == "make":
        make()
    else:
        read(sys.argv[1])
