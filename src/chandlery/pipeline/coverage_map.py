"""The coverage map from state: what was answered, what was traded, what is doubted. The store is never opened."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

import numpy as np
import numpy.typing as npt

from chandlery.candles.evidence import Source
from chandlery.candles.interval import Interval
from chandlery.candles.start import earliest_slot
from chandlery.exchanges.kraken.window import ohlc_window
from chandlery.models import AuditedWeeks, DataCoverageRange, Market, QualityFinding, TradedDays
from chandlery.pipeline.request import Selection
from chandlery.reporting.coverage_map import (
    DAY_MINUTES,
    CoverageMap,
    Ints,
    Layer,
    MapRow,
    Spans,
    count_cells,
    day_edges,
    minutes,
    month_edges,
)

Edges = Callable[[datetime, datetime], Ints]
#: How wide a column is.
STEPS: dict[str, Edges] = {"month": month_edges, "day": day_edges}
_Found = dict[Layer, list[tuple[int, int, int]]]


def coverage_map(
    selection: Selection, markets: Sequence[Market], interval: Interval, step: str, now: datetime
) -> CoverageMap:
    """The slots of one interval of these markets by verdict, a column a month or a day. The number of queries does not
    grow with the markets.
    """
    starts = _starts(markets)
    spans = [selection.wanted(interval, starts.get(market.pk), now) for market in markets]
    known = [(market, within) for market, within in zip(markets, spans, strict=True) if within is not None]
    rows = tuple(MapRow(market.altname, market.pair, market.base.tier if market.base else "") for market, _ in known)
    if not known:
        return CoverageMap(interval, (), np.zeros(1, dtype=np.int64), np.zeros((0, 0, 7), dtype=np.int64))
    edges = STEPS[step](min(within.start for _, within in known), max(within.end for _, within in known))
    places = {market.pk: place for place, (market, _) in enumerate(known)}
    layers = _layers(places, interval, now)
    for place, (market, within) in enumerate(known):
        start, end = minutes(within.start), minutes(within.end)
        layers[Layer.WANTED].append((place, start, end))
        first, gone = market.first_trade, market.delisted_at
        listed_from = minutes(interval.floor(first)) if first else int(edges[0])
        listed_to = minutes(interval.ceil(gone)) if gone else int(edges[-1])
        layers[Layer.LISTED].append((place, listed_from, listed_to))
    laid = {layer: Spans.of(found) for layer, found in layers.items()}
    cells = count_cells(laid, _traded(places, interval, edges), edges, interval)
    return CoverageMap(interval, rows, edges, cells)


def _starts(markets: Sequence[Market]) -> dict[int, datetime | None]:
    """Where the history of each market begins, as `know` has it."""
    starts = {market.pk: market.first_trade for market in markets}
    untold = [pk for pk, first in starts.items() if first is None]
    slots = TradedDays.objects.first_slots(untold)
    return {**starts, **{pk: earliest_slot(slots.get(pk, {})) for pk in untold}}


def _layers(places: Mapping[int, int], interval: Interval, now: datetime) -> _Found:
    """What stands on record of the markets, by its kind."""
    found: _Found = defaultdict(list)
    askable = minutes(ohlc_window(interval, now).start)
    for pk, kind, start, end in DataCoverageRange.objects.answers(places, int(interval)):
        # What the API said of slots that could still change counts as long as it can be asked again, as in `know`.
        unconfirmed = kind.source is Source.API and kind.provisional
        span = (places[pk], max(minutes(start), askable) if unconfirmed else minutes(start), minutes(end))
        if span[1] >= span[2]:
            continue
        found[Layer.PROVEN if kind.proven else Layer.CLAIMED].append(span)
        if kind.source is Source.CSV and not kind.provisional:
            found[Layer.ARCHIVED].append(span)
        if kind.source is Source.TRADES and kind.proven and not kind.provisional:
            found[Layer.BEYOND_DOUBT].append(span)
    for pk, weeks in AuditedWeeks.objects.confirmed_at(places, int(interval)).items():
        found[Layer.CONFIRMED] += [(places[pk], minutes(one.start), minutes(one.end)) for one in weeks]
    for (pk, width), doubted in QualityFinding.objects.contradicted(places).items():
        if width == int(interval):
            found[Layer.DOUBTED] += [(places[pk], minutes(one.start), minutes(one.end)) for one in doubted]
    return found


def _traded(places: Mapping[int, int], interval: Interval, edges: Ints) -> npt.NDArray[np.uint16]:
    """Candles a day of each row, from the first edge to the last."""
    first, days = int(edges[0]) // DAY_MINUTES, int(edges[-1] - edges[0]) // DAY_MINUTES
    table = np.zeros((len(places), days), dtype=np.uint16)
    epoch = np.datetime64("1970-01-01").astype(object)
    for pk, row in TradedDays.objects.of_interval(places, int(interval)).items():
        counts = row.counts
        offset = (row.first_day - epoch).days - first
        start, end = max(0, offset), min(days, offset + len(counts))
        if start < end:
            table[places[pk], start:end] = counts[start - offset : end - offset]
    return table
