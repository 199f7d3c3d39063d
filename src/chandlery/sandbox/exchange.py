"""The fictional exchange: its markets, and the truth about every trade and candle they ever had."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Self

import polars as pl

from chandlery.candles.interval import Interval
from chandlery.candles.series import Series
from chandlery.candles.timerange import RangeSet, TimeRange
from chandlery.errors import ChandleryError, UsageError
from chandlery.sandbox import tape
from chandlery.sandbox.cast import CAST, OUTAGE, SMALL_CAST
from chandlery.sandbox.market import Book, SandboxMarket

#: The sandbox plays Kraken.
EXCHANGE = "kraken"


class ImpossibleTrickle(ChandleryError):
    """A trickle of {trickle} is no share of the trades that an outage stops: from 0 to less than 1."""


class UnknownMarket(UsageError):
    """Market {market!r} does not play in the sandbox; choose from {known}."""


@dataclass(frozen=True, slots=True)
class Revision:
    """History as corrected later: every minute of `within` that had traded had one more trade."""

    within: TimeRange
    market: str | None = None  # None: every market


@dataclass(frozen=True, slots=True)
class SandboxExchange:
    """A seed, markets, and what befell them all. Two equal values have the same history, to the last digit.

    In an outage nothing trades anywhere; with a `trickle`, that share of each market's trades happens all the same.
    """

    seed: int = 1
    cast: tuple[SandboxMarket, ...] = CAST
    outages: tuple[TimeRange, ...] = (OUTAGE,)
    revisions: tuple[Revision, ...] = ()
    trickle: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.trickle < 1:
            raise ImpossibleTrickle(trickle=self.trickle)

    @classmethod
    def small(cls, seed: int = 1) -> Self:
        """Three markets whose first half of 2024 is written in a blink."""
        return cls(seed, SMALL_CAST)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(market.altname for market in self.cast)

    def market(self, altname: str) -> SandboxMarket:
        """Raises UnknownMarket."""
        for market in self.cast:
            if market.altname == altname:
                return market
        raise UnknownMarket(market=altname, known=", ".join(self.names))

    def only(self, *altnames: str) -> Self:
        """The same exchange with some of its markets. Raises UnknownMarket."""
        return replace(self, cast=tuple(self.market(altname) for altname in dict.fromkeys(altnames)))

    def revised(self, within: TimeRange, market: str | None = None) -> Self:
        """The same exchange as a later release tells it. Its truth is the revised one."""
        if market is not None:
            self.market(market)
        return replace(self, revisions=(*self.revisions, Revision(within, market)))

    def book(self, altname: str) -> Book:
        """What every function of `tape` takes."""
        revisions = tuple(r.within for r in self.revisions if r.market in (None, altname))
        # One trade more a minute, however often a minute is revised; and an outage twice is the same outage.
        return Book(
            self.market(altname), self.seed, tuple(RangeSet(self.outages)), tuple(RangeSet(revisions)), self.trickle
        )

    def truth(self, series: Series, within: TimeRange) -> pl.DataFrame:
        """The candles (CANDLE_SCHEMA) of `series` whose slot opens in `within`."""
        return self.candles(series.market, series.interval, within)

    def candles(self, altname: str, interval: Interval, within: TimeRange) -> pl.DataFrame:
        """The candles (CANDLE_SCHEMA) whose slot opens in `within`, each of its whole slot."""
        return tape.candles(self.book(altname), interval, within)

    def trades(self, altname: str, within: TimeRange) -> pl.DataFrame:
        """The trades of `within`: time (ns, UTC), price, volume, side ("b" or "s") and id, in order.

        Ids are consecutive from 0, the market's first trade; the API's are one more, `trades["id"] + 1`. Several trades
        may share their time; their order is that of their ids.
        """
        return tape.trades(self.book(altname), within)

    def first_trade(self, altname: str) -> datetime | None:
        """Of its whole life, cut to the microsecond; None where a delisted market never traded."""
        return tape.first_trade(self.book(altname))

    def last_trade(self, altname: str) -> datetime | None:
        """Of its whole life, cut to the microsecond; None where it trades on, or never did."""
        return tape.last_trade(self.book(altname))


def series_of(altname: str, interval: Interval) -> Series:
    return Series(EXCHANGE, altname, interval)
