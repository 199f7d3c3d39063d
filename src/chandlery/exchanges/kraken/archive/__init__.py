"""Kraken's OHLCVT archives: find them, tell which releases they are, and read their candles in place."""

from chandlery.exchanges.kraken.archive.discovery import find_sources
from chandlery.exchanges.kraken.archive.errors import (
    ArchiveError,
    DamagedArchive,
    EmptyMember,
    MalformedRow,
    SourceNotFound,
    UnreadableFile,
)
from chandlery.exchanges.kraken.archive.member import Container, Member
from chandlery.exchanges.kraken.archive.release import Release, recognise
from chandlery.exchanges.kraken.archive.rows import (
    MemberReader,
    first_timestamp,
    hash_member,
    last_timestamp,
    open_rows,
)
from chandlery.exchanges.kraken.archive.source import ArchiveSource, SourceKind

__all__ = [
    "ArchiveError",
    "ArchiveSource",
    "Container",
    "DamagedArchive",
    "EmptyMember",
    "MalformedRow",
    "Member",
    "MemberReader",
    "Release",
    "SourceKind",
    "SourceNotFound",
    "UnreadableFile",
    "find_sources",
    "first_timestamp",
    "hash_member",
    "last_timestamp",
    "open_rows",
    "recognise",
]
