"""A run of the pipeline from a terminal or a log: started, listened to, stopped by signals, reported."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any
from uuid import UUID

from django.conf import settings

from chandlery.management.base import ChandleryCommand, command_line, surroundings, tiers
from chandlery.management.interrupts import stop_flag
from chandlery.management.listeners import Listener, Together, listener_for, render_plan
from chandlery.management.on_record import OnRecord
from chandlery.management.plan_json import plan_as_json
from chandlery.management.rendering import check_outputs, print_report, write_files
from chandlery.management.step_text import incomplete_text, walking_text
from chandlery.models import IngestionJob
from chandlery.pipeline.binding import checked_store
from chandlery.pipeline.events import Event, JobEnded, JobStarted, Planned, SourcesFound, WalkStarted
from chandlery.pipeline.job import dry_run, run_job
from chandlery.pipeline.markets import select
from chandlery.pipeline.report import report
from chandlery.pipeline.request import IngestRequest
from chandlery.pipeline.workers import worker_pool
from chandlery.reporting.wording import sentence

#: A walk that takes so many times what was planned, and more than a few requests, is asked about again.
DEARER, SMALL = 2, 20
DONE, FAILED, INCOMPLETE, PAUSED = 0, 1, 3, 130


def ingest(
    command: ChandleryCommand,
    request: IngestRequest,
    options: dict[str, Any],
    resume: IngestionJob | None = None,
    rerun: str = "",
) -> int:
    """Do it, or show the plan; the exit status. `options` are those of `add_outputs`, with dry_run, yes, verbosity.

    `rerun` is the command that the report recommends where that is not the one that was typed.
    """
    check_outputs(options)
    command.prepare_state(dry_run=options["dry_run"])
    out = sys.stderr if options["json"] else command.stdout
    with worker_pool(request.workers) as executor:
        if options["dry_run"]:
            _show_plan(command, request, executor, out, options)
            return DONE
        return _run(command, request, executor, out, options, resume, rerun or command_line())


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
    rerun: str,
) -> int:
    told: list[Planned] = []

    def go_on(event: Event) -> bool:
        if isinstance(event, SourcesFound) and not request.sources and not request.incremental:
            out.write(f"  Put archives into {settings.ARCHIVE_DIR}, or name them with --source PATH.\n")
        if not isinstance(event, Planned):
            return True
        told.append(event)
        has_work = event.files or event.asks or event.walks or event.undated
        return options["yes"] or not has_work or confirmed("Start?")

    def may_walk(started: WalkStarted) -> bool:
        """Asked once more where the plan did not tell the price, or a much lower one."""
        planned = told[-1].walk_requests if told and not told[-1].undated else None
        is_dearer = planned is None or (started.requests or 0) > max(DEARER * planned, SMALL)
        if options["yes"] or not is_dearer:
            return True
        return confirmed(f"{sentence(walking_text(started))}. Walk?", under_way=True)

    around = surroundings()
    # Whoever resumes a job wants to see how far it had come.
    brief = request.incremental and resume is None
    listener = listener_for(out, options["verbosity"], incremental=brief, log_file=settings.LOG_FILE)
    ended = follow(request, executor, listener, out, go_on, resume, may_walk)
    if ended is None:
        return PAUSED
    store = checked_store(around.store_url, around.home)
    made = report(request.selection, select(request.selection), store, ended.until or around.clock())
    if options["json"] or not request.incremental:
        print_report(made, options, command.stdout, rerun)
    write_files(made, options, out)
    if ended.failures:
        return FAILED
    if request.complete and not made.has_all_it_should:
        out.write(incomplete_text(made) + "\n")
        return INCOMPLETE
    return DONE


def follow(
    request: IngestRequest,
    executor: Executor,
    listener: Listener,
    out: Any,
    go_on: Callable[[Event], bool] = lambda event: True,
    resume: IngestionJob | None = None,
    may_walk: Callable[[WalkStarted], bool] = lambda started: True,
) -> JobEnded | None:
    """Run it and tell `listener` everything; how it ended, None where it was paused: `out` says so.

    `go_on` is asked after each event whether the run shall; `may_walk`, before trades are walked, whether they shall.
    """
    ended: JobEnded | None = None
    job_id: UUID | None = None
    with stop_flag() as should_stop, Together(OnRecord(), listener) as listen:
        steps = run_job(request, surroundings(), executor, tiers(), should_stop, resume, may_walk)
        try:
            for event in steps:
                if isinstance(event, JobEnded):
                    ended = event
                listen(event)
                if isinstance(event, JobStarted):
                    job_id = event.job_id
                if not go_on(event):
                    steps.close()
                    if resume is None and job_id is not None:
                        IngestionJob.objects.filter(pk=job_id).delete()
                    out.write("Not started.\n")
                    return None
        except KeyboardInterrupt as pressed:
            # It came while something was being told; the run has to hear of it, to end its job and say how to go on.
            if ended is None:
                steps.throw(pressed)
            if ended is None or ended.status != "PAUSED":
                raise
    assert ended is not None, "a run that raises nothing tells how it ended"
    if ended.status == "PAUSED":
        again = f"{settings.PROGRAM} ingest_kraken_unified --resume {str(ended.job_id)[:8]}"
        out.write(f"Paused. Nothing is lost; go on with:\n  {again}\n")
        return None
    return ended


def confirmed(question: str, *, under_way: bool = False) -> bool:
    """Ask, where somebody is there to answer. Ctrl-C and Ctrl-D mean no; but Ctrl-C in a run that is under way stops
    it, by KeyboardInterrupt.
    """
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return True
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        # Not by input(): it writes to standard output, which may be a file.
        sys.stderr.write(f"{question} [Y/n] ")
        sys.stderr.flush()
        answer = sys.stdin.readline()
    except KeyboardInterrupt:
        if under_way:
            sys.stderr.write("\n")
            raise
        answer = ""
    finally:
        signal.signal(signal.SIGINT, before)
    if not answer.endswith("\n"):
        sys.stderr.write("\n")
    return answer.strip().lower() in ("y", "yes") or answer == "\n"
