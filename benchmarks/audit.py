"""Ten years of 20 markets at eight intervals, audited: time and memory of the real command, then with nothing new."""

import json
import shutil
import sys
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path

from benchmarks.measure import Measured, measure
from chandlery.candles.timerange import TimeRange
from chandlery.sandbox.archives import write_archive
from chandlery.sandbox.editions import Edition
from chandlery.sandbox.exchange import SandboxExchange
from chandlery.sandbox.market import SandboxMarket

CHECKOUT = Path(__file__).parents[1]
MANAGE = CHECKOUT / "manage.py"
LISTED = datetime(2016, 1, 5, 10, 7, tzinfo=UTC)
QUARTER = "2025Q4"
INTERVALS = "1,5,15,30,60,240,720,1440"
#: Of the minutes of each market so many trade: as on an exchange, few are busy.
SHARES = (0.97, 0.8, 0.65, 0.5, 0.35, 0.25, 0.15, 0.1, 0.05, 0.02) * 2
CAST = tuple(
    SandboxMarket(
        f"M{n:02}USD", f"M{n:02}/USD", f"M{n:02}", "ZUSD", listed=LISTED + n * timedelta(hours=7), share=share,
        decimals=4,
    )
    for n, share in enumerate(SHARES)
)  # fmt: skip
#: Every other year the exchange stands still for a night.
OUTAGES = tuple(
    TimeRange(datetime(year, 7, 9, 21, 30, tzinfo=UTC), datetime(year, 7, 10, 3, 40, tzinfo=UTC))
    for year in range(2017, 2026, 2)
)

TARGET_SECONDS = 60.0
TARGET_BYTES = 1 << 30


def run(folder: Path) -> dict[str, object]:
    """Make and ingest the archive where that is not done yet; audit all of it, then what has changed: nothing."""
    home, rows = prepare(folder)
    first = audit(home, "--anew")
    watched = audit(home, "--anew", memory=True)
    again = audit(home)
    found = json.loads(first.output[first.output.index("{") :])
    print(f"Audit: {len(CAST)} markets × 8 intervals × 10 years, {rows:,} candles")
    print(f"  all of it: {first.seconds:.1f} s, {first.cpu:.1f} s of CPU (target {TARGET_SECONDS:.0f} s or less)")
    print(f"  peak memory, all processes: {watched.pss / 2**20:.0f} MiB (target {TARGET_BYTES / 2**20:.0f} or less)")
    print(f"  nothing new: {again.seconds:.1f} s, Python's start included")
    print(f"  {len(found['findings'])} findings, {len(found['outages'])} outages (there were {len(OUTAGES)})")
    return {
        "candles": rows,
        "seconds": round(first.seconds, 2),
        "cpu_seconds": round(first.cpu, 2),
        "target_seconds": TARGET_SECONDS,
        "peak_pss_bytes": watched.pss,
        "target_bytes": TARGET_BYTES,
        "nothing_new_seconds": round(again.seconds, 2),
        "findings": len(found["findings"]),
        "outages": len(found["outages"]),
        "targets_met": first.seconds <= TARGET_SECONDS and watched.pss <= TARGET_BYTES,
    }


def prepare(folder: Path) -> tuple[Path, int]:
    """(a home whose lake holds them all, their number); kept for the next run."""
    home, ready = folder / "home", folder / "rows.json"
    if not ready.exists():
        shutil.rmtree(folder, ignore_errors=True)
        home.mkdir(parents=True)
        measure([sys.executable, "-m", "benchmarks.audit", str(folder / "archive")], {}, CHECKOUT)
        (archive,) = (folder / "archive").glob("*.zip")
        command = ["ingest_kraken_unified", "--source", str(archive), *_selection(), "--yes"]
        command += ["--no-api-backfill", "--no-auto-gap-fill"]
        measure([sys.executable, str(MANAGE), *command], {"CHANDLERY_HOME": str(home)}, CHECKOUT)
        shutil.move(folder / "archive" / "rows.json", ready)
        shutil.rmtree(folder / "archive")
    return home, json.loads(ready.read_text())


def audit(home: Path, *more: str, memory: bool = False) -> Measured:
    command = [sys.executable, str(MANAGE), "audit_candles", *_selection(), "--json", *more]
    return measure(command, {"CHANDLERY_HOME": str(home)}, CHECKOUT, memory=memory)


def _selection() -> tuple[str, ...]:
    return ("--markets", ",".join(market.altname for market in CAST), "--intervals", INTERVALS)


def main(folder: Path) -> None:
    """In a process of its own, as its workers outlive what they do: write the archive."""
    # Not by fork: a fork after polars has run hangs.
    with ProcessPoolExecutor(2, get_context("forkserver")) as executor:
        exchange = SandboxExchange(cast=CAST, outages=OUTAGES)
        written = write_archive(exchange, Edition.complete(QUARTER), folder, None, executor)
    (folder / "rows.json").write_text(json.dumps(written.rows))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
