"""Pricing: how many trades a market is likely to have had in a range, before anybody walks over them. Pure."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import polars as pl

from chandlery.candles.interval import EPOCH
from chandlery.candles.ledger import Figures
from chandlery.candles.timerange import TimeRange

#: Weeks that the ledger does not know yet are taken to be like the last ones it does.
LAST_WEEKS = 2


def by_ledger(figures: Figures, within: TimeRange) -> float | None:
    """The exchange's own weekly count, by the share of each week that lies in `within`; None where it knows no week."""
    known = figures.trades[figures.known]
    if not len(known):
        return None
    # A market's first week is not a whole one.
    whole = known[1:] if len(known) > 1 else known
    recent = float(whole[-LAST_WEEKS:].mean())
    start, end = ((moment - EPOCH) / figures.width for moment in (within.start, within.end))
    numbers = np.arange(int(start), int(np.ceil(end)))
    shares = np.minimum(numbers + 1, end) - np.maximum(numbers, start)
    told = np.full(len(numbers), -1, dtype=np.int64)
    inside = (numbers >= figures.first) & (numbers < figures.end)
    told[inside] = figures.trades[numbers[inside] - figures.first]
    counted = np.where(told < 0, recent, told.astype(np.float64))
    return float((counted * shares)[numbers >= figures.first].sum())


def by_candles(around: Iterable[tuple[TimeRange, pl.DataFrame]], within: TimeRange) -> float | None:
    """By the pace of candles stored nearby (each frame with the time it is of); None where there are none."""
    trades, seconds = 0, 0.0
    for span, candles in around:
        if candles.height:
            trades += int(candles["trades"].sum())
            seconds += span.length.total_seconds()
    return trades / seconds * within.length.total_seconds() if seconds else None
