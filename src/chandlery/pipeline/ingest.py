"""Ingest one file: read it once, check every row, put it into the store. A plain function of values, for any executor.

Runs in worker processes: it knows the store, never the database. What it found out comes back as a value.
"""

import time
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import polars as pl

from chandlery.candles.evidence import Origin, Source
from chandlery.candles.frame import empty_candles
from chandlery.candles.series import Series
from chandlery.errors import ChandleryError
from chandlery.exchanges.kraken.archive import EmptyMember, Member, hash_member, last_timestamp, open_rows
from chandlery.exchanges.kraken.archive_claims import Period, claim_of
from chandlery.stores import open_store
from chandlery.stores.base import CandleWriter, StoreUnavailable, Written


@dataclass(frozen=True, slots=True)
class IngestTask:
    """One file to bring into the store.

    `rank` is its release's place among answers; empty for a loose file, which any release outranks. `known` maps the
    content hash of files of this
    series and size that are in the store already to the rank their rows stand with.
    """

    series: Series
    member: Member
    period: Period | None
    rank: str
    known: dict[str, str]
    store_url: str = field(repr=False)
    home: Path


@dataclass(frozen=True, slots=True)
class IngestResult:
    """What became of a file. `first` and `last` are slot opens; `written` is None where its content was known."""

    task: IngestTask
    sha256: str = ""
    rank: str = ""
    rows: int = 0
    first: datetime | None = None
    last: datetime | None = None
    written: Written | None = None
    error: str = ""
    seconds: float = 0.0


def ingest_file(task: IngestTask) -> IngestResult:
    """Bring one file into the store, whole or not at all. A file that cannot be read is a result with its error."""
    started = time.monotonic()
    return replace(_outcome(task), seconds=time.monotonic() - started)


def _outcome(task: IngestTask) -> IngestResult:
    try:
        if task.known:
            digest = hash_member(task.member)
            held = task.known.get(digest)
            if held is not None and held >= task.rank:
                return IngestResult(task, sha256=digest, rank=held)
        return _ingest(task)
    except StoreUnavailable:
        # Not this file's fault, and no other one would fare better.
        raise
    except ChandleryError as error:
        return IngestResult(task, error=str(error))


def last_slot(member: Member) -> datetime | None:
    """The open of a file's last slot; None for a file that cannot be read: its own ingestion will say why."""
    try:
        return last_timestamp(member)
    except ChandleryError:
        return None


def _ingest(task: IngestTask) -> IngestResult:
    store = open_store(task.store_url, task.home)
    settled = Origin(Source.CSV, release=task.rank)
    with store.writer(task.series) as writer, open_rows(task.member) as reader:
        # What the last row is worth is known only at the end, so the newest block is held back.
        held = empty_candles()
        for block in reader:
            _append(writer, held, settled)
            held = block
        first, last = reader.first, reader.last
        if first is None or last is None or reader.sha256 is None:
            raise EmptyMember(path=task.member.label)
        claim = claim_of(task.period, task.series.interval, first, last)
        _append(writer, held.head(-1), settled)
        _append(writer, held.tail(1), replace(settled, provisional=claim.provisional is not None))
        written = writer.commit()
    return IngestResult(task, reader.sha256, task.rank, reader.rows, first, last, written)


def _append(writer: CandleWriter, candles: pl.DataFrame, origin: Origin) -> None:
    if candles.height:
        writer.append(candles, origin)
