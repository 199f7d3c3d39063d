"""What can be wrong with an archive, as values. Each has happened to a real one, or could."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime

import numpy as np

from chandlery.candles.frame import CANDLE_SCHEMA
from chandlery.candles.interval import EPOCH, Interval
from chandlery.candles.timerange import TimeRange
from chandlery.errors import UsageError
from chandlery.sandbox.market import first_minute_from, minute_of
from chandlery.sandbox.tape import TickCandles

COLUMNS = tuple(CANDLE_SCHEMA)


class UnknownColumn(UsageError):
    """A candle file has no column {column!r}; choose from {columns}."""


class NoSuchRow(UsageError):
    """{member} has {rows} rows; its row {row} cannot be spoiled."""


class DefectOfNothing(UsageError):
    """The archive holds no {what}, so a {defect} of it would change nothing."""


class NoSpike(UsageError):
    """A factor of {factor} makes no spike: it must be above 0 and not 1."""


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
class MissingSlots:
    """No row whose slot opens in `within`, at one interval or at all: a lost hour, a lost week.

    A wider slot that opens before and holds some of `within` keeps its row, with all its trades.
    """

    within: TimeRange
    market: str | None = None
    interval: Interval | None = None


@dataclass(frozen=True, slots=True)
class Spike:
    """One price far off that is back at once: `factor` times the high (below 1: the low) of the row that holds `at`.

    At every interval (None) it is a price of the minute that holds `at`, which must have traded, and each wider row
    has what its minutes then have: the same extreme price, unless another minute's was farther off already. Volumes
    and trades stay. The price is a whole tick, and at least one tick off.
    """

    at: datetime
    factor: float
    market: str | None = None
    interval: Interval | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.factor) and self.factor > 0 and self.factor != 1):
            raise NoSpike(factor=self.factor)


@dataclass(frozen=True, slots=True)
class FrozenPrice:
    """Every row whose slot opens in `within` has one price, the close of the row before; volumes and trades stay.

    At every interval (None) the minutes have it, and each wider row what its minutes then have: those that lie wholly
    inside are frozen at the same price, those that are cut have the prices of the minutes outside too. A market's very
    first row has none before it; its own open takes that place.
    """

    within: TimeRange
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


Defect = (
    MissingDay | MissingLastSlot | MissingSlots | Spike | FrozenPrice | CutLastRow | CorruptCell | CorruptRow | Revised
)


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
        elif isinstance(defect, MissingSlots):
            low, high = first_minute_from(defect.within.start), first_minute_from(defect.within.end)
            candles = candles.where((candles.opens_at < low) | (candles.opens_at >= high))
    return candles


class Distortion:
    """Frozen prices, and on top of them spikes, in the candles of one series, which come in pieces, earliest first.

    `before` tells the price, in ticks, of the last trade before a minute; None where there was none.
    """

    def __init__(self, defects: Iterable[Defect], before: Callable[[int], int | None]) -> None:
        wanted = [defect for defect in defects if isinstance(defect, Spike | FrozenPrice)]
        self._frozen = [defect for defect in wanted if isinstance(defect, FrozenPrice)]
        self._spikes = [defect for defect in wanted if isinstance(defect, Spike)]
        self._without_effect = wanted
        self._before = before
        self._last_close: int | None = None

    def of(self, candles: TickCandles, minutes: int) -> TickCandles:
        """A piece of candles so many minutes wide, with what befell it."""
        if not len(candles):
            return candles
        for frozen in self._frozen:
            candles = self._told(candles, self._with_frozen(candles, frozen), frozen)
        self._last_close = int(candles.close[-1])
        for spike in self._spikes:
            candles = self._told(candles, _with_spike(candles, spike, minutes), spike)
        return candles

    def require_effect(self, member: str) -> None:
        """Raises DefectOfNothing for a defect that changed no price of a `member` that is complete now."""
        for defect in self._without_effect:
            when = defect.at if isinstance(defect, Spike) else defect.within.start
            what = f"price to change from {when:%Y-%m-%d %H:%M} on in {member}"
            raise DefectOfNothing(what=what, defect=type(defect).__name__)

    def _told(self, old: TickCandles, new: TickCandles, defect: Spike | FrozenPrice) -> TickCandles:
        if any(not np.array_equal(getattr(old, name), getattr(new, name)) for name in ("open", "high", "low", "close")):
            self._without_effect = [other for other in self._without_effect if other != defect]
        return new

    def _with_frozen(self, candles: TickCandles, defect: FrozenPrice) -> TickCandles:
        low, high = first_minute_from(defect.within.start), first_minute_from(defect.within.end)
        first, end = np.searchsorted(candles.opens_at, [low, high])
        if first == end:
            return candles
        price = int(candles.close[first - 1]) if first else self._last_close
        if price is None:
            price = self._before(int(candles.opens_at[0]))
        if price is None:
            price = int(candles.open[0])
        names = ("open", "high", "low", "close")
        prices = {name: getattr(candles, name).copy() for name in names}
        for values in prices.values():
            values[first:end] = price
        return replace(candles, **prices)


def _with_spike(candles: TickCandles, defect: Spike, minutes: int) -> TickCandles:
    slot = minute_of(defect.at) // minutes * minutes
    row = int(np.searchsorted(candles.opens_at, slot))
    if row == len(candles) or candles.opens_at[row] != slot:
        return candles
    highs, lows = candles.high.copy(), candles.low.copy()
    if defect.factor > 1:
        highs[row] = max(round(int(highs[row]) * defect.factor), int(highs[row]) + 1)
    else:
        lows[row] = max(min(round(int(lows[row]) * defect.factor), int(lows[row]) - 1), 1)
    return replace(candles, high=highs, low=lows)


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
