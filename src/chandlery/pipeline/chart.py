"""A market's chart from state and store: candles of the part that is looked at, with the verdict of every slot."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from chandlery.candles.interval import Interval
from chandlery.candles.timerange import TimeRange
from chandlery.candles.verdict import Knowledge, Verdict, slot_verdicts
from chandlery.models import FindingState, Market
from chandlery.pipeline.findings import findings_of, outages_of
from chandlery.pipeline.knowledge import MarketFacts, StoredSlots, know, series_of
from chandlery.pipeline.request import Selection
from chandlery.reporting.chart import Chart, Zoom, bundled, in_view, sent_around, zoom_for
from chandlery.stores.base import CandleStore


def chart_of(
    market: Market, view: TimeRange | None, interval: Interval | None, store: CandleStore, now: datetime
) -> Chart | None:
    """What a page needs to draw `view` (None: the newest year) at `interval` (None: what suits the view), or its newest
    part where it holds too much of that; None where nothing is known of the market.
    """
    facts = know([market], store, now)[market.altname]
    history, stored = _history(facts, now), _stored(facts.series)
    if history is None:
        return None
    wanted = view or TimeRange(max(history.start, history.end - 365 * Interval.M1440.delta), history.end)
    zoom = Zoom(interval) if interval is not None else zoom_for(wanted, stored)
    seen = in_view(wanted, zoom)
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
