"""The rows of one archive file as candle frames: streamed in blocks, hashed in the same pass, every row checked."""

import hashlib
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

import polars as pl

from chandlery.exchanges.kraken.archive.content import Content, open_files
from chandlery.exchanges.kraken.archive.errors import EmptyMember, MalformedRow, UnreadableFile
from chandlery.exchanges.kraken.archive.member import Member
from chandlery.exchanges.kraken.archive.parsing import (
    ROW_LIMIT,
    fault_in_block,
    fault_in_open_row,
    open_of_row,
    parse,
)

#: Large enough that parsing pays, small enough that a member of any size fits in memory.
BLOCK_BYTES = 8 << 20


def open_rows(member: Member, block_bytes: int = BLOCK_BYTES) -> "MemberReader":
    """A reader of the member's candles, to be used in a `with` statement and iterated once."""
    return MemberReader(member, block_bytes)


class MemberReader:
    """Yields candle frames (CANDLE_SCHEMA, sorted, every row checked) and, once through, knows what they were.

    A bad file raises MalformedRow, EmptyMember, DamagedArchive or UnreadableFile on the way, or at its end: nothing
    of it may be kept, although the frames before were sound.
    """

    def __init__(self, member: Member, block_bytes: int) -> None:
        self.member = member
        self.rows = 0
        self.first: datetime | None = None  # open of the first slot, UTC
        self.last: datetime | None = None  # open of the last slot, UTC
        self.sha256: str | None = None  # of the uncompressed content; None until the last frame has been taken
        self._pieces = member.content.pieces()
        self._block_bytes = block_bytes

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pieces.close()

    def __iter__(self) -> Iterator[pl.DataFrame]:
        digest = hashlib.sha256()
        after: int | None = None
        for block in _blocks(_hashed(self._pieces, digest), self._block_bytes):
            if not block.endswith(b"\n"):
                raise self._faulty(fault_in_open_row(block, self.member.label, self.rows))
            candles = parse(block, self.member.interval, after)
            if candles is None:
                fault = fault_in_block(block, self.member.interval, after, self.member.label, self.rows)
                raise self._faulty(fault)
            opens = candles["timestamp"]
            after = int(opens.to_physical()[-1]) // 1_000_000
            self.rows += candles.height
            # polars answers in a zone of its own making, although it is UTC.
            self.first = self.first or opens[0].replace(tzinfo=UTC)
            self.last = opens[-1].replace(tzinfo=UTC)
            yield candles
        if self.rows == 0:
            raise EmptyMember(path=self.member.label)
        self.sha256 = digest.hexdigest()

    def _faulty(self, fault: MalformedRow) -> MalformedRow:
        # Damaged data inflates to rubbish: where the checksum is wrong, that is what is to be told.
        if self.member.content.crc is not None:
            for _ in self._pieces:
                pass
        return fault


def hash_member(member: Member) -> str:
    """SHA-256 of the uncompressed content, no row looked at. Raises DamagedArchive, UnreadableFile."""
    digest = hashlib.sha256()
    for piece in member.content.pieces():
        digest.update(piece)
    return digest.hexdigest()


def first_timestamp(member: Member) -> datetime | None:
    """Open of the first slot (UTC), no other row looked at; None where the first row is none: `open_rows` tells why.

    Raises DamagedArchive, UnreadableFile.
    """
    pieces = member.content.pieces()
    row, newline, _ = next(pieces, b"").partition(b"\n")
    pieces.close()
    return _moment(open_of_row(row) if newline else None)


def last_timestamp(member: Member) -> datetime | None:
    """Open of the last slot (UTC), no other row looked at; None where the last row is none: `open_rows` tells why.

    Raises DamagedArchive, UnreadableFile.
    """
    rows, newline, after = _tail(member.content, ROW_LIMIT + 1).rpartition(b"\n")
    return _moment(open_of_row(rows.rpartition(b"\n")[2]) if newline and not after else None)


def _moment(seconds: int | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _tail(content: Content, length: int) -> bytes:
    if content.method is None:
        try:
            with open_files(content.files) as file:
                file.seek(max(0, content.size - length))
                return file.read(length)
        except OSError as error:
            raise UnreadableFile(path=content.label, why=error.strerror or str(error)) from error
    tail = b""
    for piece in content.pieces():
        tail = piece[-length:] if len(piece) >= length else (tail + piece)[-length:]
    return tail


def _hashed(pieces: Iterable[bytes], digest: "hashlib._Hash") -> Iterator[bytes]:
    for piece in pieces:
        digest.update(piece)
        yield piece


def _blocks(pieces: Iterable[bytes], block_bytes: int) -> Iterator[bytes]:
    """Whole lines, about `block_bytes` of them at a time. What no newline ends comes last, as a block of its own."""
    held: list[bytes | memoryview] = []  # pieces not yet handed out
    size = 0
    open_row = 0  # bytes at their end that no newline follows
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        newline = piece.rfind(b"\n")
        open_row = open_row + len(piece) if newline < 0 else len(piece) - newline - 1
        if open_row > ROW_LIMIT:
            break
        if size >= block_bytes and newline >= 0:
            # One copy puts the block together; the begun row is carried over to the next.
            begun = piece[len(piece) - open_row :]
            held[-1] = memoryview(piece)[: len(piece) - open_row]
            yield b"".join(held)
            held, size = [begun], open_row
    rest = b"".join(held)
    whole = len(rest) - open_row
    if whole:
        yield rest[:whole]
    if open_row:
        yield rest[whole:]
