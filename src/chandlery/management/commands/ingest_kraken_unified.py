"""The main command: archives in, the API asked, gaps found and filled, completeness out."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from chandlery.errors import UsageError
from chandlery.management.arguments import add_selection, add_workers, requests_to_spend, selection_of, sources_of
from chandlery.management.base import ChandleryCommand
from chandlery.management.ingestion import ingest
from chandlery.management.rendering import add_outputs
from chandlery.pipeline.job import request_of
from chandlery.pipeline.jobs import find_job
from chandlery.pipeline.request import TRADE_BUDGET, IngestRequest

#: What a job remembers, so that none of it can be said again when it is resumed.
REMEMBERED = (
    *("tier", "tiers", "markets", "quotes", "intervals", "start_date", "end_date", "source"),
    *("complete", "incremental", "stop_on_error", "no_api_backfill", "no_auto_gap_fill", "trade_budget"),
)


class ResumeAndMore(UsageError):
    """--resume goes on with what the job was asked for; leave out {option}"""


class Command(ChandleryCommand):
    help = (
        "Bring the complete candle history of the chosen markets into the store, and keep it current: read the "
        "archives, find what is open, ask Kraken's API for what it still tells, derive what can be derived, and "
        "report. Exit status: 0 done, 1 a file, a request or the job failed, 2 wrong usage, 3 done but --complete was "
        "asked and gaps remain, 130 paused by Ctrl-C."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add_selection(parser)
        add_outputs(parser)
        add = parser.add_argument
        add(
            "--source",
            action="append",
            default=[],
            metavar="PATH",
            help="a folder, a ZIP, split parts or a CSV; repeatable (default: the setting ARCHIVE_DIR)",
        )
        add("--resume", metavar="ID", help="go on with a job: its id, or the beginning of it (see list_jobs)")
        add(
            "--incremental",
            action="store_true",
            help="only from what is known to now; says nothing if there is nothing new and nobody watches",
        )
        add(
            "--complete",
            action="store_true",
            help="walk over trades without a limit; status 3 if anything stays open that nobody has accepted",
        )
        add("--dry-run", action="store_true", help="show the plan and write nothing")
        add("--stop-on-error", action="store_true", help="stop at the first file that cannot be read")
        add("--no-api-backfill", action="store_true", help="make no request to the exchange")
        add("--no-auto-gap-fill", action="store_true", help="neither derive from finer intervals nor ask the exchange")
        add(
            "--trade-budget",
            type=requests_to_spend,
            metavar="N",
            help="requests that may be spent on walks over trades, where nothing cheaper tells what is open; 0: none "
            f"(default: {TRADE_BUDGET:,}, with --complete as many as it takes)",
        )
        add_workers(parser)
        add("-y", "--yes", action="store_true", help="do not ask before starting")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["resume"] is None:
            self.leave(ingest(self, _request(options), options))
            return
        for name in REMEMBERED:
            # Not by equality alone: a budget of 0 is one.
            if options[name] is not None and options[name] is not False and options[name] != []:
                raise ResumeAndMore(option="--" + name.replace("_", "-"))
        self.prepare_state(dry_run=options["dry_run"])
        job = find_job(options["resume"])
        self.leave(ingest(self, request_of(job, sources_of([]), options["workers"]), options, resume=job))


def _request(options: dict[str, Any]) -> IngestRequest:
    return IngestRequest(
        selection=selection_of(options),
        sources=sources_of(options["source"]),
        sources_named=bool(options["source"]),
        complete=options["complete"],
        stop_on_error=options["stop_on_error"],
        api_backfill=not options["no_api_backfill"],
        auto_gap_fill=not options["no_auto_gap_fill"],
        incremental=options["incremental"],
        trade_budget=_trade_budget(options),
        workers=options["workers"],
    )


def _trade_budget(options: dict[str, Any]) -> int | None:
    named: int | None = options["trade_budget"]
    if named is not None:
        return named
    return None if options["complete"] else TRADE_BUDGET
