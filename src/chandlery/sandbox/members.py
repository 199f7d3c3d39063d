"""The candle files of one market, written side by side in one pass over its trades. Runs in a worker process."""

import zlib
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import Self

import polars as pl
from isal import isal_zlib

from chandlery.candles.interval import Interval
from chandlery.sandbox.defects import (
    CutLastRow,
    Defect,
    Distortion,
    NoSuchRow,
    befalling,
    first_row_beyond,
    with_corruption,
    without_missing,
)
from chandlery.sandbox.market import LOTS, Book, SandboxMarket
from chandlery.sandbox.tape import TickCandles, blocks, in_coins, in_quote, last_price, minute_candles


@dataclass(frozen=True, slots=True)
class MembersOrder:
    """What to write: the slots that open in the minutes [start, end), made of what traded before `end`."""

    book: Book
    intervals: tuple[Interval, ...]
    start: int
    end: int
    folder: Path
    deflated: bool  # raw deflate streams, to be put into a ZIP
    scientific: bool  # whole volumes as Kraken sometimes writes them, 3E+1
    defects: tuple[Defect, ...] = ()


@dataclass(frozen=True, slots=True)
class WrittenMember:
    """A file as it lies in the order's folder; `packed_size` is its size there."""

    name: str
    path: Path
    rows: int
    size: int
    packed_size: int
    crc: int


def write_members(order: MembersOrder) -> tuple[WrittenMember, ...]:
    """One file an interval that has rows, finest first. Raises NoSuchRow, DefectOfNothing."""
    altname = order.book.market.altname
    everywhere = [d for d in order.defects if d.market in (None, altname) and d.interval is None]
    minutes = Distortion(everywhere, partial(last_price, order.book))
    with ExitStack() as stack:
        files = {
            interval: stack.enter_context(MemberFile(order, interval, befalling(order.defects, altname, interval)))
            for interval in order.intervals
        }
        for low, high in blocks(order.book, order.start, order.end):
            candles = minutes.of(minute_candles(order.book, low, high), 1)
            for interval in Interval:
                candles = candles.coarser(interval)
                if interval in files:
                    files[interval].append(candles)
        minutes.require_effect(f"the minutes of {altname}")
        written = [file.finish() for file in files.values()]
    return tuple(member for member in written if member is not None)


class MemberFile:
    """One candle file on its way to disk; made only once there is a row."""

    def __init__(self, order: MembersOrder, interval: Interval, defects: tuple[Defect, ...]) -> None:
        self._order, self._interval, self._defects = order, interval, defects
        own = [defect for defect in defects if defect.interval is not None]
        self._distortion = Distortion(own, partial(last_price, order.book))
        self.name = f"{order.book.market.altname}_{int(interval)}.csv"
        self._path = order.folder / self.name
        self._opened = ExitStack()
        self._rows = self._size = self._packed_size = self._crc = 0
        self._last_row = b""  # kept back: it may be cut
        self._first_slot = -(-order.start // int(interval)) * int(interval)

    def append(self, candles: TickCandles) -> None:
        """Candles of the member's interval, later than any before."""
        if len(candles) and candles.opens_at[0] < self._first_slot:
            candles = candles.where(candles.opens_at >= self._first_slot)
        candles = without_missing(candles, self._defects, self._interval, self._order.end)
        if not len(candles):
            return
        candles = self._distortion.of(candles, int(self._interval))
        rows = csv_rows(candles, self._order.book.market, scientific=self._order.scientific)
        rows = with_corruption(rows, self._defects, self._rows)
        self._rows += len(candles)
        cut = rows.rfind(b"\n", 0, -1) + 1
        self._write(self._last_row + rows[:cut])
        self._last_row = rows[cut:]

    def finish(self) -> WrittenMember | None:
        """The file, complete; None where it would have no row."""
        beyond = first_row_beyond(self._defects, self._rows)
        if beyond is not None:
            raise NoSuchRow(member=self.name, rows=self._rows, row=beyond)
        self._distortion.require_effect(self.name)
        if not self._rows:
            return None
        is_cut = any(isinstance(defect, CutLastRow) for defect in self._defects)
        self._write(self._last_row[: len(self._last_row) // 2] if is_cut else self._last_row)
        if self._order.deflated:
            self._store(self._deflate.flush())
        self._opened.close()
        return WrittenMember(self.name, self._path, self._rows, self._size, self._packed_size, self._crc)

    def _write(self, rows: bytes) -> None:
        if self._size == 0:
            self._file = self._opened.enter_context(self._path.open("wb"))
            # Its level 1 packs these rows better than zlib's and takes a third of the time.
            self._deflate = isal_zlib.compressobj(1, isal_zlib.DEFLATED, -zlib.MAX_WBITS)
        self._size += len(rows)
        self._crc = isal_zlib.crc32(rows, self._crc)
        self._store(self._deflate.compress(rows) if self._order.deflated else rows)

    def _store(self, piece: bytes) -> None:
        self._packed_size += len(piece)
        self._file.write(piece)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.close()


def csv_rows(candles: TickCandles, market: SandboxMarket, *, scientific: bool = False) -> bytes:
    """`unix,open,high,low,close,volume,trades` a line, as Kraken writes them."""
    frame = pl.DataFrame(
        {
            "timestamp": candles.opens_at * 60,
            **{name: in_quote(getattr(candles, name), market) for name in ("open", "high", "low", "close")},
            "volume": in_coins(candles.lots),
            "trades": candles.trades,
        }
    )
    if scientific:
        frame = frame.with_columns(_scientific_where_whole(pl.Series(candles.lots)).alias("volume"))
    buffer = BytesIO()
    frame.write_csv(buffer, include_header=False)
    return buffer.getvalue()


def _scientific_where_whole(lots: pl.Series) -> pl.Expr:
    """Whole multiples of ten as `3E+1` or `1.25E+3`, everything else as it is: so a Java BigDecimal prints itself."""
    text = pl.lit(lots // LOTS).cast(pl.String)
    digits = text.str.strip_chars_end("0")
    tail = digits.str.slice(1)
    power = (text.str.len_bytes() - 1).cast(pl.String)
    point = pl.when(tail.str.len_bytes() > 0).then(pl.lit(".")).otherwise(pl.lit(""))
    short = pl.concat_str(digits.str.slice(0, 1), point, tail, pl.lit("E+"), power)
    return pl.when(pl.lit(lots % (10 * LOTS)) == 0).then(short).otherwise(pl.col("volume").cast(pl.String))
