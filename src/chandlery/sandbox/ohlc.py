"""What `GET /0/public/OHLC` shows of one market at one moment: the newest 720 closed slots, then the forming one.

Everything here is a function of (book, interval, moment, quirks). Rows are texts of JSON, ready to be joined:
`[1704067200,"42283.6","42292.3","42260.0","42288.0","42273.0","12.34567890",456]` (open of the slot in Unix seconds,
open, high, low, close, volume-weighted average price, volume, number of trades).
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

import numpy as np

from chandlery.candles.interval import EPOCH
from chandlery.sandbox.market import Book, SandboxMarket, minute_of
from chandlery.sandbox.noise import key_of, uniform
from chandlery.sandbox.quirks import QuietRows, Quirks
from chandlery.sandbox.tape import (
    BLOCK,
    TickCandles,
    blocks,
    day_candles,
    last_price,
    minute_candles,
    opening_candle,
    price_text,
    volume_text,
)

__all__ = ["WIDTHS", "WINDOW", "OhlcWindow", "QuietRows", "Quirks", "ohlc_window"]

#: In minutes: no 720. A week opens on a Thursday, for the epoch was one. (Kraken REST reference, OHLC; design 2.5)
WIDTHS = (1, 5, 15, 30, 60, 240, 1440, 10_080, 21_600)
#: Closed slots in an answer, never more.
WINDOW = 720

#: The share of its trades that the newest closed candle lacks until it is revised.
_LATE = 0.1
_DAY = 1440


@dataclass(frozen=True, slots=True)
class OhlcWindow:
    """Rows as JSON, the slots they open in (Unix seconds), and the open of the last closed slot."""

    opens: tuple[int, ...]
    rows: tuple[str, ...]
    last: int

    def later_than(self, since: int) -> "OhlcWindow":
        """What opens after `since`, in Unix seconds. An older `since` changes nothing: there is nothing to add."""
        first = bisect_right(self.opens, since)
        return OhlcWindow(self.opens[first:], self.rows[first:], self.last)


def ohlc_window(book: Book, width: int, now: datetime, quirks: Quirks) -> OhlcWindow:
    """What is shown at `now` of slots of `width` minutes (one of WIDTHS)."""
    forming = minute_of(now) // width * width
    closed = _closed_rows(book, width, forming, quirks.quiet_rows)
    rows, close = list(closed.rows), closed.close
    if now - (EPOCH + timedelta(minutes=forming)) < quirks.revises_after:
        late = opening_candle(book, forming - width, forming, without=_LATE)
        rows = [row for row in rows if row[0] < forming - width]
        rows += _rows(book, width, (forming - width, forming), late, closed.close_before, quirks.quiet_rows)
        close = int(late.close[-1]) if len(late) else closed.close_before
    so_far = opening_candle(book, forming, forming + width, before=now)
    rows += _rows(book, width, (forming, forming + width), so_far, close, quirks.quiet_rows)
    return OhlcWindow(
        tuple(opens_at * 60 for opens_at, _ in rows), tuple(text for _, text in rows), (forming - width) * 60
    )


@dataclass(frozen=True, slots=True)
class _Closed:
    """Rows of closed slots with the minutes they open at; the last price in ticks, and that before the newest slot."""

    rows: tuple[tuple[int, str], ...]
    close: int | None
    close_before: int | None


# 720 rows take some 120 kB.
@lru_cache(maxsize=1024)
def _closed_rows(book: Book, width: int, end: int, quiet: QuietRows) -> _Closed:
    """The newest 720 slots before the minute `end`, from the first trade on."""
    listed = minute_of(book.market.listed) // width * width
    start = max(end - WINDOW * width, listed)
    if start >= end:
        return _Closed((), None, None)
    candles = _candles(book, width, start, end)
    before = last_price(book, start)
    rows = tuple(_rows(book, width, (start, end), candles, before, quiet))
    older = candles.close[candles.opens_at < end - width]
    close_before = int(older[-1]) if len(older) else before
    return _Closed(rows, int(candles.close[-1]) if len(candles) else before, close_before)


def _candles(book: Book, width: int, start: int, end: int) -> TickCandles:
    """The candles of [start, end), whole slots. Wide ones come from days that are remembered: years take a while."""
    if width < _DAY:
        pieces = [minute_candles(book, low, high).coarser(width) for low, high in blocks(book, start, end)]
        return TickCandles.joined(pieces)
    days = TickCandles.joined([_days(book, block) for block in range(start // BLOCK, -(-end // BLOCK))])
    return days.where((days.opens_at >= start) & (days.opens_at < end)).coarser(width)


@lru_cache(maxsize=16_384)
def _days(book: Book, block: int) -> TickCandles:
    """The daily candles of sixty days."""
    pieces = [day_candles(book, low, high) for low, high in blocks(book, block * BLOCK, (block + 1) * BLOCK)]
    return TickCandles.joined(pieces)


def _rows(
    book: Book, width: int, within: tuple[int, int], candles: TickCandles, before: int | None, quiet: QuietRows
) -> Iterable[tuple[int, str]]:
    """(minute, row) of each slot in `within` that shows; `before` is the last price before them, None if none."""
    traded = dict(_traded(candles, book.market))
    closes = dict(zip(candles.opens_at.tolist(), candles.close.tolist(), strict=True))
    slots = np.arange(within[0], within[1], width, dtype=np.int64)
    shown = _shows_quiet(book, width, slots, quiet)
    close = before
    for opens_at, is_shown in zip(slots.tolist(), shown, strict=True):
        if opens_at in traded:
            close = closes[opens_at]
            yield opens_at, traded[opens_at]
        elif is_shown and close is not None:
            price = price_text(close, book.market.decimals)
            yield opens_at, f'[{opens_at * 60},"{price}","{price}","{price}","{price}","0.0","0.00000000",0]'


def _shows_quiet(book: Book, width: int, slots: "np.typing.NDArray[np.int64]", quiet: QuietRows) -> list[bool]:
    if quiet is QuietRows.MIXED:
        key = key_of(book.seed, book.market.altname, "quiet rows", width)
        return [bool(drawn) for drawn in uniform(key, slots // width) < 0.5]
    return [quiet is QuietRows.FLAT] * len(slots)


def _traded(candles: TickCandles, market: SandboxMarket) -> Iterator[tuple[int, str]]:
    # The mean of prices lies between the lowest and the highest; these are whole ticks, so it does rounded as well.
    vwap = np.rint(candles.turnover / candles.lots).astype(np.int64)
    prices = (candles.open, candles.high, candles.low, candles.close, vwap)
    texts = ([price_text(ticks, market.decimals) for ticks in column.tolist()] for column in prices)
    facts = zip(candles.opens_at.tolist(), *texts, candles.lots.tolist(), candles.trades.tolist(), strict=True)
    for opens_at, opened, high, low, close, mean, lots, trades in facts:
        volume = volume_text(lots)
        yield opens_at, f'[{opens_at * 60},"{opened}","{high}","{low}","{close}","{mean}","{volume}",{trades}]'
