"""A market's chart from state and store: candles of the part that is looked at, with the verdict of every slot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from chandlery.candles.interval import Interval
from chandlery.candles.timerange import TimeRange
from chandlery.candles.verdict import Knowledge, Verdict, slot_verdicts
from chandlery.models import FindingState, Market
from chandlery.pipeline.findings import findings_of, outages_of
from chandlery.pipeline.knowledge import MarketFacts, StoredSlots, know, series_of
from chandlery.pipeline.request import Selection
from chandlery.reporting.chart import Chart, Zoom, bundled, in_history, in_view, sent_around, zoom_for
from chandlery.stores.base import CandleStore


def chart_of(
    market: Market,
    view: TimeRange | None,
    interval: Interval | None,
    store: CandleStore,
    now: datetime,
    *,
    whole: bool = False,
) -> Chart | None:
    """What a page needs to draw `view` (None: the newest year) at `interval` (None: what suits the view); None where
    nothing is known of the market. Where a view holds too much of an interval, its middle is drawn, or, as a `whole`,
    with several candles to a point.
    """
    facts = know([market], store, now)[market.altname]
    history, stored = _history(facts, now), _stored(facts.series)
    if history is None:
        return None
    year = TimeRange(history.end - 365 * Interval.M1440.delta, history.end)
    wanted = in_history(view or year, history)
    zoom = _zoom(wanted, interval, stored, whole=whole)
    seen = in_view(wanted, zoom, history)
    within = sent_around(seen, zoom, history)
    known = facts.series[zoom.interval]
    closed = TimeRange.maybe(within.start, min(within.end, zoom.interval.floor(now)))
    runs = slot_verdicts(known, closed) if closed is not None else []
    selection = Selection((zoom.interval,), markets=(market.altname,), start=within.start, end=within.end)
    return Chart(
        market.altname,
        zoom,
        seen,
        within,
        history,
        stored,
        bundled(store.read(series_of(market, zoom.interval), within), zoom, within.start),
        tuple((part, verdict) for part, verdict in runs if verdict is not Verdict.TRADED),
        known.coverage,
        tuple(outages_of([market], selection)),
        tuple(findings_of([market], selection, (FindingState.OPEN,))),
    )


def _zoom(view: TimeRange, interval: Interval | None, stored: Sequence[Interval], *, whole: bool) -> Zoom:
    if interval is None:
        return zoom_for(view, stored)
    return zoom_for(view, [interval]) if whole else Zoom(interval)


def _history(facts: MarketFacts, now: datetime) -> TimeRange | None:
    """From the market's first day to now, or to its last."""
    if facts.start is None:
        return None
    day = Interval.M1440
    end = day.ceil(min(now, facts.market.delisted_at or now))
    return TimeRange(min(day.floor(facts.start), end - day.delta), end)


def _stored(series: Mapping[Interval, Knowledge]) -> tuple[Interval, ...]:
    """The widths of which anything is stored."""
    return tuple(
        interval
        for interval, known in series.items()
        if isinstance(known.traded, StoredSlots) and known.traded.span is not None
    )
