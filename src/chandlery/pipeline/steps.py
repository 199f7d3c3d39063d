"""The steps of a run, each a generator of events: sources, plan, files, gaps, the API, derivation."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from chandlery.candles.evidence import answered
from chandlery.candles.interval import Interval
from chandlery.candles.series import Series
from chandlery.candles.timerange import RangeSet, TimeRange
from chandlery.errors import ChandleryError
from chandlery.models import FileIngestionRecord, FileStatus, GapRecord, IngestionJob
from chandlery.pipeline import events
from chandlery.pipeline.ask import Asked, ClocksApart, Conversation, Remark, Still, Waiting
from chandlery.pipeline.cover import settle
from chandlery.pipeline.detect import mark_attempted, record_gaps
from chandlery.pipeline.discover import Found, date_releases, files_on_hand, record_releases
from chandlery.pipeline.explain import ask_seconds, clocks_apart, gaps_found, planned, sources_found
from chandlery.pipeline.fill import DeriveResult, DeriveTask, derive_series
from chandlery.pipeline.ingest import IngestResult, IngestTask, ingest_file
from chandlery.pipeline.lease import SeriesHeld
from chandlery.pipeline.plan import Derivation, Plan
from chandlery.pipeline.record import record_asked, record_derived, record_file, record_problems
from chandlery.pipeline.run import Run
from chandlery.pipeline.schedule import Schedule, known_hashes
from chandlery.stores.base import Written

#: What failures of the API as a whole are listed under.
API = "Kraken's API"


class WorkerDied(ChandleryError):
    """A worker process died (out of memory, or killed) while these were in hand: {current}; run the same command
    again to go on"""


class StoppedOnError(ChandleryError):
    """Stopped at the first error, as --stop-on-error asks: {error}"""


@contextmanager
def workers_watched() -> Iterator[None]:
    try:
        yield
    except BrokenExecutor as error:
        raise WorkerDied(current="ends of archives, answers or derivations") from error


def take_steps(run: Run) -> Iterator[events.Event]:
    """All of them, as far as nobody asks to stop."""
    with run.recording():
        run.failures += record_problems(run.found.sources, run.job, run.surroundings.clock())
    yield discovered(run)
    _stop_on_error(run)
    run.remember_edge()
    before = run.completeness(as_known=True) if run.request.incremental else 0.0
    first = run.plan()
    yield as_planned(run, first)
    _count_files(run, first)
    yield from _ingest_all(run, first)
    if run.should_stop():
        return
    with run.recording():
        # Slots that came since the last run are no gap yet: most are closed by this one, every time.
        record_gaps(run.facts, run.known_ranges, run.until)
    rows = _open_rows(run)
    due = run.plan()
    unknown = sum(within is None for within in run.ranges.values())
    yield gaps_found(rows, due.derivations, due.asks, unknown)
    yield from _ask(run, due, rows)
    # An answer may begin later than foreseen, or fail to come: what was to be derived from it is asked for itself.
    while not run.should_stop() and not run.gave_up and (more := run.plan()).asks:
        yield from _ask(run, more, rows)
    yield from _derive(run)
    with run.recording():
        record_gaps(run.facts, run.ranges, run.until, run.unanswered)
    if run.request.incremental:
        yield _edge_moved(run, before)


def _open_rows(run: Run) -> list[GapRecord]:
    """The gaps on record in what was asked for."""
    ranges = {
        (run.facts[series.market].market.pk, int(series.interval)): within for series, within in run.ranges.items()
    }
    return [
        row
        for row in GapRecord.objects.open_of(run.markets, run.request.selection.intervals)
        if (within := ranges.get((row.market_id, row.interval_minutes))) is not None and row.range.overlaps(within)
    ]


def discovered(run: Run) -> events.SourcesFound:
    """Step 1: what there is, by what state knows of it."""
    run.found = Found(tuple(date_releases(run.found.sources, run.executor)))
    run.releases = record_releases(run.found.sources)
    run.files = files_on_hand(run.found.sources, {market.altname for market in run.markets})
    run.look()
    return sources_found(run.found, run.markets, run.request)


def as_planned(run: Run, made: Plan) -> events.Planned:
    """Step 2: what will be done."""
    return planned(made, run.wanted, run.facts, run.surroundings, incremental=run.request.incremental)


def _count_files(run: Run, first: Plan) -> None:
    """What the job has to do, files that it read before it was interrupted included."""
    signatures = {file.member.signature for file in first.unchanged}
    own = sum(
        signature in signatures
        for signature in FileIngestionRecord.objects.filter(job=run.job, status=FileStatus.COMPLETED)
        .values_list("signature", flat=True)
        .iterator()
    )
    IngestionJob.objects.filter(pk=run.job.pk).update(
        total_files=len(first.files) + len(first.unchanged),
        files_ingested=own,
        files_skipped=len(first.unchanged) - own,
    )


# ------------------------------------------------------------------------------------------------------------- files


def _ingest_all(run: Run, made: Plan) -> Iterator[events.Event]:
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
            _stop_on_error(run)
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
                run.changed.add(task.series)
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


# ----------------------------------------------------------------------------------------------------------- the API


def _ask(run: Run, due: Plan, rows: Sequence[GapRecord]) -> Iterator[events.Event]:
    """One request a series; what is answered is recorded as it comes."""
    skipped = _why_nobody_is_asked(run, due)
    if skipped is not None:
        yield events.AskStarted(0, skipped=skipped)
        return
    run.hold({ask.series for ask in due.asks})
    with run.recording():
        mark_attempted(rows, {ask.series: ask.ranges for ask in due.asks}, run.surroundings.clock())
    started, done, failed, candles, conflicting = time.monotonic(), 0, 0, 0, 0
    yield events.AskStarted(len(due.asks), ask_seconds(due.asks, run.surroundings.api))
    conversation = Conversation(run.surroundings, run.executor, run.should_stop)
    for told in conversation.about(due.asks):
        run.beat()
        match told:
            case Waiting():
                yield events.AskWaiting(told.why, told.seconds)
            case Still():
                continue
            case Remark():
                yield events.Noticed(told.text)
            case ClocksApart():
                yield events.Noticed(clocks_apart(told.ahead))
            case Asked() if told.unlisted:
                done += 1
                yield from _unlisted(run, told)
            case Asked():
                event = _answered(run, told, conversation.current)
                done, failed, candles = done + 1, failed + bool(told.error), candles + event.inserted
                conflicting += event.conflicting
                yield event
    if conversation.error is not None:
        run.gave_up = True
        run.failures.append((API, str(conversation.error)))
        for ask in due.asks:
            if ask.series not in run.asked:
                run.unanswered[ask.series] = str(conversation.error)
                failed += 1
    # Whatever came of it: nobody is asked twice in one run.
    run.asked.update(ask.series for ask in due.asks)
    with run.recording():
        run.job.count(requests_made=conversation.requests, series_failed=failed, candles_conflicting=conflicting)
    run.look()
    yield events.AskDone(
        done, failed, candles, run.revised, conversation.requests, time.monotonic() - started, len(due.asks)
    )


def _why_nobody_is_asked(run: Run, due: Plan) -> str | None:
    """None where there is somebody to ask."""
    if not run.request.api_backfill:
        return "no request is to be made"
    if not run.request.auto_gap_fill:
        return "no gap is to be filled"
    return None if due.asks else ""


def _answered(run: Run, told: Asked, current: tuple[str, ...]) -> events.SeriesAsked:
    """Record an answer, or why there is none."""
    series = told.ask.series
    facts = run.facts[series.market]
    run.asked.add(series)
    if told.error:
        run.unanswered[series] = told.error
        run.failures.append((str(series), told.error))
    written = told.stored.written
    if told.answers:
        with run.recording():
            record_asked(told, run.job, facts, run.store, run.surroundings.clock())
        run.fresh[series.interval] += written.inserted
        run.revised += written.replaced
        if told.stored.changed is not None:
            run.changed.add(series)
    return events.SeriesAsked(
        series.market,
        series.interval,
        told.covered,
        written.inserted,
        written.replaced,
        written.conflicting,
        told.error,
        current,
    )


def _unlisted(run: Run, told: Asked) -> Iterator[events.Noticed]:
    """The exchange no longer lists a market: no failure, but to be told, once."""
    series = told.ask.series
    market = run.facts[series.market].market
    run.asked.add(series)
    run.unanswered[series] = told.error
    if market.is_listed:
        with run.recording():
            market.mark_absent(run.surroundings.clock())
        yield events.Noticed(
            f"{market.altname}: Kraken no longer lists it; it is not asked for until sync_markets finds it again"
        )


# -------------------------------------------------------------------------------------------------------- derivation


def _derive(run: Run) -> Iterator[events.Event]:
    if not run.request.auto_gap_fill:
        yield events.FillStarted(0, skipped="no gap is to be filled")
        return
    filled = candles = slots = 0
    for derivations in _due(run):
        run.beat()
        if not derivations or run.should_stop():
            continue
        yield events.FillStarted(len(derivations))
        tasks = [DeriveTask(d, run.surroundings.store_url, run.surroundings.home) for d in derivations]
        schedule = Schedule(
            run.executor, derive_series, lambda task: task.derivation.series, run.request.workers, run.beat
        )
        for task, result in schedule.results(tasks, run.should_stop):
            series = task.derivation.series
            with run.recording():
                record_derived(result, run.job, run.facts[series.market].market, run.store, run.surroundings.clock())
            run.fresh[series.interval] += result.written.inserted
            if result.written.inserted or result.written.replaced:
                run.changed.add(series)
            done = _filled(result)
            filled, candles, slots = filled + 1, candles + done.candles, slots + done.slots
            yield done
        run.look()
    if run.left:
        yield events.Noticed(f"{run.left}; what is derived from it is left to the next run")
    yield events.FillDone(filled, candles, slots)


def _due(run: Run) -> Iterator[list[Derivation]]:
    """What to derive, finer intervals first: what was asked for, then, asked for or not, what was made of candles that
    have been answered anew since. What is made and what it is made from are ours alone: what others hold is left.
    """
    # A derived series can serve a coarser one: 720 from 240 that was made from 60.
    for interval in Interval:
        made = _asked_for(run, interval)
        yield made
        again = run.renewals(interval, made)
        while run.hold(_touched(again), leave_held=True):
            again = run.renewals(interval, made)
        yield [derivation for derivation in again if run.holds(_touched([derivation]))]


def _asked_for(run: Run, interval: Interval) -> list[Derivation]:
    """What can be made of the series asked for. That some cannot be, because others hold what they are made from, is
    noted: the next run makes them.
    """
    made = run.derivations(interval)
    try:
        while run.hold(_touched(made)):
            # Until now, someone may have written one of them.
            made = run.derivations(interval)
    except SeriesHeld as held:
        while run.hold(_touched(made), leave_held=True):
            made = run.derivations(interval)
        run.left = str(held)
    return [derivation for derivation in made if run.holds(_touched([derivation]))]


def _touched(derivations: Iterable[Derivation]) -> set[Series]:
    return {series for made in derivations for series in (made.series, made.source)}


def _filled(result: DeriveResult) -> events.SeriesFilled:
    made = result.task.derivation
    series = made.series
    return events.SeriesFilled(
        series.market, series.interval, made.finer, result.candles, made.ranges.slots(series.interval)
    )


# --------------------------------------------------------------------------------------------------------- the end


def _edge_moved(run: Run, before: float) -> events.EdgeMoved:
    """How far an incremental run came beyond what was known."""
    points: list[datetime] = []
    moved: list[TimeRange] = []
    asked: list[TimeRange] = []
    for series in run.ranges:
        known = run.known_until.get(series)
        if known is not None:
            points.append(known - series.interval.delta)
        span = answered(run.facts[series.market].series[series.interval].coverage).span
        if span is not None and span.end > (known or span.start):
            (asked if series in run.asked else moved).append(TimeRange(known or span.start, span.end))
    return events.EdgeMoved(
        last_point=max(points, default=None),
        # What was derived from it may reach further back: the day that an hour completes.
        fetched=RangeSet(asked or moved).span,
        candles=tuple((interval, count) for interval, count in sorted(run.fresh.items()) if count),
        revised=run.revised,
        title=run.request.selection.title,
        completeness_before=before,
        completeness_after=run.completeness(),
    )


def _stop_on_error(run: Run) -> None:
    if run.request.stop_on_error and run.failures:
        raise StoppedOnError(error=run.failures[-1][1])
