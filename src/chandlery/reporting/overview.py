"""The overview as data: what a report says of every tier and interval at any moment, without asking state again.

Reports are made of series one by one; here they lie side by side in arrays, so that the time that passes (slots that
have closed since, gaps that leave the API's window) costs nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt

from chandlery.candles.gap import Reason
from chandlery.candles.interval import EPOCH, Interval
from chandlery.candles.verdict import Tally
from chandlery.exchanges.kraken.window import WINDOW_SLOTS, asked_as, ohlc_window
from chandlery.reporting.completeness import SeriesEntry

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
MINUTE = timedelta(minutes=1)
_COUNTS = tuple(field.name for field in fields(Tally))
_SLOTS, _MISSING, _UNLISTED = (_COUNTS.index(name) for name in ("slots", "missing", "unlisted"))
#: So many markets are named.
MOST_NAMES = 12


@dataclass(frozen=True, slots=True)
class Standing:
    """A series as a report told it. `listed`: the exchange may be asked about it; `ended`: what comes is UNLISTED."""

    entry: SeriesEntry
    tier: str
    quote: str
    listed: bool
    ended: bool
    newest: datetime | None
    size: int | None


@dataclass(frozen=True, slots=True)
class GapCounts:
    """Gaps by what closes them. `api`: all of it is in the API's window; `across`: its newest part; `beyond`: nothing
    of it; `suspect`: what is stored is contradicted. `accepted` are among these.
    """

    api: int = 0
    across: int = 0
    beyond: int = 0
    suspect: int = 0
    accepted: int = 0

    @property
    def all(self) -> int:
        return self.api + self.across + self.beyond + self.suspect


@dataclass(frozen=True, slots=True)
class OverviewRow:
    """One tier at one interval, as `report_completeness --tier … --intervals …` tells it."""

    tier: str
    interval: Interval
    markets: int
    complete: int
    #: Series of which nothing is stored: they have no slots.
    unknown: int
    tally: Tally
    gaps: GapCounts
    newest: datetime | None
    size: int | None

    @property
    def completeness(self) -> float:
        """Of all slots, from 0 to 1; 0 where nothing is known."""
        return self.tally.completeness if self.unknown < self.markets else 0.0

    @property
    def density(self) -> float:
        return self.tally.density if self.unknown < self.markets else 0.0


@dataclass(frozen=True, slots=True)
class Deadline:
    """Open slots that the API forgets next, of all markets at one interval; `closes` is when the first of them go."""

    interval: Interval
    closes: datetime
    markets: tuple[str, ...]
    number: int

    def is_soon(self, now: datetime) -> bool:
        """Less than a quarter of the window is left."""
        return self.closes - now < asked_as(self.interval).delta * WINDOW_SLOTS / 4


@dataclass(frozen=True, slots=True)
class OpenGroup:
    """What is open for one reason in one tier."""

    kind: str
    tier: str
    intervals: tuple[Interval, ...]
    gaps: int
    candles: int
    markets: tuple[str, ...]
    number: int


@dataclass(frozen=True, slots=True)
class Overview:
    """All there is to see at a glance: `rows` of every tier and interval of which anything is stored, `groups` with the
    most urgent first.
    """

    now: datetime
    rows: tuple[OverviewRow, ...]
    deadlines: tuple[Deadline, ...]
    groups: tuple[OpenGroup, ...]


class Standings:
    """The standings of many series, each told by a report at some moment; `at` tells them of a later one."""

    def __init__(self, standings: Sequence[Standing]) -> None:
        self._all = tuple(standings)
        entries = [standing.entry for standing in self._all]
        self._widths = np.array([int(entry.interval) for entry in entries], dtype=np.int64)
        self._known = np.array([entry.range is not None for entry in entries], dtype=np.bool_)
        self._ends = np.array([_minutes(e.range.end) if e.range else 0 for e in entries], dtype=np.int64)
        self._counts = np.array(
            [[getattr(entry.tally, name) for name in _COUNTS] for entry in entries], dtype=np.int64
        ).reshape(-1, len(_COUNTS))
        self._listed = np.array([standing.listed for standing in self._all], dtype=np.bool_)
        self._ended = np.array([standing.ended for standing in self._all], dtype=np.bool_)
        self._gaps = _Gaps.of(entries)

    def at(self, now: datetime, quotes: Sequence[str], wanted: Collection[Interval] = tuple(Interval)) -> Overview:
        """The overview of the markets in these quotes, at `now`: no earlier than what was told. Attention is asked for
        the `wanted` intervals only: what stands at others came along, and nobody waits for the rest of it.
        """
        counts, missing = self._counted(now)
        gaps = self._gaps.grown(self._ends, missing, self._widths)
        kinds = gaps.kinds(self._listed, self._widths, now)
        chosen = self._chosen(quotes)
        rows = self._rows(chosen, counts, gaps, kinds)
        kept = {(row.tier, row.interval) for row in rows if row.interval in wanted}
        urgent = {key: places for key, places in chosen.items() if key in kept}
        return Overview(
            now,
            tuple(rows),
            tuple(self._deadlines(urgent, gaps, kinds, now)),
            tuple(self._groups(urgent, gaps, kinds)),
        )

    def tallies(self, now: datetime, interval: Interval) -> dict[str, Tally]:
        """Of each market of which anything is known, its slots at one interval."""
        counts, _ = self._counted(now)
        places = np.flatnonzero(self._known & (self._widths == int(interval))).tolist()
        return {self._all[place].entry.market: Tally(*counts[place].tolist()) for place in places}

    def _counted(self, now: datetime) -> tuple[Ints, Ints]:
        """The figures of each series at `now`, and how many slots of it have come to be missing since it was told."""
        ends = _minutes(now) // self._widths * self._widths
        later = np.where(self._known, np.maximum(0, ends - self._ends) // self._widths, 0)
        missing = np.where(self._ended, 0, later)
        counts = self._counts.copy()
        counts[:, _SLOTS] += later
        counts[:, _UNLISTED] += later - missing
        counts[:, _MISSING] += missing
        return counts, missing

    def _chosen(self, quotes: Sequence[str]) -> dict[tuple[str, Interval], Ints]:
        """Positions by tier and interval. Unclassified markets belong to the last tier, whatever their quote."""
        wanted = set(quotes)
        found: dict[tuple[str, Interval], list[int]] = {}
        for place, standing in enumerate(self._all):
            if standing.tier and (standing.quote in wanted or not standing.quote):
                found.setdefault((standing.tier, standing.entry.interval), []).append(place)
        return {key: np.array(found[key], dtype=np.int64) for key in sorted(found)}

    def _rows(
        self, chosen: dict[tuple[str, Interval], Ints], counts: Ints, gaps: _Gaps, kinds: Ints
    ) -> list[OverviewRow]:
        by_series = [np.bincount(gaps.series[kinds == kind], minlength=len(self._all)) for kind in range(len(KINDS))]
        accepted = np.bincount(gaps.series[gaps.accepted], minlength=len(self._all))
        open_slots = counts[:, _MISSING] + counts[:, _COUNTS.index("suspect")]
        rows = []
        for (tier, interval), places in chosen.items():
            known = self._known[places]
            tally = Tally(*counts[places].sum(axis=0).tolist())
            if not tally.answered and not tally.suspect:
                continue
            standings = [self._all[place] for place in places.tolist()]
            sizes = [standing.size for standing in standings if standing.size is not None]
            rows.append(
                OverviewRow(
                    tier,
                    interval,
                    len(places),
                    int((known & (open_slots[places] == 0)).sum()),
                    int((~known).sum()),
                    tally,
                    GapCounts(*(int(found[places].sum()) for found in (*by_series, accepted))),
                    max((standing.newest for standing in standings if standing.newest), default=None),
                    sum(sizes) if sizes else None,
                )
            )
        return rows

    def _deadlines(
        self, chosen: dict[tuple[str, Interval], Ints], gaps: _Gaps, kinds: Ints, now: datetime
    ) -> list[Deadline]:
        wanted = np.zeros(len(self._all), dtype=np.bool_)
        for places in chosen.values():
            wanted[places] = True
        told = []
        for interval in Interval:
            mine = wanted[gaps.series] & (self._widths[gaps.series] == int(interval))
            # Of what lies across the edge, slots are forgotten one by one: the first of them with the next slot.
            open_to = mine & ((kinds == KINDS.index("api")) | (kinds == KINDS.index("across"))) & ~gaps.accepted
            if not open_to.any():
                continue
            window = ohlc_window(interval, now)
            first = np.maximum(gaps.starts[open_to], _minutes(window.start))
            earliest = int(first.min())
            soonest = gaps.series[open_to][first == earliest]
            names = sorted({self._all[place].entry.market for place in soonest.tolist()})
            reach = asked_as(interval).delta * WINDOW_SLOTS
            told.append(Deadline(interval, EPOCH + earliest * MINUTE + reach, tuple(names[:MOST_NAMES]), len(names)))
        return sorted(told, key=lambda deadline: deadline.closes)

    def _groups(self, chosen: dict[tuple[str, Interval], Ints], gaps: _Gaps, kinds: Ints) -> list[OpenGroup]:
        tiers = np.full(len(self._all), -1, dtype=np.int64)
        names = sorted({tier for tier, _ in chosen})
        for (tier, _), places in chosen.items():
            tiers[places] = names.index(tier)
        of_gap, live = tiers[gaps.series], ~gaps.accepted
        groups = []
        for kind in MOST_URGENT_FIRST:
            for number, tier in enumerate(names):
                where = (of_gap == number) & (kinds == KINDS.index(kind)) & live
                if where.any():
                    groups.append(self._group(kind, tier, gaps, where))
        return groups

    def _group(self, kind: str, tier: str, gaps: _Gaps, where: Flags) -> OpenGroup:
        series = np.unique(gaps.series[where]).tolist()
        markets = sorted({self._all[place].entry.market for place in series})
        slots = (gaps.ends - gaps.starts)[where] // self._widths[gaps.series[where]]
        intervals = tuple(sorted({self._all[place].entry.interval for place in series}))
        return OpenGroup(
            kind, tier, intervals, int(where.sum()), int(slots.sum()), tuple(markets[:MOST_NAMES]), len(markets)
        )


#: In the order of GapCounts.
KINDS = ("api", "across", "beyond", "suspect")
MOST_URGENT_FIRST = ("suspect", "across", "api", "beyond")


@dataclass(frozen=True, slots=True)
class _Gaps:
    """The gaps of all series side by side: the place of the series, start and end in minutes since the epoch."""

    series: Ints
    starts: Ints
    ends: Ints
    suspect: Flags
    accepted: Flags

    @classmethod
    def of(cls, entries: Sequence[SeriesEntry]) -> _Gaps:
        found = [(place, gap) for place, entry in enumerate(entries) for gap in entry.gaps]
        return cls(
            np.array([place for place, _ in found], dtype=np.int64),
            np.array([_minutes(gap.gap.range.start) for _, gap in found], dtype=np.int64),
            np.array([_minutes(gap.gap.range.end) for _, gap in found], dtype=np.int64),
            np.array([gap.gap.reason is Reason.SUSPECT for _, gap in found], dtype=np.bool_),
            np.array([gap.status == "ACCEPTED" for _, gap in found], dtype=np.bool_),
        )

    def grown(self, ends: Ints, missing: Ints, widths: Ints) -> _Gaps:
        """With so many more `missing` slots after the end of each series: the last gap goes on, or one begins."""
        touches = self.ends == ends[self.series]
        later = missing * widths
        grown = self.ends + np.where(touches, later[self.series], 0)
        begun = np.setdiff1d(np.flatnonzero(missing), self.series[touches])
        nothing = np.zeros(len(begun), dtype=np.bool_)
        return _Gaps(
            np.concatenate([self.series, begun]),
            np.concatenate([self.starts, ends[begun]]),
            np.concatenate([grown, ends[begun] + later[begun]]),
            np.concatenate([self.suspect, nothing]),
            np.concatenate([self.accepted, nothing]),
        )

    def kinds(self, listed: Flags, widths: Ints, now: datetime) -> Ints:
        """Of each gap its place in KINDS, as `gap_entry` tells it."""
        edges = np.zeros(int(max(Interval)) + 1, dtype=np.int64)
        for interval in Interval:
            edges[int(interval)] = _minutes(ohlc_window(interval, now).start)
        edge, asked = edges[widths[self.series]], listed[self.series]
        inside, partly = asked & (self.starts >= edge), asked & (self.ends > edge)
        return np.select([self.suspect, inside, partly], [KINDS.index("suspect"), 0, 1], 2).astype(np.int64)


def _minutes(moment: datetime) -> int:
    return (moment - EPOCH) // MINUTE
