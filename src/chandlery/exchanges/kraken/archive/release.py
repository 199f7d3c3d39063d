"""Releases: which archive names make one, what period they cover, and which of two is the better answer. Pure."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime

from chandlery.exchanges.kraken.archive.errors import UnknownPeriod
from chandlery.exchanges.kraken.window import Quarter

_QUARTER = r"(?:q(?P<q1>[1-4])_(?P<y1>20\d\d)|(?P<y2>20\d\d)_?q(?P<q2>[1-4]))"
# Browsers number a second download: "Kraken_OHLCVT_2026Q2 (1).zip" is the same release.
_NAME = re.compile(
    rf"(?P<stem>kraken_ohlcvt(?P<full>_full)?(?:_{_QUARTER})?)(?: ?\(\d+\))?(?:\.zip)?(?:\.part\d+)?", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class ReleaseFacts:
    """What a name or a manifest tells about a release. Times are UTC, the period half-open."""

    name: str
    period_start: datetime | None  # None for a complete release: each market starts at its own first row
    period_end: datetime | None  # None where only the content can tell
    complete: bool
    generated: str | None = None  # "2024-05-12T10:00:00Z"
    files: int | None = None  # how many the manifest says there are


@dataclass(frozen=True, slots=True)
class Release:
    """One archive as published."""

    name: str
    period_start: datetime | None
    period_end: datetime | None
    complete: bool
    generated: str | None
    fingerprint: str
    #: False for a folder that nothing vouches for: some of the archive may not be in it.
    whole: bool = field(default=True, compare=False)

    @classmethod
    def of(cls, facts: ReleaseFacts, fingerprint: str, *, whole: bool = True) -> "Release":
        return cls(
            facts.name, facts.period_start, facts.period_end, facts.complete, facts.generated, fingerprint, whole
        )

    def with_period_end(self, end: datetime) -> "Release":
        """The same release, ending at `end` (UTC, exclusive)."""
        return replace(self, period_end=end)

    @property
    def rank(self) -> str:
        """Sorts releases as answers, the better one last: period end, complete over quarterly, generated, fingerprint.

        Raises UnknownPeriod where the period end is not known yet.
        """
        if self.period_end is None:
            raise UnknownPeriod(name=self.name)
        kind = "whole" if self.complete else "quarterly"
        return f"{_minute(self.period_end)} {kind} {self.generated or '-'} {self.fingerprint[:12]}"


def recognise(name: str) -> ReleaseFacts | None:
    """The release that an archive or folder of this name is, or None for any other name."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    year, quarter = match["y1"] or match["y2"], match["q1"] or match["q2"]
    if year is None:
        return ReleaseFacts(match["stem"], None, None, complete=True)
    period = Quarter(int(year), int(quarter))
    complete = match["full"] is not None
    return ReleaseFacts(match["stem"], None if complete else period.start, period.end, complete)


def fingerprint_of(members: Iterable[tuple[str, int]]) -> str:
    """One text for a set of (base name, uncompressed size): the same as a folder, as a ZIP and in parts."""
    digest = hashlib.sha256()
    for name, size in sorted(members):
        digest.update(f"{name}\0{size}\n".encode())
    return digest.hexdigest()


def _minute(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%MZ")
