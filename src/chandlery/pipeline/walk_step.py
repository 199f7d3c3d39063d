"""The step that rebuilds minutes from trades, where nothing cheaper tells them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from chandlery.candles.evidence import Coverage, settled
from chandlery.candles.frame import span_of
from chandlery.candles.interval import Interval
from chandlery.candles.series import Series
from chandlery.candles.timerange import RangeSet, TimeRange
from chandlery.exchanges.kraken.walk import FROM_FIRST, Break, Walk, cursor_at
from chandlery.models import Finding, FindingKind, GapRecord, Market, QualityFinding
from chandlery.pipeline import events
from chandlery.pipeline.ask_step import unlisted
from chandlery.pipeline.conversation import Aside, Conversation
from chandlery.pipeline.detect import mark_attempted
from chandlery.pipeline.explain import aside, walk_planned, walk_seconds
from chandlery.pipeline.journal import Journal
from chandlery.pipeline.knowledge import series_of
from chandlery.pipeline.plan import Plan
from chandlery.pipeline.record_walk import record_walked
from chandlery.pipeline.run import Run
from chandlery.pipeline.walked_minutes import store_walked
from chandlery.pipeline.walking import Batch, BatchStored, PageTaken, Purse, TradesOf, Walked, WalkEnded
from chandlery.pipeline.walks import TradeWalk, requests_of
from chandlery.reporting.wording import plural, span
from chandlery.stores.base import Written

#: Where a walk begins that has no stored minute to begin at: so many trades before what is wanted, at the usual pace.
LOOK_BACK_TRADES = 20
LOOK_BACK = (timedelta(minutes=1), timedelta(days=30))
#: How far back a stored minute is looked for.
ANCHOR_WITHIN = timedelta(days=1)


def walk_trades(run: Run, due: Plan, rows: Sequence[GapRecord]) -> Iterator[events.Event]:
    """Page by page, markets side by side; what is fetched is recorded as it comes."""
    if run.hold({walk.series for walk in due.walks}, leave_held=True):
        # Until now another run may have walked here: what it left is taken in, and planned for anew.
        yield from fold_journals(run, [run.facts[walk.market].market for walk in due.walks])
        return
    walks = [walk for walk in due.walks if _is_ours(run, walk)]
    if not walks:
        return
    purse = Purse(run.trade_budget_left)
    seconds = walk_seconds(walks, run.surroundings.api)
    started = events.WalkStarted(tuple(walk_planned(walk) for walk in walks), requests_of(walks), seconds, purse.left)
    if not run.may_walk(started):
        _leave(run, walks)
        yield events.Noticed("trades are not walked; what only they tell stays open")
        return
    with run.recording():
        mark_attempted(rows, _rebuilt(run, walks), run.surroundings.clock())
    questions = [_question(run, walk, purse) for walk in walks]
    done = _Done(started=time.monotonic())
    yield started
    conversation: Conversation[Walked] = Conversation(run.surroundings, run.executor, run.should_stop, run.ahead)
    for told in conversation.about(questions):
        run.beat()
        yield from _heard(run, told, done, conversation.current)
    run.ahead = conversation.ahead
    if conversation.error is not None:
        run.give_up(conversation.error)
    _leave(run, walks)
    run.trade_budget_left = purse.left
    with run.recording():
        # What is not of a page: repeated requests, and those for the exchange's state.
        more = max(0, conversation.requests - done.pages)
        run.job.count(**done.not_counted())
        run.job.count(requests_made=more, series_failed=done.failed, candles_conflicting=done.conflicting)
    run.look()
    yield done.event(conversation.requests, len(walks))


def _heard(run: Run, told: Walked | Aside, done: _Done, current: tuple[str, ...]) -> Iterator[events.Event]:
    match told:
        case PageTaken():
            yield from _page(run, told, done, current)
        case BatchStored():
            _stored(run, told, done)
        case WalkEnded():
            yield from _ended(run, told, done)
        case _:
            yield from aside(told)


def _leave(run: Run, walks: Iterable[TradeWalk]) -> None:
    """Not again in this run."""
    for walk in walks:
        run.walked[walk.market] = run.walked.get(walk.market, RangeSet()) | walk.ranges


def _is_ours(run: Run, walk: TradeWalk) -> bool:
    """What another run writes is left to it, and not looked at again."""
    if run.holds([walk.series]):
        return True
    _leave(run, [walk])
    run.left = f"the minutes of {walk.market} are being written by another run"
    return False


@dataclass(slots=True)
class _Done:
    """What came of the walks so far."""

    started: float
    markets: int = 0
    failed: int = 0
    pages: int = 0
    trades: int = 0
    candles: int = 0
    replaced: int = 0
    conflicting: int = 0
    removed: int = 0
    breaks: int = 0
    unpaid: set[str] = field(default_factory=set)
    #: Pages and trades that the job knows of.
    counted: tuple[int, int] = (0, 0)

    def not_counted(self) -> dict[str, int]:
        """What has come since this was asked last: whoever looks at a job that walks for hours sees it go on."""
        pages, trades = self.counted
        self.counted = (self.pages, self.trades)
        return {"requests_made": self.pages - pages, "trades_walked": self.trades - trades}

    def event(self, requests: int, of: int) -> events.WalkDone:
        return events.WalkDone(
            markets=self.markets - len(self.unpaid),
            failed=self.failed,
            pages=self.pages,
            trades=self.trades,
            candles=self.candles,
            replaced=self.replaced,
            conflicting=self.conflicting,
            removed=self.removed,
            breaks=self.breaks,
            unpaid=len(self.unpaid),
            requests=requests,
            seconds=time.monotonic() - self.started,
            of=of,
        )


def _rebuilt(run: Run, walks: Sequence[TradeWalk]) -> dict[Series, RangeSet]:
    """What of each series asked for is about to be answered."""
    ranges = {walk.market: walk.ranges for walk in walks}
    return {series: ranges[series.market] for series in run.ranges if series.market in ranges}


def _page(run: Run, told: PageTaken, done: _Done, current: tuple[str, ...]) -> Iterator[events.Event]:
    done.pages, done.trades = done.pages + 1, done.trades + told.trades
    yield events.PageWalked(told.series.market, told.part, told.trades, told.reached, current)
    if told.first_trade is not None:
        run.date(run.facts[told.series.market].market, told.first_trade)
    for broken in told.breaks:
        done.breaks += 1
        market = run.facts[told.series.market].market
        with run.recording():
            _note_break(market, broken, run.surroundings.clock())
        yield events.Noticed(
            f"{market.altname}: {plural(broken.missing, 'trade')} of {span(broken.within)} that Kraken has numbered "
            "cannot be had; that time stays unproven"
        )


def _stored(run: Run, told: BatchStored, done: _Done) -> None:
    """Into the state what the store has."""
    written = told.written
    with run.recording():
        _record(run, run.facts[told.series.market].market, told.answers, written, told.candles)
        run.job.count(**done.not_counted())
    told.recorded()
    done.candles, done.replaced = done.candles + written.inserted, done.replaced + written.replaced
    done.conflicting, done.removed = done.conflicting + written.conflicting, done.removed + written.removed
    run.fresh[told.series.interval] += written.inserted
    run.note_change(told.series)


def _record(run: Run, market: Market, answers: Coverage, written: Written, candles: TimeRange | None) -> None:
    """Minutes rebuilt, and where they are other than what was stored. Inside a transaction."""
    now = run.surroundings.clock()
    record_walked(run.job, market, answers, written, candles, run.store, now)
    for first, what, number in (
        (written.first_conflict, "differing", written.conflicting),
        (written.first_removed, "removed", written.removed),
    ):
        if first is not None:
            minute = TimeRange(first, first + Interval.M1.delta)
            _note(market, FindingKind.TRADES_DIFFER, minute, {what: number}, now)


def _note(market: Market, kind: FindingKind, within: TimeRange, evidence: dict[str, int], now: datetime) -> None:
    QualityFinding.objects.record(market, int(Interval.M1), Finding(kind, within, evidence), now)


def _note_break(market: Market, broken: Break, now: datetime) -> None:
    found = {"id_before": broken.before, "id_after": broken.after, "missing": broken.missing}
    _note(market, FindingKind.ID_BREAK, broken.within, found, now)


def _ended(run: Run, told: WalkEnded, done: _Done) -> Iterator[events.Event]:
    done.markets += 1
    if told.unpaid:
        done.unpaid.add(told.series.market)
    if told.unlisted:
        yield from unlisted(run, told.series, told.error)
    elif told.error:
        done.failed += 1
        run.failures.append((f"trades of {told.series.market}", told.error))
        yield events.WalkFailed(told.series.market, told.error)


# ----------------------------------------------------------------------------------------------- where a walk begins


def _question(run: Run, walk: TradeWalk, purse: Purse) -> TradesOf:
    parts = sorted(walk.ranges)
    standing = run.journals.get(walk.market)
    starts: list[Walk] = []
    for part in parts:
        if standing is not None and standing.next_cursor is not None and standing.reached == part.start:
            starts.insert(0, replace(standing, range=part))
        else:
            starts.append(_start(run, walk.series, part))
    return TradesOf(walk, starts, journal_of(run, walk.market), purse)


def _start(run: Run, series: Series, part: TimeRange) -> Walk:
    """At a trade before `part`, so that its first minutes are proven too; or at the market's first one."""
    market = run.facts[series.market].market
    if market.first_trade is not None and part.start <= market.first_trade:
        return Walk.start(part, FROM_FIRST, from_first=True)
    before = TimeRange(part.start - ANCHOR_WITHIN, part.start)
    traded = run.facts[series.market].series[Interval.M1].traded.opens(before)
    return Walk.start(part, cursor_at(traded[-1] if traded else part.start - _look_back(run, series, part)))


def _look_back(run: Run, series: Series, part: TimeRange) -> timedelta:
    shortest, longest = LOOK_BACK
    week = TimeRange(part.start - timedelta(days=7), part.start)
    expected = run.price(series.market, week)
    if expected is None:
        return timedelta(days=1)
    return min(longest, max(shortest, week.length * (LOOK_BACK_TRADES / expected))) if expected else longest


# ---------------------------------------------------------------------------------------------------------- journals


def journal_of(run: Run, market: str) -> Journal:
    return Journal(run.surroundings.home / "data" / "walks" / f"{market}.journal")


def fold_journals(run: Run, markets: Iterable[Market]) -> Iterator[events.Event]:
    """What an interrupted walk had fetched goes into the store and the state; then it can go on where it stood."""
    pages = 0
    found = [market for market in markets if journal_of(run, market.altname).path.exists()]
    run.hold([series_of(market, Interval.M1) for market in found], leave_held=True)
    for market in found:
        # What another run writes goes on elsewhere.
        if run.holds([series_of(market, Interval.M1)]):
            pages += _fold(run, market)
    if found:
        run.look()
    for name in [name for name, walk in run.journals.items() if _is_over(run, name, walk)]:
        journal_of(run, name).delete()
        del run.journals[name]
    if pages:
        yield events.PagesKept(pages)


def _fold(run: Run, market: Market) -> int:
    """Pages that were not in the store yet."""
    journal = journal_of(run, market.altname)
    replayed = journal.replay()
    if replayed is None:
        return 0
    run.journals[market.altname] = replayed.walk
    batch = Batch()
    batch.add(replayed.candles, replayed.answers)
    with run.recording():
        for broken in replayed.breaks:
            _note_break(market, broken, run.surroundings.clock())
    if not batch.answers:
        return 0
    task = batch.task(series_of(market, Interval.M1), run.surroundings.store_url, run.surroundings.home)
    written = store_walked(task)
    with run.recording():
        _record(run, market, batch.answers, written, span_of(task.candles, Interval.M1))
        run.job.count(
            requests_made=replayed.pages, trades_walked=replayed.trades, candles_conflicting=written.conflicting
        )
    journal.settle(replayed.walk)
    run.note_change(task.series)
    return replayed.pages


def _is_over(run: Run, name: str, walk: Walk) -> bool:
    """Whether nothing is left to go on with: the walk has ended, or what came next is answered by now."""
    minutes = run.facts[name].series[Interval.M1].coverage
    next_minute = TimeRange(walk.reached, walk.reached + Interval.M1.delta)
    return walk.next_cursor is None or settled(minutes).covers(next_minute)
