"""Leases: two runs never write one series, and a killed run blocks nobody.

A run holds one lease over every series that it writes. The lease of a dead process of this host falls at once; that of
another host when it has not been renewed in time. A stopped process of this host keeps its lease: it may go on.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, Max, OuterRef

from chandlery.candles.interval import Interval
from chandlery.errors import ChandleryError
from chandlery.models import IngestionJob, JobStatus, Lease, LeasedSeries, Market
from chandlery.models.coverage import SeriesKey
from chandlery.pipeline.process_identity import LocalProcesses, ProcessIdentity, ProcessTable, this_process

LEASE_TIME = timedelta(seconds=120)
HEARTBEAT = timedelta(seconds=15)

LOCAL: ProcessTable = LocalProcesses()

LeasableSeries = tuple[Market | int, int]
"""A market or its primary key, interval in minutes."""


class SeriesHeld(ChandleryError):
    """{what} {are} being written by {purpose} (process {pid} on {place}, since {since:%Y-%m-%d %H:%M} UTC, last heard
    of {heard}); {advice}"""


class JobHeld(ChandleryError):
    """Job {job} is running already (process {pid} on {place}, since {since:%Y-%m-%d %H:%M} UTC, last heard of {heard});
    {advice}"""


class LeaseLost(ChandleryError):
    """The lease of {purpose} is gone: it was last renewed {renewed:%Y-%m-%d %H:%M:%S} UTC, ran out, and another run has
    taken over since; nothing more is written. To go on: {repair}"""


@dataclass(slots=True)
class Held:
    """What a run holds: `acquire` it, `beat` while working, `check` in every transaction that records, `release` it.

    One thread uses it, the one that records.
    """

    token: UUID
    purpose: str
    job_id: UUID | None
    clock: Callable[[], datetime]
    process_table: ProcessTable
    renewed_at: datetime
    series: set[SeriesKey] = field(default_factory=set)

    @classmethod
    def acquire(
        cls,
        purpose: str,
        job: IngestionJob | None,
        series: Collection[LeasableSeries],
        clock: Callable[[], datetime],
        process: ProcessIdentity | None = None,
        process_table: ProcessTable = LOCAL,
    ) -> Held:
        """Hold all of `series`, or raise SeriesHeld (JobHeld where `job` itself runs already) and leave nothing.

        Call it in the transaction that makes or sets `job` RUNNING: a RUNNING job without a lease counts as killed.
        `clock` is the time of day, in UTC, which other hosts compare with theirs. Dead leases in the way fall.
        """
        process, now = process or this_process(), clock()
        held = cls(Lease().token, purpose, job.pk if job else None, clock, process_table, now)
        with transaction.atomic():
            if job is not None:
                held._check_job(job)
            Lease.objects.create(
                token=held.token,
                job=job,
                purpose=purpose,
                host=process.host,
                pid=process.pid,
                process_started=process.started,
                acquired_at=now,
                renewed_at=now,
                expires_at=now + LEASE_TIME,
            )
            held._take(_keys(series))
        return held

    def extend(self, series: Collection[LeasableSeries]) -> None:
        """Hold these too: all of them, or raise SeriesHeld and hold what was held. What is held costs no query.

        Not for a transaction that may be rolled back by the caller: they would count as held, and not be.
        """
        fresh = _keys(series) - self.series
        if fresh:
            with transaction.atomic():
                self.check()
                self._take(fresh)

    def let_go(self, series: Collection[LeasableSeries]) -> None:
        """Hold these no longer."""
        ours = _keys(series) & self.series
        for width in {minutes for _, minutes in ours}:
            markets = [pk for pk, minutes in ours if minutes == width]
            LeasedSeries.objects.filter(lease=self.token, market__in=markets, interval_minutes=width).delete()
        self.series -= ours

    def extend_by_free(self, series: Collection[LeasableSeries]) -> bool:
        """Hold those of them that nobody else holds; whether there were any that were not held before."""
        fresh = _keys(series) - self.series
        while fresh:
            free = fresh - self._of_others()
            if free != fresh:
                # Some may be held by the dead.
                self._settle()
                free = fresh - self._of_others()
            try:
                self.extend(free)
            except SeriesHeld:
                continue  # somebody was quicker
            return bool(free)
        return False

    def _of_others(self) -> set[SeriesKey]:
        return set(LeasedSeries.objects.exclude(lease=self.token).values_list("market", "interval_minutes"))

    def covers(self, series: Collection[LeasableSeries]) -> bool:
        return _keys(series) <= self.series

    def beat(self) -> None:
        """Say that we are alive, when that is due: call it often. Raises LeaseLost."""
        now = self.clock()
        if now - self.renewed_at >= HEARTBEAT:
            self._renew(now)

    def check(self) -> None:
        """Make sure that it is still ours until the transaction around ends, in one query. Raises LeaseLost."""
        now = self.clock()
        if now - self.renewed_at >= HEARTBEAT:
            self._renew(now)  # which locks the row as well
        elif not Lease.objects.select_for_update().filter(pk=self.token).values_list("pk").first():
            raise self._lost()

    def release(self) -> None:
        """Let go of everything; once, or again. End the job before, or in the same transaction."""
        Lease.objects.filter(pk=self.token).delete()
        self.series.clear()

    def _check_job(self, job: IngestionJob) -> None:
        """No two runs of one job, whatever they write."""
        IngestionJob.objects.select_for_update().filter(pk=job.pk).values_list("pk").first()
        if not Lease.objects.filter(job=job).exists():
            return
        self._settle()
        other = Lease.objects.filter(job=job).first()
        if other is not None:
            raise JobHeld(job=str(job.pk)[:8], **_facts(other, self.process_table.host))

    def _take(self, wanted: set[SeriesKey]) -> None:
        """Hold `wanted`, inside the caller's transaction; what dead leases hold of it falls."""
        if self._in_the_way(wanted) is not None:
            # Before the markets are held: whoever is starting a job holds that, and may be waiting for them.
            self._settle()
        Market.objects.hold({pk for pk, _ in wanted})
        while not self._insert(wanted):
            in_the_way = self._in_the_way(wanted)
            if in_the_way is not None:
                raise in_the_way
        self.series |= wanted

    def _insert(self, wanted: set[SeriesKey]) -> bool:
        """Whether all of `wanted` is now ours. Nobody else inserts at the same time: their markets are held."""
        LeasedSeries.objects.bulk_create(
            (
                LeasedSeries(lease_id=self.token, market_id=pk, interval_minutes=minutes)
                for pk, minutes in sorted(wanted)
            ),
            ignore_conflicts=True,
        )
        return wanted <= set(LeasedSeries.objects.filter(lease=self.token).values_list("market", "interval_minutes"))

    def _settle(self) -> None:
        _settle(self.clock(), self.process_table, being_started=self.job_id)

    def _in_the_way(self, wanted: set[SeriesKey]) -> SeriesHeld | None:
        """Who holds some of `wanted`; nobody, where the holder has let go in this moment."""
        rows = LeasedSeries.objects.exclude(lease=self.token).order_by("market__altname", "interval_minutes")
        taken = [
            (f"{name} {minutes}min", lease)
            for pk, minutes, name, lease in rows.values_list("market", "interval_minutes", "market__altname", "lease")
            if (pk, minutes) in wanted
        ]
        holder = Lease.objects.filter(pk=taken[0][1]).first() if taken else None
        if holder is None:
            return None
        more = sum(lease == holder.pk for _, lease in taken) - 1
        return SeriesHeld(
            what=f"{taken[0][0]} (and {more:,} more)" if more else taken[0][0],
            are="are" if more else "is",
            **_facts(holder, self.process_table.host),
        )

    def _renew(self, now: datetime) -> None:
        if not Lease.objects.filter(pk=self.token).update(renewed_at=now, expires_at=now + LEASE_TIME):
            raise self._lost()
        self.renewed_at = now

    def _lost(self) -> LeaseLost:
        repair = _resume(self.job_id) if self.job_id else "run the same command again"
        return LeaseLost(purpose=self.purpose, renewed=self.renewed_at, repair=repair)


@contextmanager
def everything_held(purpose: str, clock: Callable[[], datetime]) -> Iterator[Held]:
    """Hold every series there is for a while. Raises SeriesHeld where a run is writing."""
    settle_dead(clock())
    markets = Market.objects.values_list("pk", flat=True)
    held = Held.acquire(purpose, None, [(pk, int(interval)) for pk in markets for interval in Interval], clock)
    try:
        yield held
    finally:
        held.release()


def settle_dead(now: datetime, process_table: ProcessTable = LOCAL) -> list[IngestionJob]:
    """Let every dead lease fall, and mark jobs that say RUNNING and whom no lease holds: killed, FAILED. Returns those.

    Dead is a lease whose process no longer runs (this host), or that has not been renewed in time (another host). Where
    nothing is dead, nothing is locked: who only looks does not wait for those who write.
    """
    return _settle(now, process_table) if _is_any_dead(now, process_table) else []


def _is_any_dead(now: datetime, process_table: ProcessTable) -> bool:
    held = Lease.objects.filter(job=OuterRef("pk"))
    if IngestionJob.objects.filter(~Exists(held), status=JobStatus.RUNNING).exists():
        return True
    return any(_is_dead(lease, now, process_table) for lease in Lease.objects.all())


def _settle(now: datetime, process_table: ProcessTable, being_started: UUID | None = None) -> list[IngestionJob]:
    """As settle_dead; `being_started` is a job whose lease is about to be taken."""
    with transaction.atomic():
        ends = {lease.job_id: lease for lease in _fall(now, process_table)}
        held = Lease.objects.filter(job=OuterRef("pk"))
        orphans = IngestionJob.objects.filter(~Exists(held), status=JobStatus.RUNNING)
        if being_started is not None:
            orphans = orphans.exclude(pk=being_started)
        # One that is locked is just being resumed, or marked: whoever does that may wait for the leases that fell.
        ours = orphans.order_by("pk").select_for_update(skip_locked=True, of=("self",)).values_list("pk", flat=True)
        killed: list[IngestionJob] = []
        for job in orphans.filter(pk__in=list(ours)).annotate(last_file=Max("files__completed_at")):
            lease = ends.get(job.pk)
            job.status = JobStatus.FAILED
            job.completed_at = lease.renewed_at if lease else job.last_file or job.started_at or job.created_at
            job.error_message = f"{_end(lease, process_table.host)}; go on with --resume {str(job.pk)[:8]}"
            # Asked again as it is written: someone else may have marked or resumed it by now.
            if orphans.filter(pk=job.pk).update(
                status=job.status, completed_at=job.completed_at, error_message=job.error_message, in_hand=None
            ):
                killed.append(job)
    return killed


def _fall(now: datetime, process_table: ProcessTable) -> list[Lease]:
    """The dead leases, deleted. Inside a transaction."""
    local: list[UUID] = []
    foreign: list[UUID] = []
    for lease in Lease.objects.all():
        if _is_dead(lease, now, process_table):
            (local if lease.host == process_table.host else foreign).append(lease.pk)
    if not local and not foreign:
        return []
    # The database is about to notice that the client is dead, or someone else lets the lease fall: wait for that.
    # A foreign lease that is locked is in use at this moment, or its connection hangs: wait for neither.
    locked = [
        *Lease.objects.select_for_update().filter(pk__in=local).order_by("pk"),
        *Lease.objects.select_for_update(skip_locked=True).filter(pk__in=foreign).order_by("pk"),
    ]
    fallen = [lease for lease in locked if _is_dead(lease, now, process_table)]
    Lease.objects.filter(pk__in=[lease.pk for lease in fallen]).delete()
    return fallen


def _is_dead(lease: Lease, now: datetime, process_table: ProcessTable) -> bool:
    if lease.host != process_table.host:
        return lease.expires_at <= now
    return not process_table.is_alive(ProcessIdentity(lease.host, lease.pid, lease.process_started))


def _end(lease: Lease | None, here: str) -> str:
    if lease is None:
        return "its process was killed"
    if lease.host == here:
        return f"its process ({lease.pid}) was killed"
    return f"its process ({lease.pid} on {lease.host}) was last heard of {lease.renewed_at:%Y-%m-%d %H:%M} UTC"


def _facts(lease: Lease, here: str) -> dict[str, Any]:
    """Who holds it, since when, and what to do about it."""
    since = lease.acquired_at
    place, advice = "this machine", "wait for it, or stop it first"
    if lease.host != here:
        place = lease.host
        advice = (
            f"wait for it, or stop it there first; unheard of, it is given up {_after(since, lease.expires_at)} UTC"
        )
    return {
        "purpose": lease.purpose,
        "pid": lease.pid,
        "place": place,
        "since": since,
        "heard": _after(since, lease.renewed_at),
        "advice": advice,
    }


def _after(first: datetime, then: datetime) -> str:
    return f"{then:%H:%M}" if first.date() == then.date() else f"{then:%Y-%m-%d %H:%M}"


def _keys(series: Iterable[LeasableSeries]) -> set[SeriesKey]:
    return {(one.pk if isinstance(one, Market) else one, int(minutes)) for one, minutes in series}


def _resume(job_id: UUID) -> str:
    return f"{settings.PROGRAM} ingest_kraken_unified --resume {str(job_id)[:8]}"
