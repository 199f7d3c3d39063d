"""What an archive holds (an edition), and in which shape it is published. Values only; `archives` writes them."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Self

from chandlery.candles.interval import Interval
from chandlery.candles.timerange import TimeRange
from chandlery.errors import UsageError
from chandlery.exchanges.kraken.window import Quarter
from chandlery.sandbox.defects import Defect

_QUARTER = re.compile(r"(20\d\d)Q([1-4])", re.IGNORECASE)
#: Publication comes some weeks after a quarter ends.
_PUBLISHED_AFTER = timedelta(days=40, hours=10)


class UnknownQuarter(UsageError):
    """{text!r} is no quarter; write it as 2024Q1."""


class Container(StrEnum):
    """Where the candle files lie."""

    ZIP = "zip"
    SPLIT = "split"  # one ZIP, cut into .part00, .part01 …
    FOLDER = "folder"  # a folder that has the archive's name
    LOOSE = "loose"  # no archive at all: files, as someone unpacked them


class Naming(StrEnum):
    """The two styles in which Kraken names archives."""

    OLD = "old"  # Kraken_OHLCVT_Q1_2024.zip, Kraken_OHLCVT.zip
    NEW = "new"  # Kraken_OHLCVT_2026Q2.zip, Kraken_OHLCVT_Full_2026Q2.zip


@dataclass(frozen=True, slots=True)
class Shape:
    """How an edition is published."""

    container: Container = Container.ZIP
    naming: Naming = Naming.NEW
    name: str | None = None  # another name, one that makes no release
    nested: str | None = None  # everything in one folder inside: "master_q4"
    macosx: bool = False  # a __MACOSX tree of ._ files beside
    manifest: bool = False  # a MANIFEST.json
    scientific: bool = False  # volumes such as 3E+1
    zip64: bool = False  # the wide form, as archives of 4 GiB and more have it
    part_bytes: int = 1 << 20  # of each part, where it is split


@dataclass(frozen=True, slots=True)
class Edition:
    """The candles of an archive: slots that open in [start, end), made of what traded before `end`."""

    start: datetime | None  # None: each market from its first trade
    end: datetime
    quarter: Quarter | None = None  # the last one of a release; None: no release
    intervals: tuple[Interval, ...] = tuple(Interval)
    markets: tuple[str, ...] | None = None  # None: all that traded by then
    defects: tuple[Defect, ...] = ()
    generated: datetime | None = None  # None: 40 days after its end

    @classmethod
    def quarterly(cls, quarter: Quarter | str, **rest: Any) -> Self:
        """One quarter, as published. `rest` as the fields: intervals, markets, defects, generated."""
        of = quarter_named(quarter)
        return cls(of.start, of.end, of, **rest)

    @classmethod
    def complete(cls, quarter: Quarter | str, **rest: Any) -> Self:
        """The whole history up to the end of `quarter`, as published."""
        of = quarter_named(quarter)
        return cls(None, of.end, of, **rest)

    @classmethod
    def loose(cls, within: TimeRange, **rest: Any) -> Self:
        """Any range, by minutes. Where it ends in the middle of a slot, the file's last row is a cut-off candle."""
        return cls(within.start, within.end, **rest)

    @property
    def is_complete(self) -> bool:
        return self.start is None

    @property
    def generated_at(self) -> datetime:
        return self.generated or self.end + _PUBLISHED_AFTER


def quarter_named(quarter: Quarter | str) -> Quarter:
    """2024Q1. Raises UnknownQuarter."""
    if isinstance(quarter, Quarter):
        return quarter
    match = _QUARTER.fullmatch(quarter)
    if match is None:
        raise UnknownQuarter(text=quarter)
    return Quarter(int(match[1]), int(match[2]))


def release_of(edition: Edition) -> str | None:
    """As a manifest names it: "2026Q2", "Full_2026Q2"; None for what is no release."""
    if edition.quarter is None:
        return None
    return f"Full_{edition.quarter}" if edition.is_complete else str(edition.quarter)


def archive_name(edition: Edition, shape: Shape) -> str:
    """Without its suffix."""
    if shape.name is not None:
        return shape.name
    if edition.quarter is None:
        return "candles"
    if shape.naming is Naming.NEW:
        return f"Kraken_OHLCVT_{release_of(edition)}"
    old = "" if edition.is_complete else f"_Q{edition.quarter.number}_{edition.quarter.year}"
    return f"Kraken_OHLCVT{old}"
