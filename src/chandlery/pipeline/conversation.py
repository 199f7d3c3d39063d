"""Conversation: questions to the exchange's API, markets side by side.

Requests are made in one event loop that can be left at any moment; what comes of them is written by workers. The
database is not known here: what came of each question goes back as a value.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Callable, Coroutine, Generator, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from chandlery.candles.interval import EPOCH
from chandlery.errors import ChandleryError
from chandlery.exchanges.kraken.api.errors import ApiError, NoAnswer, UnknownPair, Unreachable
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

Argument = TypeVar("Argument")
Result = TypeVar("Result")
News = TypeVar("News")
News_co = TypeVar("News_co", covariant=True)


class InMaintenance(ChandleryError):
    """Kraken is in maintenance; waited {waited}; the next run asks again"""


class GaveUp(ChandleryError):
    """{error} Given up, {unasked} series not asked for: the next run asks again"""


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


Aside = Waiting | Remark | ClocksApart | Still


class Question(Protocol[News]):
    """What is to be found out about one market, in one request or in many."""

    @property
    def market(self) -> str: ...

    @property
    def name(self) -> str:
        """What is shown while it is in hand; no two questions have the same."""

    async def put(self, desk: Desk[News]) -> None:
        """Ask, and tell the desk what comes of it. Raises ApiError."""

    def failed(self, error: str, *, unlisted: bool = False) -> News:
        """What to tell where there is no answer. `unlisted`: the exchange does not know the market."""


@dataclass(slots=True)
class Conversation(Generic[News]):
    """All questions of one step. `requests` counts every attempt; `error` is why not all was asked, if so.

    `ahead`: by how much our clock is ahead of the exchange's; None: it is asked first, and for its state.
    """

    around: Surroundings
    executor: Executor
    should_stop: Callable[[], bool]
    ahead: timedelta | None = None
    requests: int = 0
    error: ChandleryError | None = None
    current: tuple[str, ...] = ()

    def about(self, questions: Iterable[Question[News]]) -> Generator[News | Aside, None, None]:
        """Ask, and tell what comes of it as it comes. Once `should_stop`, requests are dropped and writes finished;
        whoever leaves before the end, by Ctrl-C or by an error, waits for neither.
        """
        with EventLoop() as loop:
            desk: Desk[News] = Desk(self, deque(questions), loop)
            try:
                while (told := loop.run(desk.next())) is not None:
                    self.current = desk.current
                    yield told
            finally:
                # Whoever leaves before the end records nothing more: nothing waits for that any longer.
                desk.closed = True
                self.ahead = desk.ahead
                self.requests = desk.requests
                self.error = desk.error


class Desk(Generic[News]):
    """The event loop's side: connections that take one question after the other."""

    def __init__(self, of: Conversation[News], waiting: deque[Question[News]], loop: EventLoop) -> None:
        self._of = of
        self._loop = loop
        self._waiting = waiting
        self._told: asyncio.Queue[News | Aside] = asyncio.Queue()
        self._work: asyncio.Task[None] | None = None
        self._api: KrakenApi | None = None
        self._in_hand: dict[str, None] = {}
        self._finishing: set[asyncio.Task[Any]] = set()
        self._unanswered = self._unreachable = 0
        self._stopping = False
        self.ahead = of.ahead
        #: The markets that are listed, once somebody had to know.
        self._listed: asyncio.Task[frozenset[str]] | None = None
        self.error: ChandleryError | None = None
        #: Whether nobody listens any more.
        self.closed = False

    # ---------------------------------------------------------------------------------------------- for a question

    @property
    def api(self) -> KrakenApi:
        assert self._api is not None, "there is something to ask"
        return self._api

    @property
    def around(self) -> Surroundings:
        return self._of.around

    @property
    def exchange_time(self) -> datetime:
        """By our clock, as the exchange's was found to differ from it: never later than it is there, UTC. Where it did
        not tell its time, that is the epoch: nothing is known to be over.
        """
        return self._of.around.clock() - self.ahead if self.ahead is not None else EPOCH

    def tell(self, news: News) -> None:
        """Something came of a request."""
        self._told.put_nowait(news)

    def answered(self) -> None:
        """The exchange is there."""
        self._unanswered = self._unreachable = 0

    async def finish(self, work: Coroutine[Any, Any, Result]) -> Result:
        """A task of its own: what has begun is not left half done when the run stops."""
        if self.closed:
            work.close()
            raise asyncio.CancelledError
        task = asyncio.create_task(work)
        self._finishing.add(task)
        task.add_done_callback(self._finishing.discard)
        return await asyncio.shield(task)

    async def in_worker(self, work: Callable[[Argument], Result], task: Argument) -> Result:
        return await asyncio.wrap_future(self._of.executor.submit(work, task))

    # ------------------------------------------------------------------------------------------ for a conversation

    @property
    def requests(self) -> int:
        return self._api.requests if self._api is not None else 0

    @property
    def current(self) -> tuple[str, ...]:
        return tuple(self._in_hand)

    async def next(self) -> News | Aside | None:
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
                if self.ahead is None:
                    await self._look_at_exchange(self._api)
                if self.error is None:
                    await self._side_by_side(min(settings.connections, len(self._waiting)))
        except asyncio.CancelledError:
            # A run that stops on demand keeps what was answered already.
            await self._finish()
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
            await self._finish()

    async def _finish(self) -> None:
        """Wait for what has begun to be written. Raises what went wrong with any of it."""
        written = await asyncio.gather(*self._finishing, return_exceptions=True)
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
            # Our clock is read when the answer is there: what is on the way makes us earlier, never later.
            server = await api.server_time()
            self.ahead = self._of.around.clock() - server
        except Unreachable as error:
            self.error = GaveUp(error=error, unasked=len(self._waiting))
        except ApiError as error:
            # It may tell candles all the same.
            self._told.put_nowait(Remark(str(error)))
        else:
            if abs(self.ahead) > CLOCKS_APART:
                self._told.put_nowait(ClocksApart(self.ahead))

    async def _ask_in_turn(self) -> None:
        while self._waiting and self.error is None:
            question = self._waiting.popleft()
            self._in_hand[question.name] = None
            try:
                await question.put(self)
            except UnknownPair as error:
                await self._unknown(question, error)
            except ApiError as error:
                self._failed(question, error)
            finally:
                self._in_hand.pop(question.name, None)

    def _failed(self, question: Question[News], error: ApiError) -> None:
        self.tell(question.failed(str(error)))
        self._unreachable = self._unreachable + 1 if isinstance(error, Unreachable) else 0
        self._unanswered = self._unanswered + 1 if isinstance(error, Unreachable | NoAnswer) else 0
        hopeless = self._unreachable >= MOST_UNREACHABLE or self._unanswered >= MOST_UNANSWERED
        if hopeless and self.error is None and self._waiting:
            self.error = GaveUp(error=error, unasked=len(self._waiting))

    async def _unknown(self, question: Question[News], error: UnknownPair) -> None:
        """The exchange says that it does not know a market: its list of markets must say so too to be believed."""
        if self._listed is None:
            self._listed = asyncio.create_task(_names_listed(self.api))
        try:
            listed = await asyncio.shield(self._listed)
        except ApiError as doubt:
            self._failed(question, doubt)
            return
        if question.market in listed:
            self._failed(question, error)
            return
        self.tell(question.failed(str(error), unlisted=True))
        # Not known at one interval, so not at another.
        for other in [other for other in self._waiting if other.market == question.market]:
            self._waiting.remove(other)
            self.tell(other.failed(str(error), unlisted=True))

    def _waits(self, why: str, seconds: float) -> None:
        self._told.put_nowait(Waiting(why, seconds))


def spread(questions: Sequence[Question[News]]) -> list[Question[News]]:
    """Those of one market far apart: its next one may be asked only after a while, another's at once."""
    turns: dict[str, int] = {}
    placed: list[tuple[int, int]] = []
    for place, question in enumerate(questions):
        turn = turns.get(question.market, 0)
        turns[question.market] = turn + 1
        placed.append((turn, place))
    return [questions[place] for _, place in sorted(placed)]


async def _names_listed(api: KrakenApi) -> frozenset[str]:
    return frozenset(listing.altname for listing in await api.asset_pairs())
