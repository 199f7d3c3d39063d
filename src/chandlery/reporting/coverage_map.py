"""The coverage map as data: markets by stretches of time, each cell with its slots by verdict. From state alone.

All markets are laid end to end on one line of minutes, so that a handful of array operations tell the verdicts of all
of them: ranges as Python objects would take seconds for 1,400 markets.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

import numpy as np
import numpy.typing as npt

from chandlery.candles.interval import EPOCH, Interval
from chandlery.candles.verdict import Tally, Verdict

Ints = npt.NDArray[np.int64]
MINUTE = timedelta(minutes=1)
DAY_MINUTES = 1440

#: The last axis of the cells. Of what lies in none of them nothing was asked.
SHOWN = (
    Verdict.TRADED,
    Verdict.QUIET_PROVEN,
    Verdict.QUIET_CONFIRMED,
    Verdict.QUIET_CLAIMED,
    Verdict.SUSPECT,
    Verdict.MISSING,
    Verdict.UNLISTED,
)
_TRADED, _PROVEN, _CONFIRMED, _CLAIMED, _SUSPECT, _MISSING, _UNLISTED = range(len(SHOWN))
_OUTSIDE = len(SHOWN)


class Layer(Enum):
    """What is known of ranges, as `Knowledge` has it, before verdicts are made of it."""

    WANTED = "wanted"
    LISTED = "listed"
    PROVEN = "proven"
    CLAIMED = "claimed"
    #: Archives only: what the ledger can confirm.
    ARCHIVED = "archived"
    CONFIRMED = "confirmed"
    DOUBTED = "doubted"
    #: Trades with contiguous ids: nothing casts doubt on them.
    BEYOND_DOUBT = "beyond doubt"


@dataclass(frozen=True, slots=True)
class Spans:
    """Ranges of many rows, half-open, in minutes since the epoch and on the grid of the interval."""

    rows: Ints
    starts: Ints
    ends: Ints

    @classmethod
    def of(cls, found: Sequence[tuple[int, int, int]]) -> Spans:
        """Of triples (row, start, end)."""
        table = np.array(found, dtype=np.int64).reshape(-1, 3)
        return cls(table[:, 0], table[:, 1], table[:, 2])


@dataclass(frozen=True, slots=True)
class MapRow:
    """A market of the map."""

    market: str
    pair: str
    tier: str


@dataclass(frozen=True, slots=True)
class CoverageMap:
    """`cells[row, column]` are slots by verdict, in the order of SHOWN; `edges` are minutes since the epoch, one more
    than there are columns, at midnights UTC.
    """

    interval: Interval
    rows: tuple[MapRow, ...]
    edges: Ints
    cells: Ints

    def tallies(self) -> list[Tally]:
        """All of each row."""
        names = [verdict.value.lower() for verdict in SHOWN]
        totals: list[list[int]] = self.cells.sum(axis=1).tolist()
        return [Tally(slots=sum(counts), **dict(zip(names, counts, strict=True))) for counts in totals]


def minutes(moment: datetime) -> int:
    """Since the epoch, rounded down."""
    return (moment - EPOCH) // MINUTE


def month_edges(start: datetime, end: datetime) -> Ints:
    """The firsts of the months that [start, end) touches, and the first after them."""
    first, last = start.year * 12 + start.month - 1, (end - MINUTE).year * 12 + (end - MINUTE).month
    months = np.arange(first - 1970 * 12, last - 1970 * 12 + 1).astype("datetime64[M]")
    return months.astype("datetime64[m]").astype(np.int64)


def day_edges(start: datetime, end: datetime) -> Ints:
    """The midnights of the days that [start, end) touches, and the one after them."""
    first, last = minutes(start) // DAY_MINUTES, -(-minutes(end) // DAY_MINUTES)
    return np.arange(first, last + 1, dtype=np.int64) * DAY_MINUTES


def count_cells(layers: Mapping[Layer, Spans], traded: npt.NDArray[np.uint16], edges: Ints, interval: Interval) -> Ints:
    """Slots by verdict of every row and column. `traded[row, day]`: candles a UTC day, from the first edge to the last.

    Exact, but for days in which the evidence changes: of their candles state knows the number only, so they are shared
    out: to what was answered first, by the length of each part.
    """
    rows, days = traded.shape
    width = days * DAY_MINUTES
    cells = (np.arange(rows, dtype=np.int64)[:, None] * width + (edges[:-1] - edges[0])[None, :]).ravel()
    line = {layer: _on_line(spans, int(edges[0]), width) for layer, spans in layers.items()}
    bounds = _bounds(cells, line, rows * width)
    starts, ends = bounds[:-1], bounds[1:]
    verdicts = _verdicts({layer: _inside(bounds, *spans) for layer, spans in line.items()}, len(starts))
    slots = (ends - starts) // int(interval)
    candles = _candles(traded, starts, ends, slots, verdicts)
    return _counted(verdicts, slots, candles, np.searchsorted(cells, starts, "right") - 1, len(cells)).reshape(
        rows, len(edges) - 1, len(SHOWN)
    )


def _on_line(spans: Spans, first: int, width: int) -> tuple[Ints, Ints]:
    """Starts and ends on the line, cut to the row's share of it; what lies outside is left out."""
    starts, ends = np.clip(spans.starts - first, 0, width), np.clip(spans.ends - first, 0, width)
    inside, offset = starts < ends, spans.rows * width
    return (starts + offset)[inside], (ends + offset)[inside]


def _bounds(cells: Ints, line: Mapping[Layer, tuple[Ints, Ints]], end: int) -> Ints:
    """Where anything changes, and the midnights around it: between two of them lie whole days, or parts of one."""
    edges = np.concatenate([edge for spans in line.values() for edge in spans])
    floors = edges - edges % DAY_MINUTES
    found = np.concatenate([cells, [end], edges, floors, np.minimum(floors + DAY_MINUTES, end)])
    # As `np.unique`, which looks for doubles by hashing: three times as slow as sorting what is all but sorted.
    found.sort(kind="stable")
    distinct: Ints = found[np.concatenate([[True], found[1:] != found[:-1]])]
    return distinct


def _inside(bounds: Ints, starts: Ints, ends: Ints) -> npt.NDArray[np.bool_]:
    """Which pieces between two bounds lie in any of the ranges."""
    size = len(bounds)
    change = np.bincount(np.searchsorted(bounds, starts), minlength=size)
    change -= np.bincount(np.searchsorted(bounds, ends), minlength=size)
    return np.cumsum(change)[:-1] > 0


def _verdicts(known: Mapping[Layer, npt.NDArray[np.bool_]], pieces: int) -> Ints:
    """What a slot without a candle is, by `judge`'s rules; traded ones are told apart later."""
    nowhere = np.zeros(pieces, dtype=np.bool_)
    wanted, listed, proven, claimed, archived, confirmed, doubted, beyond_doubt = (
        known.get(layer, nowhere) for layer in Layer
    )
    choices = [
        (~wanted, _OUTSIDE),
        (~listed, _UNLISTED),
        (doubted & ~beyond_doubt, _SUSPECT),
        (proven, _PROVEN),
        (archived & confirmed, _CONFIRMED),
        (claimed, _CLAIMED),
    ]
    return np.select([where for where, _ in choices], [what for _, what in choices], _MISSING).astype(np.int64)


def _candles(traded: npt.NDArray[np.uint16], starts: Ints, ends: Ints, slots: Ints, verdicts: Ints) -> Ints:
    """Candles of each piece: of whole days counted, of parts of a day shared out."""
    upto = np.concatenate([[0], np.cumsum(traded, dtype=np.int64)])
    first, last = starts // DAY_MINUTES, ends // DAY_MINUTES
    found: Ints = upto[last] - upto[first]
    cut = np.flatnonzero((starts % DAY_MINUTES != 0) | (ends % DAY_MINUTES != 0))
    if not len(cut):
        return found
    days, of_day = np.unique(first[cut], return_inverse=True)
    left = traded.ravel()[days].astype(np.int64)
    found[cut] = 0
    for kinds in ((_PROVEN, _CONFIRMED, _CLAIMED, _SUSPECT), (_MISSING,)):
        weights = np.where(np.isin(verdicts[cut], kinds), slots[cut], 0)
        room: Ints = np.bincount(of_day, weights, minlength=len(days)).astype(np.int64)
        given = np.minimum(left, room)
        found[cut] += _shared_out(given, of_day, weights, room)
        left -= given
    return found


def _shared_out(amounts: Ints, group: Ints, weights: Ints, totals: Ints) -> Ints:
    """The amount of each group by the weights of its members, in whole numbers that add up to it."""
    upto = np.cumsum(weights)
    firsts = np.searchsorted(group, np.arange(len(amounts)))
    within = upto - (upto - weights)[firsts][group]
    whole = np.maximum(totals, 1)[group]
    shared = amounts[group] * within // whole - amounts[group] * (within - weights) // whole
    return shared.astype(np.int64)


def _counted(verdicts: Ints, slots: Ints, candles: Ints, cell: Ints, cells: int) -> Ints:
    """The slots of every cell by verdict: a candle makes its slot TRADED, unless it is suspect."""
    candles = np.where(verdicts < _SUSPECT, candles, np.where(verdicts == _MISSING, candles, 0))
    shown = verdicts != _OUTSIDE
    place = cell * len(SHOWN)
    size = cells * len(SHOWN)
    quiet = np.bincount((place + verdicts)[shown], (slots - candles)[shown], minlength=size)
    traded = np.bincount((place + _TRADED)[shown], candles[shown], minlength=size)
    return (quiet + traded).astype(np.int64)


def encoded(shown: CoverageMap, step: str) -> bytes:
    """For the page that draws it: the length of a JSON head (4 bytes, little-endian), the head, then one byte a cell
    for each verdict but UNLISTED, verdict after verdict, row after row: its share of the column's slots, 255 being
    all. What is there is never 0, and what is not all is never 255.
    """
    widths = np.diff(shown.edges) // int(shown.interval)
    counts = shown.cells[:, :, : len(SHOWN) - 1]
    shares = np.clip(counts * 255 // widths[None, :, None], 0, 255)
    shares[(counts > 0) & (shares == 0)] = 1
    planes = np.ascontiguousarray(np.moveaxis(shares.astype(np.uint8), 2, 0))
    head = {
        "interval": int(shown.interval),
        "step": step,
        "columns": [str(day) for day in shown.edges.astype("datetime64[m]").astype("datetime64[D]")],
        "verdicts": [verdict.value for verdict in SHOWN[:-1]],
        "rows": [
            [row.market, row.pair, row.tier, round(total.completeness, 6), total.missing, total.suspect]
            for row, total in zip(shown.rows, shown.tallies(), strict=True)
        ],
    }
    # The cells begin at a multiple of 4, so that a reader may look at them in place.
    told = json.dumps(head, separators=(",", ":")).encode()
    told += b" " * (-len(told) % 4)
    return len(told).to_bytes(4, "little") + told + planes.tobytes()
