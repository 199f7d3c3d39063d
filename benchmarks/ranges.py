"""Merging ten thousand ranges, against sorting them: no merge can do without that."""

import random
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from operator import attrgetter

from chandlery.candles.timerange import RangeSet, TimeRange

COUNT = 10_000
ROUNDS = 7


def run() -> dict[str, object]:
    """Milliseconds of CPU for a merge, and for the sort alone."""
    moments = random.Random(1)
    start = datetime(2013, 1, 1, tzinfo=UTC)
    opens = [start + timedelta(minutes=moments.randrange(6_000_000)) for _ in range(COUNT)]
    ranges = [TimeRange(open_, open_ + timedelta(minutes=moments.randrange(1, 900))) for open_ in opens]
    merge = _milliseconds(lambda: RangeSet(ranges))
    order = _milliseconds(lambda: sorted(ranges, key=attrgetter("start")))
    print(f"Merging {COUNT:,} ranges: {merge:.1f} ms of CPU, {merge / order:.1f} times the sort alone")
    return {"ranges": COUNT, "merge_ms": round(merge, 2), "sort_ms": round(order, 2), "ratio": round(merge / order, 2)}


def _milliseconds(work: Callable[[], object]) -> float:
    def once() -> float:
        started = time.process_time()
        work()
        return (time.process_time() - started) * 1000

    return statistics.median(once() for _ in range(ROUNDS))
