"""One fictional market: what it is, and when and how often it trades. A pure function of (seed, market, minute).

Minutes are whole minutes since the Unix epoch throughout the sandbox. `tape` says what each trade was.
"""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property, lru_cache

import numpy as np

from chandlery.candles.interval import EPOCH
from chandlery.candles.timerange import TimeRange
from chandlery.errors import ChandleryError
from chandlery.sandbox.noise import WALK_LIMIT, Floats, Integers, key_of, uniform

#: No minute has more trades, so that (minute, position) fits one counter.
MOST_TRADES = 1000
#: Lots in one coin: volumes have 8 decimals, and sums of whole lots are exact in any order.
LOTS = 10**8

_MINUTE = timedelta(minutes=1)
#: The pace of each hour of the day, UTC: Asia's morning, a lull, Europe, then New York; 1.0 on average.
_HOURS = np.array(
    [
        *(0.8, 0.8, 0.75, 0.7, 0.65, 0.65, 0.7, 0.8, 0.95, 1.0, 1.0, 1.0),
        *(1.1, 1.4, 1.65, 1.7, 1.6, 1.45, 1.2, 1.05, 0.95, 0.8, 0.7, 0.6),
    ]
)
#: Monday to Sunday, 1.0 on average.
_DAYS = np.array([1.05, 1.05, 1.05, 1.05, 1.05, 0.9, 0.85])
_WEEKEND = (5, 6)
#: How much livelier than usual a spell can be: quarter hours within stretches of eight and a half hours.
_BURSTS = np.array([0.4, 0.7, 1.0, 1.9])
#: No market is so many times as uneven as usual: at 8, its liveliest hour is 4,000 times as lively as its quietest.
_MOST_UNEVEN = 8.0
_SPELLS = (4, 9)  # as powers of two, in minutes
#: The pace changes only every fourth minute, which divides hours and spells alike.
_STEP = 4
_DAY = 1440
_YEAR = 366 * _DAY


class ImpossibleMarket(ChandleryError):
    """Market {market} of the sandbox cannot be: {why}."""


@dataclass(frozen=True, slots=True)
class SandboxMarket:
    """What a market is. Names as on Kraken."""

    altname: str  # "XBTUSD"
    wsname: str  # "XBT/USD"
    base: str  # "XXBT"
    quote: str  # "ZUSD"
    listed: datetime  # nothing trades before
    delisted: datetime | None = None  # nothing trades from here on
    price: float = 100.0  # the level about which it wanders, in quote currency
    decimals: int = 2  # of a price: the tick is 10 to the power of -decimals
    share: float = 0.9  # of the minutes trade at an average pace
    depth: float = 2.0  # about so many more trades in a minute that trades
    size: float = 1.0  # a usual trade, in base currency
    volatility: float = 0.0004  # of a minute's move, relative
    nights: float = 1.0  # how uneven the hours of the day are: 0 all alike, 1 as usual, 2 the square of it
    weekends: float = 1.0  # how quiet weekends are, in the same way
    bursts: float = 1.0  # how far spells differ, in the same way

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise ImpossibleMarket(market=self.altname, why=f"a share of {self.share} is not between 0 and 1")
        if not 0 < self.volatility * WALK_LIMIT < 16:
            raise ImpossibleMarket(market=self.altname, why=f"a volatility of {self.volatility} has no bounds")
        if self.size * LOTS < 1 or self.price <= 0 or self.depth < 0:
            raise ImpossibleMarket(market=self.altname, why="price and size must be above zero")
        for what, power in (("nights", self.nights), ("weekends", self.weekends), ("bursts", self.bursts)):
            if not 0 <= power <= _MOST_UNEVEN:
                raise ImpossibleMarket(market=self.altname, why=f"{what} of {power} are not between 0 and 8")
        if self.delisted is not None and self.delisted <= self.listed:
            raise ImpossibleMarket(market=self.altname, why="it is delisted before it is listed")

    @property
    def tick(self) -> float:
        return 10.0**-self.decimals

    @property
    def pace(self) -> float:
        """About so many trades a minute."""
        return self.share * (1.0 + self.depth)

    def listed_within(self, within: TimeRange) -> TimeRange | None:
        """The part of `within` in which it is listed."""
        return TimeRange.maybe(max(within.start, self.listed), min(within.end, self.delisted or within.end))


@dataclass(frozen=True)
class Book:
    """A market under one seed, with what befell it: the argument of every function that tells its trades."""

    market: SandboxMarket
    seed: int
    outages: tuple[TimeRange, ...] = ()  # nothing trades, or next to nothing
    revisions: tuple[TimeRange, ...] = ()  # each minute that traded had one more trade than first published
    trickle: float = 0.0  # of the trades that an outage would have stopped, this share happens all the same

    @cached_property
    def keys(self) -> dict[str, int]:
        """A stream of random numbers for each purpose."""
        uses = ("pace", "minute", "path", "trade", "size", "trickle")
        return {use: key_of(self.seed, self.market.altname, use) for use in uses}


def minute_of(moment: datetime) -> int:
    """The minute that holds `moment`."""
    return (moment - EPOCH) // _MINUTE


def first_minute_from(moment: datetime) -> int:
    """The first minute that opens at or after `moment`."""
    return -((EPOCH - moment) // _MINUTE)


def counts(book: Book, start: int, end: int) -> Integers:
    """The number of trades in each of the minutes [start, end)."""
    found = np.zeros(end - start, dtype=np.int64)
    delisted = book.market.delisted
    low = max(start, first_minute_from(book.market.listed))
    high = end if delisted is None else min(end, minute_of(delisted))
    if low >= high:
        return found
    found[low - start : high - start] = _undisturbed_counts(book, low, high)
    for outage in book.outages:
        stopped = _positions(outage, start, end)
        found[stopped] = _trickled(book, start + stopped.start, found[stopped]) if book.trickle else 0
    for revision in book.revisions:
        part = found[_positions(revision, start, end)]
        part += part > 0
    return found


def trades_before(book: Book, minute: int) -> int:
    """How many trades the market ever had before `minute`: the id of the next one, counted from 0."""
    first = minute_of(book.market.listed)
    if minute <= first:
        return 0
    years, rest = divmod(minute - first, _YEAR)
    day, rest = divmod(rest, _DAY)
    whole = sum(int(_by_day(book, year)[-1]) for year in range(years)) + int(_by_day(book, years)[day])
    return whole + int(counts(book, minute - rest, minute).sum())


@lru_cache(maxsize=4096)
def _by_day(book: Book, year: int) -> Integers:
    """How many trades a year of its life had before each of its days, and in all: 367 numbers.

    Its years and days begin at the minute of its listing.
    """
    start = minute_of(book.market.listed) + year * _YEAR
    # In pieces: what fits a processor's cache is counted three times as fast.
    pieces = (counts(book, low, low + _YEAR // 61) for low in range(start, start + _YEAR, _YEAR // 61))
    daily = np.concatenate([piece.reshape(-1, _DAY).sum(axis=1) for piece in pieces])
    return np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(daily)])


def _undisturbed_counts(book: Book, start: int, end: int) -> Integers:
    market = book.market
    pace = _pace(book, start, end)
    odds = market.share / (1.0 - market.share) * pace
    likely = odds / (1.0 + odds)
    drawn = uniform(book.keys["minute"], np.arange(start, end, dtype=np.int64))
    traded = np.flatnonzero(drawn < likely)
    # Given that it trades, drawn / likely is uniform again; its square root gives the count a heavy tail.
    more = market.depth * pace[traded] * (np.sqrt(likely[traded] / drawn[traded]) - 1.0)
    found = np.zeros(end - start, dtype=np.int64)
    # One below the most: a revision may add one.
    found[traded] = 1 + np.minimum(more, MOST_TRADES - 2).astype(np.int64)
    return found


def _pace(book: Book, start: int, end: int) -> Floats:
    """How lively each minute is, 1.0 on average."""
    first = start // _STEP
    steps = np.arange(first, -(-end // _STEP), dtype=np.int64)
    opens = steps * _STEP
    # The epoch was a Thursday.
    hours, days, bursts = _rhythm(book.market.nights, book.market.weekends, book.market.bursts)
    pace: Floats = hours[opens // 60 % 24] * days[(opens // 1440 + 3) % 7]
    for power in _SPELLS:
        spells = opens >> power
        own = np.arange(spells[0], spells[-1] + 1, dtype=np.int64)
        drawn = uniform(book.keys["pace"] + power, own)
        pace = pace * bursts[(drawn * len(bursts)).astype(np.int64)][spells - spells[0]]
    return np.repeat(pace, _STEP)[start - first * _STEP :][: end - start]


def _trickled(book: Book, start: int, found: Integers) -> Integers:
    """What is left of the trades of minutes from `start` on in an outage: each has the same small chance."""
    minutes = np.repeat(np.arange(len(found)), found)
    positions = np.arange(len(minutes), dtype=np.int64) - (np.cumsum(found) - found)[minutes]
    drawn = uniform(book.keys["trickle"], (start + minutes) * MOST_TRADES + positions)
    left: Integers = np.bincount(minutes[drawn < book.trickle], minlength=len(found)).astype(np.int64)
    return left


@lru_cache(maxsize=256)
def _rhythm(nights: float, weekends: float, bursts: float) -> tuple[Floats, Floats, Floats]:
    """The pace of each hour, of each day and of the kinds of spells, each 1.0 on average."""
    days = _DAYS.copy()
    for day in _WEEKEND:
        days[day] = _power(float(_DAYS[day]), weekends)
    return (
        _HOURS if nights == 1 else _evened(np.array([_power(pace, nights) for pace in _HOURS.tolist()])),
        _DAYS if weekends == 1 else _evened(days),
        _BURSTS if bursts == 1 else _evened(np.array([_power(pace, bursts) for pace in _BURSTS.tolist()])),
    )


def _evened(paces: Floats) -> Floats:
    return paces / (math.fsum(paces.tolist()) / len(paces))


def _power(base: float, exponent: float) -> float:
    """To 1/1024 of the exponent, by products and square roots alone: the same on every processor (see `noise`)."""
    whole, rest = divmod(exponent, 1.0)
    found, root = 1.0, base
    for _ in range(int(whole)):
        found *= base
    for _ in range(10):
        root, rest = math.sqrt(root), rest * 2
        if rest >= 1:
            found, rest = found * root, rest - 1
    return found


def _positions(within: TimeRange, start: int, end: int) -> slice:
    """The minutes that `within` touches, as positions in [start, end)."""
    low, high = minute_of(within.start), first_minute_from(within.end)
    return slice(min(max(low, start), end) - start, min(max(high, start), end) - start)
