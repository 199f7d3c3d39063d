"""Ask: what the exchange's API still tells of open slots, one request a series, each answer into the store."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from chandlery.candles.evidence import Coverage
from chandlery.candles.timerange import TimeRange
from chandlery.exchanges.kraken.api.ohlc import commit
from chandlery.pipeline.answers import Stored, StoreTask, store_answer
from chandlery.pipeline.conversation import Desk, Question, spread
from chandlery.pipeline.edge import Ask


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
class CandlesOf:
    """The question for the newest candles of a series."""

    ask: Ask

    @property
    def market(self) -> str:
        return self.ask.series.market

    @property
    def name(self) -> str:
        return str(self.ask.series)

    async def put(self, desk: Desk[Asked]) -> None:
        series = self.ask.series
        # Taken before the request: what closes while it is under way is left to the next one.
        asked_at = desk.around.clock()
        answer = await desk.api.ohlc(series.market, series.interval)
        desk.answered()
        committed = commit(answer, series.interval, asked_at)
        await desk.finish(self._write(desk, StoreTask(series, committed, desk.around.store_url, desk.around.home)))

    async def _write(self, desk: Desk[Asked], task: StoreTask) -> None:
        stored = await desk.in_worker(store_answer, task)
        opens = [frame["timestamp"] for frame in (task.committed.settled, task.committed.provisional) if frame.height]
        first = opens[0][0].replace(tzinfo=UTC) if opens else None
        last = opens[-1][-1].replace(tzinfo=UTC) if opens else None
        desk.tell(Asked(self.ask, task.committed.answers, stored, first, last))

    def failed(self, error: str, *, unlisted: bool = False) -> Asked:
        return Asked(self.ask, error=error, unlisted=unlisted)


def questions(asks: Iterable[Ask]) -> list[Question[Asked]]:
    """In the order in which they are best asked."""
    return spread([CandlesOf(ask) for ask in sorted(asks, key=lambda ask: ask.series)])
