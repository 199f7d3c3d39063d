"""Candles that wait for a commit: in memory while they are few, in a file for each partition when they are many."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from chandlery.candles.evidence import Origin
from chandlery.candles.interval import Interval
from chandlery.errors import ChandleryError
from chandlery.stores.parquet_file import Piece, stage_rows, staged_rows
from chandlery.stores.partition import Partition, split
from chandlery.stores.stored import STORED_SCHEMA, with_origin

#: Some 60 bytes a row: 30 MB.
MOST_IN_MEMORY = 500_000


class NoRoom(ChandleryError):
    """Candles cannot wait in {folder}: {reason}; point TMPDIR at a folder with room"""


class Spool:
    """Appended in order of time; told partition by partition. `close` leaves nothing behind."""

    def __init__(self, interval: Interval) -> None:
        self._interval = interval
        self._pieces: dict[Partition, list[Piece]] = {}
        self._files: dict[Partition, Path] = {}
        self._rows = 0
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def put(self, candles: pl.DataFrame, origin: Origin) -> None:
        """Raises NoRoom."""
        for partition, part in split(candles, self._interval):
            self._pieces.setdefault(partition, []).append((part, origin))
            self._rows += part.height
        if self._rows > MOST_IN_MEMORY:
            self._to_disk()

    def partitions(self) -> Iterator[Partition]:
        yield from self._files
        yield from self._pieces

    def rows(self, partition: Partition) -> pl.DataFrame:
        """What waits for the partition, in STORED_SCHEMA."""
        parts = [with_origin(candles, origin) for candles, origin in self._pieces.get(partition, ())]
        if partition in self._files:
            parts.insert(0, staged_rows(self._files[partition]))
        return pl.concat(parts) if parts else pl.DataFrame(schema=STORED_SCHEMA)

    def close(self) -> None:
        self._pieces, self._files, self._rows = {}, {}, 0
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _to_disk(self) -> None:
        """All but the last partition, which may grow."""
        newest = next(reversed(self._pieces))
        try:
            if self._folder is None:
                self._folder = tempfile.TemporaryDirectory(prefix="chandlery-")
            for partition in [one for one in self._pieces if one != newest]:
                path = Path(self._folder.name) / f"{partition.name}.staged"
                rows = self.rows(partition)
                stage_rows(path, rows)
                self._files[partition] = path
                self._rows -= rows.height
                del self._pieces[partition]
        except OSError as error:
            raise NoRoom(folder=tempfile.gettempdir(), reason=str(error)) from error
