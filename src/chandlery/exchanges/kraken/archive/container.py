"""What a ZIP holds, whole or in parts, told from its central directory alone."""

import errno
import hashlib
import re
import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path

from chandlery.exchanges.kraken.archive.content import DEFLATED, STORED, Content, open_files
from chandlery.exchanges.kraken.archive.errors import (
    ArchiveError,
    EncryptedMember,
    MissingPart,
    NotAnArchive,
    UnreadableFile,
    UnsupportedCompression,
)
from chandlery.exchanges.kraken.archive.member import printable

_PART = re.compile(r"(?P<base>.+)\.part(?P<number>\d{2,4})", re.IGNORECASE)
_ENCRYPTED = 0x1


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a source: its name there, what tells it unchanged, and why it cannot be read, if so."""

    name: str
    content: Content
    signature: str
    problem: ArchiveError | None = None


@dataclass(frozen=True, slots=True)
class Directory:
    """The files of a ZIP and what tells this directory from any other."""

    entries: tuple[Entry, ...]
    signature: str


def read_directory(path: Path, files: tuple[Path, ...]) -> Directory:
    """Reads the end of a ZIP that stands in `files` and is shown as `path`. Raises NotAnArchive, UnreadableFile."""
    try:
        with open_files(files) as file, zipfile.ZipFile(file) as archive:
            # Everything from the directory to the end of the file: it names each member with its checksum and place.
            size = file.seek(0, 2)
            file.seek(archive.start_dir)
            digest = hashlib.sha256(f"{size}\0".encode() + file.read()).hexdigest()
            entries = tuple(_entry(info, path, files, digest) for info in archive.infolist() if not info.is_dir())
    except OSError as error:
        if error.errno == errno.EINVAL:  # the directory sends the reader to before the start of the file
            raise NotAnArchive(path=path, why=_why_no_zip(files, error)) from None
        raise UnreadableFile(path=path, why=error.strerror or str(error)) from error
    except (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError, struct.error) as error:
        raise NotAnArchive(path=path, why=_why_no_zip(files, error)) from None
    return Directory(entries, digest)


def part_base(path: Path) -> Path | None:
    """`x.zip` for `x.zip.part07`, None for a file that is no part."""
    match = _PART.fullmatch(path.name)
    return path.with_name(match["base"]) if match else None


def parts_beside(base: Path) -> tuple[Path, ...]:
    """Every part of `base` on disk, in order."""
    numbered = []
    for path in base.parent.iterdir() if base.parent.is_dir() else ():
        match = _PART.fullmatch(path.name)
        if match is not None and match["base"] == base.name:
            numbered.append((int(match["number"]), path))
    return tuple(path for _, path in sorted(numbered))


def require_all_parts(base: Path, parts: tuple[Path, ...]) -> None:
    """Raises MissingPart where the numbers do not run from 00 without a hole. That the last is there, its end tells."""
    for expected, path in enumerate(parts):
        match = _PART.fullmatch(path.name)
        if match is not None and int(match["number"]) != expected:
            raise MissingPart(path=base, missing=f"{base.name}.part{expected:02d}")


def _entry(info: zipfile.ZipInfo, path: Path, files: tuple[Path, ...], digest: str) -> Entry:
    # The name as it stands there: ZipInfo.filename is cut at a NUL, which would hide what follows.
    name = info.orig_filename
    label = f"{path.name}:{printable(name)}"
    content = Content(
        label, files, info.file_size, info.compress_size, info.header_offset, info.compress_type, info.CRC
    )
    signature = hashlib.sha256(f"{digest}\0{name}\0{info.CRC}\0{info.file_size}".encode(errors="replace"))
    problem: ArchiveError | None = None
    if info.flag_bits & _ENCRYPTED:
        problem = EncryptedMember(path=label)
    elif info.compress_type not in (STORED, DEFLATED):
        problem = UnsupportedCompression(path=label, method=info.compress_type)
    return Entry(name, content, signature.hexdigest(), problem)


def _why_no_zip(files: tuple[Path, ...], error: Exception) -> str:
    with open_files(files) as file:
        start = file.read(512).lstrip()
    if not start:
        return "it is empty"
    if start.startswith(b"<"):
        return "it is an HTML page; download the archive again"
    if start.startswith(b"PK"):
        return f"it is cut off or damaged ({error}); download it again"
    return "it does not start like one; download it again"
