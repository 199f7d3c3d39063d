"""Audit the stored candles of one market. A plain function of values, for any executor.

Read year by year, minutes by the month: all intervals of a year are held against each other and their rows looked at;
of trades a slot the whole is kept, for silence is judged by what came before and after it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import chain, groupby, pairwise, zip_longest
from pathlib import Path

import polars as pl

from chandlery.candles.audit.agreement import Held, disagreements
from chandlery.candles.audit.flaw import Flaw, FlawKind
from chandlery.candles.audit.proof import settled_by_proof
from chandlery.candles.audit.rows import FrozenRun, frozen_runs, row_flaws
from chandlery.candles.audit.silence import WITNESS, Silence, TradeCounts, improbable_silences
from chandlery.candles.frame import empty_candles
from chandlery.candles.interval import Interval
from chandlery.candles.series import Series
from chandlery.candles.timerange import RangeSet, TimeRange
from chandlery.stores import open_store
from chandlery.stores.base import CandleStore
from chandlery.stores.partition import microseconds

#: So many slots to both sides tell what is usual for a row, ...
ROWS_AROUND = 400
#: ... and of minutes so many: a month ends often, and a thin market has few rows.
MINUTES_AROUND = 4320
#: What else names the slots of a silence: it needs no statistics.
NAMED_ALREADY = frozenset({FlawKind.INTERVALS_SHORT, FlawKind.LAST_SLOT_DROPPED})


@dataclass(frozen=True, slots=True)
class AuditedRanges:
    """What is known of one series, and what of it is to be audited. All on its grid.

    covered: answered for by a settled answer, or UNLISTED; quiet: where a slot without a candle is quiet by a settled
    answer; proven: by trades; confirmed: by the exchange's own count; named: on record as having lost something. rows,
    silence: whose rows, whose quiet runs are to be judged; reading: what has to be read for that.
    """

    covered: RangeSet
    quiet: RangeSet
    proven: RangeSet
    confirmed: RangeSet
    named: RangeSet
    rows: RangeSet
    silence: RangeSet
    reading: RangeSet


@dataclass(frozen=True, slots=True)
class AuditTask:
    """`days`: where intervals are held against each other. `ends`: of the periods of archives that hold the market."""

    exchange: str
    market: str
    base: str
    series: Mapping[Interval, AuditedRanges]
    days: RangeSet
    ends: tuple[datetime, ...]
    store_url: str = field(repr=False)
    home: Path


@dataclass(frozen=True, slots=True)
class AuditResult:
    """What its own candles tell of a market. Silences and frozen prices are judged by what other markets did.

    `silences`: from 30 due trades on; the lesser ones tell how long an outage was.
    """

    task: AuditTask
    flaws: tuple[Flaw, ...]
    silences: tuple[Silence, ...]
    frozen: tuple[FrozenRun, ...]


@dataclass(frozen=True, slots=True)
class _Window:
    """The candles of a part of a series, and the same with those near it."""

    part: TimeRange
    own: pl.DataFrame
    around: pl.DataFrame


@dataclass(slots=True)
class _Found:
    flaws: list[Flaw] = field(default_factory=list)
    frozen: list[FrozenRun] = field(default_factory=list)
    counts: dict[Interval, list[pl.DataFrame]] = field(default_factory=dict)


def audit_market(task: AuditTask) -> AuditResult:
    """Read what is to be judged, and judge it. Raises UnreadableFile."""
    store = open_store(task.store_url, task.home)
    found = _Found()
    years = list(_years(one.reading for one in task.series.values()))
    by_year = {i: groupby(_windows(task, store, i, years), lambda window: window.part.start.year) for i in task.series}
    for year in years:
        _look_through(task, year, {interval: next(each)[1] for interval, each in by_year.items()}, found)
    proven = {interval: one.proven for interval, one in task.series.items()}
    confirmed = {interval: one.confirmed for interval, one in task.series.items()}
    flaws = settled_by_proof(found.flaws, proven, confirmed)
    return AuditResult(task, tuple(flaws), tuple(_silences(task, found, flaws)), tuple(_unproven(found.frozen, proven)))


def _look_through(
    task: AuditTask, year: TimeRange, windows: Mapping[Interval, Iterator[_Window]], found: _Found
) -> None:
    """A year of every interval."""
    days = task.days & RangeSet([year])
    covered = {i: ranges for i, one in sorted(task.series.items()) if (ranges := one.covered & days)}
    # One alone is held against nothing.
    held: dict[Interval, list[pl.DataFrame]] = {interval: [] for interval in covered} if len(covered) > 1 else {}
    for interval, one in sorted(task.series.items()):
        counts = found.counts.setdefault(interval, [])
        for window in windows[interval]:
            rows = one.rows & RangeSet([window.part])
            if rows:
                _look_at_rows(window.around, interval, rows, found)
            counts.append(window.own.select("timestamp", "trades"))
            if interval in held:
                held[interval].append(_inside(window.own, days))
    if held:
        ends = [end for end in task.ends if year.start < end <= year.end]
        found.flaws += disagreements({i: Held(pl.concat(parts), covered[i]) for i, parts in held.items()}, ends)


def _windows(task: AuditTask, store: CandleStore, interval: Interval, years: Iterable[TimeRange]) -> Iterator[_Window]:
    """What is to be read of a series, part after part. Every part is read once.

    A price that stands still may do so for weeks: no part ends within that, unless its year does.
    """
    parts = [part for year in years for part in _parts(year, interval)]
    reading = task.series[interval].reading
    margin = (MINUTES_AROUND if interval == Interval.M1 else ROWS_AROUND) * interval.delta
    frames = (_read(store, task, interval, reading & RangeSet([part])) for part in parts)
    before, own, start = empty_candles(), next(frames, empty_candles()), None
    for part, following in zip_longest(parts, parts[1:]):
        start, after = start or part.start, next(frames, empty_candles())
        if following is not None and following.start.year == start.year and _stands_still(own, part.end - margin):
            own = pl.concat([own, after])
            continue
        whole = TimeRange(start, part.end)
        near = RangeSet([whole]).widened(margin)
        yield _Window(whole, own, pl.concat([_inside(before, near), own, _inside(after, near)]))
        before, own, start = own, after, None


def _stands_still(candles: pl.DataFrame, since: datetime) -> bool:
    """Whether all that open from then on hold one price."""
    last = candles.filter(pl.col("timestamp") >= since)
    return last.height > 1 and last["high"].max() == last["low"].min()


def _look_at_rows(candles: pl.DataFrame, interval: Interval, rows: RangeSet, found: _Found) -> None:
    found.flaws += [flaw for flaw in row_flaws(candles, interval) if rows & RangeSet([flaw.range])]
    found.frozen += [run for run in frozen_runs(candles, interval) if rows & RangeSet([run.range])]


def _silences(task: AuditTask, found: _Found, flaws: Iterable[Flaw]) -> Iterator[Silence]:
    named: dict[Interval, list[TimeRange]] = {}
    for flaw in flaws:
        if flaw.kind in NAMED_ALREADY:
            named.setdefault(flaw.interval, []).append(flaw.range)
    for interval, one in sorted(task.series.items()):
        parts = found.counts.pop(interval, [])
        if not one.silence or not parts:
            continue
        counts = TradeCounts.of(pl.concat(parts), interval)
        quiet = (one.quiet & one.reading) - one.named - RangeSet(named.get(interval, ()))
        for silence in improbable_silences(counts, quiet, WITNESS):
            if one.silence & RangeSet([silence.range]):
                yield silence


def _unproven(runs: Iterable[FrozenRun], proven: Mapping[Interval, RangeSet]) -> Iterator[FrozenRun]:
    """Each once: those across the end of a year were found in both."""
    whole: dict[tuple[Interval, datetime], FrozenRun] = {}
    for run in runs:
        key = (run.interval, run.range.start)
        whole[key] = max(run, whole.get(key, run), key=lambda one: one.range.end)
    for run in whole.values():
        for left in RangeSet([run.range]) - proven.get(run.interval, RangeSet()):
            yield replace(run, range=left)


def _read(store: CandleStore, task: AuditTask, interval: Interval, within: RangeSet) -> pl.DataFrame:
    series = Series(task.exchange, task.market, interval)
    parts = [store.read(series, one) for one in within]
    return pl.concat(parts) if parts else empty_candles()


def _inside(candles: pl.DataFrame, within: RangeSet) -> pl.DataFrame:
    """The rows whose slot opens in one of the ranges."""
    opens = candles["timestamp"].to_physical()
    parts = []
    for one in within:
        start, end = (int(opens.search_sorted(microseconds(edge))) for edge in (one.start, one.end))
        parts.append(candles.slice(start, end - start))
    if len(parts) == 1:
        return parts[0]
    return pl.concat(parts) if parts else candles.clear()


def _parts(year: TimeRange, interval: Interval) -> list[TimeRange]:
    """What of a year is looked at together: of minutes a month, for with a year of them memory would double."""
    if interval != Interval.M1:
        return [year]
    edges = [*(year.start.replace(month=month) for month in range(1, 13)), year.end]
    return [TimeRange(start, end) for start, end in pairwise(edges)]


def _years(ranges: Iterable[RangeSet]) -> Iterator[TimeRange]:
    """The calendar years that hold any of it: where they are cut is the same in every audit."""
    years = {year for one in chain.from_iterable(ranges) for year in range(one.start.year, one.end.year + 1)}
    for year in sorted(years):
        yield TimeRange(datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC))
