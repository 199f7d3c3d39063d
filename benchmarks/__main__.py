"""`make bench`: run every benchmark, print the ratios, write build/bench.json. Ends with 1 if a target is missed or
not measured: one needs Java 17 and Maven, one needs wrk.
"""

import json
import sys
from pathlib import Path

from benchmarks import audit, dashboard, incremental, ingestion, ledger, questdb, ranges, reading, walking

BUILD = Path(__file__).parents[1] / "build"
#: Those with targets.
TARGETED = ("dashboard", "incremental", "ledger", "reading", "walking", "audit", "questdb", "ingestion")


def main() -> int:
    figures = {
        "ranges": ranges.run(),
        "incremental": incremental.run(BUILD / "bench" / "incremental"),
        "dashboard": dashboard.run(BUILD / "bench" / "dashboard"),
        "ledger": ledger.run(BUILD / "bench" / "ledger"),
        "reading": reading.run(BUILD / "bench" / "reading"),
        "walking": walking.run(BUILD / "bench" / "walking"),
        "audit": audit.run(BUILD / "bench" / "audit"),
        "questdb": questdb.run(BUILD / "bench" / "questdb"),
        "ingestion": ingestion.run(BUILD / "bench"),
    }
    target = BUILD / "bench.json"
    target.write_text(json.dumps(figures, indent=2) + "\n")
    print(f"Written to {target.relative_to(BUILD.parent)}")
    return 0 if all(figures[name]["targets_met"] for name in TARGETED) else 1


if __name__ == "__main__":
    sys.exit(main())
