"""What pages and the API can set going. The work is done by a process of its own, never by the one that answers."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from django.conf import settings
from django.db import connection

from chandlery.config.surroundings import sources_of, surroundings, tiers
from chandlery.errors import ChandleryError
from chandlery.models import IngestionJob, JobStatus, LeasedSeries, Market
from chandlery.pipeline.job import request_of
from chandlery.pipeline.jobs import new_job, require_begun
from chandlery.pipeline.lease import settle_dead
from chandlery.pipeline.markets import ensure_markets, select
from chandlery.pipeline.process_identity import LocalProcesses, ProcessIdentity
from chandlery.pipeline.request import TRADE_BUDGET, IngestRequest, Selection
from chandlery.reporting.in_hand import InHand
from chandlery.web import worker

#: Of what a worker said last, so much is kept with its job where it could not even begin.
MOST_SAID = 2000


class SeriesBusy(ChandleryError):
    """{series} is being written by {purpose}; wait for it, or pause it"""


class AskedAlready(ChandleryError):
    """Job {job} has been asked for the same and has not begun yet; where it never does, resume it"""


class JobRuns(ChandleryError):
    """Job {job} is running already"""


class JobRests(ChandleryError):
    """Job {job} is not running: it is {status}"""


class JobElsewhere(ChandleryError):
    """Job {job} runs on another machine ({host}); pause it there"""


class JobOfAnother(ChandleryError):
    """Job {job} belongs to another user of this machine (process {pid}); pause it as that user"""


@dataclass(frozen=True, slots=True)
class Fill:
    """What shall be filled, and what that may cost. `trade_budget`: requests for trades; None: any number."""

    selection: Selection
    complete: bool = False
    trade_budget: int | None = TRADE_BUDGET


def fill_gaps(wanted: Fill) -> IngestionJob:
    """Begin a job that closes what is open of it; it is PENDING until its process has begun.

    Raises a UsageError where nothing can be meant by it, SeriesBusy, AskedAlready, NotStarted.
    """
    around = surroundings()
    ensure_markets(tiers())
    now = around.clock()
    require_begun(wanted.selection, now)
    markets = select(wanted.selection)
    settle_dead(around.time_of_day())
    _require_free(markets, wanted.selection)
    _require_new(wanted.selection)
    request = IngestRequest(
        selection=wanted.selection,
        sources=sources_of([]),
        sources_named=False,
        complete=wanted.complete,
        trade_budget=None if wanted.complete else wanted.trade_budget,
    )
    job = new_job(request, markets, now, JobStatus.PENDING)
    _start(job)
    return job


def resume(job: IngestionJob) -> IngestionJob:
    """Go on with it, in a process of its own. Raises JobRuns, SeriesBusy, NotStarted, and a UsageError where its
    markets are no longer known.
    """
    settle_dead(surroundings().time_of_day())
    job.refresh_from_db()
    if job.status == JobStatus.RUNNING:
        raise JobRuns(job=_short(job))
    selection = request_of(job, (), workers=1).selection
    _require_free(select(selection), selection)
    job.in_hand = InHand("about to go on", surroundings().time_of_day()).as_json()
    IngestionJob.objects.filter(pk=job.pk).exclude(status=JobStatus.RUNNING).update(in_hand=job.in_hand)
    _start(job)
    return job


def pause(job: IngestionJob) -> IngestionJob:
    """Ask its process to stop after what is in hand; it becomes PAUSED then. Raises JobRests, JobElsewhere,
    JobOfAnother.
    """
    settle_dead(surroundings().time_of_day())
    job.refresh_from_db()
    lease, processes = job.leases.first(), LocalProcesses()
    if job.status != JobStatus.RUNNING or lease is None:
        raise JobRests(job=_short(job), status=job.status)
    if lease.host != processes.host:
        raise JobElsewhere(job=_short(job), host=lease.host)
    # Its pid may be another's by now: a pid with its start is not.
    if not processes.is_alive(ProcessIdentity(lease.host, lease.pid, lease.process_started)):
        raise JobRests(job=_short(job), status=job.status)
    try:
        os.kill(lease.pid, signal.SIGTERM)
    except PermissionError as error:
        raise JobOfAnother(job=_short(job), pid=lease.pid) from error
    except ProcessLookupError as error:
        raise JobRests(job=_short(job), status="about to be marked") from error
    return job


def log_of(job: IngestionJob) -> Path:
    """Where its worker writes what it says."""
    return Path(settings.CHANDLERY_HOME) / "data" / "logs" / f"job-{_short(job)}.log"


def _require_free(markets: list[Market], selection: Selection) -> None:
    held = LeasedSeries.objects.filter(market__in=markets, interval_minutes__in=list(map(int, selection.intervals)))
    first = held.select_related("lease", "market").first()
    if first is not None:
        series = f"{first.market} {first.interval_minutes}min"
        raise SeriesBusy(series=series, purpose=first.lease.purpose)


def _require_new(selection: Selection) -> None:
    widths = [int(interval) for interval in selection.intervals]
    names = (",".join(selection.tiers), list(selection.markets), list(selection.quotes), widths)
    asked = (*names, selection.start, selection.end)
    for job in IngestionJob.objects.filter(status=JobStatus.PENDING):
        if (job.tier, job.markets, job.quotes, job.intervals, job.start_date, job.end_date) == asked:
            raise AskedAlready(job=_short(job))


def _start(job: IngestionJob) -> None:
    arguments = ["ingest_kraken_unified", "--resume", str(job.pk), "--yes"]
    try:
        worker.start(arguments, log_of(job), partial(_settle, job, log_of(job)))
    except worker.NotStarted as error:
        _fail(job, str(error))
        raise


def _settle(job: IngestionJob, log: Path, status: int) -> None:
    """The worker has ended. Where it never came so far as to say so itself, its job must not look as if it went on."""
    try:
        if status:
            _fail(job, _last_words(log) or f"the worker process ended with status {status}")
    finally:
        connection.close()


def _fail(job: IngestionJob, why: str) -> None:
    """Put down why its worker did not take it. `job` is as it was before: one that has changed since was taken."""
    untaken = IngestionJob.objects.filter(pk=job.pk, status=job.status, completed_at=job.completed_at)
    if job.status == JobStatus.PENDING:
        untaken.update(status=JobStatus.FAILED, error_message=why, completed_at=surroundings().clock(), in_hand=None)
    else:
        untaken.update(error_message=f"it could not go on: {why}", in_hand=None)


def _last_words(log: Path) -> str:
    text = log.read_bytes()[-MOST_SAID:].decode(errors="replace") if log.is_file() else ""
    return next((line for line in reversed(text.splitlines()) if line.strip()), "").removeprefix("Error: ")


def _short(job: IngestionJob) -> str:
    return str(job.pk)[:8]
