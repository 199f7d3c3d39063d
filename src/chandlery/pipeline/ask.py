"""Ask: what the exchange's API still tells of open slots, markets side by side, each answer into the store.

Requests are made here, in one event loop that can be left at any moment; answers are checked against the store and
written by workers. The database is not known here: what came of each request goes back as a value.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from chandlery.candles.evidence import Coverage
from chandlery.candles.series import Series
from chandlery.candles.timerange import TimeRange
from chandlery.errors import ChandleryError
from chandlery.exchanges.kraken.api.errors import ApiError, NoAnswer, UnknownPair, Unreachable
from chandlery.exchanges.kraken.api.ohlc import commit
from chandlery.pipeline.answers import Stored, StoreTask, store_answer
from chandlery.pipeline.edge import Ask
from chandlery.pipeline.event_loop import EventLoop
from chandlery.pipeline.request import Surroundings
from chandlery.reporting.progress import span_text

if TYPE_CHECKING:
    from chandlery.exchanges.kraken.api.client import KrakenApi

#: So many requests in a row that nobody answered, each tried again as often as allowed, and the rest is not begun.
MOST_UNANSWERED = 8
#: The same where there was not even a connection.
MOST_UNREACHABLE = 3
#: Between two looks at an exchange in maintenance, in seconds.
MAINTENANCE_STEP = 30.0
#: Between two looks at whether to stop, in seconds.
LOOK = 0.2
#: So many looks without news, and the caller is told that it goes on: about every five seconds.
LOOKS_AT_ONCE = 25
#: How far the clocks may be apart before it is worth a line.
CLOCKS_APART = timedelta(seconds=60)


class InMaintenance(ChandleryError):
    """Kraken is in maintenance; waited {waited}; the next run asks again"""


class GaveUp(ChandleryError):
    """{error} Given up, {unasked} series not asked for: the next run asks again"""


@dataclass(frozen=True, slots=True)
class Asked:
    """What became of a request. `first` and `last` are opens of candles in the answer, None where nothing traded.

    `unlisted`: the exchange does not know the market.
    """

    ask: Ask
    answers: Coverage = field(default_factory=dict)
    stored: Stored = field(default_factory=Stored)
    first: datetime | None = None
    last: datetime | None = None
    error: str = ""
    unlisted: bool = False

    @property
    def covered(self) -> TimeRange | None:
        """From the first slot that was answered for to the end of the last."""
        spans = [ranges.span for ranges in self.answers.values()]
        known = [span for span in spans if span is not None]
        return TimeRange(min(s.start for s in known), max(s.end for s in known)) if known else None


@dataclass(frozen=True, slots=True)
class Waiting:
    """Nothing goes on for `seconds`."""

    why: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Remark:
    """Something to know that stops nothing."""

    text: str


@dataclass(frozen=True, slots=True)
class ClocksApart:
    """Our clock is `ahead` of the exchange's (behind: below zero)."""

    ahead: timedelta


@dataclass(frozen=True, slots=True)
class Still:
    """Nothing new, but it goes on."""


Told = Asked | Waiting | Remark | ClocksApart | Still


@dataclass(slots=True)
class Conversation:
    """All requests of one run. `requests` counts every attempt; `error` is why not all was asked, if so."""

    around: Surroundings
    executor: Executor
    should_stop: Callable[[], bool]
    requests: int = 0
    error: ChandleryError | None = None
    current: tuple[str, ...] = ()

    def about(self, asks: Sequence[Ask]) -> Generator[Told, None, None]:
        """Ask, and tell what comes of it as it comes. Once `should_stop`, requests are dropped and writes finished;
        whoever leaves before the end, by Ctrl-C or by an error, waits for neither.
        """
        with EventLoop() as loop:
            asking = _Asking(self, deque(_spread(asks)), loop)
            try:
                while (told := loop.run(asking.next())) is not None:
                    self.current = asking.current
                    yield told
            finally:
                self.requests = asking.requests
                self.error = asking.error


def _spread(asks: Iterable[Ask]) -> list[Ask]:
    """Those of one market far apart: its next one may be asked only after a while, another's at once."""
    turns: dict[str, int] = {}
    placed: list[tuple[int, Series, Ask]] = []
    for ask in sorted(asks, key=lambda a: a.series):
        turn = turns.get(ask.series.market, 0)
        turns[ask.series.market] = turn + 1
        placed.append((turn, ask.series, ask))
    return [ask for _, _, ask in sorted(placed, key=lambda p: p[:2])]


class _Asking:
    """The event loop's side: connections that take one request after the other from `waiting`."""

    def __init__(self, of: Conversation, waiting: deque[Ask], loop: EventLoop) -> None:
        self._of = of
        self._loop = loop
        self._waiting = waiting
        self._told: asyncio.Queue[Told] = asyncio.Queue()
        self._work: asyncio.Task[None] | None = None
        self._api: KrakenApi | None = None
        self._in_hand: dict[str, None] = {}
        self._writing: set[asyncio.Task[None]] = set()
        self._unanswered = self._unreachable = 0
        self._stopping = False
        #: The markets that are listed, once somebody had to know.
        self._listed: asyncio.Task[frozenset[str]] | None = None
        self.error: ChandleryError | None = None

    @property
    def requests(self) -> int:
        return self._api.requests if self._api is not None else 0

    @property
    def current(self) -> tuple[str, ...]:
        return tuple(self._in_hand)

    async def next(self) -> Told | None:
        """The next thing to tell; None once there is nothing more."""
        if self._work is None:
            self._work = asyncio.create_task(self._ask_all())
        for look in itertools.count(1):
            if not self._told.empty():
                return self._told.get_nowait()
            if self._work.done():
                if not self._work.cancelled():
                    self._work.result()
                return None
            if look % LOOKS_AT_ONCE == 0 or self._loop.is_called:
                return Still()
            if self._of.should_stop() and not self._stopping:
                # Once: a second time would cut off writes that are being finished.
                self._stopping = True
                self._work.cancel()
            getting = asyncio.create_task(self._told.get())
            await asyncio.wait({getting, self._work}, timeout=LOOK, return_when=asyncio.FIRST_COMPLETED)
            if getting.done():
                return getting.result()
            getting.cancel()
        raise AssertionError("counting does not end")

    async def _ask_all(self) -> None:
        # A third of a second that runs without a request need not wait for.
        from chandlery.exchanges.kraken.api.client import KrakenApi

        settings = self._of.around.api
        try:
            async with KrakenApi(settings, on_wait=self._waits) as self._api:
                await self._look_at_exchange(self._api)
                if self.error is None:
                    await self._side_by_side(min(settings.connections, len(self._waiting)))
        except asyncio.CancelledError:
            # A run that stops on demand keeps what was answered already.
            await self._finish_writing()
        except ApiError as error:
            # No client can be made: certificates, a proxy, the budget's file.
            self.error = GaveUp(error=error, unasked=len(self._waiting))

    async def _side_by_side(self, connections: int) -> None:
        """Raises what any of the connections raises, once answers in hand are written."""
        asking = [asyncio.create_task(self._ask_in_turn()) for _ in range(connections)]
        try:
            await asyncio.gather(*asking)
        finally:
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)
            await self._finish_writing()

    async def _finish_writing(self) -> None:
        """Wait for answers that are being written. Raises what went wrong with one of them."""
        written = await asyncio.gather(*self._writing, return_exceptions=True)
        for failure in written:
            if isinstance(failure, BaseException):
                raise failure

    async def _look_at_exchange(self, api: KrakenApi) -> None:
        """Wait while it is in maintenance, and compare clocks."""
        waited = 0.0
        limit = self._of.around.api.maintenance_wait
        try:
            while not (await api.system_status()).is_open:
                if waited >= limit:
                    self.error = InMaintenance(waited=span_text(waited))
                    return
                step = min(MAINTENANCE_STEP, limit - waited)
                self._waits("Kraken is in maintenance", step)
                await asyncio.sleep(step)
                waited += step
            before = self._of.around.clock()
            ahead = before - await api.server_time()
        except Unreachable as error:
            self.error = GaveUp(error=error, unasked=len(self._waiting))
        except ApiError as error:
            # It may tell candles all the same.
            self._told.put_nowait(Remark(str(error)))
        else:
            if abs(ahead) > CLOCKS_APART:
                self._told.put_nowait(ClocksApart(ahead))

    async def _ask_in_turn(self) -> None:
        while self._waiting and self.error is None:
            ask = self._waiting.popleft()
            self._in_hand[str(ask.series)] = None
            try:
                await self._ask(ask)
            finally:
                self._in_hand.pop(str(ask.series), None)

    async def _ask(self, ask: Ask) -> None:
        assert self._api is not None, "there is something to ask"
        # Taken before the request: what closes while it is under way is left to the next one.
        asked_at = self._of.around.clock()
        try:
            answer = await self._api.ohlc(ask.series.market, ask.series.interval)
        except UnknownPair as error:
            await self._unknown(ask, error)
            return
        except ApiError as error:
            self._failed(ask, error)
            return
        self._unanswered = self._unreachable = 0
        committed = commit(answer, ask.series.interval, asked_at)
        task = StoreTask(ask.series, committed, self._of.around.store_url, self._of.around.home)
        # A task of its own: a write that has begun is not left half told when the run stops.
        writing = asyncio.create_task(self._write(ask, task))
        self._writing.add(writing)
        writing.add_done_callback(self._writing.discard)
        await asyncio.shield(writing)

    async def _write(self, ask: Ask, task: StoreTask) -> None:
        stored = await asyncio.wrap_future(self._of.executor.submit(store_answer, task))
        opens = [frame["timestamp"] for frame in (task.committed.settled, task.committed.provisional) if frame.height]
        first = opens[0][0].replace(tzinfo=UTC) if opens else None
        last = opens[-1][-1].replace(tzinfo=UTC) if opens else None
        self._told.put_nowait(Asked(ask, task.committed.answers, stored, first, last))

    def _failed(self, ask: Ask, error: ApiError) -> None:
        self._told.put_nowait(Asked(ask, error=str(error)))
        self._unreachable = self._unreachable + 1 if isinstance(error, Unreachable) else 0
        self._unanswered = self._unanswered + 1 if isinstance(error, Unreachable | NoAnswer) else 0
        hopeless = self._unreachable >= MOST_UNREACHABLE or self._unanswered >= MOST_UNANSWERED
        if hopeless and self.error is None and self._waiting:
            self.error = GaveUp(error=error, unasked=len(self._waiting))

    async def _unknown(self, ask: Ask, error: UnknownPair) -> None:
        """The exchange says that it does not know a market: its list of markets must say so too to be believed."""
        assert self._api is not None, "there is something to ask"
        if self._listed is None:
            self._listed = asyncio.create_task(_names_listed(self._api))
        try:
            listed = await asyncio.shield(self._listed)
        except ApiError as doubt:
            self._failed(ask, doubt)
            return
        if ask.series.market in listed:
            self._failed(ask, error)
            return
        self._told.put_nowait(Asked(ask, error=str(error), unlisted=True))
        # Not known at one interval, so not at another.
        for other in [other for other in self._waiting if other.series.market == ask.series.market]:
            self._waiting.remove(other)
            self._told.put_nowait(Asked(other, error=str(error), unlisted=True))

    def _waits(self, why: str, seconds: float) -> None:
        self._told.put_nowait(Waiting(why, seconds))


async def _names_listed(api: KrakenApi) -> frozenset[str]:
    return frozenset(listing.altname for listing in await api.asset_pairs())
