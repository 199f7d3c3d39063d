"""Walking: the trades of a market page by page, kept in its journal at once and in the store in batches.

A walk can be killed at any moment: the journal says where it stood, and no page is asked for again.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from chandlery.candles.evidence import Coverage, Evidence, extended
from chandlery.candles.frame import empty_candles, span_of
from chandlery.candles.interval import Interval
from chandlery.candles.series import Series
from chandlery.candles.timerange import RangeSet, TimeRange
from chandlery.exchanges.kraken.api.trades import TradesPage
from chandlery.exchanges.kraken.walk import FROM_FIRST, Break, CursorStuck, Step, Walk
from chandlery.pipeline.conversation import Desk
from chandlery.pipeline.journal import Journal
from chandlery.pipeline.walked_minutes import WalkedTask, store_walked
from chandlery.pipeline.walks import TradeWalk
from chandlery.stores.base import Written

#: A batch goes into the store with so many candles, or after so many seconds.
BATCH_CANDLES = 20_000
BATCH_SECONDS = 60.0


@dataclass(slots=True)
class Purse:
    """Requests that are left to spend; None: any number."""

    left: int | None

    @property
    def is_empty(self) -> bool:
        return self.left is not None and self.left <= 0

    def spend(self) -> None:
        if self.left is not None:
            self.left -= 1


@dataclass(frozen=True, slots=True)
class PageTaken:
    """One page is in the journal: `trades` of it were new, and all before `reached` is known."""

    series: Series
    part: TimeRange
    trades: int
    reached: datetime
    breaks: tuple[Break, ...] = ()
    #: Of the market, where the page begins with it.
    first_trade: datetime | None = None


@dataclass(frozen=True, slots=True)
class BatchStored:
    """Minutes are in the store; once they are in the state too, call `recorded`."""

    series: Series
    answers: Coverage
    written: Written
    candles: TimeRange | None
    recorded: Callable[[], None]


@dataclass(frozen=True, slots=True)
class WalkEnded:
    """A walk is through, or `error` says why not. `unpaid`: requests ran out before its end."""

    series: Series
    error: str = ""
    unlisted: bool = False
    unpaid: bool = False


Walked = PageTaken | BatchStored | WalkEnded


@dataclass(slots=True)
class Batch:
    """What a walk has found since it was last put into the store."""

    frames: list[pl.DataFrame] = field(default_factory=list)
    answers: Coverage = field(default_factory=dict)
    rows: int = 0
    since: float = field(default_factory=time.monotonic)

    def add(self, candles: pl.DataFrame, answers: Mapping[Evidence, RangeSet]) -> None:
        if candles.height:
            self.frames.append(candles)
            self.rows += candles.height
        for kind, ranges in answers.items():
            self.answers = extended(self.answers, kind, ranges)

    @property
    def is_due(self) -> bool:
        return self.rows >= BATCH_CANDLES or time.monotonic() - self.since >= BATCH_SECONDS

    def task(self, series: Series, store_url: str, home: Path) -> WalkedTask:
        proven = RangeSet.union(ranges for kind, ranges in self.answers.items() if kind.proven)
        return WalkedTask(series, _in_order(self.frames), proven, store_url, home)


@dataclass(slots=True)
class TradesOf:
    """The question for all trades of some ranges of a market. `starts`: where the walk over each of them begins, or
    goes on.
    """

    walk: TradeWalk
    starts: Sequence[Walk]
    journal: Journal
    purse: Purse

    @property
    def market(self) -> str:
        return self.walk.market

    @property
    def name(self) -> str:
        return self.walk.market

    async def put(self, desk: Desk[Walked]) -> None:
        for start in self.starts:
            self.journal.begin({"series": str(self.walk.series)}, start)
            try:
                ended = await self._walk(desk, start)
            except CursorStuck as problem:
                # What is odd about this market's trades stops no other.
                desk.tell(self.failed(str(problem)))
                return
            if not ended:
                desk.tell(WalkEnded(self.walk.series, unpaid=True))
                return
            self.journal.delete()
        desk.tell(WalkEnded(self.walk.series))

    def failed(self, error: str, *, unlisted: bool = False) -> Walked:
        return WalkEnded(self.walk.series, error, unlisted)

    async def _walk(self, desk: Desk[Walked], walk: Walk) -> bool:
        """Whether it came to its end. Whatever ends it: what was fetched goes into the store."""
        batch = Batch()
        try:
            while (cursor := walk.next_cursor) is not None:
                if self.purse.is_empty:
                    return False
                until = desk.exchange_time
                self.purse.spend()
                page = await desk.api.trades(self.market, cursor, on_request=self._repeated())
                desk.answered()
                is_first = walk.from_first and cursor == FROM_FIRST
                step = walk.taken(page, until)
                self.journal.append(step)
                walk = step.walk
                batch.add(step.candles, step.answers)
                desk.tell(self._told(walk, step, first_trade_of(page) if is_first else None))
                if batch.is_due:
                    kept, batch = batch, Batch()
                    await desk.finish(self._keep(desk, kept, walk))
            return True
        finally:
            # Shielded, and waited for by whoever stops the run.
            await desk.finish(self._keep(desk, batch, walk))

    async def _keep(self, desk: Desk[Walked], batch: Batch, walk: Walk) -> None:
        """Into the store, into the state, and out of the journal, in this order."""
        if not batch.answers:
            return
        series = self.walk.series
        task = batch.task(series, desk.around.store_url, desk.around.home)
        # In a thread: a worker process for so little work takes a hundred megabytes.
        written = await asyncio.to_thread(store_walked, task)
        recorded = asyncio.Event()
        desk.tell(BatchStored(series, batch.answers, written, span_of(task.candles, Interval.M1), recorded.set))
        await recorded.wait()
        self.journal.settle(walk)

    def _repeated(self) -> Callable[[], None]:
        """To be called with every attempt at one page: the first is paid for, those after it are not yet."""
        attempts = itertools.count()

        def attempted() -> None:
            if next(attempts):
                self.purse.spend()

        return attempted

    def _told(self, walk: Walk, step: Step, first_trade: datetime | None) -> PageTaken:
        return PageTaken(self.walk.series, walk.range, step.trades, walk.reached, step.breaks, first_trade)


def first_trade_of(page: TradesPage) -> datetime | None:
    """When the first trade of a page was, UTC, to the second; None where there is none."""
    return datetime.fromtimestamp(int(page.trades["time"][0]) // 10**9, UTC) if page.trades.height else None


def _in_order(frames: list[pl.DataFrame]) -> pl.DataFrame:
    return pl.concat(frames) if frames else empty_candles()
