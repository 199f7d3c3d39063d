"""The main job: discover, plan, ingest, cover, detect, fill. It yields what it does; listeners show it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor
from contextlib import contextmanager
from dataclasses import dataclass, field

from django.db import transaction

from chandlery.candles.evidence import Coverage, stale_ranges
from chandlery.candles.interval import Interval
from chandlery.candles.series import Series
from chandlery.candles.timerange import TimeRange
from chandlery.candles.verdict import Life
from chandlery.errors import ChandleryError, UsageError
from chandlery.exchanges.kraken.tiers import TierTable
from chandlery.models import ArchiveRelease, FileIngestionRecord, FileStatus, IngestionJob, JobStatus, Market
from chandlery.pipeline import events
from chandlery.pipeline.binding import bind, checked_store
from chandlery.pipeline.cover import settle
from chandlery.pipeline.detect import record_gaps
from chandlery.pipeline.discover import Found, date_releases, discover, files_on_hand, record_releases
from chandlery.pipeline.explain import gaps_found, planned, sources_found
from chandlery.pipeline.fill import DeriveResult, DeriveTask, derive_series
from chandlery.pipeline.ingest import IngestResult, IngestTask, ingest_file
from chandlery.pipeline.knowledge import MarketFacts, know
from chandlery.pipeline.markets import ensure_markets, register, select
from chandlery.pipeline.plan import Derivation, FileOnHand, Plan, Wanted, first_slots, foretold, plan, renewals
from chandlery.pipeline.record import record_derived, record_file, record_problems
from chandlery.pipeline.request import IngestRequest, Surroundings
from chandlery.pipeline.schedule import Schedule, known_hashes
from chandlery.stores.base import CandleStore, Written


class WorkerDied(ChandleryError):
    """A worker process died (out of memory, or killed) while these were in hand: {current}; run the same command
    again to go on"""


class StartsInFuture(UsageError):
    """--start-date {start:%Y-%m-%d} is not over yet (it is {now:%Y-%m-%d %H:%M} UTC); name an earlier day"""


class StoppedOnError(ChandleryError):
    """Stopped at the first error, as --stop-on-error asks: {error}"""


@dataclass(slots=True)
class Run:
    """One run in progress: what it was asked, what it stands in, and what it knows by now."""

    request: IngestRequest
    surroundings: Surroundings
    executor: Executor
    should_stop: Callable[[], bool]
    store: CandleStore
    markets: list[Market]
    found: Found
    releases: dict[str, ArchiveRelease] = field(default_factory=dict)
    files: list[FileOnHand] = field(default_factory=list)
    facts: dict[str, MarketFacts] = field(default_factory=dict)
    done: set[str] = field(default_factory=set)
    failures: list[tuple[str, str]] = field(default_factory=list)
    job: IngestionJob = field(default_factory=IngestionJob)

    @property
    def wanted(self) -> dict[Series, Wanted]:
        """Every series asked for, as far as its market's history is known by now, or files yet to be read foretell
        it.
        """
        now = self.surroundings.clock()
        unread = [file for file in self.files if not file.unchanged and file.member.signature not in self.done]
        starts = first_slots(unread)
        trades = first_slots(file for file in unread if file.period is not None and file.period.complete)
        selection = self.request.selection
        lives = {
            name: Life(foretold(facts.market.first_trade, trades.get(name, {})), facts.market.delisted_at)
            for name, facts in self.facts.items()
        }
        return {
            Series(facts.market.exchange, name, interval): Wanted(
                selection.wanted(interval, foretold(facts.start, starts.get(name, {})), now),
                lives[name],
                from_first=selection.start is None and lives[name].first_trade is None,
            )
            for name, facts in self.facts.items()
            for interval in selection.intervals
        }

    @property
    def ranges(self) -> dict[Series, TimeRange | None]:
        """What was asked for of every series, by what is stored: as the report has it."""
        now = self.surroundings.clock()
        return {
            Series(facts.market.exchange, name, interval): self.request.selection.wanted(interval, facts.start, now)
            for name, facts in self.facts.items()
            for interval in self.request.selection.intervals
        }

    def look(self) -> None:
        """Read anew what state knows."""
        self.facts = know(self.markets, self.store)

    @property
    def coverage(self) -> dict[Series, Coverage]:
        return {
            Series(facts.market.exchange, name, interval): known.coverage
            for name, facts in self.facts.items()
            for interval, known in facts.series.items()
        }

    def plan(self) -> Plan:
        return plan(self.wanted, self.coverage, self.files, derive=self.request.auto_gap_fill, done=self.done)

    def due(self, interval: Interval) -> Iterator[list[Derivation]]:
        """What to derive at `interval`: first what was asked for, then, asked for or not, what was derived from finer
        candles that have been answered anew since.
        """
        if interval in self.request.selection.intervals:
            yield [d for d in self.plan().derivations if d.series.interval == interval]
        stale = {
            series: found
            for series, held in self.coverage.items()
            if series.interval == interval and (found := stale_ranges(held))
        }
        if stale:
            yield renewals(stale, {series: self.facts[series.market].market.life for series in stale}, self.coverage)


def run_job(
    request: IngestRequest,
    surroundings: Surroundings,
    executor: Executor,
    tiers: TierTable,
    should_stop: Callable[[], bool] = lambda: False,
) -> Generator[events.Event, None, None]:
    """Do it. A UsageError comes before there is a job; any other ChandleryError leaves the job FAILED."""
    store = checked_store(surroundings.store_url, surroundings.home)
    run = _prepare(request, surroundings, executor, tiers, should_stop, store)
    bind(store, surroundings.store_url, surroundings.clock())
    run.job = _create_job(run)
    yield events.JobStarted(
        run.job.job_id, request.selection.title, request.selection.intervals, len(run.markets), run.job.created_at
    )
    try:
        with _workers_watched():
            yield from _steps(run)
    except BaseException as error:
        # Whatever stops a run, its job must not stay RUNNING. The error goes on to the caller.
        paused = isinstance(error, KeyboardInterrupt | GeneratorExit)
        _finish(run, JobStatus.PAUSED if paused else JobStatus.FAILED, str(error) or type(error).__name__)
        raise
    status = JobStatus.PAUSED if run.should_stop() else JobStatus.COMPLETED
    _finish(run, status)
    yield events.JobEnded(
        run.job.job_id, status, run.job.files_failed, surroundings.clock(), failures=tuple(run.failures)
    )


def dry_run(
    request: IngestRequest, surroundings: Surroundings, executor: Executor, tiers: TierTable
) -> list[events.Event]:
    """What a run would do. It looks at everything and leaves nothing: its transaction is rolled back."""
    with transaction.atomic():
        ensure_markets(tiers)
        store = checked_store(surroundings.store_url, surroundings.home)
        run = _prepare(request, surroundings, executor, tiers, lambda: False, store)
        with _workers_watched():
            told: list[events.Event] = [_discovered(run), _planned(run, run.plan())]
        transaction.set_rollback(True)
    return told


@contextmanager
def _workers_watched() -> Iterator[None]:
    try:
        yield
    except BrokenExecutor as error:
        raise WorkerDied(current="ends of archives, or derivations") from error


def _prepare(
    request: IngestRequest,
    surroundings: Surroundings,
    executor: Executor,
    tiers: TierTable,
    should_stop: Callable[[], bool],
    store: CandleStore,
) -> Run:
    start, now = request.selection.start, surroundings.clock()
    if start is not None and start >= now:
        raise StartsInFuture(start=start, now=now)
    found = discover(request.sources)
    with transaction.atomic():  # a market that nobody knows undoes what the names of files brought
        register(found.altnames, tiers)
        markets = select(request.selection)
    return Run(request, surroundings, executor, should_stop, store, markets, found)


def _steps(run: Run) -> Iterator[events.Event]:
    run.failures += record_problems(run.found.sources, run.job, run.surroundings.clock())
    yield _discovered(run)
    _stop_on_error(run)
    first = run.plan()
    yield _planned(run, first)
    IngestionJob.objects.filter(pk=run.job.pk).update(
        total_files=len(first.files) + len(first.unchanged), files_skipped=len(first.unchanged)
    )
    yield from _ingest_all(run, first)
    if run.should_stop():
        return
    now = run.surroundings.clock()
    yield gaps_found(record_gaps(run.facts, run.ranges, now), run.plan().derivations)
    yield from _fill(run)
    record_gaps(run.facts, run.ranges, now)


def _discovered(run: Run) -> events.SourcesFound:
    run.found = Found(tuple(date_releases(run.found.sources, run.executor)))
    run.releases = record_releases(run.found.sources)
    run.files = files_on_hand(run.found.sources, {market.altname for market in run.markets})
    run.look()
    return sources_found(run.found, run.markets, run.request)


def _planned(run: Run, made: Plan) -> events.Planned:
    return planned(made, run.wanted, run.facts, run.surroundings.clock())


def _ingest_all(run: Run, made: Plan) -> Iterator[events.Event]:
    """Read what is planned, and plan again with what is then known, until nothing is left to read."""
    started, totals = time.monotonic(), Totals(skipped=len(made.unchanged))
    settle(run.markets, run.store, run.surroundings.clock())
    while made.files and not run.should_stop():
        first = tuple(file.member.label for file in made.files[: run.request.workers])
        yield events.FilesStarted(len(made.files), sum(file.member.size for file in made.files), first)
        for event in _ingest(run, made.files):
            totals.add(event)
            yield event
            _stop_on_error(run)
        settle(run.markets, run.store, run.surroundings.clock())
        run.look()
        made = run.plan()
    run.look()
    yield events.FilesDone(totals.ingested, totals.skipped, totals.failed, totals.rows, time.monotonic() - started)


@dataclass(slots=True)
class Totals:
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


def _ingest(run: Run, files: Sequence[FileOnHand]) -> Iterator[events.FileDone]:
    """Largest first, one file of a series at a time, as many at once as there are workers."""
    hashes = known_hashes(files)
    tasks = [
        IngestTask(
            file.series,
            file.member,
            file.period,
            file.rank,
            hashes.get((file.series, file.member.size), {}),
            run.surroundings.store_url,
            run.surroundings.home,
        )
        for file in files
    ]
    schedule = Schedule(run.executor, ingest_file, lambda task: task.series, run.request.workers)
    markets = {facts.market.altname: facts.market for facts in run.facts.values()}
    try:
        for task, result in schedule.results(tasks, run.should_stop):
            release = run.releases.get(task.rank)
            row = record_file(
                result, run.job, markets[task.series.market], release, run.store, run.surroundings.clock()
            )
            run.done.add(task.member.signature)
            if result.error:
                run.failures.append((task.member.label, result.error))
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


def _fill(run: Run) -> Iterator[events.Event]:
    if not run.request.auto_gap_fill:
        yield events.FillStarted(0, skipped="--no-auto-gap-fill: nothing is derived")
        return
    markets = {facts.market.altname: facts.market for facts in run.facts.values()}
    filled = candles = slots = 0
    # A derived series can serve a coarser one: 720 from 240 that was made from 60.
    for derivations in (due for interval in Interval for due in run.due(interval)):
        if not derivations or run.should_stop():
            continue
        yield events.FillStarted(len(derivations))
        tasks = [DeriveTask(d, run.surroundings.store_url, run.surroundings.home) for d in derivations]
        schedule = Schedule(run.executor, derive_series, lambda task: task.derivation.series, run.request.workers)
        for task, result in schedule.results(tasks, run.should_stop):
            market = markets[task.derivation.series.market]
            record_derived(result, run.job, market, run.store, run.surroundings.clock())
            done = _filled(result)
            filled, candles, slots = filled + 1, candles + done.candles, slots + done.slots
            yield done
        run.look()
    yield events.FillDone(filled, candles, slots)


def _filled(result: DeriveResult) -> events.SeriesFilled:
    made = result.task.derivation
    series = made.series
    return events.SeriesFilled(
        series.market, series.interval, made.finer, result.candles, made.ranges.slots(series.interval)
    )


def _stop_on_error(run: Run) -> None:
    if run.request.stop_on_error and run.failures:
        raise StoppedOnError(error=run.failures[-1][1])


def _create_job(run: Run) -> IngestionJob:
    asked = run.request.selection
    now = run.surroundings.clock()
    return IngestionJob.objects.create(
        tier=",".join(asked.tiers),
        markets=list(asked.markets),
        quotes=list(asked.quotes),
        intervals=[int(interval) for interval in asked.intervals],
        start_date=asked.start,
        end_date=asked.end,
        status=JobStatus.RUNNING,
        created_at=now,
        started_at=now,
        assets_count=len({market.base_id or market.pk for market in run.markets}),
        csv_source_dir=os.pathsep.join(str(path.absolute()) for path in run.request.sources),
        api_backfill_enabled=run.request.api_backfill,
        auto_gap_fill=run.request.auto_gap_fill,
        complete=run.request.complete,
    )


def _finish(run: Run, status: JobStatus, error: str = "") -> None:
    run.job.refresh_from_db()
    run.job.status, run.job.error_message = status, error
    run.job.completed_at = run.surroundings.clock()
    run.job.save(update_fields=["status", "error_message", "completed_at"])
