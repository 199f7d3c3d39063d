"""Make the shipped table of Kraken's markets from an answer of `GET /0/public/AssetPairs`, saved as a file.

    python scripts/make_listings.py AssetPairs.json [src/chandlery/exchanges/kraken/listings.csv]

Facts only: names and status. `key` is the name in answers, where it differs from the altname.
"""

import csv
import json
import sys
from pathlib import Path

SHIPPED = Path(__file__).parents[1] / "src" / "chandlery" / "exchanges" / "kraken" / "listings.csv"
COLUMNS = ("altname", "wsname", "base", "quote", "status", "key")


def main(answer: Path, table: Path = SHIPPED) -> None:
    pairs: dict[str, dict[str, str]] = json.loads(answer.read_text())["result"]
    rows = [
        (*(pair[column] for column in COLUMNS[:-1]), key if key != pair["altname"] else "")
        for key, pair in pairs.items()
    ]
    with table.open("w", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(sorted(rows))


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit((__doc__ or "").strip())
    main(*map(Path, sys.argv[1:]))
