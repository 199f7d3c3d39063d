"""What `GET /0/public/Trades` shows of one market at one moment: a page of trades, oldest first.

Everything here is a function of (book, since, count, moment, quirks). Rows are texts of JSON, ready to be joined:
`["42283.60000","0.01250000",1704067200.1234567,"b","l","",17]` (price, volume, Unix seconds, buy or sell, limit or
market order, nothing, id). The first trade of a market has the id 1: one more than on the tape.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

import numpy as np

from chandlery.candles.interval import EPOCH
from chandlery.candles.timerange import TimeRange
from chandlery.sandbox.market import Book, SandboxMarket, minute_of, trades_before
from chandlery.sandbox.noise import Integers
from chandlery.sandbox.quirks import Edges, Quirks
from chandlery.sandbox.tape import BLOCK, nanoseconds, price_text, tick_trades, volume_text

#: On a page, never more. (Kraken REST reference, Trades)
PAGE = 1000

_SECOND = 10**9
_MINUTE = 60 * _SECOND
#: A smaller number of `since` is in seconds, a larger one in nanoseconds. (Kraken takes either)
_SECONDS_BELOW = 10**11
#: Prices have at least so many decimals, whatever the tick. (Trades as recorded in 2025)
_DECIMALS = 5
#: About so many trades are worked out at a time and remembered: those of a few pages.
_REMEMBERED = 4096


@dataclass(frozen=True, slots=True)
class TradesPage:
    """Rows as JSON, and the time of the last one in nanoseconds; of no rows the one from which they were asked for."""

    rows: tuple[str, ...]
    last: int


def since_of(number: int) -> int:
    """In nanoseconds, what a client wrote in seconds or in nanoseconds."""
    return number * _SECOND if number < _SECONDS_BELOW else number


def trades_page(book: Book, since: int | None, count: int, now: datetime, quirks: Quirks) -> TradesPage:
    """The first `count` trades after `since` (nanoseconds; see Edges), or the newest where it is None.

    None after `now`. Takes a few milliseconds wherever in the past, but once a market: then its years are counted.
    """
    until = nanoseconds(now - EPOCH)
    if since is None:
        pieces = _newest(book, count, until, quirks.lost_trades)
    else:
        first = since + 1 if quirks.edges is Edges.LOSE else since
        pieces = _oldest(book, first, count, until, quirks.lost_trades)
    found = _Trades.joined(pieces)
    return TradesPage(_rows(found, book.market, quirks), int(found.times[-1]) if len(found) else since or 0)


@dataclass(frozen=True, slots=True)
class _Trades:
    """As columns. `kinds`: 1 for a buy, 2 for a market order, the sum for both."""

    times: Integers
    ticks: Integers
    lots: Integers
    kinds: Integers
    ids: Integers

    @classmethod
    def joined(cls, pieces: "list[_Trades]") -> "_Trades":
        columns = [(piece.times, piece.ticks, piece.lots, piece.kinds, piece.ids) for piece in pieces]
        nothing = np.empty(0, dtype=np.int64)
        return (
            cls(*(np.concatenate(column) for column in zip(*columns, strict=True))) if columns else cls(*[nothing] * 5)
        )

    def __len__(self) -> int:
        return len(self.times)

    def at(self, kept: "slice | np.typing.NDArray[np.bool_]") -> "_Trades":
        return _Trades(self.times[kept], self.ticks[kept], self.lots[kept], self.kinds[kept], self.ids[kept])

    def between(self, first: int, last: int, lost: Iterable[TimeRange]) -> "_Trades":
        """Of the nanoseconds first to last, both included, what was not lost."""
        low, high = np.searchsorted(self.times, first, side="left"), np.searchsorted(self.times, last, side="right")
        found = self.at(slice(int(low), int(high)))
        for gone in lost:
            start, end = nanoseconds(gone.start - EPOCH), nanoseconds(gone.end - EPOCH)
            found = found.at((found.times < start) | (found.times >= end))
        return found


def _oldest(book: Book, first: int, count: int, until: int, lost: tuple[TimeRange, ...]) -> list[_Trades]:
    pieces: list[_Trades] = []
    for number in _chunks(book, max(first, 0), until):
        piece = _chunk(book, number).between(first, until, lost).at(slice(count))
        pieces.append(piece)
        count -= len(piece)
        if count == 0:
            break
    return pieces


def _newest(book: Book, count: int, until: int, lost: tuple[TimeRange, ...]) -> list[_Trades]:
    pieces: list[_Trades] = []
    for number in reversed(_chunks(book, 0, until)):
        piece = _chunk(book, number).between(0, until, lost)
        pieces.insert(0, piece.at(slice(max(len(piece) - count, 0), None)))
        count -= len(pieces[0])
        if count == 0:
            break
    return pieces


def _chunks(book: Book, first: int, last: int) -> range:
    """The numbers of the chunks in which something may trade from one nanosecond to another."""
    length = _chunk_minutes(book.market)
    start = max(first // _MINUTE, minute_of(book.market.listed))
    return range(start // length, last // _MINUTE // length + 1)


def _chunk_minutes(market: SandboxMarket) -> int:
    """Less for a busy market, up to two months for a thin one."""
    return max(min(round(_REMEMBERED / market.pace), BLOCK), 1)


# 4,000 trades take some 160 kB.
@lru_cache(maxsize=256)
def _chunk(book: Book, number: int) -> _Trades:
    length = _chunk_minutes(book.market)
    start = number * length
    found = tick_trades(book, start, start + length)
    first = trades_before(book, start) + 1 if len(found.ticks) else 1
    kinds = found.is_buy + 2 * found.is_market_order.astype(np.int64)
    ids = np.arange(first, first + len(found.ticks), dtype=np.int64)
    return _Trades(found.times, found.ticks, found.lots, kinds, ids)


_KINDS = ('"s","l",""', '"b","l",""', '"s","m",""', '"b","m",""')


def _rows(found: _Trades, market: SandboxMarket, quirks: Quirks) -> tuple[str, ...]:
    with_ids = nanoseconds(quirks.ids_since - EPOCH) if quirks.ids_since is not None else 0
    return tuple(_texts(found, market, with_ids))


def _texts(found: _Trades, market: SandboxMarket, with_ids: int) -> Iterator[str]:
    decimals, zeros = market.decimals, "0" * (_DECIMALS - market.decimals)
    if decimals == 0:
        zeros = f".{zeros}"
    columns = (found.times, found.ticks, found.lots, found.kinds, found.ids)
    for time, ticks, lots, kind, number in zip(*(column.tolist() for column in columns), strict=True):
        # A float of today's seconds has seven decimals, and Kraken shows these: the nearest to the nanosecond.
        fact = f'"{price_text(ticks, decimals)}{zeros}","{volume_text(lots)}",{time / _SECOND!r},{_KINDS[kind]}'
        yield f"[{fact},{number}]" if time >= with_ids else f"[{fact}]"
