"""What is wrong with the candles that I have?"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from typing import Any

from django.core.management.base import CommandParser
from django.db import transaction

from chandlery.candles.interval import Interval
from chandlery.errors import ChandleryError
from chandlery.management.arguments import add_selection, add_workers, selection_of
from chandlery.management.base import ChandleryCommand, surroundings
from chandlery.management.interrupts import stop_flag
from chandlery.management.listeners import listener_for
from chandlery.models import FindingState, Market
from chandlery.pipeline.binding import checked_store
from chandlery.pipeline.candle_audit_step import look_through
from chandlery.pipeline.findings import findings_of, outages_of
from chandlery.pipeline.knowledge import MarketFacts, know
from chandlery.pipeline.markets import select
from chandlery.pipeline.workers import worker_pool, workers_watched
from chandlery.reporting.findings import findings_as_json, findings_as_text


class Stopped(ChandleryError):
    """Stopped; what was looked through is recorded, run the same command again for the rest"""

    exit_status = 130


class Command(ChandleryCommand):
    help = (
        "Look through stored candles: hold the intervals of each market against each other, silence against the "
        "market's own pace and against other markets, and look at rows that cannot be. Only what has changed since the "
        "last time is read. Nothing is asked, nothing is filled: ingest_kraken_unified does that."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add_selection(parser, intervals="all that are stored")
        add_workers(parser)
        parser.add_argument("--anew", action="store_true", help="look at everything again, changed or not")
        parser.add_argument("--all", action="store_true", help="show findings whose cause is gone, too")
        parser.add_argument("--json", action="store_true", help="one JSON object on standard output")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["intervals"] is None:
            options["intervals"] = [int(interval) for interval in Interval]
        selection = selection_of(options)
        self.prepare_state()
        around = surroundings()
        store = checked_store(around.store_url, around.home)
        markets, now = select(selection), around.clock()

        def known(wanted: Iterable[Market]) -> Mapping[str, MarketFacts]:
            return know(wanted, store, now)

        with (
            worker_pool(options["workers"]) as executor,
            listener_for(self.stderr, options["verbosity"], in_steps=False) as listen,
            stop_flag() as should_stop,
            workers_watched(),
        ):
            for event in look_through(
                markets,
                known,
                store,
                around,
                executor,
                options["workers"],
                transaction.atomic,
                should_stop,
                anew=options["anew"],
            ):
                listen(event)
            if should_stop():
                raise Stopped
        states = [state for state in FindingState if options["all"] or state != FindingState.RESOLVED]
        findings, outages = findings_of(markets, selection, states), outages_of(markets, selection)
        if options["json"]:
            self.stdout.write(json.dumps(findings_as_json(findings, outages), indent=2))
        else:
            self.stdout.write("\n".join(findings_as_text(findings, outages, _columns())))


def _columns() -> int:
    return shutil.get_terminal_size(fallback=(160, 24)).columns
