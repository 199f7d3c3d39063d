"""Everything about one job."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser
from django.db.models import Q, Sum

from chandlery.candles.interval import Interval
from chandlery.candles.timerange import TimeRange
from chandlery.management.base import ChandleryCommand, clock
from chandlery.management.commands.list_jobs import as_json, what_text
from chandlery.management.step_text import failure_text
from chandlery.models import OPEN, FileStatus, GapRecord, GapStatus, IngestionJob, JobStatus, Lease
from chandlery.pipeline.jobs import find_job
from chandlery.pipeline.lease import settle_dead
from chandlery.pipeline.markets import select
from chandlery.pipeline.request import Selection
from chandlery.reporting.as_json import instant
from chandlery.reporting.wording import days, listed, plain, plural, widths

MOST_FAILURES = 20
#: What is named of that which failed for one reason.
MOST_NAMES = 6
#: What stops a run without a word.
_SIGNALS = {"KeyboardInterrupt": "stopped at once by Ctrl-C", "GeneratorExit": "not gone on with"}
_OPTIONS = (
    ("complete", True, "--complete"),
    ("incremental", True, "--incremental"),
    ("stop_on_error", True, "--stop-on-error"),
    ("api_backfill_enabled", False, "--no-api-backfill"),
    ("auto_gap_fill", False, "--no-auto-gap-fill"),
)


class Command(ChandleryCommand):
    help = "Show one job: what it was asked, how far it came, what failed, who works on it, and how to go on with it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("job", metavar="ID", help="its id, or as much of it as tells it from others")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        self.prepare_state()
        settle_dead(clock()())
        found = JobFacts.of(find_job(options["job"]))
        if options["json"]:
            self.stdout.write(json.dumps(found.as_json(), indent=2))
            return
        most = MOST_FAILURES if options["verbosity"] < 2 else len(found.failures)
        for line in job_lines(found, most):
            self.stdout.write(line)


@dataclass(frozen=True, slots=True)
class JobFacts:
    """A job with what is on record of its work. `failures`: file, series or the API as a whole, and its line."""

    job: IngestionJob
    failures: tuple[tuple[str, str], ...]
    gaps: int
    candles_missing: int
    lease: Lease | None

    @classmethod
    def of(cls, job: IngestionJob) -> "JobFacts":
        """Raises a UsageError where its markets are no longer known."""
        gaps = _gaps(job)
        left = gaps.aggregate(candles=Sum("missing_candles"))
        files = job.files.filter(status=FileStatus.FAILED).values_list("file_path", "error_message")
        unanswered = (
            gaps.filter(status=GapStatus.FAILED, backfill_attempted_at__gte=job.created_at)
            .values_list("market__altname", "interval_minutes", "error_message")
            .order_by("market__altname", "interval_minutes")
            .distinct()
        )
        series = ((f"{altname} {minutes}min", error) for altname, minutes, error in unanswered)
        # What a job that goes on keeps is of the time before.
        kept = [] if job.status == JobStatus.RUNNING else [(what, error) for what, error in job.failures]
        told = {error for _, error in kept}
        failures = [*kept, *((what, error) for what, error in (*files, *series) if error not in told)]
        return cls(job, tuple(failures), gaps.count(), left["candles"] or 0, job.leases.first())

    @property
    def resume(self) -> str:
        """The command that goes on with it; empty while it runs."""
        running = self.job.status == JobStatus.RUNNING
        return "" if running else f"{settings.PROGRAM} ingest_kraken_unified --resume {str(self.job.job_id)[:8]}"

    def as_json(self) -> dict[str, Any]:
        lease = self.lease
        return {
            **as_json(self.job),
            "sources": _sources(self.job),
            "options": _options(self.job),
            "failures": [{"what": what, "error": error} for what, error in self.failures],
            "gaps": self.gaps,
            "candles_missing": self.candles_missing,
            "held_by": {
                "host": lease.host,
                "process": lease.pid,
                "since": instant(lease.acquired_at),
                "heard_of": instant(lease.renewed_at),
            }
            if lease
            else None,
            "resume": self.resume or None,
        }


def job_lines(found: JobFacts, most: int) -> Iterator[str]:
    """For a person; `most` is how many reasons of failures are given."""
    job, lease = found.job, found.lease
    yield f"Job {job.job_id}"
    facts = {
        "Asked": _asked(job),
        "Options": ", ".join(_options(job)),
        "Sources": ", ".join(plain(path) for path in _sources(job)),
        "Status": job.status + (f": {plain(_why(job))}" if job.error_message else ""),
        "Started": f"{job.started_at:%Y-%m-%d %H:%M} UTC" if job.started_at else "",
        "Stopped" if job.status == JobStatus.PAUSED else "Ended": (
            f"{job.completed_at:%Y-%m-%d %H:%M} UTC" if job.completed_at else ""
        ),
        "Files": (
            f"{job.files_ingested + job.files_skipped:,}/{job.total_files:,} ({job.files_ingested:,} ingested, "
            f"{job.files_skipped:,} known, {job.files_failed:,} failed), {plural(job.records_ingested, 'record')}"
        ),
        "API": _api(job),
        "Trades": _trades(job),
        "Derived": plural(job.candles_derived, "candle"),
        "Gaps left": f"{found.gaps:,} ({plural(found.candles_missing, 'candle')})" if found.gaps else "none on record",
        "Held by": (
            f"process {lease.pid} on {plain(lease.host)} since {lease.acquired_at:%Y-%m-%d %H:%M} UTC, "
            f"last heard of {lease.renewed_at:%H:%M:%S}"
            if lease
            else ""
        ),
        "Resume": found.resume,
    }
    size = max(map(len, facts)) + 2
    yield from (f"  {name + ':':<{size}}{text}" for name, text in facts.items() if text)
    if found.failures:
        yield f"Failures, {len(found.failures):,}:"
    # What failed for one reason stands in one line: without a network that is everything.
    by_error: dict[str, list[str]] = {}
    for what, error in found.failures:
        by_error.setdefault(error, []).append(what)
    for error, failed in list(by_error.items())[:most]:
        yield f"  ✗ {failure_text(listed(failed, MOST_NAMES), error)}"
    if len(by_error) > most:
        yield f"  … and {len(by_error) - most:,} more reasons (--verbosity 2 shows all)"


def _why(job: IngestionJob) -> str:
    """What ended it: an error says it itself, a signal is only a name."""
    return _SIGNALS.get(job.error_message, job.error_message)


def _asked(job: IngestionJob) -> str:
    what = what_text(job) + (f" quoted in {', '.join(job.quotes)}" if job.tier and job.quotes else "")
    return f"{what}; {widths(map(Interval, job.intervals))}; {_dates(job)}"


def _dates(job: IngestionJob) -> str:
    start, end = job.start_date, job.end_date
    if start and end:
        return days(TimeRange(start, end))
    if start:
        return f"from {start:%Y-%m-%d}"
    return f"up to {days(TimeRange(end - Interval.M1440.delta, end))}" if end else "all dates"


def _api(job: IngestionJob) -> str:
    if not job.requests_made:
        if job.status != JobStatus.RUNNING:
            return "no requests"
        so_far = f"{plural(job.candles_fetched, 'new candle')} so far; " if job.candles_fetched else ""
        return f"{so_far}requests are counted once all have been made"
    revised = f", {job.candles_revised:,} revised" if job.candles_revised else ""
    if job.candles_conflicting:
        revised += f", {job.candles_conflicting:,} unlike a stronger source"
    failed = f", {plural(job.series_failed, 'series', 'series')} without an answer" if job.series_failed else ""
    return f"{plural(job.requests_made, 'request')}: {plural(job.candles_fetched, 'new candle')}{revised}{failed}"


def _trades(job: IngestionJob) -> str:
    """1,203,456 walked; a run may spend 3,600 requests on them"""
    if job.trade_budget is None:
        budget = "as many requests as it takes"
    elif job.trade_budget:
        budget = f"a run may spend {plural(job.trade_budget, 'request')} on them"
    else:
        return ""
    return f"{plural(job.trades_walked, 'trade')} walked; {budget}"


def _options(job: IngestionJob) -> list[str]:
    return [option for field, when, option in _OPTIONS if getattr(job, field) is when]


def _sources(job: IngestionJob) -> list[str]:
    return [path for path in job.csv_source_dir.split(os.pathsep) if path]


def _gaps(job: IngestionJob) -> Any:
    """The open gaps of what the job was asked for."""
    selection = Selection(
        intervals=tuple(map(Interval, job.intervals)),
        tiers=tuple(tier for tier in job.tier.split(",") if tier),
        markets=tuple(job.markets),
        quotes=tuple(job.quotes),
    )
    within = Q(status__in=OPEN, interval_minutes__in=job.intervals)
    if job.start_date:
        within &= Q(gap_end__gt=job.start_date)
    if job.end_date:
        within &= Q(gap_start__lt=job.end_date)
    return GapRecord.objects.filter(within, market__in=select(selection))
