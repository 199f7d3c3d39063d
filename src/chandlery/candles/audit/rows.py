"""Rows by themselves and beside those before and after: impossible ones, spikes, prices that stand still.

Thresholds are relative to the rows around, for what is wild in one market is an hour like others in the next one. A
flash crash that did happen looks like a spike that did not: only trades tell them apart, so a spike is worth a look and
not a contradiction.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from chandlery.candles.audit.figures import Flags, Moments, moment, opens_of, width_of
from chandlery.candles.audit.flaw import Flaw, FlawKind
from chandlery.candles.frame import bad_rows
from chandlery.candles.interval import Interval
from chandlery.candles.timerange import TimeRange

#: So many rows on either side tell what is usual.
ROWS = 200
#: With fewer of them on a side nothing is said.
FEWEST_ROWS = 24
#: A spike stands out from both of its neighbours by at least this factor ...
SPIKE_FACTOR = 1.5
#: ... and, as a logarithm, by so many times what all but the wildest hundredth of the rows around do.
SPIKE_RATIO = 8.0
WILDEST = 0.01
#: It is back where the price before and the price after it are nearer to each other than to it, by this share.
BACK = 0.5
#: A price stands still for at least so many candles, with at least so many trades in them ...
FROZEN_CANDLES = 12
FROZEN_TRADES = 50
#: ... and for so many times as many candles as any other price around but one: it may have stood still twice.
FROZEN_RATIO = 4
#: Another market moved where its price did in at least this share of its candles, and in at least so many.
MOVED_SHARE = 0.5
MOVED_CANDLES = 3

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class FrozenRun:
    """Candles one after the other, with trades, that hold one price and nothing else."""

    interval: Interval
    range: TimeRange
    price: float
    candles: int


def row_flaws(candles: pl.DataFrame, interval: Interval) -> list[Flaw]:
    """BAD_ROW, NO_TRADES, NO_VOLUME and PRICE_SPIKE in the candles (CANDLE_SCHEMA, sorted) of one series, in order.

    Evidence of a bad row: its first wrong `column`, `value` and what was `expected`; of a spike: its `price`, and the
    `factor` by which that is away from the nearer one of its neighbours; of the others: `volume` and `trades`. Flaws of
    one kind in adjacent slots are one flaw, with the figures of the first and the number of `candles`.
    """
    if candles.is_empty():
        return []
    bad = {one.row: one for one in bad_rows(candles, interval)}
    possible = np.ones(candles.height, dtype=np.bool_)
    possible[list(bad)] = False
    counted: Flags = candles["trades"].to_numpy() > 0
    weighed: Flags = candles["volume"].to_numpy() > 0

    def badness(row: int) -> dict[str, Any]:
        return {"column": bad[row].column, "value": bad[row].value, "expected": bad[row].expected}

    def amounts(row: int) -> dict[str, Any]:
        return {"volume": float(candles["volume"][row]), "trades": int(candles["trades"][row])}

    flaws = [
        *_flaws(candles, interval, FlawKind.BAD_ROW, ~possible, badness),
        *_flaws(candles, interval, FlawKind.NO_TRADES, possible & ~counted & weighed, amounts),
        *_flaws(candles, interval, FlawKind.NO_VOLUME, possible & counted & ~weighed, amounts),
        *_spikes(candles.filter(pl.Series(possible)) if bad else candles, interval),
    ]
    return sorted(flaws, key=lambda flaw: (flaw.range, flaw.kind))


def frozen_runs(candles: pl.DataFrame, interval: Interval) -> list[FrozenRun]:
    """Where the price stood still for far longer than it does around, though there were trades. In order.

    At least 12 candles and 50 trades, at least four times as many candles as the longest stand but one among the 200
    rows on either side, of which there must be 24.
    """
    if candles.height <= FROZEN_CANDLES + 2 * FEWEST_ROWS:
        return []
    first, end = _still_runs(candles)
    lengths = end - first
    summed = np.concatenate([[0], np.cumsum(candles["trades"].to_numpy())])
    long = (lengths >= FROZEN_CANDLES) & (summed[end] - summed[first] >= FROZEN_TRADES)
    long &= (first >= FEWEST_ROWS) & (end <= candles.height - FEWEST_ROWS)
    opens, closes, width = opens_of(candles), candles["close"].to_numpy(), width_of(interval)
    found: list[FrozenRun] = []
    for run in np.flatnonzero(long):
        low, high = np.searchsorted(end, first[run] - ROWS, side="right"), np.searchsorted(first, end[run] + ROWS)
        around = np.sort(np.concatenate([lengths[low:run], lengths[run + 1 : high]]))[:-1]
        if around.max(initial=0) * FROZEN_RATIO <= lengths[run]:
            within = TimeRange(moment(opens[first[run]]), moment(opens[end[run] - 1] + width))
            found.append(FrozenRun(interval, within, float(closes[first[run]]), int(lengths[run])))
    return found


def moved(candles: pl.DataFrame, within: TimeRange) -> bool:
    """Whether the price of a market moved in most of its candles that open in `within`, of at least three."""
    candles = candles.filter(pl.col("timestamp").is_between(within.start, within.end, closed="left"))
    if candles.height < MOVED_CANDLES:
        return False
    return int((~_is_still(candles)).sum()) >= max(MOVED_CANDLES, MOVED_SHARE * candles.height)


def _flaws(
    candles: pl.DataFrame, interval: Interval, kind: FlawKind, wrong: Flags, evidence: Callable[[int], dict[str, Any]]
) -> Iterator[Flaw]:
    """One flaw for wrong rows in adjacent slots."""
    at = np.flatnonzero(wrong)
    if not len(at):
        return
    opens, width = opens_of(candles), width_of(interval)
    for group in np.split(at, np.flatnonzero(np.diff(opens[at]) != width) + 1):
        within = TimeRange(moment(opens[group[0]]), moment(opens[group[-1]] + width))
        yield Flaw(interval, kind, within, {**evidence(int(group[0])), "candles": len(group)})


def _spikes(candles: pl.DataFrame, interval: Interval) -> Iterator[Flaw]:
    """Each row whose high, or low, is far from what both of its neighbours reached."""
    if candles.height <= 2 * FEWEST_ROWS:
        return
    heights = _beyond_neighbours(np.log(candles["high"].to_numpy()))
    depths = _beyond_neighbours(-np.log(candles["low"].to_numpy()))
    opened, closed = candles["open"], candles["close"]
    opens, width = opens_of(candles), width_of(interval)
    least = math.log(SPIKE_FACTOR)
    for row in np.flatnonzero(np.maximum(heights, depths) >= least).tolist():
        stands_out, column = (heights, "high") if heights[row] >= depths[row] else (depths, "low")
        size = float(stands_out[row])
        is_back = abs(math.log(closed[row - 1] / opened[row + 1])) <= BACK * size
        if is_back and _usual(stands_out, row) * SPIKE_RATIO <= size:
            within = TimeRange(moment(opens[row]), moment(opens[row] + width))
            factor = math.exp(size if column == "high" else -size)
            evidence = {"price": float(candles[column][row]), "factor": factor}
            yield Flaw(interval, FlawKind.PRICE_SPIKE, within, evidence)


def _beyond_neighbours(extreme: Floats) -> Floats:
    """By how much each row reaches beyond both of its neighbours; not judged (0) where a side has too few rows."""
    beyond = np.zeros(len(extreme))
    inner = beyond[1:-1]
    np.maximum(extreme[:-2], extreme[2:], out=inner)
    np.subtract(extreme[1:-1], inner, out=inner)
    beyond[:FEWEST_ROWS] = beyond[-FEWEST_ROWS:] = 0.0
    return np.maximum(beyond, 0.0, out=beyond)


def _usual(beyond: Floats, row: int) -> float:
    """What all but the wildest hundredth of the rows around do. inf where too few of them are there to tell."""
    around = np.concatenate([beyond[max(row - ROWS, 0) : row], beyond[row + 1 : row + 1 + ROWS]])
    return float(np.quantile(around, 1.0 - WILDEST)) if len(around) >= 2 * FEWEST_ROWS else math.inf


def _still_runs(candles: pl.DataFrame) -> tuple[Moments, Moments]:
    """(first rows, rows after the last ones) of the runs of candles at the price of the row before, in order."""
    steps = np.diff(np.concatenate([[0], _is_still(candles).astype(np.int8), [0]]))
    return np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)


def _is_still(candles: pl.DataFrame) -> Flags:
    """Which rows hold no other price than the close of the row before. The first one has none before it."""
    high, low, close = (candles[name].to_numpy() for name in ("high", "low", "close"))
    still: Flags = high == low
    still[1:] &= high[1:] == close[:-1]
    still[:1] = False
    return still
