"""Copy candles from one store into another, series by series, and hold the two against each other.

A series that is equal on both sides is not written again: whoever runs it a second time goes on where it ended.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, wait
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from chandlery.candles.evidence import Origin, Source
from chandlery.candles.frame import CANDLE_SCHEMA
from chandlery.candles.series import Series
from chandlery.candles.timerange import TimeRange
from chandlery.stores import open_store
from chandlery.stores.base import ORIGIN_COLUMNS, CandleStore

MEANWHILE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class CopyTask:
    """One series to copy. A URL may hold a password."""

    series: Series
    here: str = field(repr=False)
    there: str = field(repr=False)
    home: Path = Path()


@dataclass(frozen=True, slots=True)
class Content:
    """What a store holds of a series: how many candles, and a checksum over every value and what it was made from."""

    candles: int
    checksum: str


@dataclass(frozen=True, slots=True)
class Copied:
    """`before` and `after`: what the other store held. It is a copy if that is what this one holds."""

    series: Series
    here: Content
    before: Content
    after: Content

    @property
    def written(self) -> bool:
        return self.before != self.here

    @property
    def identical(self) -> bool:
        return self.after == self.here


def copy_all(
    series: Collection[Series],
    here: str,
    there: str,
    home: Path,
    executor: Executor,
    meanwhile: Callable[[], None],
) -> Iterator[Copied]:
    """Copy these series, and tell each as it is through. Left early, what has not begun does not begin.

    `meanwhile` is called every few seconds, however long a series takes.
    """
    waiting = {executor.submit(copy_series, CopyTask(one, here, there, home)) for one in sorted(series)}
    try:
        while waiting:
            through, waiting = wait(waiting, timeout=MEANWHILE_SECONDS, return_when=FIRST_COMPLETED)
            meanwhile()
            for done in through:
                yield done.result()
    finally:
        for one in waiting:
            one.cancel()


def copy_series(task: CopyTask) -> Copied:
    """Copy one series, unless it is there already. A plain function of values, for any executor."""
    source, target = open_store(task.here, task.home), open_store(task.there, task.home)
    here, before = content_of(source, task.series), content_of(target, task.series)
    if here == before:
        return Copied(task.series, here, before, before)
    with target.writer(task.series) as writer:
        for rows in _years(source, task.series):
            for candles, origin in _by_origin(rows):
                writer.append(candles, origin)
        writer.commit()
    return Copied(task.series, here, before, content_of(target, task.series))


def content_of(store: CandleStore, series: Series) -> Content:
    """Count and checksum: the same for the same rows, whatever store they are in."""
    candles, digest = 0, hashlib.sha256()
    for rows in _years(store, series):
        candles += rows.height
        for name in (*CANDLE_SCHEMA, *ORIGIN_COLUMNS):
            digest.update(_bytes_of(rows[name]))
    return Content(candles, digest.hexdigest() if candles else "")


def _bytes_of(column: pl.Series) -> bytes:
    if column.dtype == pl.String:
        return "\n".join(column.to_list()).encode()
    return column.to_physical().to_numpy().tobytes()


def _years(store: CandleStore, series: Series) -> Iterator[pl.DataFrame]:
    """Candles with their origin, a year at a time: a bound on memory."""
    span = store.span(series)
    for year in range(span.start.year, span.end.year + 1) if span else ():
        within = TimeRange(datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC))
        rows = store.read(series, within, origin=True)
        if rows.height:
            yield rows


def _by_origin(rows: pl.DataFrame) -> Iterator[tuple[pl.DataFrame, Origin]]:
    """Runs of candles that were made from the same, in order of time."""
    lengths = rows.select(pl.struct(ORIGIN_COLUMNS).rle_id().alias("run")).group_by("run", maintain_order=True).len()
    start = 0
    for length in lengths["len"]:
        part = rows.slice(start, length)
        first = part.row(0, named=True)
        origin = Origin(Source(first["source"]), first["derived"], first["provisional"], first["release"])
        yield part.select(list(CANDLE_SCHEMA)), origin
        start += length
