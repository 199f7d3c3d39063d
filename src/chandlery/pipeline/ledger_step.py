"""The step that asks for the exchange's own weekly figures, and holds what is stored against them."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from chandlery.candles.interval import Interval
from chandlery.candles.ledger import WEEK
from chandlery.candles.series import Series
from chandlery.candles.timerange import TimeRange
from chandlery.errors import ChandleryError
from chandlery.exchanges.kraken.api.errors import NoAnswer
from chandlery.exchanges.kraken.api.weekly import CountedWindow
from chandlery.exchanges.kraken.walk import FROM_FIRST
from chandlery.models import Ledger
from chandlery.pipeline import events
from chandlery.pipeline.ask_step import unlisted
from chandlery.pipeline.conversation import Conversation, Desk
from chandlery.pipeline.explain import aside
from chandlery.pipeline.ledger_audit import LedgerAudit, first_week, ledger_due
from chandlery.pipeline.ledger_findings import ShortWeek
from chandlery.pipeline.run import Run
from chandlery.pipeline.schedule import Schedule
from chandlery.pipeline.walking import first_trade_of
from chandlery.pipeline.weekly_sums import SumResult, SumTask, sum_candles
from chandlery.reporting.wording import plural, span, width_of

if TYPE_CHECKING:
    from chandlery.exchanges.kraken.api.client import KrakenApi

MOST_EXAMPLES = 5
FEW_TASKS = 16


@dataclass(frozen=True, slots=True)
class Told:
    """What came of one question about a market: some of it, or `error`."""

    market: str
    weekly: CountedWindow | None = None
    daily: CountedWindow | None = None
    first_trade: datetime | None = None
    asked_at: datetime | None = None
    error: str = ""
    unlisted: bool = False


@dataclass(frozen=True, slots=True)
class FiguresOf:
    """The question for what `find_out` asks of a market: one request."""

    market: str
    find_out: Callable[[KrakenApi, str], Awaitable[Told]]

    @property
    def name(self) -> str:
        return f"{self.market} figures"

    async def put(self, desk: Desk[Told]) -> None:
        asked_at = desk.around.clock()
        told = await self.find_out(desk.api, self.market)
        desk.answered()
        desk.tell(replace(told, asked_at=asked_at))

    def failed(self, error: str, *, unlisted: bool = False) -> Told:
        return Told(self.market, error=error, unlisted=unlisted)


async def _weeks(api: KrakenApi, market: str) -> Told:
    return Told(market, weekly=await api.weekly(market))


async def _days(api: KrakenApi, market: str) -> Told:
    return Told(market, daily=await api.daily(market))


async def _first_trade(api: KrakenApi, market: str) -> Told:
    return Told(market, first_trade=first_trade_of(await api.trades(market, FROM_FIRST, count=1)))


def consult_ledger(run: Run) -> Iterator[events.Event]:
    """Ask for the weeks of markets whose ledger is not up to date, and for first trades that nothing else tells.

    Whoever wants no walks needs no prices: then nothing is asked, and what was told before is held against the candles.
    """
    if run.trail is None:
        return
    asking = _Asking(run)
    yield from asking.about(_due(run), _weeks)
    run.remember_ledgers()
    yield from asking.about(_undated(run) if not run.gave_up else [], _first_trade)
    if asking.requests:
        run.look()
        yield asking.event()


def audit(run: Run) -> Iterator[events.Event]:
    """Hold what is stored against the ledger, unless nothing has changed since. Silent where nothing is new."""
    if run.audited == run.changes:
        return
    checked = _audit_of(run)
    counts = checked.counts_due()
    more = _unheld(run, {task.series.market for task in counts})
    if run.hold(more, leave_held=True):
        # Until now, someone may have written one of them.
        checked = _audit_of(run)
        counts = checked.counts_due()
    counts = [task for task in counts if checked.may_write(task.series)]
    checked.take_counts(_summed(run, counts))
    if run.should_stop():
        return
    checked.judge()
    wanted = [name for name in checked.days_wanted() if name in run.listed and name not in run.days_asked]
    asking = _Asking(run)
    if wanted and run.trail is not None and not run.gave_up:
        yield from asking.about(wanted, _days)
        run.days_asked |= set(wanted)
        yield asking.event()
    pieces = checked.pieces_due(run.daily)
    audited = checked.settle(list(_summed(run, pieces)))
    run.let_go(more)
    run.look()
    run.audited = run.changes
    if counts or audited.changed.opened or audited.changed.resolved:
        yield events.Audited(
            series=len({task.series for task in counts}),
            weeks=audited.weeks,
            confirmed=audited.confirmed,
            short=len(audited.short),
            differing=audited.weeks - audited.confirmed - len(audited.short),
            examples=tuple(_examples(audited.short)[:MOST_EXAMPLES]),
            resolved=audited.changed.resolved,
        )


def _unheld(run: Run, markets: Iterable[str]) -> set[Series]:
    """Stored series of markets of which something is to be counted: they are to be ours alone meanwhile. What others
    hold is left: theirs is the next word.
    """
    return {
        series
        for name in markets
        for interval, known in run.facts[name].series.items()
        if known.coverage and not run.holds([series := run.series_of(name, interval)])
    }


def _audit_of(run: Run) -> LedgerAudit:
    around = run.surroundings
    return LedgerAudit.of(
        run.facts, around.store_url, around.home, around.clock(), run.recording, lambda series: run.holds([series])
    )


class _Asking:
    """Questions of a market, recorded as they are answered."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._started = time.monotonic()
        self.markets = self.failed = self.daily = self.dated = self.requests = 0

    def about(
        self, markets: Sequence[str], find_out: Callable[[KrakenApi, str], Awaitable[Told]]
    ) -> Iterator[events.Event]:
        run = self._run
        if not markets:
            return
        conversation: Conversation[Told] = Conversation(run.surroundings, run.executor, run.should_stop, run.ahead)
        for told in conversation.about([FiguresOf(market, find_out) for market in markets]):
            run.beat()
            yield from self._take(told) if isinstance(told, Told) else aside(told)
        run.ahead = conversation.ahead
        if conversation.error is not None:
            self._give_up(conversation.error)
        self.requests += conversation.requests
        with run.recording():
            run.job.count(requests_made=conversation.requests)

    def _give_up(self, error: ChandleryError) -> None:
        """Where only these questions find no answer, others may."""
        if isinstance(error.facts.get("error"), NoAnswer):
            self._run.failures.append(("the ledger", str(error)))
        else:
            self._run.give_up(error)

    def event(self) -> events.LedgerAsked:
        return events.LedgerAsked(
            self.markets, self.failed, self.daily, self.dated, self.requests, time.monotonic() - self._started
        )

    def _take(self, told: Told) -> Iterator[events.Event]:
        run = self._run
        market = run.facts[told.market].market
        if told.unlisted:
            yield from unlisted(run, run.series_of(told.market, Interval.M1), told.error)
        elif told.error:
            self.failed += 1
            run.failures.append((f"figures of {told.market}", told.error))
        elif told.weekly is not None and told.asked_at is not None:
            self.markets += 1
            with run.recording():
                Ledger.objects.put(
                    market, told.weekly.figures, reaches_first=told.weekly.reaches_first, asked_at=told.asked_at
                )
        elif told.daily is not None:
            self.daily += 1
            run.daily[told.market] = told.daily.figures
        elif told.first_trade is not None:
            self.dated += 1
            run.date(market, told.first_trade)


def _due(run: Run) -> list[str]:
    """An incremental run asks only what it needs for the price of a walk."""
    due = [m.altname for m in run.markets if m.is_listed and ledger_due(run.ledgers.get(m.altname), run.until)]
    if run.request.incremental:
        walked = {walk.market for walk in run.plan().walks}
        due = [name for name in due if name in walked]
    return due


def _undated(run: Run) -> list[str]:
    """Markets whose beginning is wanted and not known, or whose ledger begins earlier than it."""
    if run.request.incremental:
        return []
    start = run.request.selection.start
    found = []
    for market in run.markets:
        if not market.is_listed:
            continue
        known, week = market.first_trade, first_week(run.ledgers.get(market.altname))
        is_early = week is not None and known is not None and week + WEEK <= known
        is_wanted = start is None or week is None or start < week + WEEK
        if is_wanted and (known is None or is_early):
            found.append(market.altname)
    return found


def _summed(run: Run, tasks: Sequence[SumTask]) -> Iterator[SumResult]:
    # For a few of them one worker will do: another takes a hundred megabytes.
    width = 1 if len(tasks) <= FEW_TASKS else run.request.workers
    schedule = Schedule(run.executor, sum_candles, lambda task: task, width, run.beat)
    for _, result in schedule.results(tasks, run.should_stop):
        yield result


def _examples(short: Iterable[ShortWeek]) -> list[str]:
    """XBTUSD 60min, 1440min: 2026-08-06 to 2026-08-12 holds 120,000 trades, the exchange counts 130,000 (10,000 more);
    one line for all widths that lack the same.
    """
    widths: dict[tuple[str, TimeRange, int, int], list[Interval]] = {}
    for week in short:
        s = week.shortfall
        widths.setdefault((week.series.market, week.range, s.stored, s.ledger), []).append(week.series.interval)
    return [
        f"{name} {', '.join(width_of(interval) for interval in sorted(intervals))}: {span(week)} holds "
        f"{plural(stored, 'trade')}, the exchange counts {ledger:,} ({ledger - stored:,} more)"
        for (name, week, stored, ledger), intervals in widths.items()
    ]
