"""One file of an archive that holds candles, and the rule by which its name says so. Pure."""

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from chandlery.candles.interval import Interval
from chandlery.exchanges.kraken.archive.content import Content

#: Kraken's longest name has 13. A file of a longer one than this is something else, and state has no room for it.
LONGEST_NAME = 32
_NAME = re.compile(rf"(?P<altname>[^/\\]{{1,{LONGEST_NAME}}})_(?P<minutes>[1-9]\d{{0,3}})\.csv", re.IGNORECASE)
_DRIVE = re.compile(r"[A-Za-z]:")


class Container(StrEnum):
    """What a member stands in."""

    PLAIN = "PLAIN"
    ZIP = "ZIP"
    SPLIT = "SPLIT"


@dataclass(frozen=True, slots=True)
class Member:
    """The candles of one market at one interval, as one file of a source. Opened without reading a directory again."""

    source_path: Path
    container: Container
    name: str  # inside the source: "master_q4/XBTUSD_60.csv"
    altname: str
    interval: Interval
    content: Content
    signature: str  # changes whenever the file may have changed

    @property
    def label(self) -> str:
        """How people are told of it: "Kraken_OHLCVT_Q1_2024.zip:master_q4/XBTUSD_60.csv"."""
        return self.content.label

    @property
    def size(self) -> int:
        return self.content.size

    @property
    def compressed_size(self) -> int:
        return self.content.compressed_size

    @property
    def basename(self) -> str:
        return basename_of(self.name)

    @property
    def series(self) -> tuple[str, Interval]:
        return (self.altname, self.interval)


def series_of(name: str) -> tuple[str, Interval] | None:
    """(altname, interval) of a file `{ALTNAME}_{MINUTES}.csv`, or None for any other file or interval."""
    match = _NAME.fullmatch(basename_of(name))
    if match is None:
        return None
    minutes = int(match["minutes"])
    return (match["altname"], _INTERVALS[minutes]) if minutes in _INTERVALS else None


def is_junk(name: str) -> bool:
    """Whether a file is what an operating system leaves behind: `__MACOSX/`, `._XBTUSD_60.csv`, `.DS_Store`."""
    return any(part == "__MACOSX" or part.startswith(".") for part in parts_of(name))


def is_unsafe(name: str) -> bool:
    """Whether a name inside an archive points outside of it, or hides what it is."""
    return name.startswith(("/", "\\")) or bool(_DRIVE.match(name)) or ".." in parts_of(name) or not name.isprintable()


def parts_of(name: str) -> list[str]:
    """The folders and the file of a name; archives packed on Windows may separate them by backslashes."""
    return name.replace("\\", "/").split("/")


def basename_of(name: str) -> str:
    return parts_of(name)[-1]


def printable(name: str) -> str:
    """A name that cannot play tricks on a terminal."""
    return name if name.isprintable() else ascii(name)[1:-1]


_INTERVALS = {int(interval): interval for interval in Interval}
