"""The main job: discover, plan, ingest, cover, detect, fill. It yields what it does; listeners show it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Executor
from contextlib import suppress
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError, connection, transaction

from chandlery.candles.interval import Interval
from chandlery.errors import ChandleryError
from chandlery.exchanges.kraken.tiers import TierTable
from chandlery.models import GapRecord, IngestionJob, JobStatus
from chandlery.pipeline import events
from chandlery.pipeline.binding import bind, checked_store
from chandlery.pipeline.discover import discover
from chandlery.pipeline.jobs import new_job, require_begun
from chandlery.pipeline.lease import Held, LeaseLost, settle_dead
from chandlery.pipeline.markets import ensure_markets, register, select
from chandlery.pipeline.request import IngestRequest, Selection, Surroundings
from chandlery.pipeline.run import Run
from chandlery.pipeline.steps import as_planned, discovered, take_steps
from chandlery.pipeline.workers import workers_watched
from chandlery.stores.base import CandleStore

#: So many of a run's failures are kept with its job.
MOST_FAILURES = 1000


class Interrupted(ChandleryError):
    """Stopped at once; nothing is lost, go on with: {program} ingest_kraken_unified --resume {job}"""

    exit_status = 130


def run_job(
    request: IngestRequest,
    surroundings: Surroundings,
    executor: Executor,
    tiers: TierTable,
    should_stop: Callable[[], bool] = lambda: False,
    resume: IngestionJob | None = None,
    may_walk: Callable[[events.WalkStarted], bool] = lambda started: True,
) -> Generator[events.Event, None, None]:
    """Do it, as a new job or as one that is resumed. `may_walk` is asked before trades are walked, with the price.

    A UsageError, or a SeriesHeld where another run writes these series, comes before there is a job; any other
    ChandleryError leaves the job FAILED.
    """
    store = checked_store(surroundings.store_url, surroundings.home)
    run = _prepare(request, surroundings, executor, tiers, should_stop, store)
    run.may_walk = may_walk
    killed = settle_dead(surroundings.time_of_day())
    resumed = None
    if resume is not None:
        resume.refresh_from_db()
        # One that was only asked for is new.
        resumed = _progress(resume) if resume.status != JobStatus.PENDING else None
    _begin(run, resume)
    try:
        bind(store, surroundings.clock())
        yield from _started(run, resumed, killed)
        with workers_watched():
            yield from take_steps(run)
        status = JobStatus.PAUSED if run.should_stop() else JobStatus.COMPLETED
        _finish(run, status)
    except LeaseLost:
        # The job belongs to whoever took over; it is theirs to say how it stands.
        raise
    except BaseException as error:
        # Whatever stops a run, its job must not stay RUNNING. The error goes on to the caller.
        paused = isinstance(error, KeyboardInterrupt | GeneratorExit)
        _finish_anyway(run, JobStatus.PAUSED if paused else JobStatus.FAILED, str(error) or type(error).__name__)
        if isinstance(error, KeyboardInterrupt):
            raise Interrupted(program=settings.PROGRAM, job=str(run.job.pk)[:8]) from error
        raise
    yield events.JobEnded(
        run.job.job_id,
        status,
        run.job.files_failed,
        surroundings.clock(),
        failures=tuple(run.failures),
        until=run.until,
    )


def _started(run: Run, resumed: events.Resumed | None, killed: Iterable[IngestionJob]) -> Iterator[events.Event]:
    selection = run.request.selection
    yield events.JobStarted(run.job.job_id, selection.title, selection.intervals, len(run.markets), run.job.created_at)
    if resumed is not None:
        yield resumed
    for job in killed:
        if job.pk != run.job.pk:
            yield events.Noticed(f"job {str(job.pk)[:8]}: {job.error_message}")


def dry_run(
    request: IngestRequest, surroundings: Surroundings, executor: Executor, tiers: TierTable
) -> list[events.Event]:
    """What a run would do. It looks at everything and leaves nothing: its transaction is rolled back."""
    with transaction.atomic():
        ensure_markets(tiers)
        store = checked_store(surroundings.store_url, surroundings.home)
        run = _prepare(request, surroundings, executor, tiers, lambda: False, store)
        with workers_watched():
            found = discovered(run)
            run.remember_edge()
            told: list[events.Event] = [found, as_planned(run, run.plan())]
        transaction.set_rollback(True)
    return told


def request_of(job: IngestionJob, default_sources: Iterable[Path], workers: int) -> IngestRequest:
    """What a job was asked for. Without an end date, its end moves to now; without sources of its own, it reads
    `default_sources` as they are now.
    """
    return IngestRequest(
        Selection(
            intervals=tuple(Interval(minutes) for minutes in job.intervals),
            tiers=tuple(tier for tier in job.tier.split(",") if tier),
            markets=tuple(job.markets),
            quotes=tuple(job.quotes),
            start=job.start_date,
            end=job.end_date,
        ),
        tuple(Path(path) for path in (default_sources if job.sources is None else job.sources)),
        sources_named=job.sources is not None,
        complete=job.complete,
        stop_on_error=job.stop_on_error,
        api_backfill=job.api_backfill_enabled,
        auto_gap_fill=job.auto_gap_fill,
        incremental=job.incremental,
        trade_budget=job.trade_budget,
        workers=workers,
    )


def _prepare(
    request: IngestRequest,
    surroundings: Surroundings,
    executor: Executor,
    tiers: TierTable,
    should_stop: Callable[[], bool],
    store: CandleStore,
) -> Run:
    now = surroundings.clock()
    require_begun(request.selection, now)
    found = discover(request.sources)
    with transaction.atomic():  # a market that nobody knows undoes what the names of files brought
        register(found.altnames, tiers)
        markets = select(request.selection)
    run = Run(request, surroundings, executor, should_stop, store, markets, found, until=now)
    run.trade_budget_left = request.trade_budget
    if request.incremental:
        # Without anything new there is nothing to audit.
        run.audited = run.changes
    return run


def _begin(run: Run, resume: IngestionJob | None) -> None:
    """The job RUNNING, and holding what it was asked for; or nothing changed. Raises SeriesHeld, JobHeld."""
    now = run.surroundings.clock()
    series = [(market, int(interval)) for market in run.markets for interval in run.request.selection.intervals]
    with transaction.atomic():
        if resume is None:
            run.job = new_job(run.request, run.markets, now, JobStatus.RUNNING)
        else:
            run.job = resume
            run.job.status, run.job.completed_at, run.job.error_message = JobStatus.RUNNING, None, ""
            run.job.started_at = run.job.started_at or now
            run.job.failures, run.job.in_hand = [], None
            # Files that failed are tried again.
            run.job.files_failed = run.job.series_failed = 0
            run.job.save()
        run.lease = Held.acquire(f"job {str(run.job.pk)[:8]}", run.job, series, run.surroundings.time_of_day)


def _progress(job: IngestionJob) -> events.Resumed:
    """How far a job has come that goes on."""
    return events.Resumed(
        job.status,
        job.files_ingested + job.files_skipped,
        job.total_files,
        job.records_ingested,
        job.candles_fetched,
        job.candles_derived,
        job.completed_at,
    )


def _finish_anyway(run: Run, status: JobStatus, error: str) -> None:
    """As `_finish`, after an error. Where the database itself fails, its first error is the one to tell."""
    try:
        _finish(run, status, error)
    except DatabaseError:
        # What was torn in the middle of a statement leaves a connection that is of no use.
        connection.close()
        with suppress(DatabaseError):
            _finish(run, status, error)


def _finish(run: Run, status: JobStatus, error: str = "") -> None:
    with transaction.atomic():
        run.job.refresh_from_db()
        run.job.status, run.job.error_message = status, error
        run.job.completed_at = run.surroundings.clock()
        run.job.failures = [list(failure) for failure in run.failures[:MOST_FAILURES]]
        run.job.in_hand = None
        run.job.save(update_fields=["status", "error_message", "completed_at", "failures", "in_hand"])
        GapRecord.objects.give_up_backfilling(run.markets, map(int, run.request.selection.intervals))
        if run.lease is not None:
            run.lease.release()
