"""Walking over 5 million trades: the memory of the real command, and what minutes cost once pages are there.

python -m benchmarks.walking serve 4     a made-up exchange with as many markets; prints its address
python -m benchmarks.walking rebuild     pages from memory into a lake; prints the cost as JSON
"""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeVar, cast

import polars as pl

from benchmarks.measure import Measured, lasting, measure
from chandlery.sandbox.clock import frozen
from chandlery.sandbox.exchange import SandboxExchange
from chandlery.sandbox.market import SandboxMarket
from chandlery.sandbox.rest import SandboxApi
from chandlery.sandbox.server import serve

if TYPE_CHECKING:
    from chandlery.exchanges.kraken.api.trades import TradesPage
    from chandlery.pipeline.conversation import Desk
    from chandlery.pipeline.walking import Walked

T = TypeVar("T")
A = TypeVar("A")

CHECKOUT = Path(__file__).parents[1]
NOW = datetime(2025, 1, 9, 5, 17, 30, tzinfo=UTC)
TRADES = 5_000_000
NAMES = ("XBTUSD", "ETHUSD", "SOLUSD", "ADAUSD")
#: The share of minutes that trade, and how many more trades these have: 8, 8, 3 and 0.2 trades a minute.
PACES = ((0.9, 8.0), (0.9, 8.0), (0.5, 5.0), (0.1, 1.0))
#: So many markets side by side have so many days of life, which give just over 5 million trades.
DAYS = {1: 460, 4: 192}
ALL_INTERVALS = "1,5,15,30,60,240,720,1440"

TARGET_BYTES = 300_000_000
TARGET_TRADES_A_SECOND = 200_000

#: What anyone would write: page after page, read and counted. Nothing is checked, built, stored or recorded.
BARE = """
import sys, httpx2
since, trades = "0", 0
with httpx2.Client() as client:
    while True:
        answer = client.get(f"{sys.argv[1]}/0/public/Trades", params={"pair": sys.argv[2], "since": since}).json()
        rows, since = answer["result"].values()
        trades += len(rows)
        if len(rows) < 1000:
            break
"""


def run(folder: Path) -> dict[str, object]:
    """Walk over one market, over four side by side, and over pages in memory; print and hand back what it costs."""
    folder.mkdir(parents=True, exist_ok=True)
    with exchange_of(1) as url:
        # The first one is not watched: looking at memory takes time.
        timed, trades = walk(url, 1, folder / "timed", "1")
        one, _ = walk(url, 1, folder / "one", "1", memory=True)
        whole, _ = walk(url, 1, folder / "whole", ALL_INTERVALS, memory=True)
        bare = measure([sys.executable, "-c", BARE, url, NAMES[0]], {}, CHECKOUT)
    with exchange_of(4) as url:
        four, trades_of_four = walk(url, 4, folder / "four", "1", memory=True)
    lake = emptied(folder / "rebuilt")
    command = [sys.executable, "-m", "benchmarks.walking", "rebuild"]
    rebuilt = json.loads(measure(command, {"CHANDLERY_HOME": str(lake)}, CHECKOUT).output.splitlines()[-1])
    pace = rebuilt["trades"] / rebuilt["cpu"]
    peaks = {"one market": one.pss, "4 markets side by side": four.pss}
    print(f"Walking over trades: {trades:,} of one market, {trades_of_four:,} of 4 side by side")
    for what, peak in peaks.items():
        target = f"target {TARGET_BYTES / 1e6:.0f} or less{_missed(peak <= TARGET_BYTES)}"
        print(f"  peak memory (PSS), all processes, {what}: {peak / 1e6:.0f} MB ({target})")
    print(f"  the same for one market with 7 coarser intervals derived after the walk: {whole.pss / 1e6:.0f} MB")
    target = f"target {TARGET_TRADES_A_SECOND:,} or more{_missed(pace >= TARGET_TRADES_A_SECOND)}"
    print(f"  rebuilding, pages in memory: {pace:,.0f} trades a second of CPU ({target})")
    print(f"  microseconds a trade: {', '.join(f'{name} {cost:.2f}' for name, cost in rebuilt['parts'].items())}")
    print(f"  CPU / bare loop that parses and counts the same bodies: {rebuilt['cpu'] / rebuilt['bare']:.1f}")
    print(f"  the whole command: {timed.cpu / trades * 1e6:.2f} µs of CPU a trade, {timed.seconds:.1f} s in all")
    print(f"  its CPU / bare loop over the same requests: {timed.cpu / bare.cpu:.1f}")
    return {
        "trades": trades,
        "peak_pss_bytes": one.pss,
        "peak_pss_bytes_4_markets": four.pss,
        "peak_pss_bytes_all_intervals": whole.pss,
        "target_bytes": TARGET_BYTES,
        "rebuilt_a_cpu_second": round(pace),
        "target_a_cpu_second": TARGET_TRADES_A_SECOND,
        "rebuilding_us_a_trade": {name: round(cost, 3) for name, cost in rebuilt["parts"].items()},
        "ratio_to_json_alone": round(rebuilt["cpu"] / rebuilt["bare"], 2),
        "command_cpu_seconds": round(timed.cpu, 2),
        "command_seconds": round(timed.seconds, 2),
        "ratio_to_bare_requests": round(timed.cpu / bare.cpu, 2),
        "targets_met": max(peaks.values()) <= TARGET_BYTES and pace >= TARGET_TRADES_A_SECOND,
    }


def _missed(met: bool) -> str:
    return "" if met else ": missed"


def walk(url: str, markets: int, home: Path, intervals: str, *, memory: bool = False) -> tuple[Measured, int]:
    """The real command, everything included, into an empty home; and how many trades its minutes hold."""
    command = [sys.executable, str(CHECKOUT / "manage.py"), "ingest_kraken_unified", "--complete", "--yes"]
    command += ["--markets", ",".join(NAMES[:markets]), "--intervals", intervals]
    environment = {"KRAKEN_API": url, "KRAKEN_RATE": "0", "CLOCK": NOW.isoformat()}
    done = measure(command, environment | {"CHANDLERY_HOME": str(emptied(home))}, CHECKOUT, memory=memory)
    return done, trades_in(home / "data" / "candles")


def trades_in(lake: Path) -> int:
    """In the stored minutes. Raises TooFew."""
    minutes = pl.scan_parquet(lake / "**" / "interval=1" / "*.parquet", hive_partitioning=False)
    found = int(minutes.select(pl.col("trades").sum()).collect().item())
    if found < TRADES:
        raise TooFew(f"{found:,} trades are in {lake}; expected {TRADES:,} or more")
    return found


class TooFew(Exception):
    """A walk that loses trades costs nothing."""


def emptied(home: Path) -> Path:
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    return home


# ------------------------------------------------------------------------------------------------------ the exchange


def api_of(markets: int) -> SandboxApi:
    """Markets that were listed so long ago that together they have had 5 million trades."""
    listed = NOW - timedelta(days=DAYS[markets])
    cast_ = tuple(
        SandboxMarket(name, f"{name[:3]}/USD", name[:3], "ZUSD", listed=listed, share=share, depth=depth)
        for name, (share, depth) in list(zip(NAMES, PACES, strict=True))[:markets]
    )
    return SandboxApi(SandboxExchange(cast=cast_, outages=()), frozen(NOW))


@contextmanager
def exchange_of(markets: int) -> Iterator[str]:
    """The address of one in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.walking", "serve", str(markets)]
    with subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True) as process, lasting(process.pid):
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def serve_until_told(markets: int) -> None:
    def stop(number: int, frame: FrameType | None) -> None:
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, stop)
    with serve(api_of(markets)) as server:
        print(server.url, flush=True)
        while True:
            time.sleep(60)


# -------------------------------------------------------------------------------------------------- pages in memory


@dataclass(slots=True)
class Stopwatch:
    """Seconds of this process's CPU, threads included, by what they went to."""

    seconds: dict[str, float] = field(default_factory=dict)

    def timed(self, what: str, work: Callable[[], T]) -> T:
        started = time.process_time()
        try:
            return work()
        finally:
            self.seconds[what] = self.seconds.get(what, 0.0) + time.process_time() - started


class Shelf:
    """Stands in for the desk of a conversation: answers lie ready, and nobody keeps state.

    What a page costs to make is nobody's cost; what it costs to parse it as JSON and count its rows goes to `bare`.
    """

    def __init__(self, home: Path) -> None:
        from chandlery.pipeline.request import Surroundings

        self.api = self
        self.around = Surroundings("parquet:candles", home, frozen(NOW))
        self.exchange_time = NOW
        self.watch = Stopwatch()
        self.rows = 0
        self._sandbox = api_of(1)

    async def trades(self, altname: str, since: str, on_request: Callable[[], None]) -> "TradesPage":
        on_request()
        body = self.watch.timed("making", lambda: self._body(altname, since))
        self.rows += self.watch.timed("bare", lambda: _rows(body))
        return self.watch.timed("parse", lambda: _page(body))

    async def finish(self, work: Coroutine[Any, Any, T]) -> T:
        return await work

    def answered(self) -> None:
        """It always does."""

    def tell(self, news: "Walked") -> None:
        from chandlery.pipeline.walking import BatchStored

        if isinstance(news, BatchStored):
            news.recorded()

    def _body(self, altname: str, since: str) -> bytes:
        return self._sandbox.answer("/0/public/Trades", {"pair": altname, "since": since}).body


def _rows(body: bytes) -> int:
    return len(next(iter(json.loads(body)["result"].values())))


def _page(body: bytes) -> "TradesPage":
    """As the client does it."""
    from chandlery.exchanges.kraken.api.answer import Reply, result_of
    from chandlery.exchanges.kraken.api.trades import parse_trades

    return parse_trades(result_of(Reply(200, {}, body), "Trades"))


def rebuild(home: Path) -> dict[str, Any]:
    """The walk that the command makes, but for HTTP and state: its CPU seconds, and microseconds a trade by part."""
    from chandlery.candles.interval import Interval
    from chandlery.candles.series import Series
    from chandlery.candles.timerange import RangeSet, TimeRange
    from chandlery.exchanges.kraken.walk import FROM_FIRST, Step, Walk
    from chandlery.pipeline import walking
    from chandlery.pipeline.journal import Journal
    from chandlery.pipeline.walked_minutes import store_walked
    from chandlery.pipeline.walking import Purse, TradesOf
    from chandlery.pipeline.walks import TradeWalk

    shelf = Shelf(home)
    watch = shelf.watch
    setattr(walking, "store_walked", lambda task: watch.timed("store", lambda: store_walked(task)))  # noqa: B010

    class TimedJournal(Journal):
        def append(self, step: Step) -> None:
            watch.timed("journal", lambda: Journal.append(self, step))

        def settle(self, walk: Walk) -> None:
            watch.timed("journal", lambda: Journal.settle(self, walk))

    whole = TimeRange(Interval.M1.floor(NOW - timedelta(days=DAYS[1])), Interval.M1.floor(NOW))
    walk_ = TradeWalk(Series("kraken", NAMES[0], Interval.M1), RangeSet([whole]))
    starts = [Walk.start(whole, FROM_FIRST, from_first=True)]
    question = TradesOf(walk_, starts, TimedJournal(home / "walk.journal"), Purse(None))
    watch.timed("all", lambda: asyncio.run(question.put(cast("Desk[Walked]", shelf))))
    seconds = watch.seconds
    cpu = seconds.pop("all") - seconds.pop("making") - (bare := seconds.pop("bare"))
    trades = trades_in(home / "candles")
    parts = seconds | {"walk": cpu - sum(seconds.values())}
    return {
        "trades": trades,
        "cpu": cpu,
        "bare": bare,
        "parts": {name: cost / trades * 1e6 for name, cost in parts.items()},
    }


def main(arguments: list[str]) -> None:
    if arguments[0] == "serve":
        serve_until_told(int(arguments[1]))
    else:
        print(json.dumps(rebuild(Path(os.environ["CHANDLERY_HOME"]))))


if __name__ == "__main__":
    main(sys.argv[1:])
