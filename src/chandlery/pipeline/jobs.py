"""Jobs: put down what is asked for, and find one by what a person has of it: its id, or the first letters of it."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise

from django.conf import settings

from chandlery.errors import UsageError
from chandlery.models import IngestionJob, JobStatus, Market
from chandlery.pipeline.request import IngestRequest, Selection

#: Jobs named where a prefix fits several.
MOST_CANDIDATES = 5
_HYPHENS = (8, 13, 18, 23)


class UnknownJob(UsageError):
    """No job {text!r}; {program} list_jobs shows those there are"""


class AmbiguousJob(UsageError):
    """Several jobs begin with {text!r}: {candidates}; give more of the id"""


class StartsInFuture(UsageError):
    """--start-date {start:%Y-%m-%d} lies in the future (it is {now:%Y-%m-%d %H:%M} UTC); name an earlier day"""


def require_begun(selection: Selection, now: datetime) -> None:
    """Raises StartsInFuture."""
    if selection.start is not None and selection.start >= now:
        raise StartsInFuture(start=selection.start, now=now)


def new_job(request: IngestRequest, markets: Sequence[Market], now: datetime, status: JobStatus) -> IngestionJob:
    """A job for what is asked, on record: RUNNING, or PENDING for whoever resumes it."""
    asked = request.selection
    return IngestionJob.objects.create(
        tier=",".join(asked.tiers),
        markets=list(asked.markets),
        quotes=list(asked.quotes),
        intervals=[int(interval) for interval in asked.intervals],
        start_date=asked.start,
        end_date=asked.end,
        status=status,
        created_at=now,
        started_at=now if status == JobStatus.RUNNING else None,
        assets_count=len({market.base_id or market.pk for market in markets}),
        csv_source_dir=os.pathsep.join(str(path.absolute()) for path in request.sources),
        sources=[str(path.absolute()) for path in request.sources] if request.sources_named else None,
        api_backfill_enabled=request.api_backfill,
        auto_gap_fill=request.auto_gap_fill,
        complete=request.complete,
        incremental=request.incremental,
        stop_on_error=request.stop_on_error,
        trade_budget=request.trade_budget,
    )


def find_job(text: str) -> IngestionJob:
    """The job whose id is `text`, or begins with it. Raises UnknownJob, AmbiguousJob."""
    prefix = text.strip().lower()
    # A wildcard of the database is no part of an id, and a nothing is no beginning of one.
    if not re.fullmatch(r"[0-9a-f][0-9a-f-]{0,35}", prefix):
        raise UnknownJob(text=text, program=settings.PROGRAM)
    prefix = _hyphenated(prefix)
    jobs = [job for job in IngestionJob.objects.order_by("-created_at") if str(job.job_id).startswith(prefix)]
    if not jobs:
        raise UnknownJob(text=text, program=settings.PROGRAM)
    if len(jobs) > 1:
        raise AmbiguousJob(text=text, candidates=_candidates(jobs))
    return jobs[0]


def _hyphenated(prefix: str) -> str:
    """As ids are written: some programs show them without hyphens."""
    if "-" in prefix:
        return prefix
    groups = (0, *(hyphen - i for i, hyphen in enumerate(_HYPHENS)), 32)
    return "-".join(filter(None, (prefix[a:b] for a, b in pairwise(groups))))


def _candidates(jobs: list[IngestionJob]) -> str:
    shown = ", ".join(f"{job.job_id} ({job.status}, {job.created_at:%Y-%m-%d %H:%M})" for job in jobs[:MOST_CANDIDATES])
    return f"{shown} and {len(jobs) - MOST_CANDIDATES:,} more" if len(jobs) > MOST_CANDIDATES else shown
