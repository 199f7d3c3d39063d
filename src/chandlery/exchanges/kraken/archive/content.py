"""The bytes of one file, whether it lies on disk or inside a ZIP, whole or in parts: streamed, bounded and checked."""

import io
import struct
from bisect import bisect_right
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import BinaryIO, cast

from isal import isal_zlib

from chandlery.exchanges.kraken.archive.errors import DamagedArchive, UnreadableFile

STORED, DEFLATED = 0, 8
#: Small enough that hash and checksum find a piece still in the processor's cache.
_PIECE = 256 << 10
_LOCAL_HEADER = struct.Struct("<4s22xHH")


@dataclass(frozen=True, slots=True)
class Content:
    """Where bytes stand and how they are packed."""

    label: str  # as people see it: "Kraken_OHLCVT_Q1_2024.zip:master_q4/XBTUSD_60.csv"
    files: tuple[Path, ...]  # the file, or the parts of a split ZIP in order
    size: int  # uncompressed
    compressed_size: int
    offset: int = 0  # of the local header inside the ZIP
    method: int | None = None  # None for a plain file
    crc: int | None = None

    def pieces(self) -> Generator[bytes, None, None]:
        """The uncompressed bytes in small pieces, never more than `size` in all.

        Raises UnreadableFile, or DamagedArchive where size, checksum or packing do not hold; the last two are known
        at the end only.
        """
        try:
            with open_files(self.files) as file:
                yield from self._checked(self._unpacked(file))
        except OSError as error:
            raise UnreadableFile(path=self.label, why=error.strerror or str(error)) from error

    def read(self, limit: int) -> bytes:
        """All of it. Raises DamagedArchive for more than `limit` bytes."""
        if self.size > limit:
            raise DamagedArchive(path=self.label, why=f"it is larger than {limit} bytes")
        return b"".join(self.pieces())

    def _unpacked(self, file: BinaryIO) -> Iterator[bytes]:
        if self.method is None:
            return iter(lambda: file.read(_PIECE), b"")
        file.seek(max(0, self.offset))
        header = file.read(_LOCAL_HEADER.size)
        if len(header) < _LOCAL_HEADER.size or not header.startswith(b"PK\x03\x04"):
            raise DamagedArchive(path=self.label, why="it does not start where the directory says")
        _, name_length, extra_length = _LOCAL_HEADER.unpack(header)
        file.seek(name_length + extra_length, io.SEEK_CUR)
        packed = _bounded(file, self.compressed_size)
        return packed if self.method == STORED else self._inflated(packed)

    def _inflated(self, packed: Iterator[bytes]) -> Iterator[bytes]:
        inflater = isal_zlib.decompressobj(-15)
        waiting = b""
        while not inflater.eof:
            waiting = waiting or next(packed, b"")
            try:
                piece = inflater.decompress(waiting, _PIECE)
            except isal_zlib.error as error:  # type: ignore[misc]  # its stub declares the class as an instance
                raise DamagedArchive(path=self.label, why=f"its data cannot be inflated ({error})") from None
            if not piece and not waiting and not inflater.eof:
                raise DamagedArchive(path=self.label, why="its compressed data is cut off")
            waiting = inflater.unconsumed_tail
            if piece:
                yield piece

    def _checked(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        size = checksum = 0
        for piece in pieces:
            size += len(piece)
            if size > self.size:
                raise DamagedArchive(path=self.label, why=f"it holds more than the {self.size} bytes announced")
            if self.crc is not None:
                checksum = isal_zlib.crc32(piece, checksum)
            yield piece
        if size != self.size:
            raise DamagedArchive(path=self.label, why=f"it holds {size} of the {self.size} bytes announced")
        if self.crc is not None and checksum != self.crc:
            raise DamagedArchive(path=self.label, why="its checksum (CRC-32) is wrong")


def open_files(files: tuple[Path, ...]) -> BinaryIO:
    """One file, or several that continue each other, as one that can be read and sought in."""
    if len(files) == 1:
        return files[0].open("rb")
    return cast(BinaryIO, io.BufferedReader(_JoinedFiles(files), buffer_size=_PIECE))


def _bounded(file: BinaryIO, size: int) -> Iterator[bytes]:
    while size > 0:
        piece = file.read(min(size, _PIECE))
        if not piece:
            return
        size -= len(piece)
        yield piece


class _JoinedFiles(io.RawIOBase):
    """The parts of a file, read as the file that they were cut from."""

    def __init__(self, files: tuple[Path, ...]) -> None:
        super().__init__()
        with ExitStack() as opened:
            self._parts = [opened.enter_context(file.open("rb", buffering=0)) for file in files]
            sizes = [part.seek(0, io.SEEK_END) for part in self._parts]
            self._opened = opened.pop_all()
        self._starts = [0, *accumulate(sizes)]
        self._position = 0

    def close(self) -> None:
        self._opened.close()
        super().close()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._starts[-1]}[whence]
        if origin + offset < 0:
            raise ValueError(f"negative seek position {origin + offset}")
        self._position = origin + offset
        return self._position

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # typeshed's Buffer is 3.12
        if self._position >= self._starts[-1]:
            return 0
        index = bisect_right(self._starts, self._position) - 1
        part = self._parts[index]
        part.seek(self._position - self._starts[index])
        wanted = min(len(buffer), self._starts[index + 1] - self._position)
        count = part.readinto(memoryview(buffer)[:wanted])
        self._position += count
        return count
