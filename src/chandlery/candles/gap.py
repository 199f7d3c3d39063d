"""Gaps: maximal runs of open slots, what could close them, and how they keep their identity."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from chandlery.candles.evidence import Coverage, Evidence, weakest
from chandlery.candles.interval import Interval
from chandlery.candles.timerange import RangeSet, TimeRange
from chandlery.candles.verdict import OpenSlots


class Reason(StrEnum):
    """Why a slot is open."""

    MISSING = "MISSING"
    SUSPECT = "SUSPECT"


@dataclass(frozen=True, slots=True)
class Gap:
    """A maximal run of open slots: `range` is on the grid of `interval`."""

    interval: Interval
    range: TimeRange
    reason: Reason = Reason.MISSING

    @property
    def candles(self) -> int:
        return self.range.slots(self.interval)


def gaps_of(found: OpenSlots, interval: Interval) -> list[Gap]:
    """Maximal runs of MISSING or SUSPECT slots in order; a run that holds a suspect slot is SUSPECT."""
    suspect = found.suspect
    return [
        Gap(interval, run, Reason.SUSPECT if suspect and suspect & RangeSet([run]) else Reason.MISSING)
        for run in found.missing | suspect
    ]


def split_at_window(gap: TimeRange, window: TimeRange | None) -> tuple[TimeRange | None, TimeRange | None]:
    """(what the API can still answer, what it cannot). The API forgets from the left."""
    if window is None:
        return None, gap
    return gap.intersection(window), TimeRange.maybe(gap.start, min(gap.end, window.start))


def derivable(
    open_ranges: RangeSet, finer: Coverage, to: Interval, unlisted: RangeSet
) -> list[tuple[RangeSet, Evidence]]:
    """Which open slots of `to` are whole in the coverage of a finer series, with the evidence they inherit.

    `open_ranges` are on the grid of `to`. `unlisted` time needs no answer: nothing can have traded there.
    """
    # Little is open of what is known: only what lies in open slots is looked at.
    parts = {kind: ranges & open_ranges for kind, ranges in finer.items()}
    union, left = unlisted & open_ranges, open_ranges
    if not union and not any(parts.values()):
        return []
    found: list[tuple[RangeSet, Evidence]] = []
    ranked = sorted(parts, key=lambda k: k.rank, reverse=True)
    for place, kind in enumerate(ranked):
        if place and not parts[kind]:
            continue
        union = union | parts[kind]
        fresh = union.aligned_inwards(to) & left
        if fresh:
            found.append((fresh, weakest(ranked[: place + 1])))
            left = left - fresh
    return found


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What becomes of the gaps on record, by their position.

    kept: its new range; closed: nothing of it is open any more; merged: it became part of an earlier record; new: no
    record yet.
    """

    kept: dict[int, Gap]
    closed: list[int]
    merged: list[int]
    new: list[Gap]


def reconcile(recorded: Sequence[TimeRange], found: Iterable[Gap]) -> Reconciled:
    """Match gaps by overlap: a gap keeps its record while it shrinks, grows or splits; the earliest piece keeps it.

    `recorded` is sorted by start and disjoint.
    """
    kept: dict[int, Gap] = {}
    touched: set[int] = set()
    new: list[Gap] = []
    first = 0
    for gap in sorted(found, key=lambda g: g.range):
        while first < len(recorded) and recorded[first].end <= gap.range.start:
            first += 1
        overlapping = []
        i = first
        while i < len(recorded) and recorded[i].start < gap.range.end:
            overlapping.append(i)
            i += 1
        touched.update(overlapping)
        match = next((i for i in overlapping if i not in kept), None)
        if match is None:
            new.append(gap)
        else:
            kept[match] = gap
    closed = [i for i in range(len(recorded)) if i not in touched]
    return Reconciled(kept, closed, sorted(touched - kept.keys()), new)
