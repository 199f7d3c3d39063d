"""The main job from a ZIP of 17 million rows, against DuckDB's one-shot conversion of the same files unzipped."""

import json
import shutil
import statistics
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import Measured, measure
from chandlery.sandbox.cast import CAST

CHECKOUT = Path(__file__).parents[1]
QUARTER = "2026Q2"
LAST_DAY = "2026-06-30"
INTERVALS = "1,5,15,30,60,240,720,1440"
SEED = 1
ROUNDS = 3

TARGET_RATIO = 0.75
TARGET_BYTES = 1 << 30
TARGET_SECOND_RUN_SECONDS = 2.0

#: As anyone would type it: one statement, all that DuckDB finds out by itself.
CONVERT = """
import duckdb, sys
duckdb.sql(f"COPY (SELECT * FROM read_csv('{sys.argv[1]}/*.csv')) TO '{sys.argv[2]}' (FORMAT parquet)")
"""


@dataclass(frozen=True, slots=True)
class Material:
    """One complete release as a ZIP, and the same files unzipped."""

    archive: Path
    unzipped: Path
    rows: int


def generate(folder: Path) -> Material:
    """12 markets × 8 intervals by the sandbox, with a fixed seed; kept for the next run."""
    archive, unzipped = folder / f"Kraken_OHLCVT_Full_{QUARTER}.zip", folder / "unzipped"
    if not (unzipped / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        ask = ["archives", "--out", str(folder), "--complete", QUARTER, "--seed", str(SEED), "--manifest"]
        measure([sys.executable, "-m", "chandlery.sandbox", *ask], {}, CHECKOUT)
        with zipfile.ZipFile(archive) as zipped:
            zipped.extractall(unzipped, [name for name in zipped.namelist() if name.endswith(".csv")])
            (unzipped / "complete").write_bytes(zipped.read("MANIFEST.json"))
    return Material(archive, unzipped, json.loads((unzipped / "complete").read_bytes())["rows"])


def ingest(material: Material, home: Path, *, memory: bool = False) -> Measured:
    """The real command, everything included, into an empty home or one that has it all."""
    markets = ",".join(market.altname for market in CAST)
    command = [sys.executable, str(CHECKOUT / "manage.py"), "ingest_kraken_unified", "--source", str(material.archive)]
    command += ["--markets", markets, "--intervals", INTERVALS, "--end-date", LAST_DAY, "--no-api-backfill", "--yes"]
    return measure(command, {"CHANDLERY_HOME": str(home)}, CHECKOUT, memory=memory)


def convert(material: Material, target: Path) -> Measured:
    """The baseline."""
    return measure([sys.executable, "-c", CONVERT, str(material.unzipped), str(target)], {}, CHECKOUT)


def emptied(home: Path) -> Path:
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir()
    return home


def run(folder: Path) -> dict[str, object]:
    """Alternate both, print what comes out, and hand it back."""
    material = generate(folder / "archive")
    print(f"{material.rows:,} rows, {material.archive.stat().st_size / 1e6:,.0f} MB zipped, {ROUNDS} rounds")
    ours: list[Measured] = []
    theirs: list[Measured] = []
    home, target = folder / "home", folder / "duckdb.parquet"
    for number in range(1, ROUNDS + 1):
        ours.append(ingest(material, emptied(home)))
        target.unlink(missing_ok=True)
        theirs.append(convert(material, target))
        print(f"  round {number}: chandlery {ours[-1].seconds:.2f} s, DuckDB {theirs[-1].seconds:.2f} s")
    python = min(measure([sys.executable, "-c", "pass"], {}, CHECKOUT).seconds for _ in range(ROUNDS))
    again = min(ingest(material, home).seconds for _ in range(ROUNDS)) - python
    ratio = statistics.median(m.seconds for m in ours) / statistics.median(m.seconds for m in theirs)
    watched = ingest(material, emptied(home), memory=True)
    peak = watched.pss
    print(f"  ingest / DuckDB COPY: {ratio:.2f} (target {TARGET_RATIO} or less)")
    print(f"  rows a second: {material.rows / statistics.median(m.seconds for m in ours):,.0f}")
    print(f"  peak memory, all processes: {peak / 2**20:.0f} MiB (target {TARGET_BYTES / 2**20:.0f} or less)")
    print(f"  second run, beyond Python's start: {again:.2f} s (target {TARGET_SECOND_RUN_SECONDS:.0f} or less)")
    return {
        "rows": material.rows,
        "chandlery_seconds": [round(m.seconds, 3) for m in ours],
        "duckdb_seconds": [round(m.seconds, 3) for m in theirs],
        "ratio": round(ratio, 3),
        "target_ratio": TARGET_RATIO,
        "peak_pss_bytes": peak,
        "peak_rss_bytes": watched.rss,
        "target_bytes": TARGET_BYTES,
        "second_run_seconds_beyond_python": round(again, 3),
        "target_second_run_seconds": TARGET_SECOND_RUN_SECONDS,
        "lake_bytes": sum(path.stat().st_size for path in home.rglob("*.parquet")),
        "duckdb_bytes": target.stat().st_size,
        "targets_met": ratio <= TARGET_RATIO and peak <= TARGET_BYTES and again <= TARGET_SECOND_RUN_SECONDS,
    }
