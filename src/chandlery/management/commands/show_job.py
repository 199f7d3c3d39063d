"""Everything about one job."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import CommandParser

from chandlery.candles.interval import Interval
from chandlery.candles.timerange import TimeRange
from chandlery.management.base import ChandleryCommand, clock
from chandlery.management.step_text import failure_text
from chandlery.models import IngestionJob, JobStatus
from chandlery.pipeline.job_facts import JobFacts
from chandlery.pipeline.jobs import find_job
from chandlery.pipeline.lease import settle_dead
from chandlery.reporting.in_hand import InHand
from chandlery.reporting.jobs import what_text
from chandlery.reporting.wording import days, listed, plain, plural, widths

MOST_FAILURES = 20
#: What is named of that which failed for one reason.
MOST_NAMES = 6
#: What stops a run without a word.
_SIGNALS = {"KeyboardInterrupt": "stopped at once by Ctrl-C", "GeneratorExit": "not gone on with"}


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


def job_lines(found: JobFacts, most: int) -> Iterator[str]:
    """For a person; `most` is how many reasons of failures are given."""
    job, lease = found.job, found.lease
    yield f"Job {job.job_id}"
    facts = {
        "Asked": _asked(job),
        "Options": ", ".join(found.options),
        "Sources": ", ".join(plain(path) for path in found.sources),
        "Status": job.status + (f": {plain(_why(job))}" if job.error_message else ""),
        "Started": f"{job.started_at:%Y-%m-%d %H:%M} UTC" if job.started_at else "",
        "Stopped" if job.status == JobStatus.PAUSED else "Ended": (
            f"{job.completed_at:%Y-%m-%d %H:%M} UTC" if job.completed_at else ""
        ),
        "In hand": _in_hand(job),
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


def _in_hand(job: IngestionJob) -> str:
    if job.in_hand is None:
        return ""
    found = InHand.of_json(job.in_hand)
    # Leases and records are kept by the time of day, whatever the setting CLOCK says.
    text = found.text(datetime.now(UTC))
    return f"{text} ({found.current})" if found.current else text


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
