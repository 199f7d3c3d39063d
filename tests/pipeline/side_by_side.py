"""A process of its own that writes state as a run does: it answers each line it is told with one line of JSON.

A line is a JSON array: a verb, and what the verb takes. `test_side_by_side` starts it.
"""

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from django.db import transaction

from chandlery.candles.audit.outage import VenueOutage
from chandlery.candles.evidence import Evidence, Source
from chandlery.candles.interval import EPOCH, Interval
from chandlery.candles.ledger import Figures
from chandlery.candles.timerange import RangeSet, TimeRange
from chandlery.candles.verdict import Knowledge, Life
from chandlery.config.database import ensure_migrated
from chandlery.errors import ChandleryError
from chandlery.exchanges.kraken.archive import ArchiveSource, Release, SourceKind
from chandlery.exchanges.kraken.tiers import load_tiers
from chandlery.models import (
    CandleAudit,
    DataCoverageRange,
    Finding,
    FindingKind,
    FindingState,
    GapRecord,
    GapStatus,
    IngestionJob,
    JobStatus,
    Lease,
    Ledger,
    Market,
    Outage,
    QualityFinding,
)
from chandlery.pipeline.accept import GapIsFilled, NoSuchGap, accept_gap
from chandlery.pipeline.detect import record_gaps
from chandlery.pipeline.discover import record_releases
from chandlery.pipeline.knowledge import MarketFacts, series_of
from chandlery.pipeline.lease import Held, settle_dead
from chandlery.pipeline.markets import register
from chandlery.pipeline.process_identity import ProcessIdentity, this_process

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
CSV = Evidence(Source.CSV)
DERIVED = Evidence(Source.CSV, derived=True)


class Counted:
    """Every slot of whatever range traded."""

    def __init__(self, width: timedelta) -> None:
        self._width = width

    def count(self, within: TimeRange) -> int:
        return (within.end - within.start) // self._width

    def opens(self, within: TimeRange) -> Sequence[datetime]:
        return ()


class Silent:
    """Nothing ever traded."""

    def count(self, within: TimeRange) -> int:
        return 0

    def opens(self, within: TimeRange) -> Sequence[datetime]:
        return ()


def clock() -> datetime:
    return datetime.now(UTC)


def prepare(markets: int) -> None:
    ensure_migrated()
    Market.objects.bulk_create(Market(altname=f"M{n:02}USD") for n in range(markets))
    CandleAudit.objects.begin(Market.objects.values_list("pk", flat=True))


def change(first: int, rounds: int) -> None:
    """Every other hour from `first` on is other than before."""
    market = Market.objects.get(altname="M00USD")
    for n in range(first, first + 2 * rounds, 2):
        start = EPOCH + 2 * n * HOUR
        with transaction.atomic():
            CandleAudit.objects.outdate(market, RangeSet([TimeRange(start, start + HOUR)]))


def changed() -> tuple[int, int]:
    row = CandleAudit.objects.get(market__altname="M00USD")
    return row.changes, sum((one.end - one.start) // HOUR for one in row.ranges)


def tell_weeks(first: int, step: int, rounds: int) -> None:
    """The exchange tells one week after the other."""
    market = Market.objects.get(altname="M00USD")
    for week in range(first, first + step * rounds, step):
        with transaction.atomic():
            answer = Figures(week, np.array([7]), np.array([1.5]))
            Ledger.objects.put(market, answer, reaches_first=False, asked_at=clock())


def told_weeks() -> int:
    return Ledger.objects.get(market__altname="M00USD").trades


def answer_hours(rounds: int) -> None:
    """One day after the other is answered anew at an hour: what was derived of it is provisional then."""
    market = Market.objects.get(altname="M00USD")
    for n in range(rounds):
        within = TimeRange(EPOCH + n * DAY, EPOCH + (n + 1) * DAY)
        with transaction.atomic():
            DataCoverageRange.objects.outdate_derived(
                market, 60, within, lambda minutes: Counted(timedelta(minutes=minutes)), clock()
            )
            DataCoverageRange.objects.extend(market, 60, {CSV: RangeSet([within])}, Counted(HOUR), clock())


def derive_days(rounds: int) -> None:
    market = Market.objects.get(altname="M00USD")
    for n in range(rounds):
        within = TimeRange(EPOCH + n * DAY, EPOCH + (n + 1) * DAY)
        with transaction.atomic():
            DataCoverageRange.objects.extend(market, 1440, {DERIVED: RangeSet([within])}, Counted(DAY), clock())


def covered() -> dict[str, Any]:
    """Days that are answered for at each width, and whether any is answered for twice."""
    found = {}
    for minutes in (60, 1440):
        ranges = [row.range for row in DataCoverageRange.objects.filter(interval_minutes=minutes)]
        single = RangeSet(ranges)
        length = sum(((one.end - one.start) for one in ranges), timedelta())
        found[str(minutes)] = [sum((one.end - one.start) // DAY for one in single), length // DAY]
    return found


def find_outages(rounds: int) -> None:
    """The same outages, each found by whoever looks."""
    for n in range(rounds):
        start = EPOCH + n * DAY
        outage = VenueOutage(TimeRange(start, start + HOUR), ("M00USD",), weak=False, witnesses=())
        with transaction.atomic():
            Outage.objects.reconcile("kraken", [outage], Outage.objects.none(), clock())


def outages() -> int:
    return Outage.objects.count()


def register_names(names: Iterable[str]) -> list[str]:
    return sorted(register(list(names), load_tiers(None)))


def find_release(rounds: int, whole: bool) -> None:
    """The same archives, as published or as a folder that nothing vouches for."""
    for n in range(rounds):
        release = Release(f"R{n}", EPOCH, EPOCH + DAY, False, None, f"{n:064x}"[::-1], whole=whole)
        record_releases([ArchiveSource(Path("archive"), SourceKind.ZIP, release, (), "signature")])


def releases() -> tuple[int, int]:
    from chandlery.models import ArchiveRelease

    return ArchiveRelease.objects.count(), ArchiveRelease.objects.filter(whole=True).count()


def find_doubts(rounds: int) -> None:
    """Findings are opened, and then gone."""
    market = Market.objects.get(altname="M00USD")
    for n in range(rounds):
        start = EPOCH + n * HOUR
        finding = Finding(FindingKind.PRICE_SPIKE, TimeRange(start, start + HOUR))
        for wanted in ([finding], []):
            with transaction.atomic():
                QualityFinding.objects.reconcile(market, 60, {FindingKind.PRICE_SPIKE}, wanted, clock())


def accept_doubts(rounds: int) -> int:
    """A person accepts whatever is open; how many that were."""
    accepted = 0
    for _ in range(rounds):
        row = QualityFinding.objects.filter(state=FindingState.OPEN).first()
        accepted += row is not None and row.accept("as it should be")
    return accepted


def accepted() -> int:
    return QualityFinding.objects.filter(state=FindingState.ACCEPTED).count()


def find_gaps(rounds: int) -> list[int]:
    """One day after the other is open at both ends, then all of it, then answered: two gaps become one, and that is
    filled. How many are, and how many are still open.
    """
    market = Market.objects.get(altname="M00USD")
    for n in range(rounds):
        day = TimeRange(EPOCH + n * DAY, EPOCH + (n + 1) * DAY)
        noon = TimeRange(day.start + 10 * HOUR, day.start + 14 * HOUR)
        before = [TimeRange(EPOCH, day.start)] if n else []
        for answered in ([noon], [], [day]):
            coverage = {CSV: RangeSet([*before, *answered])}
            known = Knowledge(Interval.M60, Life(), coverage, Silent())
            facts = {market.altname: MarketFacts(market, {Interval.M60: known}, None)}
            record_gaps(facts, {series_of(market, Interval.M60): day}, clock())
    filled = GapRecord.objects.filter(status=GapStatus.FILLED).count()
    return [filled, GapRecord.objects.count() - filled]


def accept_gaps(rounds: int) -> int:
    """A person accepts whatever is open; of how many that overwrote that they were filled."""
    overwritten = 0
    for _ in range(rounds):
        row = GapRecord.objects.exclude(status__in=(GapStatus.FILLED, GapStatus.ACCEPTED)).order_by("-pk").first()
        if row is None:
            continue
        try:
            accept_gap(row.pk)
        except (NoSuchGap, GapIsFilled):
            continue
        both = GapRecord.objects.filter(pk=row.pk, status=GapStatus.ACCEPTED, filled_at__isnull=False)
        overwritten += both.exists()
    return overwritten


def leave_killed(jobs: int) -> list[str]:
    """Jobs whose process is dead, each holding a market."""
    left = []
    me = this_process()
    dead = ProcessIdentity(me.host, me.pid, me.started - 3600)
    for market in Market.objects.order_by("altname")[:jobs]:
        job = IngestionJob.objects.create(status=JobStatus.RUNNING, created_at=clock())
        Held.acquire("killed", job, [(market, 60)], clock, dead)
        left.append(str(job.pk))
    return left


def resume(jobs: Iterable[str]) -> list[bool]:
    """Whether each of them could be resumed and ended."""
    return [_resumed(job) for job in jobs]


def _resumed(pk: str) -> bool:
    job = IngestionJob.objects.get(pk=pk)
    series = [(market, 60) for market in Market.objects.order_by("altname")]
    try:
        with transaction.atomic():
            job.status = JobStatus.RUNNING
            job.save()
            held = Held.acquire("resumed", job, series, clock)
    except ChandleryError:
        return False
    with transaction.atomic():
        held.check()
        job.status = JobStatus.COMPLETED
        job.save()
        held.release()
    return True


def settle(rounds: int) -> int:
    return sum(len(settle_dead(clock())) for _ in range(rounds))


def hold_in_turn(rounds: int, first: int, step: int) -> int:
    """How often every market from `first` on could be held, while others want them too."""
    markets = list(Market.objects.order_by("altname"))[first::step]
    won = 0
    for _ in range(rounds):
        try:
            with transaction.atomic():
                held = Held.acquire("in turn", None, [(market, int(i)) for market in markets for i in Interval], clock)
        except ChandleryError:
            continue
        won += 1
        with transaction.atomic():
            held.check()
            held.release()
    return won


def leases() -> int:
    return Lease.objects.count()


VERBS: dict[str, Callable[..., Any]] = {
    verb.__name__: verb
    for verb in (
        prepare,
        change,
        changed,
        tell_weeks,
        told_weeks,
        answer_hours,
        derive_days,
        covered,
        find_outages,
        outages,
        register_names,
        find_release,
        releases,
        find_doubts,
        accept_doubts,
        accepted,
        find_gaps,
        accept_gaps,
        leave_killed,
        resume,
        settle,
        hold_in_turn,
        leases,
    )
}


def main() -> None:
    _answer("ready")
    for line in sys.stdin:
        verb, *arguments = json.loads(line)
        _answer(VERBS[verb](*arguments))


def _answer(value: object) -> None:
    sys.stdout.write(f"{json.dumps(value)}\n")
    sys.stdout.flush()
