"""The Parquet lake: candles as files that DuckDB, Polars, pandas and Spark read without us.

    exchange=kraken/market=XBTUSD/interval=60/2024.parquet

What is not candles lies in folders and files that begin with a dot, and in `_lake.json`: whoever reads the folder as a
whole passes over both.
"""

import json
import os
import re
import uuid
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from chandlery.candles.evidence import Origin
from chandlery.candles.frame import CANDLE_SCHEMA, TIMESTAMP
from chandlery.candles.interval import EPOCH, Interval
from chandlery.candles.series import Series
from chandlery.candles.timerange import TimeRange
from chandlery.errors import ChandleryError, UsageError
from chandlery.stores.base import DayCounts, Written
from chandlery.stores.days import count_days, joined
from chandlery.stores.durable import put_in_place, sync_folder
from chandlery.stores.parquet_file import GoneFile, file_size, first_and_last, read_columns, read_opens, row_count
from chandlery.stores.parquet_writer import ParquetWriter, UnwritableLake
from chandlery.stores.partition import Partition, microseconds
from chandlery.stores.staging import lake_lock
from chandlery.stores.stored import STORED_SCHEMA

T = TypeVar("T")

FORMAT = 1
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_INTERVALS = {str(int(interval)): interval for interval in Interval}


class UnsafeName(ChandleryError):
    """{name!r} cannot name a folder of the candle lake: only letters, digits, dots, dashes and underscores can."""


class UnknownFormat(UsageError):
    """{path} is of format {found}; this version reads format {known}. Use the version that made it, or a later one."""


class DamagedIdentity(ChandleryError):
    """{path} does not say which lake this is: {reason}"""


class NotAFolder(UsageError):
    """{path} is no folder, so it cannot be a candle lake."""


class ParquetLake:
    """A folder of candles."""

    def __init__(self, root: Path, url: str | None = None) -> None:
        self.root = root
        self.url = f"parquet:{root}" if url is None else url

    def identity(self) -> str | None:
        """The id of the lake; None where there is none. Raises UnknownFormat, NotAFolder, and DamagedIdentity where it
        cannot be read.
        """
        path = self.root / "_lake.json"
        try:
            if self.root.exists() and not self.root.is_dir():
                raise NotAFolder(path=self.root)
            facts = json.loads(path.read_bytes())
            found, identity = facts["format"], facts["id"]
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise DamagedIdentity(path=path, reason=str(error)) from error
        if found != FORMAT:
            raise UnknownFormat(path=path, found=found, known=FORMAT)
        return str(identity)

    def create(self) -> str:
        """Make the lake if it is not there; its id. Raises UnwritableLake."""
        identity = self.identity()
        if identity is not None:
            return identity
        try:
            with lake_lock(self.root):
                # Another process may have been faster.
                return self.identity() or self._identify()
        except OSError as error:
            raise UnwritableLake(root=self.root, reason=str(error)) from error

    def probe(self) -> None:
        """Raises UnwritableLake where a write would fail; nothing is written."""
        place = next(path for path in (self.root, *self.root.parents) if path.exists())
        if not (place.is_dir() and os.access(place, os.R_OK | os.W_OK | os.X_OK)):
            raise UnwritableLake(root=self.root, reason=f"{place} is not to be written to")

    def writer(self, series: Series) -> ParquetWriter:
        return ParquetWriter(self.root, self._folder(series), series, self.create)

    def write(self, series: Series, candles: pl.DataFrame, origin: Origin) -> Written:
        """Idempotent upsert; durable when it returns."""
        with self.writer(series) as writer:
            writer.append(candles, origin)
            return writer.commit()

    def read(self, series: Series, within: TimeRange | None = None, *, origin: bool = False) -> pl.DataFrame:
        """Candles whose slot opens in `within` (all, if None), sorted; with ORIGIN_COLUMNS if asked."""
        schema = STORED_SCHEMA if origin else CANDLE_SCHEMA

        def part(partition: Partition, path: Path) -> pl.DataFrame:
            rows = read_columns(path, schema)
            if within is None or partition.inside(within):
                return rows
            opens = rows["timestamp"].to_physical()
            start, end = (int(opens.search_sorted(microseconds(edge))) for edge in (within.start, within.end))
            return rows.slice(start, end - start)

        return pl.concat([pl.DataFrame(schema=schema), *_asked(self._files(series, within), part)])

    def count(self, series: Series, within: TimeRange | None = None) -> int:
        def rows(partition: Partition, path: Path) -> int:
            if within is None or partition.inside(within):
                return row_count(path)
            return len(_cut(read_opens(path), within))

        return sum(_asked(self._files(series, within), rows))

    def slots(self, series: Series, within: TimeRange | None = None) -> pl.Series:
        """The opens of the stored candles: sorted UTC timestamps."""

        def part(partition: Partition, path: Path) -> npt.NDArray[np.int64]:
            opens = read_opens(path)
            return opens if within is None or partition.inside(within) else _cut(opens, within)

        parts = _asked(self._files(series, within), part)
        return pl.Series("timestamp", np.concatenate([np.zeros(0, dtype=np.int64), *parts])).cast(TIMESTAMP)

    def span(self, series: Series) -> TimeRange | None:
        """From the first stored slot's open to the last one's end."""
        files = self._files(series)
        earliest = next(_asked(files, lambda _, path: first_and_last(path)), None)
        latest = next(_asked(reversed(files), lambda _, path: first_and_last(path)), None)
        if earliest is None or latest is None:
            return None
        first, last = (EPOCH + timedelta(microseconds=when) for when in (earliest[0], latest[1]))
        return TimeRange(first, last + series.interval.delta)

    def day_counts(self, series: Series) -> DayCounts | None:
        """Traded slots of every day from the first stored one to the last; None where nothing is stored."""
        return joined(list(_asked(self._files(series), lambda _, path: count_days(read_opens(path)))))

    def series(self) -> Iterator[Series]:
        """Every series that holds at least one candle, in order of name."""
        for exchange, exchange_folder in _named_folders(self.root, "exchange"):
            for market, market_folder in _named_folders(exchange_folder, "market"):
                for width, folder in _named_folders(market_folder, "interval"):
                    interval = _INTERVALS.get(width)
                    if interval is not None and _partition_files(folder, interval):
                        yield Series(exchange, market, interval)

    def size_bytes(self, series: Series) -> int:
        """What the series takes on disk."""
        return sum(_asked(self._files(series), lambda _, path: file_size(path)))

    def _identify(self) -> str:
        identity = uuid.uuid4().hex
        staged = self.root / ".lake.json.tmp"
        staged.write_text(json.dumps({"id": identity, "format": FORMAT}) + "\n")
        put_in_place(staged, self.root / "_lake.json")
        sync_folder(self.root)
        return identity

    def _folder(self, series: Series) -> Path:
        for name in (series.exchange, series.market):
            if not _NAME.fullmatch(name):
                raise UnsafeName(name=name)
        return (
            self.root / f"exchange={series.exchange}" / f"market={series.market}" / f"interval={int(series.interval)}"
        )

    def _files(self, series: Series, within: TimeRange | None = None) -> list[tuple[Partition, Path]]:
        """The files that hold something of `within`, in order of time."""
        files = _partition_files(self._folder(series), series.interval)
        return sorted((partition, path) for partition, path in files if partition.overlaps(within))


def _asked(files: Iterable[tuple[Partition, Path]], ask: Callable[[Partition, Path], T]) -> Iterator[T]:
    """What `ask` says of each file that is still there: a writer may have removed one since they were listed."""
    for partition, path in files:
        try:
            found = ask(partition, path)
        except GoneFile:
            # No writer removes the folder: without that, somebody is deleting the lake.
            if not path.parent.is_dir():
                raise
            continue
        yield found


def _cut(opens: npt.NDArray[np.int64], within: TimeRange) -> npt.NDArray[np.int64]:
    start, end = np.searchsorted(opens, [microseconds(within.start), microseconds(within.end)])
    return opens[start:end]


def _partition_files(folder: Path, interval: Interval) -> list[tuple[Partition, Path]]:
    if not folder.is_dir():
        return []
    paths = [path for path in folder.iterdir() if path.suffix == ".parquet"]
    named = [(Partition.named(interval, path.stem), path) for path in paths]
    return [(partition, path) for partition, path in named if partition is not None]


def _named_folders(parent: Path, key: str) -> list[tuple[str, Path]]:
    """The folders `key=value` of `parent`, by value."""
    if not parent.is_dir():
        return []
    paths = (path for path in parent.glob(f"{key}=*") if path.is_dir())
    return sorted((path.name.removeprefix(f"{key}="), path) for path in paths)
