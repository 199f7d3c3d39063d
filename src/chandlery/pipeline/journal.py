"""The journal of one walk over trades, so that a walk that was killed goes on where it stood."""

import json
import os
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import wraps
from io import FileIO
from pathlib import Path
from typing import Any, BinaryIO, Concatenate, ParamSpec, TypeVar

import numpy as np
import polars as pl

from chandlery.candles.evidence import Evidence, Source
from chandlery.candles.frame import CANDLE_SCHEMA, TIMESTAMP, empty_candles
from chandlery.candles.timerange import RangeSet, TimeRange
from chandlery.errors import ChandleryError
from chandlery.exchanges.kraken.walk import Break, Step, Walk
from chandlery.stores.durable import make_folder, put_in_place, sync_folder

#: Of another form than this nothing is read.
FORMAT = 1
#: Length and CRC-32 of what follows; then the length of the JSON in it, behind which come columns of 8-byte numbers.
_FRAME, _LENGTH = struct.Struct("<II"), struct.Struct("<I")
#: Bytes: a page adds 1,000 candles of 56 bytes at most, and a state of a few hundred.
LONGEST_RECORD = 4_000_000

P = ParamSpec("P")
T = TypeVar("T")


class JournalUnusable(ChandleryError):
    """The journal of a walk, {path}, cannot be used: {why}."""


@dataclass(frozen=True, slots=True, eq=False)
class Replayed:
    """What a journal holds: the walk as it stood at last, and what it brought since its outcome was last settled."""

    header: dict[str, Any]
    walk: Walk
    candles: pl.DataFrame
    answers: dict[Evidence, RangeSet]
    breaks: tuple[Break, ...]
    pages: int
    trades: int


def _in_one_line(method: Callable[Concatenate["Journal", P], T]) -> Callable[Concatenate["Journal", P], T]:
    @wraps(method)
    def guarded(self: "Journal", /, *arguments: P.args, **named: P.kwargs) -> T:
        try:
            return method(self, *arguments, **named)
        except OSError as problem:
            raise JournalUnusable(path=self.path, why=problem.strerror or str(problem)) from problem

    return guarded


class Journal:
    """One append-only file: a header with the walk as it began, then a record for each page taken.

    What `begin`, `append` and `settle` have written is on the disk when they return. A file that was cut off anywhere
    replays as far as it is whole, and goes on from there. Only one process may hold it: the lease of the series sees to
    that. Every method raises JournalUnusable where the disk is full or access is denied.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._header: dict[str, Any] | None = None
        self._end = 0  # what lies behind it was never whole

    @_in_one_line
    def begin(self, header: dict[str, Any], walk: Walk) -> None:
        """A journal anew, in place of whatever was there. `header` is of values that JSON knows."""
        self._replace(header, walk)

    @_in_one_line
    def append(self, step: Step) -> None:
        """Add what a page came to. The journal has begun, or has been replayed."""
        if self._header is None:
            raise ValueError("a journal is begun or replayed before it is added to")
        record = _record(_written(step), step.candles)
        with self.path.open("r+b", buffering=0) as file:
            file.seek(self._end)
            file.truncate()
            _write_whole(file, record)
            os.fsync(file.fileno())
        self._end += len(record)

    @_in_one_line
    def replay(self) -> Replayed | None:
        """What the file holds; None where there is none, or none that can be read: then there is nothing to go on from,
        and `begin` replaces it. A record that is cut off or damaged ends the replay, and is written over by `append`.
        """
        self._header = None
        try:
            with self.path.open("rb") as file:
                found = _replayed(file)
        except FileNotFoundError:
            return None
        if found is not None:
            self._end, replayed = found
            self._header = replayed.header
            return replayed
        return None

    @_in_one_line
    def settle(self, walk: Walk) -> None:
        """Forget candles and answers: they are in the store and in the state by now. The file changes atomically."""
        if self._header is None:
            raise ValueError("a journal is begun or replayed before it is settled")
        self._replace(self._header, walk)

    @_in_one_line
    def delete(self) -> None:
        """Remove the file, if there is one."""
        self._header = None
        if self.path.parent.is_dir():
            for path in (self._staged, self.path):
                path.unlink(missing_ok=True)
            sync_folder(self.path.parent)

    @property
    def _staged(self) -> Path:
        return self.path.with_name(f"{self.path.name}.new")

    def _replace(self, header: dict[str, Any], walk: Walk) -> None:
        record = _record({"format": FORMAT, "header": header, "walk": walk.to_json()}, empty_candles())
        make_folder(self.path.parent)
        self._staged.write_bytes(record)
        put_in_place(self._staged, self.path)
        sync_folder(self.path.parent)
        self._header, self._end = header, len(record)


def _record(said: dict[str, Any], candles: pl.DataFrame) -> bytes:
    text = json.dumps(said, separators=(",", ":")).encode()
    columns = (candles[name].to_physical().to_numpy().tobytes() for name in CANDLE_SCHEMA)
    body = b"".join((_LENGTH.pack(len(text)), text, *columns))
    return _FRAME.pack(len(body), zlib.crc32(body)) + body


def _write_whole(file: FileIO, record: bytes) -> None:
    """A disk that is nearly full may take a part of it first."""
    left = memoryview(record)
    while left:
        left = left[file.write(left) :]


def _written(step: Step) -> dict[str, Any]:
    answers = [[kind.source.value, kind.proven, _texts(ranges)] for kind, ranges in step.answers.items()]
    breaks = [[one.before, one.after, *_texts([one.within])] for one in step.breaks]
    return {"walk": step.walk.to_json(), "trades": step.trades, "answers": answers, "breaks": breaks}


def _texts(ranges: RangeSet | list[TimeRange]) -> list[list[str]]:
    return [[one.start.isoformat(), one.end.isoformat()] for one in ranges]


def _range(texts: list[str]) -> TimeRange:
    start, end = (datetime.fromisoformat(text).astimezone(UTC) for text in texts)
    return TimeRange(start, end)


def _replayed(file: BinaryIO) -> tuple[int, Replayed] | None:
    """(where the last whole record ends, what was read); None without a header that can be read."""
    records = _records(file)
    end, said, _ = next(records, (0, {}, empty_candles()))
    if said.get("format") != FORMAT:
        return None
    try:
        header, walk = said["header"], Walk.from_json(said["walk"])
    except (KeyError, ChandleryError):
        return None
    candles: list[pl.DataFrame] = [empty_candles()]
    answers: dict[Evidence, list[TimeRange]] = {}
    breaks: list[Break] = []
    pages = trades = 0
    for beyond, said, found in records:
        try:
            walk = Walk.from_json(said["walk"])
        except (KeyError, ChandleryError):
            break
        for source, proven, ranges in said["answers"]:
            answers.setdefault(Evidence(Source(source), proven=proven), []).extend(map(_range, ranges))
        breaks += [Break(before, after, _range(within)) for before, after, within in said["breaks"]]
        candles.append(found)
        pages, trades, end = pages + 1, trades + said["trades"], beyond
    told = {kind: RangeSet(ranges) for kind, ranges in answers.items()}
    return end, Replayed(header, walk, pl.concat(candles, rechunk=True), told, tuple(breaks), pages, trades)


def _records(file: BinaryIO) -> Iterator[tuple[int, dict[str, Any], pl.DataFrame]]:
    """(where it ends, what it says, its candles) of each whole record, up to the first that is not."""
    end = 0
    while len(frame := file.read(_FRAME.size)) == _FRAME.size:
        length, checksum = _FRAME.unpack(frame)
        if not _LENGTH.size <= length <= LONGEST_RECORD:
            return
        body = file.read(length)
        if len(body) < length or zlib.crc32(body) != checksum:
            return
        end += _FRAME.size + length
        [text] = _LENGTH.unpack_from(body)
        yield end, json.loads(body[_LENGTH.size : _LENGTH.size + text]), _candles(body[_LENGTH.size + text :])


def _candles(columns: bytes) -> pl.DataFrame:
    if not columns:
        return empty_candles()
    height = len(columns) // (8 * len(CANDLE_SCHEMA))
    found = {}
    for place, (name, kind) in enumerate(CANDLE_SCHEMA.items()):
        number = np.float64 if kind == pl.Float64 else np.int64
        column = pl.Series(np.frombuffer(columns, number, height, offset=8 * height * place))
        found[name] = column.cast(TIMESTAMP) if name == "timestamp" else column
    return pl.DataFrame(found)
