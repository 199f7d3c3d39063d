"""The main command: archives in, gaps found and filled, completeness out."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser

from chandlery.management.arguments import add_selection, add_workers, selection_of, sources_of
from chandlery.management.base import ChandleryCommand, command_line, surroundings, tiers
from chandlery.management.listeners import listener_for, render_plan
from chandlery.management.plan_json import plan_as_json
from chandlery.management.rendering import add_outputs, check_outputs, print_report, write_files
from chandlery.pipeline.binding import checked_store
from chandlery.pipeline.events import JobEnded, Planned, SourcesFound
from chandlery.pipeline.job import dry_run, run_job
from chandlery.pipeline.markets import select
from chandlery.pipeline.report import report
from chandlery.pipeline.request import IngestRequest
from chandlery.pipeline.workers import worker_pool

DONE, FAILED, INCOMPLETE, PAUSED = 0, 1, 3, 130


class Command(ChandleryCommand):
    help = (
        "Bring the complete candle history of the chosen markets into the store: read the archives, find what is open, "
        "derive what can be derived, and report. Exit status: 0 done, 1 a file or the job failed, 2 wrong usage, "
        "3 done but --complete was asked and gaps remain, 130 paused by Ctrl-C."
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
        add("--complete", action="store_true", help="end with status 3 if anything asked for is still open")
        add("--dry-run", action="store_true", help="show the plan and write nothing")
        add("--stop-on-error", action="store_true", help="stop at the first file that cannot be read")
        add("--no-api-backfill", action="store_true", help="make no request to the exchange")
        add("--no-auto-gap-fill", action="store_true", help="derive nothing from finer intervals")
        add_workers(parser)
        add("-y", "--yes", action="store_true", help="do not ask before starting")

    def handle(self, *args: Any, **options: Any) -> None:
        request = _request(options)
        check_outputs(options)
        self.prepare_state(dry_run=options["dry_run"])
        out = sys.stderr if options["json"] else self.stdout
        with worker_pool(request.workers) as executor:
            if options["dry_run"]:
                listen = listener_for(out, options["verbosity"])
                for event in dry_run(request, surroundings(), executor, tiers()):
                    if isinstance(event, Planned):
                        self.stdout.write(plan_as_json(event) if options["json"] else render_plan(event))
                    else:
                        listen(event)
                return
            status = self._run(request, executor, out, options)
        self.leave(status)

    def _run(self, request: IngestRequest, executor: Any, out: Any, options: dict[str, Any]) -> int:
        around = surroundings()
        ended: JobEnded | None = None
        with stop_flag() as should_stop, listener_for(out, options["verbosity"]) as listen:
            steps = run_job(request, around, executor, tiers(), should_stop)
            for event in steps:
                listen(event)
                if isinstance(event, SourcesFound) and not request.sources:
                    out.write(f"  Put archives into {settings.ARCHIVE_DIR}, or name them with --source PATH.\n")
                if isinstance(event, Planned) and event.files and not options["yes"] and not _confirmed():
                    steps.close()
                    out.write("Not started.\n")
                    return PAUSED
                if isinstance(event, JobEnded):
                    ended = event
        assert ended is not None, "a run that raises nothing tells how it ended"
        again = command_line()
        if ended.status == "PAUSED":
            out.write(f"Paused. Nothing is lost; go on with:\n  {again}\n")
            return PAUSED
        store = checked_store(around.store_url, around.home)
        made = report(request.selection, select(request.selection), store, around.clock())
        print_report(made, options, self.stdout, again)
        write_files(made, options, out)
        if ended.files_failed:
            return FAILED
        return INCOMPLETE if request.complete and not made.complete else DONE


def _request(options: dict[str, Any]) -> IngestRequest:
    return IngestRequest(
        selection=selection_of(options),
        sources=sources_of(options["source"]),
        complete=options["complete"],
        stop_on_error=options["stop_on_error"],
        api_backfill=not options["no_api_backfill"],
        auto_gap_fill=not options["no_auto_gap_fill"],
        workers=options["workers"],
    )


def _confirmed() -> bool:
    """Ask, where somebody is there to answer."""
    if not sys.stdin.isatty():
        return True
    return input("Start? [Y/n] ").strip().lower() in ("", "y", "yes")


@contextmanager
def stop_flag() -> Iterator[Any]:
    """The first Ctrl-C (or SIGTERM) asks to stop after the files in hand; the second stops at once."""
    asked: list[int] = []

    def ask(number: int, frame: FrameType | None) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)
        sys.stderr.write("\nStopping after the files in hand; press Ctrl-C again to stop at once.\n")

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
