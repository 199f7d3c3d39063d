"""Candles as numbers side by side, and cut by ranges of time: what the audits reckon with."""

from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
import polars as pl

from chandlery.candles.frame import CANDLE_SCHEMA, PRICES, TIMESTAMP, VOLUME_TOLERANCE
from chandlery.candles.interval import EPOCH, Interval
from chandlery.candles.timerange import RangeSet

#: Microseconds since the epoch: slot opens, or edges of ranges.
Moments = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
#: One row a figure of FIGURES, one column a slot. Where nothing traded there are no trades, and prices are nan.
Figures = npt.NDArray[np.float64]

FIGURES = (*PRICES, "volume", "trades")
VOLUME, TRADES = FIGURES.index("volume"), FIGURES.index("trades")
MICROSECOND = timedelta(microseconds=1)


def figures_of(candles: pl.DataFrame, opens: Moments) -> Figures:
    """The candles' figures laid on these slots (ascending), which hold them all."""
    if candles.height == len(opens):  # these are their slots
        return np.stack([candles[name].to_numpy() for name in FIGURES])
    laid = np.full((len(FIGURES), len(opens)), np.nan)
    laid[[VOLUME, TRADES]] = 0.0
    at = np.searchsorted(opens, opens_of(candles))
    for row, name in enumerate(FIGURES):
        laid[row, at] = candles[name].to_numpy()
    return laid


def frame_of(opens: Moments, figures: Figures) -> pl.DataFrame:
    """In CANDLE_SCHEMA; every slot must have traded."""
    columns = {name: figures[row] for row, name in enumerate(FIGURES)}
    columns["trades"] = columns["trades"].astype(np.int64)
    return pl.DataFrame({"timestamp": pl.Series(opens).cast(TIMESTAMP), **columns}, schema=CANDLE_SCHEMA)


def equal(one: Figures, other: Figures) -> Flags:
    """Prices and counts exactly, volumes within VOLUME_TOLERANCE, slot by slot."""
    alike: Flags = (one[TRADES] == other[TRADES]) & ~differ(one, other)
    return alike


def differ(one: Figures, other: Figures) -> Flags:
    """In prices or volume, slot by slot."""
    return prices_differ(one, other) | volumes_differ(one, other)


def prices_differ(one: Figures, other: Figures) -> Flags:
    ours, theirs = one[: len(PRICES)], other[: len(PRICES)]
    apart: Flags = ((ours != theirs) & ~(np.isnan(ours) & np.isnan(theirs))).any(axis=0)
    return apart


def volumes_differ(one: Figures, other: Figures) -> Flags:
    ours, theirs = one[VOLUME], other[VOLUME]
    most = np.maximum(np.abs(ours), np.abs(theirs))
    with np.errstate(invalid="ignore"):
        near = (np.abs(ours - theirs) <= VOLUME_TOLERANCE * most) & np.isfinite(most)
    apart: Flags = (ours != theirs) & ~near
    return apart


def within(candles: pl.DataFrame, ranges: RangeSet) -> pl.DataFrame:
    """The rows that open in one of the ranges."""
    return cut(candles, *edges(ranges))


def cut(candles: pl.DataFrame, starts: Moments, ends: Moments) -> pl.DataFrame:
    """The rows that open in one of the ranges, which are disjoint and in order."""
    opens = opens_of(candles)
    firsts, beyond = np.searchsorted(opens, starts), np.searchsorted(opens, ends)
    kept = int((beyond - firsts).sum())
    if kept == candles.height:
        return candles
    if kept == 0 or len(starts) == 1:
        return candles.slice(int(firsts[0]) if kept else 0, kept)
    steps = np.zeros(len(opens) + 1, dtype=np.int64)
    np.add.at(steps, firsts, 1)
    np.add.at(steps, beyond, -1)
    return candles.filter(pl.Series(np.cumsum(steps[:-1]) > 0))


def inside(ranges: RangeSet, opens: Moments) -> Flags:
    """Which slots open in one of the ranges."""
    starts, ends = edges(ranges)
    found: Flags = np.searchsorted(starts, opens, side="right") > np.searchsorted(ends, opens, side="right")
    return found


def edges(ranges: RangeSet) -> tuple[Moments, Moments]:
    """(starts, ends)."""
    pairs = np.array([(microseconds(one.start), microseconds(one.end)) for one in ranges], dtype=np.int64)
    pairs = pairs.reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def opens_of(candles: pl.DataFrame) -> Moments:
    """When the slots of its rows open."""
    opens: Moments = candles["timestamp"].to_physical().to_numpy()
    return opens


def microseconds(time: datetime) -> int:
    return (time - EPOCH) // MICROSECOND


def moment(microseconds: int) -> datetime:
    """So long after the epoch, UTC."""
    return EPOCH + int(microseconds) * MICROSECOND


def width_of(interval: Interval) -> int:
    """In microseconds."""
    return interval.seconds * 1_000_000
