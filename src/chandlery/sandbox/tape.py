"""The trades of one market, and the candles that follow from them. Trades first: no candle is invented.

Prices are whole ticks and volumes whole lots (1e-8 coins) until they leave as decimals, so that a candle's volume is
the exact sum of its trades at every interval, in whatever pieces it was added up.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Self

import numpy as np
import polars as pl

from chandlery.candles.frame import CANDLE_SCHEMA, TIMESTAMP, empty_candles
from chandlery.candles.interval import EPOCH, Interval
from chandlery.candles.timerange import TimeRange
from chandlery.sandbox.market import (
    LOTS,
    MOST_TRADES,
    Book,
    SandboxMarket,
    counts,
    first_minute_from,
    minute_of,
    trades_before,
)
from chandlery.sandbox.noise import Floats, Integers, Words, fractions, growth, uniform, walk, words

TRADE_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "time": pl.Datetime("ns", "UTC"),
    "price": pl.Float64,
    "volume": pl.Float64,
    "side": pl.String,
    "id": pl.Int64,
}
#: What is worked out at a time: whole days, so that no slot of any interval is cut, and few enough to stay in memory.
BLOCK = 60 * 1440

#: Of so many trades the columns fit a processor's cache, and a trade takes half the time.
_QUICK = 34_000
#: 2100-01-01: nobody asks for later.
_LATEST = 68_371_200
_LARGER = 24 << 20
_MINUTE_NS = 60 * 10**9
_SPREAD = 0.0002
_JITTER = 0.0004
#: No trade is larger than so many usual ones.
_LARGEST = 400.0


@dataclass(frozen=True, slots=True)
class TickCandles:
    """Candles as whole numbers: slot opens in minutes, prices in ticks, volume in lots. Traded slots only, sorted.

    `turnover` is the sum of price times volume, in ticks times lots: a float, for whole numbers of 64 bits are too few.
    """

    opens_at: Integers
    open: Integers
    high: Integers
    low: Integers
    close: Integers
    lots: Integers
    trades: Integers
    turnover: Floats

    @classmethod
    def none(cls) -> Self:
        nothing = np.empty(0, dtype=np.int64)
        return cls(nothing, nothing, nothing, nothing, nothing, nothing, nothing, np.empty(0))

    @classmethod
    def joined(cls, pieces: "Sequence[TickCandles]") -> Self:
        """One after the other; each piece is later than the one before."""
        if not pieces:
            return cls.none()
        return cls(*(np.concatenate([getattr(piece, field.name) for piece in pieces]) for field in fields(cls)))

    def __len__(self) -> int:
        return len(self.opens_at)

    def coarser(self, minutes: int) -> "TickCandles":
        """The candles of a wider interval; these must begin and end with one of its slots, or be quiet there."""
        slots = self.opens_at // int(minutes)
        starts = np.flatnonzero(np.diff(slots, prepend=-1))
        if len(starts) == len(slots):
            return replace(self, opens_at=slots * int(minutes))
        ends = np.append(starts[1:], len(slots)) - 1
        return TickCandles(
            slots[starts] * int(minutes),
            self.open[starts],
            np.maximum.reduceat(self.high, starts),
            np.minimum.reduceat(self.low, starts),
            self.close[ends],
            np.add.reduceat(self.lots, starts),
            np.add.reduceat(self.trades, starts),
            np.add.reduceat(self.turnover, starts),
        )

    def where(self, kept: "np.typing.NDArray[np.bool_]") -> Self:
        return type(self)(*(getattr(self, field.name)[kept] for field in fields(self)))

    def frame(self, market: SandboxMarket) -> pl.DataFrame:
        """In CANDLE_SCHEMA."""
        prices = {name: in_quote(getattr(self, name), market) for name in ("open", "high", "low", "close")}
        return pl.DataFrame(
            {
                "timestamp": pl.Series(self.opens_at * 60_000_000).cast(TIMESTAMP),
                **prices,
                "volume": in_coins(self.lots),
                "trades": self.trades,
            },
            schema=CANDLE_SCHEMA,
        )


def in_quote(ticks: Integers, market: SandboxMarket) -> Floats:
    """Prices as decimals: one division of whole numbers, so the float is the one that the decimal's text reads as."""
    return ticks / float(10**market.decimals)


def in_coins(lots: Integers) -> Floats:
    return lots / float(LOTS)


def price_text(ticks: int, decimals: int) -> str:
    """A price with so many decimals."""
    if decimals == 0:
        return str(ticks)
    whole, rest = divmod(ticks, 10**decimals)
    return f"{whole}.{rest:0{decimals}d}"


def volume_text(lots: int) -> str:
    """A volume, with eight decimals."""
    return f"{lots // LOTS}.{lots % LOTS:08d}"


def minute_candles(book: Book, start: int, end: int) -> TickCandles:
    """The candles of the minutes [start, end)."""
    return _slot_candles(tick_trades(book, start, end), 1)


def day_candles(book: Book, start: int, end: int) -> TickCandles:
    """The daily candles of the minutes [start, end), whole days: quicker than by way of those of minutes."""
    step = max(round(_QUICK / book.market.pace) // 1440, 1) * 1440
    pieces = ((low, min(low + step, end)) for low in range(start, end, step))
    return TickCandles.joined([_slot_candles(tick_trades(book, low, high), 1440) for low, high in pieces])


def _slot_candles(found: "TickTrades", width: int) -> TickCandles:
    slots = found.minutes // width
    firsts = np.flatnonzero(np.diff(slots, prepend=-1))
    if len(firsts) == 0:
        return TickCandles.none()
    begins = found.starts[firsts]
    ends = np.append(begins[1:], len(found.ticks))
    return TickCandles(
        slots[firsts] * width,
        found.ticks[begins],
        np.maximum.reduceat(found.ticks, begins),
        np.minimum.reduceat(found.ticks, begins),
        found.ticks[ends - 1],
        np.add.reduceat(found.lots, begins),
        ends - begins,
        np.add.reduceat(found.turnover, begins),
    )


def opening_candle(
    book: Book, start: int, end: int, *, before: datetime | None = None, without: float = 0.0
) -> TickCandles:
    """The candle of the minutes [start, end) as its first trades make it: one, or none where no trade is left.

    Only trades `before` a moment count, and of these the last are left out: a share of them, at least one if any.
    """
    found = tick_trades(book, start, end)
    number = len(found.ticks)
    if before is not None:
        number = int(np.searchsorted(found.times, nanoseconds(before - EPOCH), side="left"))
    number -= math.ceil(number * without)
    if number == 0:
        return TickCandles.none()
    ticks, lots = found.ticks[:number], found.lots[:number]
    return TickCandles(
        np.array([start], dtype=np.int64),
        ticks[:1],
        ticks.max(keepdims=True),
        ticks.min(keepdims=True),
        ticks[-1:],
        lots.sum(keepdims=True),
        np.array([number], dtype=np.int64),
        found.turnover[:number].sum(keepdims=True),
    )


def last_price(book: Book, minute: int) -> int | None:
    """In ticks, of the last trade before `minute`; None where the market had not traded yet."""
    for low, high in reversed(list(_days_and_blocks(book, minute))):
        traded = np.flatnonzero(counts(book, low, high))
        if len(traded):
            last = low + int(traded[-1])
            return int(minute_candles(book, last, last + 1).close[-1])
    return None


def _days_and_blocks(book: Book, end: int) -> Iterator[tuple[int, int]]:
    """All minutes before `end`, the last day of them apart: most markets traded in it."""
    day = end - 1440
    yield from blocks(book, minute_of(book.market.listed), day)
    yield from blocks(book, day, end)


def candles(book: Book, interval: Interval, within: TimeRange) -> pl.DataFrame:
    """The candles (CANDLE_SCHEMA) whose slot opens in `within`, each of its whole slot."""
    start, end = minute_of(interval.ceil(within.start)), minute_of(interval.ceil(within.end))
    pieces = [minute_candles(book, low, high).coarser(interval) for low, high in blocks(book, start, end)]
    frames = [piece.frame(book.market) for piece in pieces if len(piece)]
    return pl.concat(frames) if frames else empty_candles()


def trades(book: Book, within: TimeRange) -> pl.DataFrame:
    """The trades of [start, end): TRADE_SCHEMA, in order. `id` counts the trades of this market before it."""
    # A trade happens at a nanosecond; a range ends at a microsecond.
    low, high = nanoseconds(within.start - EPOCH), nanoseconds(within.end - EPOCH)
    frames = [
        _trade_frame(book, start, end).filter(pl.col("time").to_physical().is_between(low, high, closed="left"))
        for start, end in blocks(book, minute_of(within.start), first_minute_from(within.end))
    ]
    return pl.concat(frames) if frames else pl.DataFrame(schema=TRADE_SCHEMA)


def first_trade(book: Book) -> datetime | None:
    """When it first traded, cut to the microsecond; None for a market that never did."""
    for low, high in blocks(book, minute_of(book.market.listed), _LATEST):
        traded = np.flatnonzero(counts(book, low, high))
        if len(traded):
            return _trade_time(book, low + int(traded[0]), 0)
    return None


def last_trade(book: Book) -> datetime | None:
    """When a delisted market last traded, cut to the microsecond; None for one that trades on, or never did."""
    if book.market.delisted is None:
        return None
    for low, high in reversed(list(blocks(book, minute_of(book.market.listed), _LATEST))):
        traded = np.flatnonzero(counts(book, low, high))
        if len(traded):
            return _trade_time(book, low + int(traded[-1]), -1)
    return None


def blocks(book: Book, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The minutes [start, end), outside of which it is known that nothing trades left out, cut at whole days only."""
    delisted = book.market.delisted
    low = max(start, minute_of(book.market.listed) // 1440 * 1440)
    high = end if delisted is None else min(end, minute_of(delisted))
    while low < high:
        stop = min((low // BLOCK + 1) * BLOCK, high)
        yield low, stop
        low = stop


@dataclass(frozen=True, slots=True)
class TickTrades:
    """Trades as columns, in whole ticks and lots; those of `minutes[i]` begin at `starts[i]` and are `counts[i]`."""

    minutes: Integers
    counts: Integers
    starts: Integers
    shares: Floats  # of its minute that has passed, in (0, 1)
    ticks: Integers
    lots: Integers
    bits: Words

    @property
    def times(self) -> Integers:
        """In nanoseconds since the epoch. Rising, but for one trade in eight: an order that fills several others."""
        own = np.repeat(self.minutes * _MINUTE_NS, self.counts) + (self.shares * _MINUTE_NS).astype(np.int64)
        leads = (self.bits >> np.uint64(3)) & np.uint64(7) != 0
        leads[self.starts] = True
        return own[np.maximum.accumulate(np.where(leads, np.arange(len(own)), 0))]

    @property
    def is_buy(self) -> "np.typing.NDArray[np.bool_]":
        return _is_buy(self.bits)

    @property
    def is_market_order(self) -> "np.typing.NDArray[np.bool_]":
        return ((self.bits >> np.uint64(6)) & np.uint64(1)).astype(np.bool_)

    @property
    def turnover(self) -> Floats:
        traded: Floats = self.ticks.astype(np.float64) * self.lots
        return traded


def tick_trades(book: Book, start: int, end: int) -> TickTrades:
    """The trades of the minutes [start, end), in order."""
    _keep_freed_memory()
    every = counts(book, start, end)
    at = np.flatnonzero(every)
    number = every[at]
    starts = np.cumsum(number) - number
    # In place, and one repeat for all columns: a year of a busy market is millions of trades.
    minute = np.repeat(np.arange(len(at)), number)
    position = np.arange(len(minute), dtype=np.int64)
    position -= starts[minute]
    counters = ((start + at) * MOST_TRADES)[minute]
    counters += position
    bits = words(book.keys["trade"], counters)
    # The k-th of n trades falls into the k-th n-th of the minute: in order without sorting.
    shares = fractions(bits, low=40, count=24)
    shares += position
    shares /= number[minute]
    heights = growth(walk(book.keys["path"], start, end + 1) * book.market.volatility)
    path = (heights[at + 1] - heights[at])[minute]
    path *= shares
    path += heights[at][minute]
    ticks = _ticks(book.market, path, bits)
    return TickTrades(start + at, number, starts, shares, ticks, _lots(book, counters, bits), bits)


@cache
def _keep_freed_memory() -> None:
    """Twice as fast: the C library gives what is freed back to the system, to get it anew page by page, until it sees
    a larger piece freed. (mallopt(3), M_MMAP_THRESHOLD, "dynamic") Nothing is ever written to this one.
    """
    np.empty(_LARGER, dtype=np.uint8)


def _ticks(market: SandboxMarket, path: Floats, bits: Words) -> Integers:
    """Buys above the path and sells below, a little off at random, on the tick, and never at zero."""
    factor = fractions(bits, low=24, count=16)
    factor -= 0.5
    factor *= 2.0 * _JITTER
    factor += 1.0
    factor += _is_buy(bits) * (2.0 * _SPREAD) - _SPREAD
    prices = path * (market.price * 10.0**market.decimals)
    prices *= factor
    np.rint(prices, out=prices)
    np.maximum(prices, 1.0, out=prices)
    return prices.astype(np.int64)


def _lots(book: Book, counters: Integers, bits: Words) -> Integers:
    """Mostly small, a few large; one trade in four is of a round size."""
    usual = book.market.size * LOTS
    drawn = np.minimum(1.0 / np.sqrt(uniform(book.keys["size"], counters)) - 1.0, _LARGEST)
    lots = np.maximum(usual * drawn, 1.0).astype(np.int64)
    # The power of ten just below the usual size.
    unit = 10 ** (len(str(int(usual))) - 1)
    rounded = (bits >> np.uint64(1)) & np.uint64(3) == 0
    return np.where(rounded, (lots // unit + 1) * unit, lots)


def _is_buy(bits: Words) -> "np.typing.NDArray[np.bool_]":
    return (bits & np.uint64(1)).astype(np.bool_)


def _trade_frame(book: Book, start: int, end: int) -> pl.DataFrame:
    found = tick_trades(book, start, end)
    times = found.times
    first = trades_before(book, start)
    return pl.DataFrame(
        {
            "time": pl.Series(times).cast(TRADE_SCHEMA["time"]),
            "price": in_quote(found.ticks, book.market),
            "volume": in_coins(found.lots),
            "side": np.where(found.is_buy, "b", "s"),
            "id": np.arange(first, first + len(times), dtype=np.int64),
        },
        schema=TRADE_SCHEMA,
    )


def _trade_time(book: Book, minute: int, position: int) -> datetime:
    """Of one of the trades of a minute that traded."""
    nanoseconds = int(_trade_frame(book, minute, minute + 1)["time"].to_physical()[position])
    return EPOCH + timedelta(microseconds=nanoseconds // 1000)


def nanoseconds(length: timedelta) -> int:
    """Exactly: a length of time is whole microseconds."""
    return length // timedelta(microseconds=1) * 1000
