"""An incremental run with nothing new over 200 markets × 2 intervals, against a bare loop over the same requests."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.busy_exchange import market_names
from benchmarks.measure import Measured, lasting, measure

CHECKOUT = Path(__file__).parents[1]
NOW = "2024-09-01T05:17:30Z"
INTERVALS = (60, 1440)
ROUNDS = 3
TARGET_MILLISECONDS = 15.0

#: What anyone would write: ask, read, done. Nothing is checked, stored or recorded.
BARE = """
import sys, httpx2
with httpx2.Client() as client:
    for name in sys.argv[2].split(","):
        for interval in sys.argv[3].split(","):
            answer = client.get(f"{sys.argv[1]}/0/public/OHLC", params={"pair": name, "interval": interval}).json()
            window = next(iter(answer["result"].values()))
            rows = [[row[0], *map(float, row[1:5]), float(row[6]), row[7]] for row in window]
"""


class Exchange:
    """The busy exchange in a process of its own."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        assert process.stdout is not None
        self.url = process.stdout.readline().strip()

    def requests(self) -> int:
        """Since this was asked last."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


@contextmanager
def busy_exchange() -> Iterator[Exchange]:
    command = [sys.executable, "-m", "benchmarks.busy_exchange", NOW]
    with (
        subprocess.Popen(command, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process,
        lasting(process.pid),
    ):
        try:
            yield Exchange(process)
        finally:
            process.terminate()


def ingest(url: str, home: Path, *options: str) -> Measured:
    """The real command, everything included."""
    command = [sys.executable, str(CHECKOUT / "manage.py"), "ingest_kraken_unified", "--yes"]
    command += ["--markets", ",".join(market_names()), "--intervals", ",".join(map(str, INTERVALS)), *options]
    environment = {"CHANDLERY_HOME": str(home), "KRAKEN_API": url, "KRAKEN_RATE": "0", "CLOCK": NOW}
    return measure(command, environment, CHECKOUT)


def run(folder: Path) -> dict[str, object]:
    """Fill a lake, then ask again with the same clock; print and hand back what it costs."""
    home = folder / "home"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    series = len(market_names()) * len(INTERVALS)
    with busy_exchange() as exchange:
        first = ingest(exchange.url, home)
        asked_first = exchange.requests()
        again: list[Measured] = []
        for _ in range(ROUNDS):
            again.append(ingest(exchange.url, home, "--incremental"))
            asked = exchange.requests()
        bare = [sys.executable, "-c", BARE, exchange.url, ",".join(market_names()), ",".join(map(str, INTERVALS))]
        baseline = min((measure(bare, {}, CHECKOUT) for _ in range(ROUNDS)), key=lambda m: m.cpu)
    best = min(again, key=lambda m: m.cpu)
    milliseconds = best.cpu * 1000 / series
    ratio = best.cpu / baseline.cpu
    print(f"Incremental, nothing new: {series} series, {asked} requests (first run: {asked_first})")
    print(
        f"  CPU a series: {milliseconds:.1f} ms (target {TARGET_MILLISECONDS:.0f} or less); {best.seconds:.2f} s in all"
    )
    print(f"  CPU / bare loop over the same requests: {ratio:.2f} ({baseline.cpu * 1000 / series:.1f} ms a series)")
    print(f"  first run, all new: {first.cpu * 1000 / series:.1f} ms of CPU a series, {first.seconds:.2f} s in all")
    return {
        "series": series,
        "requests": asked,
        "cpu_ms_a_series": round(milliseconds, 2),
        "target_ms": TARGET_MILLISECONDS,
        "seconds": round(best.seconds, 3),
        "bare_cpu_ms_a_series": round(baseline.cpu * 1000 / series, 2),
        "ratio": round(ratio, 3),
        "first_run_cpu_ms_a_series": round(first.cpu * 1000 / series, 2),
        "targets_met": milliseconds <= TARGET_MILLISECONDS,
    }
