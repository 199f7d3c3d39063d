"""The step that makes coarse candles from finer ones that are stored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from chandlery.candles.interval import Interval
from chandlery.candles.series import Series
from chandlery.pipeline import events
from chandlery.pipeline.fill import DeriveResult, DeriveTask, derive_series
from chandlery.pipeline.lease import SeriesHeld
from chandlery.pipeline.plan import Derivation
from chandlery.pipeline.record import record_derived
from chandlery.pipeline.run import Run
from chandlery.pipeline.schedule import Schedule


def derive(run: Run) -> Iterator[events.Event]:
    if not run.request.auto_gap_fill:
        yield events.FillStarted(0, skipped="no gap is to be filled")
        return
    filled = candles = slots = 0
    for derivations in _due(run):
        run.beat()
        if not derivations or run.should_stop():
            continue
        yield events.FillStarted(len(derivations))
        around = run.surroundings
        tasks = [DeriveTask(d, around.store_url, around.home, run.doubted(d.series) & d.ranges) for d in derivations]
        schedule = Schedule(
            run.executor, derive_series, lambda task: task.derivation.series, run.request.workers, run.beat
        )
        for task, result in schedule.results(tasks, run.should_stop):
            series = task.derivation.series
            with run.recording():
                record_derived(result, run.job, run.facts[series.market].market, run.store, run.surroundings.clock())
            run.fresh[series.interval] += result.written.inserted
            if result.written.inserted or result.written.replaced:
                run.note_change(series)
            done = _filled(result)
            filled, candles, slots = filled + 1, candles + done.candles, slots + done.slots
            yield done
        run.look()
    if run.left:
        yield events.Noticed(f"{run.left}; what is derived from it is left to the next run")
    yield events.FillDone(filled, candles, slots)


def _due(run: Run) -> Iterator[list[Derivation]]:
    """What to derive, finer intervals first: what was asked for, then, asked for or not, what was made of candles that
    have been answered anew since. What is made and what it is made from are ours alone: what others hold is left.
    """
    # A derived series can serve a coarser one: 720 from 240 that was made from 60.
    for interval in Interval:
        made = _asked_for(run, interval)
        yield made
        again = run.renewals(interval, made)
        while run.hold(_touched(again), leave_held=True):
            again = run.renewals(interval, made)
        yield [derivation for derivation in again if run.holds(_touched([derivation]))]


def _asked_for(run: Run, interval: Interval) -> list[Derivation]:
    """What can be made of the series asked for. That some cannot be, because others hold what they are made from, is
    noted: the next run makes them.
    """
    made = run.derivations(interval)
    try:
        while run.hold(_touched(made)):
            # Until now, someone may have written one of them.
            made = run.derivations(interval)
    except SeriesHeld as held:
        while run.hold(_touched(made), leave_held=True):
            made = run.derivations(interval)
        run.left = str(held)
    return [derivation for derivation in made if run.holds(_touched([derivation]))]


def _touched(derivations: Iterable[Derivation]) -> set[Series]:
    return {series for made in derivations for series in (made.series, made.source)}


def _filled(result: DeriveResult) -> events.SeriesFilled:
    made = result.task.derivation
    series = made.series
    return events.SeriesFilled(
        series.market, series.interval, made.finer, result.candles, made.ranges.slots(series.interval)
    )
