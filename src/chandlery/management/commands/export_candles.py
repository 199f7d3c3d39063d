"""Candles as files for other programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from chandlery.errors import UsageError
from chandlery.management.arguments import add_selection, selection_of
from chandlery.management.base import ChandleryCommand, surroundings
from chandlery.pipeline.binding import checked_store
from chandlery.pipeline.markets import select
from chandlery.reader.export import KINDS, Exported, export
from chandlery.reader.options import Asked
from chandlery.reader.read import Candles
from chandlery.reporting.as_json import instant
from chandlery.reporting.wording import plural


class NoFolder(UsageError):
    """--output {path} is a file; name a folder"""


class Command(ChandleryCommand):
    help = (
        "Write stored candles into files, one a series, as freqtrade stores its own: BTC_USD-1h.feather with date, "
        "open, high, low, close, volume. A file that is there already is replaced. Quiet slots have no row unless "
        "--fill flat asks for it; what is missing or suspect is never invented."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add_selection(parser)
        add = parser.add_argument
        add("--output", required=True, metavar="DIR", help="where the files go; made if it is not there")
        add("--format", choices=sorted(KINDS), default="feather", help="(default: feather)")
        add("--fill", choices=["flat"], help="quiet slots too, at the close before them, with no volume")
        add("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        selection = selection_of(options)
        folder = Path(options["output"])
        if folder.exists() and not folder.is_dir():
            raise NoFolder(path=folder)
        self.prepare_state()
        around = surroundings()
        candles = Candles(checked_store(around.store_url, around.home), around.clock)
        fill = options["fill"] is not None
        wanted = [Asked(width, selection.start, selection.end, fill, False) for width in selection.intervals]
        done: list[Exported] = []
        for one in export(candles, select(selection), wanted, options["format"], folder):
            done.append(one)
            if not options["json"]:
                self.stdout.write(f"{one.path}: {plural(one.candles, 'candle')}, {one.start:%F} to {one.end:%F}")
        if options["json"]:
            self.stdout.write(json.dumps({"files": [_as_json(one) for one in done]}, indent=2))
        elif not done:
            self.stdout.write("Nothing to export: nothing of the selection is stored.")


def _as_json(one: Exported) -> dict[str, object]:
    return {
        "path": str(one.path),
        "market": one.market,
        "interval_minutes": int(one.interval),
        "candles": one.candles,
        "start": instant(one.start),
        "end": instant(one.end),
    }
