"""Two lakes, or a lake and a folder of CSVs, side by side."""

import json
from typing import Any

from django.core.management.base import CommandParser
from rich.table import Table

from chandlery.candles.compare import Comparison
from chandlery.candles.series import Series
from chandlery.errors import UsageError
from chandlery.exchanges.kraken.names import resolve
from chandlery.management.arguments import names
from chandlery.management.base import ChandleryCommand, as_text, surroundings
from chandlery.pipeline.compare import compare_all, other_side
from chandlery.reporting.as_json import instant
from chandlery.stores import open_store


class NoStore(UsageError):
    """CANDLE_STORE {url} holds no candles; ingest some first, or point it elsewhere"""


class NotHeld(UsageError):
    """Neither side holds a candle of {name}; leave --markets out to compare everything"""


class Command(ChandleryCommand):
    help = (
        "Compare the candle store with another store, or with archives or CSV files, series by series: "
        "equal, different, only here, only there. Exit status 0 if nothing differs, 1 if something does."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--with",
            dest="other",
            required=True,
            metavar="STORE_OR_PATH",
            help="parquet:FOLDER or the folder of a lake; questdb://…; or a folder, ZIP or CSV of Kraken rows",
        )
        parser.add_argument("--markets", nargs="+", default=[], metavar="NAME", help="only these markets")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        around = surroundings()
        here = open_store(around.store_url, around.home)
        if here.identity() is None:
            raise NoStore(url=here.url)
        there = other_side(options["other"], around.home)
        found = list(compare_all(here, there, _wanted(options["markets"], {*here.series(), *there.series()})))
        if options["json"]:
            self.stdout.write(json.dumps(_as_json(found), indent=2))
        else:
            self.stdout.write(as_text(_table(found)))
            total = sum((c for _, c in found), Comparison())
            self.stdout.write("Identical." if total.identical else "They differ.")
        self.leave(0 if all(c.identical for _, c in found) else 1)


def _wanted(asked: list[str], held: set[Series]) -> frozenset[str]:
    """The markets named, or all that either side holds. Raises NotHeld, UnknownMarket."""
    markets = {series.market for series in held}
    wanted = {name if name in markets else resolve(name).altname for name in names(asked)}
    for name in wanted - markets:
        raise NotHeld(name=name)
    return frozenset(wanted or markets)


def _as_json(found: list[tuple[Series, Comparison]]) -> dict[str, Any]:
    return {
        "series": [
            {
                "market": series.market,
                "interval_minutes": int(series.interval),
                "equal": c.equal,
                "different": c.different,
                "only_here": c.only_here,
                "only_there": c.only_there,
                "first_difference": instant(c.first_difference),
            }
            for series, c in found
        ],
        "identical": all(c.identical for _, c in found),
    }


def _table(found: list[tuple[Series, Comparison]]) -> Table:
    table = Table("Market", "Interval")
    for name in ("Equal", "Different", "Only here", "Only there"):
        table.add_column(name, justify="right")
    table.add_column("First difference (UTC)")
    for series, c in found:
        first = f"{c.first_difference:%Y-%m-%d %H:%M}" if c.first_difference else ""
        figures = (f"{n:,}" for n in (c.equal, c.different, c.only_here, c.only_there))
        table.add_row(series.market, f"{int(series.interval)}min", *figures, first)
    return table
