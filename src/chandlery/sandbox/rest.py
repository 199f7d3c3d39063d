"""The sandbox's public REST API as a WSGI application: Kraken's paths, Kraken's answers, Kraken's quirks.

`SandboxApi` needs no server: it is a callable of (environ, start_response). To hang up on a client or to let it wait
it raises `replies.HungUp` and `replies.Stalled`, which `server` understands.
"""

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from threading import Lock
from types import MappingProxyType
from urllib.parse import parse_qsl
from wsgiref.types import StartResponse, WSGIEnvironment

from chandlery.sandbox.exchange import SandboxExchange
from chandlery.sandbox.faults import Faults, spoiled
from chandlery.sandbox.limits import RateLimit
from chandlery.sandbox.listing import asset_pair, by_every_name, key_of_market
from chandlery.sandbox.market import SandboxMarket
from chandlery.sandbox.ohlc import WIDTHS, ohlc_window
from chandlery.sandbox.quirks import Quirks
from chandlery.sandbox.replies import HungUp, Reply, error, ohlc_result, result, trades_result
from chandlery.sandbox.trade_pages import PAGE, since_of, trades_page

Query = Mapping[str, str]

_PUBLIC = "/0/public/"
_INVALID = "EGeneral:Invalid arguments"
_UNKNOWN_METHOD = "EGeneral:Unknown method"
_UNKNOWN_PAIR = "EQuery:Unknown asset pair"
_TOO_MANY = "EGeneral:Too many requests"
_UNAVAILABLE = "EService:Unavailable"
_REMEMBERED = 100_000
_DIGITS = 19


class Status(StrEnum):
    """Of the whole exchange (Kraken REST reference, SystemStatus). Under MAINTENANCE no candle or trade is served."""

    ONLINE = "online"
    MAINTENANCE = "maintenance"
    CANCEL_ONLY = "cancel_only"
    POST_ONLY = "post_only"


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it came: path, query, what became of it ("ok", an error's text, or a fault), and when.

    `at` is in seconds of the API's monotonic clock.
    """

    path: str
    query: Query
    outcome: str
    at: float


class SandboxApi:
    """Answers for `exchange` as it is at `clock()`, which tells the time in UTC.

    `rate` is the number of requests a second for each market's candles and trades, and for all else together (0: any);
    `monotonic` tells seconds and measures it. `status`, `faults` and `delist` are switches: they may be used while
    requests come in, from any thread.
    """

    def __init__(
        self,
        exchange: SandboxExchange,
        clock: Callable[[], datetime],
        *,
        quirks: Quirks | None = None,
        faults: Faults | None = None,
        rate: float = 0.0,
        status: Status = Status.ONLINE,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.exchange = exchange
        self.status = status
        self.quirks = quirks or Quirks()
        self._clock, self._monotonic = clock, monotonic
        self._limit = RateLimit(rate, monotonic)
        self._named = by_every_name(exchange.cast)
        self._lock = Lock()
        self._faults, self._number = faults or Faults(), 0
        self._delisted: frozenset[str] = frozenset()
        self._asked: deque[Asked] = deque(maxlen=_REMEMBERED)
        self._methods: Mapping[str, Callable[[Query, datetime], Reply]] = MappingProxyType(
            {
                "AssetPairs": self._asset_pairs,
                "OHLC": self._ohlc,
                "SystemStatus": self._system_status,
                "Time": self._time,
                "Trades": self._trades,
            }
        )

    # ---------------------------------------------------------------------------------------------------- switches

    @property
    def faults(self) -> Faults:
        return self._faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        """From the next request on, which is number 0 to them."""
        with self._lock:
            self._faults, self._number = faults, 0

    def delist(self, altname: str) -> None:
        """From now on the market is in no answer; its history stays what it was. Raises exchange.UnknownMarket."""
        self.exchange.market(altname)
        with self._lock:
            self._delisted |= {altname}

    # --------------------------------------------------------------------------------------------------------- log

    @property
    def requests(self) -> tuple[Asked, ...]:
        """The last 100,000 at most, in the order in which they were answered."""
        with self._lock:
            return tuple(self._asked)

    @property
    def outcomes(self) -> Counter[str]:
        """How many of `requests` came out how."""
        return Counter(asked.outcome for asked in self.requests)

    def forget_requests(self) -> None:
        with self._lock:
            self._asked.clear()

    # ----------------------------------------------------------------------------------------------------- answers

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        query = dict(parse_qsl(environ.get("QUERY_STRING", "")))
        reply = self.answer(environ.get("PATH_INFO", ""), query)
        length = ("Content-Length", str(len(reply.body)))
        start_response(reply.status, [("Content-Type", reply.content_type), length, *reply.headers])
        return [reply.body] if reply.sent is None else _cut(reply.body[: reply.sent])

    def answer(self, path: str, query: Query) -> Reply:
        """One request, put down in the log. Raises HungUp and Stalled where a fault wants it."""
        at = self._monotonic()
        with self._lock:
            faults, number = self._faults, self._number
            self._number += 1
        fault = faults.at(number)
        outcome = str(fault or "failed")
        try:
            reply = self._answer(path, query)
            if fault is not None:
                reply = spoiled(reply, fault, faults)
            outcome = reply.outcome
        finally:
            with self._lock:
                self._asked.append(Asked(path, query, outcome, at))
        return reply

    def _answer(self, path: str, query: Query) -> Reply:
        method = self._methods.get(path.removeprefix(_PUBLIC)) if path.startswith(_PUBLIC) else None
        if method is None:
            return error(_UNKNOWN_METHOD)
        now = self._clock()
        if not self._limit.allows(self._budget(path, query, now)):
            return error(_TOO_MANY)
        return method(query, now)

    def _budget(self, path: str, query: Query, now: datetime) -> str:
        """Each market's candles and trades have one of their own; everything else shares one. (design 2.8)"""
        market = self._listed(query.get("pair", ""), now) if path.endswith(("/OHLC", "/Trades")) else None
        return market.altname if market else ""

    def _listed(self, name: str, now: datetime) -> SandboxMarket | None:
        """The market of that name, of whatever kind the name is; None unless it trades now."""
        market = self._named.get(name)
        return market if market and self._is_open(market, now) else None

    def _is_open(self, market: SandboxMarket, now: datetime) -> bool:
        is_alive = market.listed <= now and (market.delisted is None or now < market.delisted)
        return is_alive and market.altname not in self._delisted

    def _asset_pairs(self, query: Query, now: datetime) -> Reply:
        if "pair" in query:
            wanted = [self._listed(name, now) for name in query["pair"].split(",")]
        else:
            wanted = [market for market in self.exchange.cast if self._is_open(market, now)]
        found = {key_of_market(market): asset_pair(market) for market in wanted if market}
        return result(found) if all(wanted) else error(_UNKNOWN_PAIR)

    def _system_status(self, query: Query, now: datetime) -> Reply:
        return result({"status": str(self.status), "timestamp": f"{now:%Y-%m-%dT%H:%M:%SZ}"})

    def _time(self, query: Query, now: datetime) -> Reply:
        return result({"unixtime": int(now.timestamp()), "rfc1123": f"{now:%a, %d %b %y %H:%M:%S} +0000"})

    def _ohlc(self, query: Query, now: datetime) -> Reply:
        if self.status is Status.MAINTENANCE:
            return error(_UNAVAILABLE)
        width, since = query.get("interval", "1"), query.get("since", "0")
        if "pair" not in query or width not in _WIDTHS or not _is_whole(since):
            return error(_INVALID)
        market = self._listed(query["pair"], now)
        if market is None:
            return error(_UNKNOWN_PAIR)
        book = self.exchange.book(market.altname)
        # Later than `since`, not at it: so do the clients understand it that ask from one slot before what they want.
        window = ohlc_window(book, int(width), now, self.quirks).later_than(int(since))
        return ohlc_result(key_of_market(market), window.rows, window.last)

    def _trades(self, query: Query, now: datetime) -> Reply:
        if self.status is Status.MAINTENANCE:
            return error(_UNAVAILABLE)
        since, count = query.get("since"), query.get("count", str(PAGE))
        if "pair" not in query or not (_is_whole(count) and 1 <= int(count) <= PAGE):
            return error(_INVALID)
        if since is not None and not _is_whole(since):
            return error(_INVALID)
        market = self._listed(query["pair"], now)
        if market is None:
            return error(_UNKNOWN_PAIR)
        after = since_of(int(since)) if since is not None else None
        page = trades_page(self.exchange.book(market.altname), after, int(count), now, self.quirks)
        return trades_result(key_of_market(market), page.rows, page.last)


_WIDTHS = frozenset(str(width) for width in WIDTHS)


def _is_whole(text: str) -> bool:
    """A whole number from 0 on, of no more digits than nanoseconds have."""
    return text.isascii() and text.isdecimal() and len(text) <= _DIGITS


def _cut(body: bytes) -> Iterator[bytes]:
    yield body
    raise HungUp
