"""What can be wrong with an archive, as values. Each has happened to a real one, or could."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from chandlery.candles.frame import CANDLE_SCHEMA
from chandlery.candles.interval import EPOCH, Interval
from chandlery.candles.timerange import TimeRange
from chandlery.errors import UsageError
from chandlery.sandbox.tape import TickCandles

COLUMNS = tuple(CANDLE_SCHEMA)


class UnknownColumn(UsageError):
    """A candle file has no column {column!r}; choose from {columns}."""


class NoSuchRow(UsageError):
    """{member} has {rows} rows; its row {row} cannot be spoiled."""


class DefectOfNothing(UsageError):
    """The archive holds no {what}, so a {defect} of it would change nothing."""


@dataclass(frozen=True, slots=True)
class MissingDay:
    """No row of one day (UTC), at one interval or at all."""

    day: date
    market: str | None = None  # None: every market
    interval: Interval | None = None  # None: every interval


@dataclass(frozen=True, slots=True)
class MissingLastSlot:
    """No row for the last slot of the archive's period."""

    market: str | None = None
    interval: Interval | None = None


@dataclass(frozen=True, slots=True)
class CutLastRow:
    """The file ends in the middle of its last row."""

    market: str | None = None
    interval: Interval | None = None


@dataclass(frozen=True, slots=True)
class CorruptCell:
    """Another text in one cell. Rows count from 1."""

    row: int
    column: str
    text: str
    market: str | None = None
    interval: Interval | None = None

    def __post_init__(self) -> None:
        if self.column not in COLUMNS:
            raise UnknownColumn(column=self.column, columns=", ".join(COLUMNS))


@dataclass(frozen=True, slots=True)
class CorruptRow:
    """Another text instead of one row; "" leaves an empty line. Rows count from 1."""

    row: int
    text: str
    market: str | None = None
    interval: Interval | None = None


@dataclass(frozen=True, slots=True)
class Revised:
    """The values of a later edition: in each traded minute of `within` one more trade, at every interval.

    `SandboxExchange.revised` is the truth that such an archive tells.
    """

    within: TimeRange
    market: str | None = None
    interval: None = None  # a revision is of trades, so of all intervals


Defect = MissingDay | MissingLastSlot | CutLastRow | CorruptCell | CorruptRow | Revised


def befalling(defects: Iterable[Defect], altname: str, interval: Interval) -> tuple[Defect, ...]:
    """The defects that one member has."""
    return tuple(d for d in defects if d.market in (None, altname) and d.interval in (None, interval))


def require_effect(defects: Iterable[Defect], markets: Iterable[str], intervals: Iterable[Interval]) -> None:
    """Raises DefectOfNothing for a defect of a market or an interval that the archive does not hold."""
    for defect in defects:
        if defect.market is not None and defect.market not in markets:
            raise DefectOfNothing(what=f"market {defect.market}", defect=type(defect).__name__)
        if defect.interval is not None and defect.interval not in intervals:
            raise DefectOfNothing(what=f"interval {int(defect.interval)}", defect=type(defect).__name__)


def without_missing(candles: TickCandles, defects: Iterable[Defect], interval: Interval, end: int) -> TickCandles:
    """The rows that are left of a member whose period ends at minute `end`."""
    for defect in defects:
        if isinstance(defect, MissingDay):
            days = candles.opens_at // 1440
            candles = candles.where(days != (defect.day - EPOCH.date()).days)
        elif isinstance(defect, MissingLastSlot):
            candles = candles.where(candles.opens_at < (end - 1) // int(interval) * int(interval))
    return candles


def with_corruption(rows: bytes, defects: Iterable[Defect], rows_before: int) -> bytes:
    """A block of rows, each with its newline, with the texts that corrupt it."""
    lines: list[bytes] = []
    for defect in defects:
        if not isinstance(defect, CorruptCell | CorruptRow):
            continue
        lines = lines or rows.splitlines(keepends=True)
        position = defect.row - 1 - rows_before
        if 0 <= position < len(lines):
            lines[position] = _corrupted(lines[position], defect)
    return b"".join(lines) if lines else rows


def first_row_beyond(defects: Iterable[Defect], rows: int) -> int | None:
    """A row that was to be corrupted and that a member of so many rows does not have."""
    return next((d.row for d in defects if isinstance(d, CorruptCell | CorruptRow) and not 0 < d.row <= rows), None)


def _corrupted(line: bytes, defect: CorruptCell | CorruptRow) -> bytes:
    if isinstance(defect, CorruptRow):
        return defect.text.encode() + b"\n"
    cells = line.rstrip(b"\n").split(b",")
    cells[COLUMNS.index(defect.column)] = defect.text.encode()
    return b",".join(cells) + b"\n"
