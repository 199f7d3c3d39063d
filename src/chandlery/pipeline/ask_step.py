"""The step that asks the API for candles: one request a series, recorded as it is answered."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from chandlery.candles.series import Series
from chandlery.models import GapRecord
from chandlery.pipeline import events
from chandlery.pipeline.ask import Asked, questions
from chandlery.pipeline.conversation import Conversation
from chandlery.pipeline.detect import mark_attempted
from chandlery.pipeline.explain import aside, ask_seconds
from chandlery.pipeline.plan import Plan
from chandlery.pipeline.record import record_asked
from chandlery.pipeline.run import Run


def ask_api(run: Run, due: Plan, rows: Sequence[GapRecord]) -> Iterator[events.Event]:
    """One request a series; what is answered is recorded as it comes."""
    skipped = _why_nobody_is_asked(run, due)
    if skipped is not None:
        yield events.AskStarted(0, skipped=skipped)
        return
    run.hold({ask.series for ask in due.asks})
    if run.gave_up:
        with run.recording():
            run.job.count(series_failed=_left_unanswered(run, due))
        return
    with run.recording():
        mark_attempted(rows, {ask.series: ask.ranges for ask in due.asks}, run.surroundings.clock())
    started, done, failed, candles, conflicting = time.monotonic(), 0, 0, 0, 0
    yield events.AskStarted(len(due.asks), ask_seconds(due.asks, run.surroundings.api))
    conversation: Conversation[Asked] = Conversation(run.surroundings, run.executor, run.should_stop, run.ahead)
    for told in conversation.about(questions(due.asks)):
        run.beat()
        match told:
            case Asked() if told.unlisted:
                done += 1
                run.asked.add(told.ask.series)
                yield from unlisted(run, told.ask.series, told.error)
            case Asked():
                event = _answered(run, told, conversation.current)
                done, failed, candles = done + 1, failed + bool(told.error), candles + event.inserted
                conflicting += event.conflicting
                yield event
            case _:
                yield from aside(told)
    run.ahead = conversation.ahead
    if conversation.error is not None:
        run.give_up(conversation.error)
        failed += _left_unanswered(run, due)
    # Whatever came of it: nobody is asked twice in one run.
    run.asked.update(ask.series for ask in due.asks)
    with run.recording():
        run.job.count(requests_made=conversation.requests, series_failed=failed, candles_conflicting=conflicting)
    run.look()
    yield events.AskDone(
        done, failed, candles, run.revised, conversation.requests, time.monotonic() - started, len(due.asks)
    )


def _left_unanswered(run: Run, due: Plan) -> int:
    """Note why series were not asked for; how many."""
    left = [ask.series for ask in due.asks if ask.series not in run.asked]
    run.unanswered.update((series, run.gave_up) for series in left)
    return len(left)


def _why_nobody_is_asked(run: Run, due: Plan) -> str | None:
    """None where there is somebody to ask."""
    if not run.request.api_backfill:
        return "no request is to be made"
    if not run.request.auto_gap_fill:
        return "no gap is to be filled"
    return None if due.asks else ""


def _answered(run: Run, told: Asked, current: tuple[str, ...]) -> events.SeriesAsked:
    """Record an answer, or why there is none."""
    series = told.ask.series
    facts = run.facts[series.market]
    run.asked.add(series)
    if told.error:
        run.unanswered[series] = told.error
        run.failures.append((str(series), told.error))
    written = told.stored.written
    if told.answers:
        with run.recording():
            record_asked(told, run.job, facts, run.store, run.surroundings.clock())
        run.fresh[series.interval] += written.inserted
        run.revised += written.replaced
        if told.stored.changed is not None:
            run.note_change(series)
    return events.SeriesAsked(
        series.market,
        series.interval,
        told.covered,
        written.inserted,
        written.replaced,
        written.conflicting,
        told.error,
        current,
    )


def unlisted(run: Run, series: Series, error: str) -> Iterator[events.Noticed]:
    """The exchange no longer lists a market: no failure, but to be told, once."""
    market = run.facts[series.market].market
    run.unanswered[series] = error
    if market.is_listed:
        with run.recording():
            market.mark_absent(run.surroundings.clock())
        yield events.Noticed(
            f"{market.altname}: Kraken no longer lists it; it is not asked for until sync_markets finds it again"
        )
