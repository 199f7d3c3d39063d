"""The steps of a run in their order, each a generator of events."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from chandlery.candles.evidence import answered
from chandlery.candles.timerange import RangeSet, TimeRange
from chandlery.models import FileIngestionRecord, FileStatus, GapRecord, IngestionJob
from chandlery.pipeline import events
from chandlery.pipeline.ask_step import ask_api
from chandlery.pipeline.candle_audit_step import audit_candles
from chandlery.pipeline.cover import date_delistings
from chandlery.pipeline.derive_step import derive
from chandlery.pipeline.detect import record_gaps
from chandlery.pipeline.discover import Found, date_releases, files_on_hand, record_releases
from chandlery.pipeline.explain import gaps_found, planned, sources_found
from chandlery.pipeline.ingest_step import ingest_files
from chandlery.pipeline.ledger_step import audit, consult_ledger
from chandlery.pipeline.plan import Plan
from chandlery.pipeline.record import record_problems
from chandlery.pipeline.run import Run
from chandlery.pipeline.walk_step import fold_journals, walk_trades

#: How often what was filled may lead to more that is to be filled, in one run.
MOST_ROUNDS = 6


def take_steps(run: Run) -> Iterator[events.Event]:
    """All of them, as far as nobody asks to stop."""
    with run.recording():
        run.failures += record_problems(run.found.sources, run.job, run.surroundings.clock())
    yield discovered(run)
    run.stop_on_error()
    yield from fold_journals(run, run.markets)
    run.remember_edge()
    before = run.completeness(as_known=True) if run.request.incremental else 0.0
    first = run.plan()
    yield as_planned(run, first)
    _count_files(run, first)
    yield from ingest_files(run, first)
    if run.should_stop():
        return
    with run.recording():
        # Slots that came since the last run are no gap yet: most are closed by this one, every time.
        record_gaps(run.facts, run.known_ranges, run.until)
    wanted = run.ranges
    yield from consult_ledger(run)
    if not run.request.incremental:
        # Whatever a run that was interrupted has left uncounted. What is new is looked at in the end.
        yield from _audit_all(run)
    yield from _date_delistings(run)
    if run.should_stop():
        return
    if run.contradicted or run.ranges != wanted:
        # Slots that are contradicted, and those that a market turned out to have or not to have.
        with run.recording():
            record_gaps(run.facts, run.known_ranges, run.until)
    rows = _open_rows(run)
    due = run.plan()
    unknown = sum(within is None for within in run.ranges.values())
    yield gaps_found(rows, due.derivations, due.asks, due.walks, unknown)
    yield from _fill(run, due, rows)
    # What was filled may show that what it is held against is wrong as well: proven minutes, a coarser candle.
    for _ in range(MOST_ROUNDS):
        if run.should_stop() or run.gave_up or not _is_doubted_anew(run, due):
            break
        due = run.plan()
        yield from _fill(run, due, rows)
    yield from _date_delistings(run)
    with run.recording():
        record_gaps(run.facts, run.ranges, run.until, run.unanswered)
    if run.request.incremental:
        yield _edge_moved(run, before)


def _audit_all(run: Run) -> Iterator[events.Event]:
    """Where what is stored is contradicted, finer files that were not needed before may hold it: they are read, and
    looked through too.
    """
    yield from _look_through(run)
    while run.contradicted and not run.should_stop() and (due := run.plan()).files:
        yield from ingest_files(run, due)
        yield from _look_through(run)


def _look_through(run: Run) -> Iterator[events.Event]:
    """The ledger first: what it confirms needs no statistics."""
    yield from audit(run)
    if not run.should_stop():
        yield from audit_candles(run)


def _is_doubted_anew(run: Run, due: Plan) -> bool:
    """Whether something is to be filled that was not when `due` was planned."""
    if not run.contradicted:
        return False
    now = run.plan()
    planned = {d.series: d.ranges for d in due.derivations} | {walk.series: walk.ranges for walk in due.walks}
    wanted = {d.series: d.ranges for d in now.derivations} | {walk.series: walk.ranges for walk in now.walks}
    return any(ranges - planned.get(series, RangeSet()) for series, ranges in wanted.items())


def _fill(run: Run, due: Plan, rows: list[GapRecord]) -> Iterator[events.Event]:
    """Ask, walk and derive, the cheapest first, and look at what came of it."""
    yield from ask_api(run, due, rows)
    if run.contradicted and not run.gave_up:
        # What was asked for may be in order by now.
        yield from audit(run)
    # An answer may begin later than foreseen, or fail to come: what was to be derived from it is asked for itself. A
    # walk may end early: what the API tells of the rest is asked for.
    while not run.should_stop() and not run.gave_up:
        due = run.plan()
        if due.asks:
            yield from ask_api(run, due, rows)
            if run.contradicted:
                yield from audit(run)
        elif due.walks:
            yield from walk_trades(run, due, rows)
        else:
            break
    yield from derive(run)
    if not run.should_stop():
        yield from _look_through(run)


def _date_delistings(run: Run) -> Iterator[events.Noticed]:
    with run.recording():
        found = date_delistings(run.facts.values())
    if found:
        run.look()
    for market in found:
        yield events.Noticed(
            f"{market.altname}: Kraken no longer lists it, and nothing traded for a quarter after "
            f"{market.delisted_at:%Y-%m-%d %H:%M} UTC: it counts as delisted from then on"
        )


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
    if run.trail is not None:
        run.remember_ledgers()
    return sources_found(run.found, run.markets, run.request)


def as_planned(run: Run, made: Plan) -> events.Planned:
    """Step 2: what will be done."""
    return planned(
        made,
        run.wanted,
        run.facts,
        run.surroundings,
        incremental=run.request.incremental,
        trail=run.trail,
        accepted=run.accepted,
    )


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
