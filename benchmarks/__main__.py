"""`make bench`: run every benchmark, or those that are named, print the ratios, write build/bench.json.

Ends with 1 if a target is missed or not measured: one needs Java 17 and Maven, one needs wrk.
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import audit, dashboard, incremental, ingestion, ledger, questdb, ranges, reading, walking

BUILD = Path(__file__).parents[1] / "build"
PARTS: dict[str, Callable[[], dict[str, Any]]] = {
    "ranges": ranges.run,
    "incremental": lambda: incremental.run(BUILD / "bench" / "incremental"),
    "dashboard": lambda: dashboard.run(BUILD / "bench" / "dashboard"),
    "ledger": lambda: ledger.run(BUILD / "bench" / "ledger"),
    "reading": lambda: reading.run(BUILD / "bench" / "reading"),
    "walking": lambda: walking.run(BUILD / "bench" / "walking"),
    "audit": lambda: audit.run(BUILD / "bench" / "audit"),
    "questdb": lambda: questdb.run(BUILD / "bench" / "questdb"),
    "ingestion": lambda: ingestion.run(BUILD / "bench"),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)} (default: all)")
    named = parser.parse_args().parts
    if unknown := [name for name in named if name not in PARTS]:
        parser.error(f"there is no benchmark {unknown[0]}; choose from {', '.join(PARTS)}")
    figures = {name: run() for name, run in PARTS.items() if name in named or not named}
    target = BUILD / "bench.json"
    target.write_text(json.dumps(figures, indent=2) + "\n")
    print(f"Written to {target.relative_to(BUILD.parent)}")
    # Merging ranges has no target.
    return 0 if all(found.get("targets_met", True) for found in figures.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
