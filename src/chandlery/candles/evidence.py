"""Who has spoken for which time, and how much that is worth."""

from dataclasses import dataclass
from enum import StrEnum

from chandlery.candles.timerange import RangeSet


class Source(StrEnum):
    """Where an answer came from."""

    TRADES = "TRADES"
    CSV = "CSV"
    API = "API"
    STREAM = "STREAM"

    @property
    def strength(self) -> int:
        return _STRENGTH[self]


_STRENGTH = {Source.TRADES: 4, Source.CSV: 3, Source.API: 2, Source.STREAM: 0}


@dataclass(frozen=True, slots=True)
class Origin:
    """What a candle was made from.

    `release` orders answers of equal strength: of two CSV answers the greater text wins (see Release.rank),
    and it is empty for anything that is not a file.
    """

    source: Source
    derived: bool = False
    provisional: bool = False
    release: str = ""

    @property
    def strength(self) -> int:
        """4 trades, 3 archive, 2 API, 0 provisional: whatever is stronger replaces it."""
        return 0 if self.provisional else self.source.strength


@dataclass(frozen=True, slots=True)
class Evidence:
    """The kind of answer a coverage range holds."""

    source: Source
    derived: bool = False
    proven: bool = False
    provisional: bool = False

    @property
    def strength(self) -> int:
        return 0 if self.provisional else self.source.strength

    @property
    def rank(self) -> tuple[int, bool, bool]:
        """Greater is better: strength, then proven, then direct before derived."""
        return (self.strength, self.proven, not self.derived)


#: Coverage of one series: for each kind of evidence the ranges it answers for.
Coverage = dict[Evidence, RangeSet]


def answered(coverage: Coverage) -> RangeSet:
    """Every range somebody has spoken for."""
    return RangeSet.union(coverage.values())


def extended(coverage: Coverage, kind: Evidence, ranges: RangeSet) -> Coverage:
    """The coverage with `ranges` answered by `kind` as well.

    Each direct, settled kind keeps its own ranges. What is derived or provisional is kept only where nothing better
    stands, so that the outcome does not depend on the order of work.
    """
    grown = {**coverage, kind: coverage.get(kind, RangeSet()) | ranges}
    result: Coverage = {}
    for layer, held in grown.items():
        left = held
        for better, shadow in grown.items() if layer.derived or layer.provisional else ():
            if _takes_the_place_of(better, layer):
                left = left - shadow
        if left:
            result[layer] = left
    return result


def _takes_the_place_of(better: Evidence, layer: Evidence) -> bool:
    """A settled answer that of a provisional one, a direct answer that of a derived one which is no stronger."""
    if better.strength < layer.strength or better.proven < layer.proven:
        return False
    if better.provisional != layer.provisional:
        return layer.provisional
    return layer.derived and not better.derived


def stale_ranges(coverage: Coverage) -> RangeSet:
    """Every range that was made from finer candles which were provisional, or have been answered anew since."""
    return answered({kind: ranges for kind, ranges in coverage.items() if kind.derived and kind.provisional})


def direct(coverage: Coverage) -> Coverage:
    """The coverage without what was made from finer candles."""
    return {kind: ranges for kind, ranges in coverage.items() if not kind.derived}


def settled(coverage: Coverage) -> RangeSet:
    """Every range somebody has spoken for who need not be asked again."""
    return answered({kind: ranges for kind, ranges in coverage.items() if not kind.provisional})


def unanswered(slots: RangeSet, coverage: Coverage) -> RangeSet:
    """What of `slots` nobody has spoken for."""
    for ranges in coverage.values():
        slots = slots - ranges
    return slots


def unsettled(slots: RangeSet, coverage: Coverage) -> RangeSet:
    """What of `slots` nobody has spoken for who need not be asked again."""
    for kind, ranges in coverage.items():
        if not kind.provisional:
            slots = slots - ranges
    return slots


def weakest(kinds: list[Evidence]) -> Evidence:
    """The evidence of something made from all of these: no better than the weakest of them, and derived."""
    least = min(kinds, key=lambda kind: (kind.strength, kind.proven))
    return Evidence(least.source, derived=True, proven=all(k.proven for k in kinds), provisional=least.provisional)
