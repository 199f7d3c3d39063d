"""Record: what a worker did becomes state, in one transaction, and only after the store has it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F

from chandlery.candles.evidence import Evidence, answered, extended
from chandlery.candles.interval import Interval
from chandlery.candles.series import Series
from chandlery.candles.timerange import RangeSet, TimeRange
from chandlery.errors import ChandleryError
from chandlery.exchanges.kraken.archive import ArchiveSource
from chandlery.exchanges.kraken.archive_claims import claim_of
from chandlery.models import (
    ArchiveRelease,
    AuditedWeeks,
    CandleAudit,
    DataCoverageRange,
    FileIngestionRecord,
    FileStatus,
    IngestionJob,
    Market,
    TradedDays,
)
from chandlery.pipeline.ask import Asked
from chandlery.pipeline.fill import DeriveResult
from chandlery.pipeline.ingest import IngestResult
from chandlery.pipeline.knowledge import MarketFacts, StoredSlots, series_of
from chandlery.stores.base import CandleStore, Written

LONGEST_FILE_NAME = 200


def record_file(
    result: IngestResult,
    job: IngestionJob,
    market: Market,
    release: ArchiveRelease | None,
    store: CandleStore,
    now: datetime,
) -> FileIngestionRecord:
    """File, traded days, coverage and the job's progress, together."""
    task = result.task
    with transaction.atomic():
        row = FileIngestionRecord.objects.filter(signature=task.member.signature).first()
        row = row or FileIngestionRecord(signature=task.member.signature)
        row.file_path = task.member.label
        row.job, row.release, row.market = job, release, market
        # Of a long path the end tells the most; `file_path` has all of it.
        row.file_name, row.file_size_bytes = task.member.name[-LONGEST_FILE_NAME:], task.member.size
        row.interval_minutes = int(task.series.interval)
        row.file_hash, row.rank = result.sha256, result.rank
        row.started_at, row.completed_at = now - timedelta(seconds=result.seconds), now
        row.error_message = result.error
        if result.error:
            # It may have been read before, as part of something else; what it claims now, nobody knows.
            row.status, row.date_range_start, row.date_range_end = FileStatus.FAILED, None, None
        elif result.written is None:
            _copy_of_known(row, result)
        else:
            _read(row, result, result.written)
        row.save()
        FileIngestionRecord.objects.filter(file_path=row.file_path, status=FileStatus.FAILED).exclude(
            pk=row.pk
        ).delete()
        if row.date_range_start is not None and row.date_range_end is not None:
            last = row.date_range_end - task.series.interval.delta
            if result.written is not None:
                # Even where every row was there already: a run that was killed may have put them there.
                read = TimeRange(row.date_range_start, row.date_range_end)
                outdate_derived(market, task.series.interval, read, store, now)
            answers = claim_of(task.period, task.series.interval, row.date_range_start, last).answers
            record_answers(
                market, task.series.interval, answers, result.written, store, now, row.date_range_start, last
            )
        _advance(job, row)
    return row


def _read(row: FileIngestionRecord, result: IngestResult, written: Written) -> None:
    assert result.first is not None, "the reader refuses empty files"
    assert result.last is not None, "the reader refuses empty files"
    row.status = FileStatus.COMPLETED
    row.records_count = result.rows
    row.conflicting_records, row.first_conflict = written.conflicting, written.first_conflict
    row.date_range_start = result.first
    row.date_range_end = result.last + result.task.series.interval.delta


def _copy_of_known(row: FileIngestionRecord, result: IngestResult) -> None:
    """The content is in the store from another file: its rows are spared, what it claims is not."""
    twin = FileIngestionRecord.objects.filter(
        market=row.market, interval_minutes=row.interval_minutes, file_hash=result.sha256, status=FileStatus.COMPLETED
    ).first()
    row.status = FileStatus.SKIPPED
    if twin is not None:
        row.records_count = twin.records_count
        row.date_range_start, row.date_range_end = twin.date_range_start, twin.date_range_end


def _advance(job: IngestionJob, row: FileIngestionRecord) -> None:
    counted = {
        FileStatus.COMPLETED: {
            "files_ingested": F("files_ingested") + 1,
            "records_ingested": F("records_ingested") + row.records_count,
        },
        FileStatus.SKIPPED: {"files_skipped": F("files_skipped") + 1},
        FileStatus.FAILED: {"files_failed": F("files_failed") + 1},
    }
    IngestionJob.objects.filter(pk=job.pk).update(**counted[FileStatus(row.status)])


def record_answers(
    market: Market,
    interval: Interval,
    answers: Mapping[Evidence, RangeSet],
    written: Written | None,
    store: CandleStore,
    now: datetime,
    first: datetime | None,
    last: datetime | None,
    changed: RangeSet | None = None,
) -> None:
    """Traded days and coverage of one series, inside the caller's transaction. `first` and `last`: opens of its
    candles. `changed`: where candles are other than before. None: wherever something was answered and written, for a
    run that was killed may have changed them there.
    """
    series = series_of(market, interval)
    if written is not None:
        candles = TimeRange(first, last + interval.delta) if first is not None and last is not None else None
        written_to = answered(dict(answers)) | RangeSet([candles] if candles else [])
        touched = written_to if changed is None else changed
        AuditedWeeks.objects.outdate(market, int(interval), touched)
        CandleAudit.objects.outdate(market, touched)
    days = TradedDays.objects.filter(market=market, interval_minutes=int(interval)).first()
    if written is not None and written.days:
        if days is None and first is not None and last is not None:
            days = TradedDays(
                market=market,
                interval_minutes=int(interval),
                first_day=first.date(),
                packed=b"",
                first_slot=first,
                last_slot=last,
            )
        if days is not None:
            pieces = ((piece.first_day, piece.counts) for piece in written.days)
            days.put(pieces, first or days.first_slot, last or days.last_slot)
            days = _as_stored(days, store, series)
    DataCoverageRange.objects.extend(market, int(interval), answers, StoredSlots.of(series, store, days), now)


def _as_stored(days: TradedDays, store: CandleStore, series: Series) -> TradedDays | None:
    """Saved as the store has it. Where that begins or ends elsewhere than state knows, a killed run has left candles
    there, or candles have gone: all are counted.
    """
    span, last = store.span(series), days.last_slot + series.interval.delta
    if span is not None and (days.first_slot, last) == (span.start, span.end):
        days.save()
        return days
    found = store.day_counts(series)
    if span is None or found is None:
        if days.pk is not None:
            days.delete()
        return None
    days.first_day, days.packed = found.first_day, b""
    days.first_slot, days.last_slot = span.start, span.end - series.interval.delta
    days.put([(found.first_day, found.counts)], days.first_slot, days.last_slot)
    days.save()
    return days


def outdate_derived(market: Market, interval: Interval, read: TimeRange, store: CandleStore, now: datetime) -> None:
    """Slots in `read` have been answered anew: what was derived from them is to be derived again."""

    def traded(minutes: int) -> StoredSlots:
        days = TradedDays.objects.filter(market=market, interval_minutes=minutes).first()
        return StoredSlots.of(series_of(market, Interval(minutes)), store, days)

    DataCoverageRange.objects.outdate_derived(market, int(interval), read, traded, now)


def record_derived(result: DeriveResult, job: IngestionJob, market: Market, store: CandleStore, now: datetime) -> None:
    """Derived candles, their coverage and the job's progress, together."""
    with transaction.atomic():
        interval = result.task.derivation.series.interval
        record_answers(market, interval, result.answers, result.written, store, now, result.first, result.last)
        IngestionJob.objects.filter(pk=job.pk).update(candles_derived=F("candles_derived") + result.candles)


def record_asked(result: Asked, job: IngestionJob, facts: MarketFacts, store: CandleStore, now: datetime) -> None:
    """An answer of the API: its candles, what it covers and the job's progress, together. Nothing new: nothing done."""
    interval, written = result.ask.series.interval, result.stored.written
    known = facts.series[interval]
    coverage = known.coverage
    for kind, ranges in result.answers.items():
        coverage = extended(coverage, kind, ranges)
    told = isinstance(known.traded, StoredSlots) and all(known.traded.agrees(days) for days in written.days)
    # A candle can have other values although the same slots are answered for and traded.
    if coverage == known.coverage and told and result.stored.changed is None:
        return
    with transaction.atomic():
        if result.stored.changed is not None:
            outdate_derived(facts.market, interval, result.stored.changed, store, now)
        # None where state counts other candles than the store: a run that was killed has left them there.
        moved = result.stored.changed
        changed = RangeSet([moved] if moved else []) if told or moved else None
        record_answers(facts.market, interval, result.answers, written, store, now, result.first, result.last, changed)
        job.count(candles_fetched=written.inserted, candles_revised=written.replaced)


def record_problems(sources: Iterable[ArchiveSource], job: IngestionJob, now: datetime) -> list[tuple[str, str]]:
    """Sources and members that cannot be opened: failed files, each with its line."""
    found = [
        (str(problem.facts.get("path", source.path)), source.signature, problem)
        for source in sources
        for problem in source.problems
    ]
    # In one order, whoever looks: two runs over the same sources would else wait for each other.
    for path, signature, problem in sorted(found, key=lambda one: one[:2]):
        record_failure(job, path, signature, problem, now)
    return [(path, str(problem)) for path, _, problem in found]


def record_failure(job: IngestionJob, path: str, signature: str, problem: ChandleryError, now: datetime) -> None:
    with transaction.atomic():
        FileIngestionRecord.objects.update_or_create(
            file_path=path,
            signature=signature,
            defaults={
                "job": job,
                "file_name": path.rsplit("/", 1)[-1][-LONGEST_FILE_NAME:],
                "file_size_bytes": 0,
                "status": FileStatus.FAILED,
                "error_message": str(problem),
                "started_at": now,
                "completed_at": now,
            },
        )
        IngestionJob.objects.filter(pk=job.pk).update(files_failed=F("files_failed") + 1)
