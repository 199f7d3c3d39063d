"""Candles of one series on their way into the lake: staged file by file, then merged into what is there.

A file in which nothing is left is removed, so a series without a candle has no file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import polars as pl

from chandlery.candles.evidence import Origin
from chandlery.candles.series import Series
from chandlery.candles.timerange import RangeSet, TimeRange
from chandlery.errors import ChandleryError
from chandlery.stores.base import DayCounts, Written
from chandlery.stores.days import count_days
from chandlery.stores.durable import make_folder, put_in_place, sync_file, sync_folder
from chandlery.stores.merge import merge
from chandlery.stores.parquet_file import (
    Piece,
    read_columns,
    release_memory,
    stage_rows,
    staged_rows,
    write_pieces,
    write_rows,
)
from chandlery.stores.partition import Edges, Partition, edges, met, split
from chandlery.stores.staging import Staging, series_lock
from chandlery.stores.stored import STORED_SCHEMA, with_origin
from chandlery.stores.writing import checked, outcome, told, total, whole_slots

#: Files that the disk is told to keep at the same time: their journal entries go together.
SYNCS_AT_ONCE = 4


class UnwritableLake(ChandleryError):
    """The candle lake {root} cannot be written: {reason}"""


@dataclass(frozen=True, slots=True)
class StagedFile:
    """The new rows of one partition. `finished`: as the file that they become if there is none yet."""

    partition: Partition
    path: Path
    finished: bool
    rows: int
    days: DayCounts


class ParquetWriter:
    """Holds one partition in memory at most; the others wait as files until `commit` puts them in place."""

    def __init__(self, root: Path, folder: Path, series: Series, ensure_lake: Callable[[], object]) -> None:
        self._root = root
        self._folder = folder
        self._series = series
        self._ensure_lake = ensure_lake
        self._staging: Staging | None = None
        self._staged: list[StagedFile] = []
        self._partition: Partition | None = None
        self._pieces: list[Piece] = []
        self._cleared: list[TimeRange] = []
        self._last: int | None = None
        # The disk takes its time with each file; meanwhile the next one is made.
        self._disk = ThreadPoolExecutor(max_workers=SYNCS_AT_ONCE)
        self._syncs: list[Future[None]] = []

    def append(self, candles: pl.DataFrame, origin: Origin) -> None:
        """Hand over candles, sorted and all later than any appended before. Raises NotCandles, NotInOrder."""
        self._last = checked(self._series, candles, self._last)
        for partition, part in split(candles, self._series.interval):
            if partition != self._partition:
                self._stage()
                self._partition = partition
            self._pieces.append((part, origin))

    def clear(self, within: TimeRange) -> None:
        """What is appended, before or after, is all there is in `within`. Raises NotWholeSlots."""
        self._cleared.append(whole_slots(self._series, within))

    def commit(self) -> Written:
        """Make everything durable and visible; then tell what it did. Raises UnwritableLake, UnreadableFile."""
        self._stage()
        cleared = edges(RangeSet(self._cleared))
        staged = {file.partition: file for file in self._staged}
        partitions = sorted({*staged, *met(cleared, self._series.interval)})
        if not partitions:
            return Written()
        with self._writing():
            for sync in self._syncs:
                sync.result()
            with self._changing(bool(staged)):
                written = [self._settle(partition, staged.get(partition), cleared) for partition in partitions]
        self._staged, self._cleared = [], []
        release_memory()
        return total(written)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Without a commit, leave no trace."""
        self._disk.shutdown(cancel_futures=True)
        if self._staging is not None:
            self._staging.close()
            self._staging = None

    def _stage(self) -> None:
        """Write the partition in hand to a file that nobody sees."""
        if self._partition is None:
            return
        with self._writing():
            path = self._unseen(self._partition.name)
            finished = not self._target(self._partition).exists()
            if finished:
                write_pieces(path, self._pieces)
                self._syncs.append(self._disk.submit(sync_file, path))
            else:
                stage_rows(path, pl.concat([with_origin(candles, origin) for candles, origin in self._pieces]))
        opens = pl.concat([candles["timestamp"] for candles, _ in self._pieces]).to_physical().to_numpy()
        self._staged.append(StagedFile(self._partition, path, finished, len(opens), count_days(opens)))
        self._partition, self._pieces = None, []

    def _settle(self, partition: Partition, staged: StagedFile | None, cleared: Edges) -> Written:
        """Merge a staged file into its partition and clear that. The series' lock is held."""
        target, cleared = self._target(partition), partition.cut(cleared)
        exists = target.exists()
        if staged is not None and staged.finished and not exists:
            put_in_place(staged.path, target, synced=True)
            return Written(inserted=staged.rows, days=told([staged.days], cleared))
        if staged is None and not exists:
            return Written(days=told([], cleared))
        stored = read_columns(target, STORED_SCHEMA) if exists else pl.DataFrame(schema=STORED_SCHEMA)
        merged = merge(stored, _rows_of(staged), cleared)
        if merged.changed and merged.rows.is_empty():
            target.unlink()
        elif merged.changed:
            path = self._unseen(f"{partition.name}.merged")
            write_rows(path, merged.rows)
            put_in_place(path, target)
        return outcome(merged, cleared)

    def _unseen(self, name: str) -> Path:
        """Where a file is made that nobody sees."""
        if self._staging is None:
            self._staging = Staging(self._root)
        return self._staging.path(name)

    def _target(self, partition: Partition) -> Path:
        return self._folder / f"{partition.name}.parquet"

    @contextmanager
    def _changing(self, adding: bool) -> Iterator[None]:
        """Nobody else changes a file of the series meanwhile, and what was done lasts. Only `adding` makes folders."""
        if adding:
            # Candles never lie in a lake without an identity, not even in one that was emptied a moment ago.
            self._ensure_lake()
        elif not self._folder.is_dir():
            yield
            return
        name = f"{self._series.exchange}={self._series.market}={int(self._series.interval)}"
        with series_lock(self._root, name):
            if adding:
                make_folder(self._folder)
            yield
            # Also where nothing was changed now: whoever did it before may have died before this line.
            sync_folder(self._folder)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise UnwritableLake(root=self._root, reason=str(error)) from error


def _rows_of(staged: StagedFile | None) -> pl.DataFrame:
    if staged is None:
        return pl.DataFrame(schema=STORED_SCHEMA)
    return read_columns(staged.path, STORED_SCHEMA) if staged.finished else staged_rows(staged.path)
