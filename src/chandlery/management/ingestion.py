"""A run of the pipeline from a terminal or a log: started, listened to, stopped by signals, reported."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from django.conf import settings

from chandlery.management.base import ChandleryCommand, command_line, surroundings, tiers
from chandlery.management.listeners import listener_for, render_plan
from chandlery.management.plan_json import plan_as_json
from chandlery.management.rendering import check_outputs, print_report, write_files
from chandlery.models import IngestionJob
from chandlery.pipeline.binding import checked_store
from chandlery.pipeline.events import JobEnded, Planned, SourcesFound
from chandlery.pipeline.job import dry_run, run_job
from chandlery.pipeline.markets import select
from chandlery.pipeline.report import report
from chandlery.pipeline.request import IngestRequest
from chandlery.pipeline.workers import worker_pool

DONE, FAILED, INCOMPLETE, PAUSED = 0, 1, 3, 130


def ingest(
    command: ChandleryCommand, request: IngestRequest, options: dict[str, Any], resume: IngestionJob | None = None
) -> int:
    """Do it, or show the plan; the exit status. `options` are those of `add_outputs`, with dry_run, yes, verbosity."""
    check_outputs(options)
    command.prepare_state(dry_run=options["dry_run"])
    out = sys.stderr if options["json"] else command.stdout
    with worker_pool(request.workers) as executor:
        if options["dry_run"]:
            _show_plan(command, request, executor, out, options)
            return DONE
        return _run(command, request, executor, out, options, resume)


def _show_plan(
    command: ChandleryCommand, request: IngestRequest, executor: Any, out: Any, options: dict[str, Any]
) -> None:
    listen = listener_for(out, options["verbosity"])
    for event in dry_run(request, surroundings(), executor, tiers()):
        if isinstance(event, Planned):
            command.stdout.write(plan_as_json(event) if options["json"] else render_plan(event))
        else:
            listen(event)


def _run(
    command: ChandleryCommand,
    request: IngestRequest,
    executor: Any,
    out: Any,
    options: dict[str, Any],
    resume: IngestionJob | None,
) -> int:
    around = surroundings()
    ended: JobEnded | None = None
    listener = listener_for(out, options["verbosity"], incremental=request.incremental, log_file=settings.LOG_FILE)
    with stop_flag() as should_stop, listener as listen:
        steps = run_job(request, around, executor, tiers(), should_stop, resume)
        for event in steps:
            listen(event)
            if isinstance(event, SourcesFound) and not request.sources and not request.incremental:
                out.write(f"  Put archives into {settings.ARCHIVE_DIR}, or name them with --source PATH.\n")
            if isinstance(event, Planned) and (event.files or event.asks) and not options["yes"] and not _confirmed():
                steps.close()
                out.write("Not started.\n")
                return PAUSED
            if isinstance(event, JobEnded):
                ended = event
    assert ended is not None, "a run that raises nothing tells how it ended"
    if ended.status == "PAUSED":
        again = f"{settings.PROGRAM} ingest_kraken_unified --resume {str(ended.job_id)[:8]}"
        out.write(f"Paused. Nothing is lost; go on with:\n  {again}\n")
        return PAUSED
    made = report(
        request.selection, select(request.selection), checked_store(around.store_url, around.home), around.clock()
    )
    if options["json"] or not request.incremental:
        print_report(made, options, command.stdout, command_line())
    write_files(made, options, out)
    if ended.failures:
        return FAILED
    return INCOMPLETE if request.complete and not made.complete else DONE


def _confirmed() -> bool:
    """Ask, where somebody is there to answer."""
    if not sys.stdin.isatty():
        return True
    return input("Start? [Y/n] ").strip().lower() in ("", "y", "yes")


@contextmanager
def stop_flag() -> Iterator[Callable[[], bool]]:
    """The first Ctrl-C (or SIGTERM) asks to stop after what is in hand; the second stops at once."""
    asked: list[int] = []

    def ask(number: int, frame: FrameType | None) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)
        sys.stderr.write("\nStopping after what is in hand; press Ctrl-C again to stop at once.\n")

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
