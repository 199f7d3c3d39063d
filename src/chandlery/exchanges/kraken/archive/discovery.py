"""Which archives and loose files stand at a path. Goes by names and directories; no candle is read."""

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from chandlery.exchanges.kraken.archive.container import (
    Entry,
    part_base,
    parts_beside,
    read_directory,
    require_all_parts,
)
from chandlery.exchanges.kraken.archive.content import Content
from chandlery.exchanges.kraken.archive.errors import (
    ArchiveError,
    NotACandleFile,
    SourceNotFound,
    UnknownSource,
    UnreadableFile,
)
from chandlery.exchanges.kraken.archive.manifest import MANIFEST_NAME
from chandlery.exchanges.kraken.archive.member import Container, is_junk, printable, series_of
from chandlery.exchanges.kraken.archive.release import ReleaseFacts, recognise
from chandlery.exchanges.kraken.archive.source import ArchiveSource, SourceKind, source_of


def find_sources(path: Path) -> tuple[ArchiveSource, ...]:
    """Every source at `path`: a folder of anything, a ZIP, a part or the base name of a split ZIP, or one CSV file.

    Raises SourceNotFound, UnknownSource or NotACandleFile (usage errors). A source that is there and cannot be read
    is returned with its problem.
    """
    base = part_base(path)
    if base is not None and path.is_file():
        return (_split(base),)
    if path.is_dir():
        return tuple(_in_folder(path))
    if not path.exists():
        if parts_beside(path):
            return (_split(path),)
        raise SourceNotFound(path=path)
    match path.suffix.lower():
        case ".zip":
            return (_zip(path),)
        case ".csv":
            return (_single(path),)
    raise UnknownSource(path=path)


def _zip(path: Path) -> ArchiveSource:
    return _archive(path, SourceKind.ZIP, Container.ZIP, (path,))


def _split(base: Path) -> ArchiveSource:
    parts = parts_beside(base)
    try:
        require_all_parts(base, parts)
    except ArchiveError as problem:
        return _unreadable(base, SourceKind.SPLIT, problem)
    return _archive(base, SourceKind.SPLIT, Container.SPLIT, parts)


def _archive(path: Path, kind: SourceKind, container: Container, files: tuple[Path, ...]) -> ArchiveSource:
    try:
        directory = read_directory(path, files)
    except ArchiveError as problem:
        return _unreadable(path, kind, problem)
    return source_of(path, kind, container, directory.entries, recognise(path.name), directory.signature)


def _unreadable(path: Path, kind: SourceKind, problem: ArchiveError) -> ArchiveSource:
    return ArchiveSource(path, kind, None, (), signature="", problems=(problem,))


def _single(path: Path) -> ArchiveSource:
    if series_of(path.name) is None:
        raise NotACandleFile(path=path)
    return source_of(path, SourceKind.LOOSE, Container.PLAIN, [_plain(path, path.parent)])


@dataclass(slots=True)
class _Folder:
    """One folder on the way down: its files, what its own or an outer name tells, and the release it belongs to."""

    path: Path
    files: list[Path] = field(default_factory=list)
    named: ReleaseFacts | None = None
    release_root: Path | None = None


def _in_folder(root: Path) -> Iterator[ArchiveSource]:
    groups: dict[Path, tuple[_Folder, list[Path]]] = {}
    problems: list[ArchiveSource] = []
    for folder in _walk(root, problems):
        plain: list[Path] = []
        bases: set[Path] = set()
        for file in folder.files:
            base = part_base(file)
            if base is not None:
                bases.add(base)
            elif file.suffix.lower() == ".zip":
                yield _zip(file)
            else:
                plain.append(file)
        yield from (_split(base) for base in sorted(bases))
        owner = folder.release_root or folder.path
        groups.setdefault(owner, (folder, []))[1].extend(plain)
    for path, (folder, files) in groups.items():
        kind = SourceKind.LOOSE if folder.release_root is None else SourceKind.FOLDER
        source = source_of(path, kind, Container.PLAIN, [_plain(file, path) for file in files], folder.named)
        if source.members or source.problems or any(name.lower().endswith(".csv") for name in source.ignored_names):
            yield source
    yield from problems


def _walk(root: Path, problems: list[ArchiveSource]) -> Iterator[_Folder]:
    """`root` and every folder below it, outer ones first, junk left out. Links are followed, each folder once."""

    def unreadable(error: OSError) -> None:
        path = Path(error.filename)
        problem = UnreadableFile(path=path, why=error.strerror)
        problems.append(_unreadable(path, SourceKind.LOOSE, problem))

    seen: set[tuple[int, int]] = set()
    outer: dict[Path, _Folder] = {}
    for here, folders, files in os.walk(root, onerror=unreadable, followlinks=True):
        path = Path(here)
        status = path.stat()
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not is_junk(name))
        folder = _Folder(path, [path / name for name in sorted(files) if not is_junk(name)])
        parent = outer.get(path.parent)
        recognised = recognise(path.absolute().name)
        folder.named = recognised or (parent.named if parent else None)
        is_root = recognised is not None or any(name.lower() == MANIFEST_NAME for name in files)
        folder.release_root = path if is_root else (parent.release_root if parent else None)
        outer[path] = folder
        yield folder


def _plain(file: Path, source: Path) -> Entry:
    """A file on disk as an entry of the folder `source`."""
    name = printable(file.relative_to(source).as_posix())
    try:
        status = file.stat()
        problem = None if stat.S_ISREG(status.st_mode) else UnreadableFile(path=file, why="it is not a regular file")
        size, changed = status.st_size, status.st_mtime_ns
    except OSError as error:
        problem = UnreadableFile(path=file, why=error.strerror)
        size = changed = 0
    content = Content(printable(str(file)), (file,), size, size)
    identity = f"{file.absolute()}\0{size}\0{changed}".encode(errors="surrogateescape")
    return Entry(name, content, hashlib.sha256(identity).hexdigest(), problem)
