"""Discover: which sources there are, what they hold, and which of it is known already."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from django.db import transaction

from chandlery.candles.series import Series
from chandlery.candles.timerange import RangeSet, TimeRange
from chandlery.errors import ChandleryError
from chandlery.exchanges.kraken.archive import (
    ArchiveSource,
    Container,
    Member,
    Release,
    find_sources,
    first_timestamp,
)
from chandlery.exchanges.kraken.archive_claims import Period, claim_of
from chandlery.models import ArchiveRelease, FileIngestionRecord, FileStatus
from chandlery.pipeline.ingest import last_slot
from chandlery.pipeline.on_hand import ALL_TIME, FileOnHand


@dataclass(frozen=True, slots=True)
class Found:
    """The sources of a run, each once, whatever the number of paths that lead to it."""

    sources: tuple[ArchiveSource, ...]

    @property
    def altnames(self) -> set[str]:
        return {member.altname for source in self.sources for member in source.members}

    @property
    def problems(self) -> list[ChandleryError]:
        return [problem for source in self.sources for problem in source.problems]


def discover(paths: Iterable[Path]) -> Found:
    """Every source under `paths`. Raises SourceNotFound for a path that is not there."""
    found: dict[Path, ArchiveSource] = {}
    for path in paths:
        for source in find_sources(path):
            found.setdefault(source.path.resolve(), source)
    return Found(tuple(found[path] for path in sorted(found)))


def date_releases(sources: Sequence[ArchiveSource], executor: Executor) -> list[ArchiveSource]:
    """Give a complete release whose name says no period its end: where its last slot ends, over all members.

    Known from state if the release was seen before, else from the finest file of each market.
    """
    dated: list[ArchiveSource] = []
    for source in sources:
        release = source.release
        if release is not None and release.period_end is None:
            seen = ArchiveRelease.objects.filter(name=release.name, rank__endswith=release.fingerprint[:12]).first()
            end = seen.period_end if seen else _last_slot_end(source.members, executor)
            dated.append(replace(source, release=release.with_period_end(end) if end is not None else None))
        else:
            dated.append(source)
    return dated


def _last_slot_end(members: Iterable[Member], executor: Executor) -> datetime | None:
    finest: dict[str, Member] = {}
    for member in members:
        held = finest.get(member.altname)
        if held is None or member.interval < held.interval:
            finest[member.altname] = member
    read = list(executor.map(last_slot, finest.values()))
    ends = [last + m.interval.delta for m, last in zip(finest.values(), read, strict=True) if last is not None]
    return max(ends, default=None)


def record_releases(sources: Iterable[ArchiveSource]) -> dict[str, ArchiveRelease]:
    """The releases of these sources on record, by rank; new ones are added."""
    found: dict[str, ArchiveRelease] = {}
    for source in sources:
        release = source.release
        if release is None or release.period_end is None:
            continue
        members: dict[str, list[str]] = {}
        # What cannot be read is no absence: nothing is claimed of it.
        for altname, interval in {member.series for member in source.members} | source.rejected:
            members.setdefault(str(int(interval)), []).append(altname)
        found[release.rank] = _recorded(release, {minutes: sorted(names) for minutes, names in sorted(members.items())})
    return found


def _recorded(release: Release, members: dict[str, list[str]]) -> ArchiveRelease:
    """What was whole once stays so: a folder of some of its files takes nothing back."""
    told = {
        "name": release.name,
        "period_start": release.period_start,
        "period_end": release.period_end,
        "complete": release.complete,
        "members": members,
    }
    with transaction.atomic():
        releases = ArchiveRelease.objects.select_for_update()
        row, is_new = releases.get_or_create(rank=release.rank, defaults={**told, "whole": release.whole})
        if not is_new:
            for name, value in told.items():
                setattr(row, name, value)
            row.whole = row.whole or release.whole
            row.save()
    return row


def files_on_hand(
    sources: Iterable[ArchiveSource], names: Collection[str], exchange: str = "kraken"
) -> list[FileOnHand]:
    """The files of these markets, with what is known of them from their place, their signature and their edges."""
    listed = [(source, member) for source in sources for member in source.members if member.altname in names]
    known = _settled_records([member for _, member in listed])
    return [_on_hand(source.release, member, exchange, known) for source, member in listed]


Settled = Mapping[tuple[str, str], TimeRange | None]
"""(signature, rank of the release) of files that are in: the time from their first slot to their last."""


def _settled_records(members: Sequence[Member]) -> Settled:
    rows = FileIngestionRecord.objects.filter(status__in=(FileStatus.COMPLETED, FileStatus.SKIPPED)).values_list(
        "signature", "release__rank", "date_range_start", "date_range_end"
    )
    wanted = {member.signature for member in members}
    return {
        (signature, rank or ""): TimeRange(start, end) if start and end else None
        for signature, rank, start, end in rows.iterator()
        if signature in wanted
    }


def _on_hand(
    release: Release | None,
    member: Member,
    exchange: str,
    known: Settled,
) -> FileOnHand:
    series = Series(exchange, member.altname, member.interval)
    period = period_of(release)
    rank = release.rank if release is not None and period is not None else ""
    # A file that has become part of another release claims other things, although its rows are in.
    key = (member.signature, rank)
    span = known.get(key)
    if period is not None:
        start = period.start or (span.start if span else _first_slot(member))
        expected = TimeRange(start, max(period.end, start + member.interval.delta))
    else:
        expected = span or _peeked(member)
    return FileOnHand(series, member, period, rank, unchanged=key in known, expected=expected)


def period_of(release: Release | None) -> Period | None:
    if release is None or release.period_end is None:
        return None
    return Period(release.period_start, release.period_end, release.complete)


def _first_slot(member: Member) -> datetime:
    """The open of a file's first slot; the beginning of time for a file that cannot be read: its ingestion will say
    why.
    """
    try:
        first = first_timestamp(member)
    except ChandleryError:
        first = None
    return max(first, ALL_TIME.start) if first is not None else ALL_TIME.start


def _peeked(member: Member) -> TimeRange:
    """What a loose file will answer for, from its first and last row.

    The end of time where the last row cannot be had without reading all, or where these are no rows.
    """
    first = _first_slot(member)
    last = last_slot(member) if member.container is Container.PLAIN else None
    if last is None or last < first:
        return TimeRange(first, ALL_TIME.end)
    claimed = RangeSet(r for ranges in claim_of(None, member.interval, first, last).answers.values() for r in ranges)
    return claimed.span or ALL_TIME
