"""Kraken's public REST API over HTTP: one question at a time, repeated where that may help, at Kraken's pace."""

import asyncio
import ipaddress
import logging
import os
import socket
import ssl
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import urlsplit

import httpx2
import stamina

from chandlery import __version__
from chandlery.candles.interval import Interval
from chandlery.candles.ledger import DAY, WEEK
from chandlery.exchanges.base import Listing
from chandlery.exchanges.kraken.api.answer import Reply, result_of
from chandlery.exchanges.kraken.api.budget import Budget
from chandlery.exchanges.kraken.api.errors import NoAnswer, Refused, Unreachable, UnsoundAnswer
from chandlery.exchanges.kraken.api.ohlc import OhlcAnswer, parse_ohlc
from chandlery.exchanges.kraken.api.retrying import Attempts, Failure, OnWait
from chandlery.exchanges.kraken.api.settings import ApiSettings
from chandlery.exchanges.kraken.api.status import SystemStatus, parse_server_time, parse_status
from chandlery.exchanges.kraken.api.trades import TradesPage, parse_trades
from chandlery.exchanges.kraken.api.weekly import CountedWindow, parse_counted
from chandlery.exchanges.kraken.names import MalformedAssetPairs, parse_asset_pairs
from chandlery.exchanges.kraken.window import OHLC_INTERVALS

USER_AGENT = f"chandlery/{__version__}"
#: A connection is there within so many seconds, or not at all.
CONNECT_TIMEOUT = 10.0
#: An answer that trickles in is given up after so many times the timeout.
WHOLE_ANSWER = 3
MEGABYTE = 1_000_000
#: Bytes of a body after unpacking: real ones have 0.1 MB (OHLC) and 2.7 MB (AssetPairs).
SMALL_BODY, LARGE_BODY = 4 * MEGABYTE, 32 * MEGABYTE
#: What is not asked of one market is limited by address (design 2.8).
SHARED_PURSE = "public"

T = TypeVar("T")

# stamina logs every repetition as a warning. Who listens shall hear of it, but nobody's standard error.
logging.getLogger("stamina").addHandler(logging.NullHandler())


class KrakenApi:
    """Kraken's public REST API; use it as `async with KrakenApi(settings) as api`.

    Each thing is asked for at most `settings.attempts` times: so the number of requests is at most attempts × things
    asked. Repeated is what may pass (no connection, timeouts, cut or unreadable answers, HTTP 403, 408, 429 and 5xx,
    Kraken's own errors for load and rate), after waits that double up to a minute; `on_wait(why, seconds)` is told of
    those over 2 seconds before they begin. Nothing else is repeated.

    Requests keep to `settings.rate` for each market, and for all other questions together, shared with every process
    that has the same budget file. At most `settings.connections` are under way at once.

    Every question raises Unreachable (no attempt found a connection), NoAnswer (attempts used up), Refused (an error
    that no repetition would mend) or BudgetUnusable.
    """

    def __init__(self, settings: ApiSettings, *, on_wait: OnWait | None = None) -> None:
        self._settings = settings
        self._base = settings.base_url.rstrip("/")
        self._on_wait = on_wait
        self._requests = 0
        self._open = AsyncExitStack()
        self._places = asyncio.Semaphore(settings.connections)
        self._queues: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._budget: Budget | None = None
        self._http: httpx2.AsyncClient | None = None

    async def __aenter__(self) -> Self:
        settings = self._settings
        http = self._client()
        if settings.rate > 0:
            self._budget = Budget(settings.budget, settings.rate)
            self._open.callback(self._budget.close)
        self._http = await self._open.enter_async_context(http)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._open.aclose()

    @property
    def requests(self) -> int:
        """HTTP requests made so far, repeated ones included."""
        return self._requests

    async def ohlc(self, altname: str, interval: Interval) -> OhlcAnswer:
        """The whole window of a market: one request (design 2.5). Raises UnknownPair for a market that is gone."""
        what = f"OHLC of {altname} at {int(interval)} minutes"
        if interval not in OHLC_INTERVALS:
            raise Refused(what=what, reason="the endpoint has no such width")
        params = {"pair": altname, "interval": str(int(interval))}
        return await self._ask("OHLC", what, lambda result: parse_ohlc(result, interval), params, purse=altname)

    async def trades(
        self, altname: str, since: str, count: int | None = None, on_request: Callable[[], None] | None = None
    ) -> TradesPage:
        """The trades after `since`, oldest first: 1000 or `count` at most, one request (design 2.6).

        `since` is "0" for the market's first trade, or a time in nanoseconds since the epoch: the `last` of the page
        before. It goes out as it is. `on_request` is called with every attempt. Raises UnknownPair for a market that is
        gone.
        """
        params = {"pair": altname, "since": since}
        if count is not None:
            params["count"] = str(count)
        return await self._ask(
            "Trades", f"Trades of {altname}", parse_trades, params, purse=altname, on_request=on_request
        )

    async def weekly(self, altname: str) -> CountedWindow:
        """The exchange's count of trades and volume, week by week: one request (design 2.5). Raises UnknownPair."""
        return await self._counted(altname, WEEK)

    async def daily(self, altname: str) -> CountedWindow:
        """The exchange's count of trades and volume of the newest 720 days: one request. Raises UnknownPair."""
        return await self._counted(altname, DAY)

    async def _counted(self, altname: str, width: timedelta) -> CountedWindow:
        minutes = str(width // timedelta(minutes=1))
        what = f"OHLC of {altname} at {minutes} minutes"
        params = {"pair": altname, "interval": minutes}
        return await self._ask("OHLC", what, lambda result: parse_counted(result, width), params, purse=altname)

    async def asset_pairs(self) -> list[Listing]:
        """Every market there is."""
        return await self._ask(
            "AssetPairs", "AssetPairs", lambda result: parse_asset_pairs({"result": result}), bound=LARGE_BODY
        )

    async def server_time(self) -> datetime:
        """Kraken's clock, UTC, to the second."""
        return await self._ask("Time", "Time", parse_server_time)

    async def system_status(self) -> SystemStatus:
        return await self._ask("SystemStatus", "SystemStatus", parse_status)

    def _client(self) -> httpx2.AsyncClient:
        """Raises Unreachable where the proxy or the certificates that the environment names are of no use."""
        settings = self._settings
        try:
            return httpx2.AsyncClient(
                headers={"User-Agent": USER_AGENT, "Accept": "application/json"},
                timeout=httpx2.Timeout(settings.timeout, connect=min(settings.timeout, CONNECT_TIMEOUT), pool=None),
                limits=httpx2.Limits(
                    max_connections=settings.connections, max_keepalive_connections=settings.connections
                ),
                follow_redirects=False,
                # A proxy is the way to the world, not to this machine.
                trust_env=not is_loopback(self._base),
            )
        except (ValueError, ImportError, OSError, httpx2.InvalidURL) as problem:
            raise Unreachable(url=self._base, reason=f"proxy or certificates of no use: {problem}") from problem

    async def _ask(
        self,
        endpoint: str,
        what: str,
        parse: Callable[[object], T],
        params: Mapping[str, str] | None = None,
        *,
        purse: str = SHARED_PURSE,
        bound: int = SMALL_BODY,
        on_request: Callable[[], None] | None = None,
    ) -> T:
        attempts = Attempts(self._settings, self._on_wait)
        try:
            async for attempt in stamina.retry_context(on=attempts, attempts=self._settings.attempts, timeout=None):
                with attempt:
                    if on_request is not None:
                        on_request()
                    reply = await self._fetch(endpoint, params, purse, bound)
                    return _parsed(parse, result_of(reply, what))
        except Failure as last:
            if not attempts.ever_connected:
                raise Unreachable(url=self._base, reason=last.reason) from last
            raise NoAnswer(what=what, attempts=attempts.failures, reason=last.reason) from last
        raise AssertionError("either an answer or a failure")

    async def _fetch(self, endpoint: str, params: Mapping[str, str] | None, purse: str, bound: int) -> Reply:
        """One request, in its turn. Raises Failure."""
        if self._http is None:
            raise RuntimeError("KrakenApi is used as `async with KrakenApi(settings) as api`")
        await self._turn(purse)
        try:
            self._requests += 1
            async with asyncio.timeout(WHOLE_ANSWER * self._settings.timeout):
                return await _exchanged(self._http, f"{self._base}/0/public/{endpoint}", params, bound)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.ProxyError) as problem:
            raise Failure(_reason(problem), unconnected=True) from problem
        except (httpx2.TimeoutException, TimeoutError) as problem:
            raise Failure(f"no whole answer in time (KRAKEN_TIMEOUT is {self._settings.timeout:g} s)") from problem
        except httpx2.HTTPError as problem:
            raise Failure(_reason(problem)) from problem
        finally:
            self._places.release()

    async def _turn(self, purse: str) -> None:
        """Return with a place among the connections held and the request paid for from `purse`.

        A place is never held while waiting for the purse, so that one market does not hold up others; and the purse is
        paid from once a place is held, so that paid requests do not pile up and then go out together.
        """
        async with self._queues[purse]:
            while True:
                await self._places.acquire()
                try:
                    wait = self._budget.take(purse) if self._budget is not None else 0.0
                except BaseException:
                    self._places.release()
                    raise
                if wait == 0:
                    return
                self._places.release()
                await asyncio.sleep(wait)


def is_loopback(url: str) -> bool:
    """Whether an address leads to this machine itself."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


async def _exchanged(http: httpx2.AsyncClient, url: str, params: Mapping[str, str] | None, bound: int) -> Reply:
    """Raises Failure where the body has more than `bound` bytes."""
    body = bytearray()
    async with http.stream("GET", url, params=params) as response:
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > bound:
                raise Failure(f"an answer of more than {bound // MEGABYTE} MB")
        return Reply(response.status_code, response.headers, bytes(body))


def _parsed(parse: Callable[[object], T], result: object) -> T:
    """JSON of the wrong shape may be the work of whoever stands in between, and so may pass."""
    try:
        return parse(result)
    except (UnsoundAnswer, MalformedAssetPairs) as problem:
        raise Failure(str(problem.facts["problem"])) from problem


def _reason(problem: BaseException) -> str:
    """What the system said: an error of the HTTP library wraps it, several layers deep."""
    cause: BaseException | None = problem
    while cause is not None:
        if isinstance(cause, BaseExceptionGroup):  # one for each address of a host
            cause = cause.exceptions[0]
        if isinstance(cause, OSError) and cause.errno is not None:
            # asyncio words the common ones anew ("Connect call failed …"), as errors of names and of TLS do not.
            plain = not isinstance(cause, socket.gaierror | ssl.SSLError)
            return os.strerror(cause.errno) if plain else cause.strerror or str(cause)
        cause = cause.__cause__ or cause.__context__
    return str(problem) or type(problem).__name__
