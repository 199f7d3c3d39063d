"""One archive, release folder or set of loose files: its members, and whether it is a release."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from chandlery.candles.interval import Interval
from chandlery.errors import ChandleryError
from chandlery.exchanges.kraken.archive.container import Entry
from chandlery.exchanges.kraken.archive.content import Content
from chandlery.exchanges.kraken.archive.errors import (
    AmbiguousSeries,
    ArchiveError,
    EncryptedArchive,
    EncryptedMember,
    IncompleteRelease,
    UnsafeName,
)
from chandlery.exchanges.kraken.archive.manifest import MANIFEST_LIMIT, MANIFEST_NAME, from_manifest
from chandlery.exchanges.kraken.archive.member import Container, Member, basename_of, is_junk, is_unsafe, series_of
from chandlery.exchanges.kraken.archive.release import Release, ReleaseFacts, fingerprint_of


class SourceKind(StrEnum):
    """What stands at a source's path."""

    FOLDER = "FOLDER"  # of a release
    ZIP = "ZIP"
    SPLIT = "SPLIT"
    LOOSE = "LOOSE"  # the CSV files of one folder that is no release


@dataclass(frozen=True, slots=True)
class ArchiveSource:
    """Where candles come from. What cannot be read of it is told in `problems`; the rest can."""

    path: Path
    kind: SourceKind
    release: Release | None  # None: its members count as loose files
    members: tuple[Member, ...]
    signature: str  # changes whenever a member or the manifest may have changed
    problems: tuple[ChandleryError, ...] = ()
    ignored_names: tuple[str, ...] = ()  # other files, and intervals that are not kept
    #: Series that the source holds in a form that cannot be read: their absence from `members` says nothing.
    rejected: frozenset[tuple[str, Interval]] = frozenset()

    @property
    def ignored(self) -> int:
        return len(self.ignored_names)


@dataclass(frozen=True, slots=True)
class _Screened:
    """The entries of a source by what they are."""

    candles: list[Entry]
    manifests: list[Entry]
    others: list[Entry]
    unreadable: list[Entry]  # whatever their `problem` says
    problems: list[ChandleryError]


def source_of(
    path: Path,
    kind: SourceKind,
    container: Container,
    entries: Iterable[Entry],
    by_name: ReleaseFacts | None = None,
    signature: str | None = None,
) -> ArchiveSource:
    """The source that `entries` make. Only a manifest is read.

    `by_name` is what its name tells; `signature` that of its directory, where it has one.
    """
    ordered = sorted(entries, key=lambda entry: entry.name)
    screened = _screened(ordered, path)
    members, ambiguous, problems = _members(path, container, screened.candles)
    problems = [*screened.problems, *problems]
    release: Release | None = None
    if members:
        release, release_problems = _release(path, members, screened, by_name)
        problems += release_problems
    rejected = {series_of(entry.name) for entry in [*screened.unreadable, *ambiguous]}
    return ArchiveSource(
        path=path,
        kind=kind,
        release=release,
        members=tuple(members),
        signature=signature or _signature(ordered),
        problems=tuple(problems),
        ignored_names=tuple(entry.name for entry in screened.others),
        rejected=frozenset(series for series in rejected if series is not None),
    )


def _screened(entries: list[Entry], path: Path) -> _Screened:
    found = _Screened([], [], [], [], [])
    for entry in entries:
        if is_unsafe(entry.name):
            found.unreadable.append(entry)
            found.problems.append(UnsafeName(path=entry.content.label))
        elif is_junk(entry.name):
            continue
        elif basename_of(entry.name).lower() == MANIFEST_NAME:
            found.manifests.append(entry)
        elif series_of(entry.name) is None:
            found.others.append(entry)
        elif entry.problem is not None:
            found.unreadable.append(entry)
            found.problems.append(entry.problem)
        else:
            found.candles.append(entry)
    # A ZIP packed with a password has it on every member: that is one problem, not ten thousand.
    locked = [problem for problem in found.problems if isinstance(problem, EncryptedMember)]
    if len(locked) > 1 and not found.candles:
        found.problems[:] = [EncryptedArchive(path=path), *(p for p in found.problems if p not in locked)]
    return found


def _members(
    path: Path, container: Container, candles: list[Entry]
) -> tuple[list[Member], list[Entry], list[ChandleryError]]:
    """(members, entries that contradict each other, one problem for each contradiction)."""
    by_series: dict[tuple[str, Interval], list[Entry]] = {}
    for entry in candles:
        series = series_of(entry.name)
        if series is not None:
            by_series.setdefault(series, []).append(entry)
    members: list[Member] = []
    ambiguous: list[Entry] = []
    problems: list[ChandleryError] = []
    for (altname, interval), claims in by_series.items():
        first = claims[0]
        different = next((entry for entry in claims[1:] if not _same_content(first.content, entry.content)), None)
        if different is None:
            members.append(Member(path, container, first.name, altname, interval, first.content, first.signature))
        else:
            ambiguous += claims
            labels = (first.content.label, different.content.label)
            problems.append(AmbiguousSeries(path=labels[0], other=labels[1], series=f"{altname} {int(interval)}min"))
    return members, ambiguous, problems


def _same_content(one: Content, other: Content) -> bool:
    return one.crc is not None and (one.crc, one.size) == (other.crc, other.size)


def _release(
    path: Path, members: list[Member], screened: _Screened, by_name: ReleaseFacts | None
) -> tuple[Release | None, list[ChandleryError]]:
    problems: list[ChandleryError] = []
    facts = by_name
    if screened.manifests:
        # The one nearest the top speaks for all.
        manifest = min(screened.manifests, key=lambda entry: (entry.name.count("/"), entry.name))
        try:
            facts = _read_manifest(manifest, by_name)
        except ArchiveError as problem:
            problems.append(problem)
    if facts is None:
        return None, problems
    found = sum(len(entries) for entries in (screened.candles, screened.manifests, screened.others))
    found += len(screened.unreadable)
    if facts.files is not None and found < facts.files:
        problems.append(IncompleteRelease(path=path, found=found, claimed=facts.files))
        return None, problems
    # A ZIP ends with its own table of contents; of a folder, only a manifest's count tells that it is all there.
    whole = members[0].container is not Container.PLAIN or facts.files is not None
    return Release.of(facts, fingerprint_of((m.basename, m.size) for m in members), whole=whole), problems


def _read_manifest(entry: Entry, by_name: ReleaseFacts | None) -> ReleaseFacts:
    if entry.problem is not None:
        raise entry.problem
    return from_manifest(entry.content.read(MANIFEST_LIMIT), entry.content.label, by_name)


def _signature(entries: list[Entry]) -> str:
    digest = hashlib.sha256()
    for entry in entries:
        digest.update(f"{entry.name}\0{entry.signature}\n".encode(errors="replace"))
    return digest.hexdigest()
