"""Figures for Prometheus, from state alone: how complete, what is open, what ran last, how fresh."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from chandlery import __version__
from chandlery.config.surroundings import clock, surroundings
from chandlery.errors import ChandleryError
from chandlery.models import FindingState, GapRecord, IngestionJob, JobStatus, QualityFinding
from chandlery.pipeline.lease import settle_dead
from chandlery.pipeline.selecting import DEFAULT_QUOTE
from chandlery.reporting.as_json import COUNTS
from chandlery.reporting.overview import OverviewRow
from chandlery.web.standing import overview

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Sample = tuple[Mapping[str, object], float]


@require_safe
@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    """The figures of the markets in US dollars, as the overview has them; 503, with why in a line, where there are
    none.
    """
    try:
        rows = overview((DEFAULT_QUOTE,), clock()()).rows
    except ChandleryError as error:
        return HttpResponse(f"# {error}\n", status=503, content_type=CONTENT_TYPE)
    lines = [*_build(), *_completeness(rows), *_open(), *_jobs()]
    return HttpResponse("\n".join(lines) + "\n", content_type=CONTENT_TYPE)


def _build() -> Iterator[str]:
    yield from _gauge("build_info", "Always 1; the version is a label.", [({"version": __version__}, 1)])


def _completeness(rows: Iterable[OverviewRow]) -> Iterator[str]:
    by_place = [({"tier": row.tier, "interval": int(row.interval)}, row) for row in rows]
    yield from _gauge(
        "completeness_ratio",
        "Answered slots of all that are expected.",
        [(at, row.completeness) for at, row in by_place],
    )
    yield from _gauge(
        "density_ratio", "Slots with a candle of all that are expected.", [(at, row.density) for at, row in by_place]
    )
    counts = COUNTS[1:]
    yield from _gauge(
        "slots",
        "Slots by what is known of them.",
        [({**at, "verdict": name}, getattr(row.tally, name)) for at, row in by_place for name in counts],
    )
    yield from _gauge("markets", "Markets of the tier.", [(at, row.markets) for at, row in by_place])
    yield from _gauge(
        "markets_complete", "Markets of the tier without an open slot.", [(at, row.complete) for at, row in by_place]
    )
    yield from _gauge(
        "newest_candle_timestamp_seconds",
        "End of the newest stored candle.",
        [(at, row.newest.timestamp()) for at, row in by_place if row.newest],
    )


def _open() -> Iterator[str]:
    gaps = GapRecord.objects.by_status()
    yield from _gauge("gaps", "Gaps on record by status.", [({"status": name}, gaps[name]) for name in sorted(gaps)])
    findings = QualityFinding.objects.by_state()
    states = [({"state": state.value}, findings.get(state.value, 0)) for state in FindingState]
    yield from _gauge("findings", "Findings on record by state.", states)


def _jobs() -> Iterator[str]:
    settle_dead(surroundings().time_of_day())
    last = IngestionJob.objects.order_by("-created_at").first()
    if last is None:
        return
    yield from _gauge(
        "last_job_status",
        "1 for the status of the job that was started last.",
        [({"status": status.value}, float(status == last.status)) for status in JobStatus],
    )
    for name, said, moment in (
        ("last_job_started_timestamp_seconds", "When that job began.", last.started_at),
        ("last_job_ended_timestamp_seconds", "When it ended; not there while it runs.", last.completed_at),
        ("last_success_timestamp_seconds", "When a job was last completed.", IngestionJob.objects.last_success()),
    ):
        yield from _moment(name, said, moment)


def _moment(name: str, said: str, moment: datetime | None) -> Iterator[str]:
    if moment is not None:
        yield from _gauge(name, said, [({}, moment.timestamp())])


def _gauge(name: str, said: str, samples: Iterable[Sample]) -> Iterator[str]:
    yield f"# HELP chandlery_{name} {said}"
    yield f"# TYPE chandlery_{name} gauge"
    for labels, value in samples:
        told = ",".join(f'{label}="{text}"' for label, text in labels.items())
        yield f"chandlery_{name}{{{told}}} {value!r}" if told else f"chandlery_{name} {value!r}"
