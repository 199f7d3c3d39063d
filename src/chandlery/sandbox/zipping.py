"""A ZIP put together from members that were deflated elsewhere, side by side; whole, or cut into parts.

The standard library deflates a member itself, one at a time. Only what APPNOTE 6.3 needs: sizes are known before a
member begins, so that nothing is ever sought back to.
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Protocol, Self

STORED, DEFLATED = 0, 8

_LIMIT_16, _LIMIT_32 = 0xFFFF, 0xFFFFFFFF
_UTF8 = 0x800
#: Made by version 4.5 on Unix, where the upper half of the external attributes is the file mode.
_VERSION, _VERSION_64, _UNIX = 20, 45, 3 << 8
_FILE_MODE, _FOLDER_MODE = 0o100644 << 16, 0o040755 << 16 | 0x10


class Sink(Protocol):
    def write(self, piece: bytes, /) -> object: ...


@dataclass(frozen=True, slots=True)
class Packed:
    """A member's facts: its name in the ZIP, method, CRC-32 and sizes."""

    name: str
    method: int
    crc: int
    size: int
    packed_size: int


class ZipWriter:
    """Appends members to `sink`; `close` writes the directory. `zip64` forces the wide form that 4 GiB need."""

    def __init__(self, sink: Sink, packed_at: datetime, *, zip64: bool = False) -> None:
        self._sink = sink
        self._stamp = struct.pack("<HH", _dos_time(packed_at), _dos_date(packed_at))
        self._zip64 = zip64
        self._offset = 0
        self._directory: list[bytes] = []

    def add(self, member: Packed, pieces: Iterable[bytes]) -> None:
        """`pieces` is the content as `member.method` packed it."""
        offset = self._offset
        name = member.name.encode()
        wide = self._zip64 or max(member.size, member.packed_size) >= _LIMIT_32
        extra = _wide_extra(member.size, member.packed_size) if wide else b""
        self._write(b"PK\3\4" + self._facts(member, wide) + struct.pack("<HH", len(name), len(extra)) + name + extra)
        for piece in pieces:
            self._write(piece)
        wide = wide or offset >= _LIMIT_32
        extra = _wide_extra(member.size, member.packed_size, offset) if wide else b""
        mode = _FOLDER_MODE if member.name.endswith("/") else _FILE_MODE
        self._directory.append(
            b"PK\1\2"
            + struct.pack("<H", _UNIX | _VERSION_64)
            + self._facts(member, wide)
            + struct.pack("<HHHHHLL", len(name), len(extra), 0, 0, 0, mode, _LIMIT_32 if wide else offset)
            + name
            + extra
        )

    def close(self) -> None:
        start, entries = self._offset, len(self._directory)
        for entry in self._directory:
            self._write(entry)
        size = self._offset - start
        if self._zip64 or entries >= _LIMIT_16 or max(start, size) >= _LIMIT_32:
            end, version = self._offset, _UNIX | _VERSION_64
            self._write(
                b"PK\6\6" + struct.pack("<QHHLLQQQQ", 44, version, version, 0, 0, entries, entries, size, start)
            )
            self._write(b"PK\6\7" + struct.pack("<LQL", 0, end, 1))
            entries, size, start = _LIMIT_16, _LIMIT_32, _LIMIT_32
        self._write(b"PK\5\6" + struct.pack("<HHHHLLH", 0, 0, entries, entries, size, start, 0))

    def _facts(self, member: Packed, wide: bool) -> bytes:
        sizes = (_LIMIT_32, _LIMIT_32) if wide else (member.packed_size, member.size)
        version = _VERSION_64 if wide else _VERSION
        return (
            struct.pack("<HHH", version, _UTF8, member.method) + self._stamp + struct.pack("<LLL", member.crc, *sizes)
        )

    def _write(self, piece: bytes) -> None:
        self._sink.write(piece)
        self._offset += len(piece)


class PartsFile:
    """Writes `path.part00`, `path.part01` … of `part_bytes` each: one stream, cut anywhere."""

    def __init__(self, path: Path, part_bytes: int) -> None:
        self.paths: list[Path] = []
        self._path, self._part_bytes = path, part_bytes
        self._file: BinaryIO | None = None
        self._room = 0

    def write(self, piece: bytes, /) -> int:
        rest = memoryview(piece)
        while rest:
            if self._file is None or self._room == 0:
                self._file = self._next()
            written = self._file.write(rest[: self._room])
            self._room -= written
            rest = rest[written:]
        return len(piece)

    def _next(self) -> BinaryIO:
        self.close()
        self.paths.append(self._path.with_name(f"{self._path.name}.part{len(self.paths):02d}"))
        self._room = self._part_bytes
        return self.paths[-1].open("wb")

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _wide_extra(*sizes: int) -> bytes:
    return struct.pack(f"<HH{len(sizes)}Q", 1, 8 * len(sizes), *sizes)


def _dos_time(moment: datetime) -> int:
    return moment.hour << 11 | moment.minute << 5 | moment.second // 2


def _dos_date(moment: datetime) -> int:
    # A ZIP knows no year before 1980.
    return max(moment.year - 1980, 0) << 9 | moment.month << 5 | moment.day
