"""The step that reads files: what is planned, and what turns out to be needed once that is known."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass

from chandlery.models import FileIngestionRecord, FileStatus
from chandlery.pipeline import events
from chandlery.pipeline.cover import settle
from chandlery.pipeline.ingest import IngestResult, IngestTask, ingest_file
from chandlery.pipeline.plan import Plan
from chandlery.pipeline.record import record_file
from chandlery.pipeline.run import Run
from chandlery.pipeline.schedule import Schedule, known_hashes
from chandlery.pipeline.workers import WorkerDied
from chandlery.stores.base import Written


def ingest_files(run: Run, made: Plan) -> Iterator[events.Event]:
    """Read what is planned, and plan again with what is then known, until nothing is left to read."""
    started, totals = time.monotonic(), _Totals(skipped=len(made.unchanged))
    _settle(run)
    while made.files and not run.should_stop():
        run.hold({file.series for file in made.files})
        first = tuple(file.member.label for file in made.files[: run.request.workers])
        yield events.FilesStarted(len(made.files), sum(file.member.size for file in made.files), first)
        for event in _ingest(run, made):
            totals.add(event)
            yield event
            run.stop_on_error()
        _settle(run)
        run.look()
        made = run.plan()
    run.look()
    yield events.FilesDone(totals.ingested, totals.skipped, totals.failed, totals.rows, time.monotonic() - started)


def _settle(run: Run) -> None:
    with run.recording():
        settle(run.markets, run.store, run.surroundings.clock())


@dataclass(slots=True)
class _Totals:
    """Files and rows of this run."""

    ingested: int = 0
    skipped: int = 0
    failed: int = 0
    rows: int = 0

    def add(self, event: events.FileDone) -> None:
        self.ingested += event.outcome == FileStatus.COMPLETED
        self.skipped += event.outcome == FileStatus.SKIPPED
        self.failed += event.outcome == FileStatus.FAILED
        self.rows += event.rows


def _ingest(run: Run, made: Plan) -> Iterator[events.FileDone]:
    """Largest first, one file of a series at a time, as many at once as there are workers."""
    hashes = known_hashes(made.files)
    around = run.surroundings
    tasks = [
        IngestTask(
            file.series,
            file.member,
            file.period,
            file.rank,
            hashes.get((file.series, file.member.size), {}),
            around.store_url,
            around.home,
        )
        for file in made.files
    ]
    schedule = Schedule(run.executor, ingest_file, lambda task: task.series, run.request.workers, run.beat)
    try:
        for task, result in schedule.results(tasks, run.should_stop):
            market = run.facts[task.series.market].market
            with run.recording():
                row = record_file(
                    result, run.job, market, run.releases.get(task.rank), run.store, run.surroundings.clock()
                )
            run.done.add(task.member.signature)
            if result.error:
                run.failures.append((task.member.label, result.error))
            if result.written is not None:
                run.fresh[task.series.interval] += result.written.inserted
                run.note_change(task.series)
            yield _told(result, row, tuple(t.member.label for t in schedule.in_hand))
    except BrokenExecutor as error:
        raise WorkerDied(current=", ".join(t.member.label for t in schedule.in_hand)) from error


def _told(result: IngestResult, row: FileIngestionRecord, current: tuple[str, ...]) -> events.FileDone:
    written = result.written or Written()
    return events.FileDone(
        result.task.member.label,
        result.task.member.size,
        row.status,
        result.rows,
        written.inserted,
        written.replaced,
        written.conflicting,
        result.error,
        current,
    )
