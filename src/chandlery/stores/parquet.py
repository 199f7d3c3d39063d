"""The Parquet lake: candles in files that any tool reads, changed one whole file at a time."""

import json
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock, Timeout

from chandlery.candles.evidence import Origin
from chandlery.candles.frame import CANDLE_SCHEMA
from chandlery.candles.interval import Interval
from chandlery.candles.series import Series
from chandlery.candles.timerange import TimeRange
from chandlery.errors import ChandleryError
from chandlery.stores.base import ORIGIN_COLUMNS, DayCounts, Written
from chandlery.stores.merge import COLUMNS, merge
from chandlery.stores.partition import day_counts, is_partition, partition_span, partitioned

FORMAT = 1
MARKER = "lake.json"
#: Names that are one plain path segment on every system.
_SEGMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class UnsafeSeriesName(ChandleryError):
    """{name!r} cannot be the name of an exchange or market in the lake; expected letters, digits, dots and dashes"""


class DamagedLakeFile(ChandleryError):
    """{path} cannot be read ({why}); move it away and repair with rebuild_state"""


class UnknownLakeFormat(ChandleryError):
    """{path} is of format {format!r}; this version reads format 1: update Chandlery, or point CANDLE_STORE elsewhere"""


class CannotWriteLake(ChandleryError):
    """Cannot write to the lake {path}: {why}"""


class ParquetLake:
    """A folder of Parquet files: `exchange=kraken/market=XBTUSD/interval=60/2024.parquet`."""

    def __init__(self, root: Path, url: str) -> None:
        self.root = root
        self.url = url

    def identity(self) -> str | None:
        """The id in `lake.json`. Raises UnknownLakeFormat, DamagedLakeFile."""
        marker = self.root / MARKER
        try:
            described = json.loads(marker.read_text())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise DamagedLakeFile(path=marker, why=error) from error
        if not isinstance(described, dict) or described.get("format") != FORMAT:
            found = described.get("format") if isinstance(described, dict) else described
            raise UnknownLakeFormat(path=marker, format=found)
        return str(described["id"])

    def create(self) -> str:
        """The lake's id; the lake is made if it is not there."""
        known = self.identity()
        if known is not None:
            return known
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            draft = self.root / f".{MARKER}.{uuid.uuid4().hex}.tmp"
            draft.write_text(json.dumps({"id": uuid.uuid4().hex, "format": FORMAT}) + "\n")
            _fsync(draft)
            # Unlike a rename, a link never replaces a marker that another process has just made.
            with suppress(FileExistsError):
                (self.root / MARKER).hardlink_to(draft)
            draft.unlink()
            _fsync(self.root)
        except OSError as error:
            raise CannotWriteLake(path=self.root, why=error.strerror or error) from error
        made = self.identity()
        if made is None:
            raise CannotWriteLake(path=self.root, why=f"{MARKER} vanished")
        return made

    def writer(self, series: Series) -> "LakeWriter":
        return LakeWriter(self.folder(series), series)

    def write(self, series: Series, candles: pl.DataFrame, origin: Origin) -> Written:
        with self.writer(series) as writer:
            writer.append(candles, origin)
            return writer.commit()

    def read(self, series: Series, within: TimeRange | None = None, *, origin: bool = False) -> pl.DataFrame:
        columns = list(COLUMNS if origin else CANDLE_SCHEMA)
        frames = [read_file(path, columns, within) for path in self._files(series, within)]
        return pl.concat(frames) if frames else _empty(columns)

    def count(self, series: Series, within: TimeRange | None = None) -> int:
        total = 0
        for path in self._files(series, within):
            span = partition_span(path.stem)
            if within is None or (span is not None and within.contains(span)):
                total += _rows(path)
            else:
                total += read_file(path, ["timestamp"], within).height
        return total

    def slots(self, series: Series, within: TimeRange | None = None) -> pl.Series:
        return self._opens(self._files(series, within), within)

    def span(self, series: Series) -> TimeRange | None:
        files = self._files(series)
        if not files:
            return None
        opens = self._opens(files[:1], None), self._opens(files[-1:], None)
        first, last = (_utc(opens[0][0]), _utc(opens[1][-1]))
        return TimeRange(first, last + series.interval.delta)

    def day_counts(self, series: Series) -> DayCounts | None:
        opens = self.slots(series)
        return day_counts(opens) if len(opens) else None

    def series(self) -> Iterator[Series]:
        for exchange in _subfolders(self.root, "exchange"):
            for market in _subfolders(exchange, "market"):
                for folder in _subfolders(market, "interval"):
                    minutes = _value(folder)
                    if minutes.isdecimal() and int(minutes) in _INTERVALS and any(_parquet_files(folder)):
                        yield Series(_value(exchange), _value(market), _INTERVALS[int(minutes)])

    def size_bytes(self, series: Series) -> int:
        """Disk use of one series."""
        return sum(path.stat().st_size for path in self._files(series))

    def folder(self, series: Series) -> Path:
        for name in (series.exchange, series.market):
            if not _SEGMENT.fullmatch(name):
                raise UnsafeSeriesName(name=name)
        return self.root / f"exchange={series.exchange}" / f"market={series.market}" / f"interval={int(series.interval)}"

    def _files(self, series: Series, within: TimeRange | None = None) -> list[Path]:
        """Files that may hold candles of `within`, in order of time."""
        files = sorted(_parquet_files(self.folder(series)))
        if within is None:
            return files
        spans = ((path, partition_span(path.stem)) for path in files)
        return [path for path, span in spans if span is None or span.overlaps(within)]

    def _opens(self, files: list[Path], within: TimeRange | None) -> pl.Series:
        frames = [read_file(path, ["timestamp"], within) for path in files]
        return (pl.concat(frames) if frames else _empty(["timestamp"]))["timestamp"]


class LakeWriter:
    """Candles of one series on their way into the lake: staged in a hidden folder, one partition in memory at a time."""

    def __init__(self, folder: Path, series: Series) -> None:
        self._folder = folder
        self._series = series
        self._staging = folder / f".staging-{uuid.uuid4().hex}"
        self._alive = FileLock(self._staging / "alive.lock")
        self._pending: list[pl.DataFrame] = []
        self._partition = ""
        self._staged: dict[str, tuple[int, DayCounts]] = {}

    def __enter__(self) -> Self:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with self._lock():
                _sweep(self._folder)
                self._staging.mkdir()
                self._alive.acquire()
        except OSError as error:
            raise CannotWriteLake(path=self._folder, why=error.strerror or error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._alive.release()
        shutil.rmtree(self._staging, ignore_errors=True)

    def append(self, candles: pl.DataFrame, origin: Origin) -> None:
        """Hand over candles (CANDLE_SCHEMA, sorted), all later than any appended before."""
        marked = candles.select(
            *CANDLE_SCHEMA,
            source=pl.lit(origin.source.value),
            derived=pl.lit(origin.derived),
            provisional=pl.lit(origin.provisional),
            release=pl.lit(origin.release),
        )
        for name, part in partitioned(marked, self._series.interval):
            if name != self._partition:
                self._stage()
                self._partition = name
            self._pending.append(part)

    def commit(self) -> Written:
        """Rename or merge the staged files into place; durable and visible when it returns."""
        try:
            self._stage()
            with self._lock():
                done = [self._put(name) for name in self._staged]
                _fsync(self._folder)
        except OSError as error:
            raise CannotWriteLake(path=self._folder, why=error.strerror or error) from error
        return _summed(done)

    def _stage(self) -> None:
        if self._pending:
            part = pl.concat(self._pending)
            self._pending.clear()
            write_file(self._staging / f"{self._partition}.tmp", part)
            self._staged[self._partition] = (part.height, day_counts(part["timestamp"], self._partition))

    def _put(self, name: str) -> Written:
        staged, target = self._staging / f"{name}.tmp", self._folder / f"{name}.parquet"
        if not target.exists():
            staged.replace(target)
            rows, days = self._staged[name]
            return Written(inserted=rows, days=(days,))
        merged = merge(read_file(target, list(COLUMNS)), read_file(staged, list(COLUMNS)))
        if merged.candles is not None:
            write_file(staged, merged.candles)
            staged.replace(target)
        days = day_counts(read_file(target, ["timestamp"])["timestamp"], name)
        first = _utc(merged.first_conflict) if merged.first_conflict is not None else None
        return Written(merged.inserted, merged.replaced, merged.unchanged, merged.conflicting, first, (days,))

    def _lock(self) -> FileLock:
        """Writers of one series take turns; readers never wait."""
        return FileLock(self._folder / ".write.lock")


def write_file(path: Path, candles: pl.DataFrame) -> None:
    """A Parquet file with COLUMNS, on disk when this returns."""
    table = candles.with_columns(pl.col(ORIGIN_COLUMNS[0], ORIGIN_COLUMNS[-1]).cast(pl.Categorical)).to_arrow(
        compat_level=pl.CompatLevel.oldest()
    )
    pq.write_table(
        table,
        path,
        compression="zstd",
        compression_level=1,
        # Prices repeat: a dictionary makes files a third smaller and quicker to write. Readers of all kinds know it.
        use_dictionary=[name for name in COLUMNS if name not in ("timestamp", "derived", "provisional")],
        column_encoding={"timestamp": "DELTA_BINARY_PACKED"},
        store_schema=False,
    )
    _fsync(path)


def read_file(path: Path, columns: list[str], within: TimeRange | None = None) -> pl.DataFrame:
    """Columns of one file, sorted by time. Raises DamagedLakeFile."""
    try:
        frame = pl.from_arrow(pq.read_table(path, columns=columns, partitioning=None, use_threads=False, memory_map=False))
    except (OSError, pa.ArrowException) as error:
        raise DamagedLakeFile(path=path, why=str(error).splitlines()[0]) from error
    assert isinstance(frame, pl.DataFrame), "a table becomes a frame"
    if within is None:
        return frame
    opens = frame["timestamp"]
    start, end = int(opens.search_sorted(within.start)), int(opens.search_sorted(within.end))
    return frame.slice(start, end - start)


def _rows(path: Path) -> int:
    try:
        return int(pq.read_metadata(path).num_rows)
    except (OSError, pa.ArrowException) as error:
        raise DamagedLakeFile(path=path, why=str(error).splitlines()[0]) from error


def _summed(done: list[Written]) -> Written:
    return Written(
        inserted=sum(w.inserted for w in done),
        replaced=sum(w.replaced for w in done),
        unchanged=sum(w.unchanged for w in done),
        conflicting=sum(w.conflicting for w in done),
        first_conflict=min((w.first_conflict for w in done if w.first_conflict is not None), default=None),
        days=tuple(days for w in done for days in w.days),
    )


def _sweep(folder: Path) -> None:
    """Remove what a killed writer left; a living one holds its lock."""
    for staging in folder.glob(".staging-*"):
        with suppress(Timeout), FileLock(staging / "alive.lock", blocking=False):
            shutil.rmtree(staging, ignore_errors=True)


def _parquet_files(folder: Path) -> Iterator[Path]:
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        for entry in entries:
            stem, dot, ending = entry.name.rpartition(".")
            if dot and ending == "parquet" and is_partition(stem):
                yield folder / entry.name


def _subfolders(folder: Path, key: str) -> list[Path]:
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        return sorted(folder / entry.name for entry in entries if entry.name.startswith(f"{key}=") and entry.is_dir())
    return []


def _value(folder: Path) -> str:
    return folder.name.partition("=")[2]


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _utc(moment: Any) -> datetime:
    found: datetime = moment.replace(tzinfo=UTC)
    return found


def _empty(columns: list[str]) -> pl.DataFrame:
    return pl.DataFrame(schema={name: _SCHEMA[name] for name in columns})


_INTERVALS = {int(interval): interval for interval in Interval}
_SCHEMA: dict[str, Any] = {
    **CANDLE_SCHEMA,
    "source": pl.String,
    "derived": pl.Boolean,
    "provisional": pl.Boolean,
    "release": pl.String,
}
