"""What is known of each slot, and how complete a series is."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from chandlery.candles.evidence import Coverage, Source, unanswered
from chandlery.candles.interval import Interval
from chandlery.candles.timerange import RangeSet, TimeRange


class Verdict(StrEnum):
    """What is known of a slot. The first that applies, in this order."""

    UNLISTED = "UNLISTED"
    SUSPECT = "SUSPECT"
    TRADED = "TRADED"
    QUIET_PROVEN = "QUIET_PROVEN"
    QUIET_CONFIRMED = "QUIET_CONFIRMED"
    QUIET_CLAIMED = "QUIET_CLAIMED"
    MISSING = "MISSING"


class TradedSlots(Protocol):
    """Which slots of one series hold a candle."""

    def count(self, within: TimeRange) -> int:
        """How many candles open in `within`."""

    def opens(self, within: TimeRange) -> Sequence[datetime]:
        """The opens of the candles in `within`, sorted, UTC."""


@dataclass(frozen=True, slots=True)
class Life:
    """When a market traded: from its first trade (None: not known) until it was delisted (None: it was not)."""

    first_trade: datetime | None = None
    delisted: datetime | None = None

    def listed(self, within: TimeRange, interval: Interval) -> RangeSet:
        """The slots of `within` in which a trade could have been; the rest is UNLISTED."""
        if self._spans(within):
            return RangeSet([within])
        start, end = within.start, within.end
        if self.first_trade is not None:
            start = max(start, interval.floor(self.first_trade))
        if self.delisted is not None:
            end = min(end, interval.ceil(self.delisted))
        listed = TimeRange.maybe(start, end)
        return RangeSet([listed]) if listed else RangeSet()

    def unlisted(self, within: TimeRange, interval: Interval) -> RangeSet:
        return RangeSet() if self._spans(within) else RangeSet([within]) - self.listed(within, interval)

    def _spans(self, within: TimeRange) -> bool:
        """Whether the market traded from before `within` until after."""
        return (self.first_trade is None or self.first_trade <= within.start) and (
            self.delisted is None or within.end <= self.delisted
        )


@dataclass(frozen=True, slots=True)
class Tally:
    """Slots of a series by verdict, and the runs of open ones. Shares are from 0 to 1."""

    slots: int = 0
    traded: int = 0
    quiet_proven: int = 0
    quiet_confirmed: int = 0
    quiet_claimed: int = 0
    suspect: int = 0
    missing: int = 0
    unlisted: int = 0

    @property
    def expected(self) -> int:
        return self.slots - self.unlisted

    @property
    def answered(self) -> int:
        return self.traded + self.quiet_proven + self.quiet_confirmed + self.quiet_claimed

    @property
    def completeness(self) -> float:
        """Answered slots / expected slots; nothing expected is complete."""
        return self.answered / self.expected if self.expected else 1.0

    @property
    def density(self) -> float:
        """Traded slots / expected slots: what the naive count of candles says."""
        return self.traded / self.expected if self.expected else 0.0

    @property
    def complete(self) -> bool:
        return self.missing == 0 and self.suspect == 0

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(*(getattr(self, name) + getattr(other, name) for name in self.__slots__))


@dataclass(frozen=True, slots=True)
class OpenSlots:
    """The open runs of a range: `missing` and `suspect` are disjoint, on the grid."""

    missing: RangeSet = field(default_factory=RangeSet)
    suspect: RangeSet = field(default_factory=RangeSet)


@dataclass(frozen=True, slots=True)
class Judgement(OpenSlots):
    """The tally of a range, and its open runs."""

    tally: Tally = field(default_factory=Tally)


@dataclass(frozen=True, slots=True)
class Knowledge:
    """All that is known of one series, as values."""

    interval: Interval
    life: Life
    coverage: Coverage
    traded: TradedSlots
    confirmed: RangeSet = field(default_factory=RangeSet)
    suspected: RangeSet = field(default_factory=RangeSet)
    #: Of what is suspected, that for which nothing more is asked: the cause is not single slots.
    left_open: RangeSet = field(default_factory=RangeSet)


def judge(known: Knowledge, within: TimeRange) -> Judgement:
    """The verdict of every slot of `within` (on the grid), counted."""
    interval = known.interval
    listed = known.life.listed(within, interval)
    suspect = known.suspected & listed
    rest = listed - suspect
    counts: dict[Verdict, int] = {}
    for verdict, ranges in quiet_ranges(known).items():
        part = rest & ranges
        counts[verdict] = part.slots(interval) - _traded(known, part)
        rest = rest - part
    missing = _without_traded(known, rest)
    slots, expected = within.slots(interval), listed.slots(interval)
    open_slots = {"suspect": suspect.slots(interval), "missing": missing.slots(interval)}
    tally = Tally(
        slots=slots,
        traded=expected - sum(counts.values()) - sum(open_slots.values()),
        quiet_proven=counts[Verdict.QUIET_PROVEN],
        quiet_confirmed=counts[Verdict.QUIET_CONFIRMED],
        quiet_claimed=counts[Verdict.QUIET_CLAIMED],
        unlisted=slots - expected,
        **open_slots,
    )
    return Judgement(missing, suspect, tally)


def look_for_open(known: Knowledge, within: TimeRange) -> OpenSlots:
    """What `judge` finds open, without counting the rest."""
    listed = known.life.listed(within, known.interval)
    suspect = known.suspected & listed
    return OpenSlots(_without_traded(known, unanswered(listed - suspect, known.coverage)), suspect)


def quiet_ranges(known: Knowledge) -> dict[Verdict, RangeSet]:
    """Where a slot without a candle is quiet, by the best evidence; disjoint, best first.

    Confirmed is what an archive claims: the exchange's API and its ledger are one witness.
    """
    proven = RangeSet.union(ranges for kind, ranges in known.coverage.items() if kind.proven)
    claimed = RangeSet.union(ranges for kind, ranges in known.coverage.items() if not kind.proven)
    archived = (ranges for kind, ranges in known.coverage.items() if kind.source is Source.CSV and not kind.provisional)
    confirmed = (known.confirmed & RangeSet.union(archived)) - proven if known.confirmed else RangeSet()
    return {
        Verdict.QUIET_PROVEN: proven,
        Verdict.QUIET_CONFIRMED: confirmed,
        Verdict.QUIET_CLAIMED: claimed - proven - confirmed,
    }


def slot_verdicts(known: Knowledge, within: TimeRange) -> list[tuple[TimeRange, Verdict]]:
    """Runs of equal verdict that fill `within`, in order. For looking closely, not for counting."""
    runs: list[tuple[TimeRange, Verdict]] = []
    listed = known.life.listed(within, known.interval)
    suspect = known.suspected & listed
    rest = listed - suspect
    traded = _slots_of(known, rest)
    parts = {Verdict.UNLISTED: RangeSet([within]) - listed, Verdict.SUSPECT: suspect, Verdict.TRADED: traded}
    rest = rest - traded
    for verdict, ranges in quiet_ranges(known).items():
        parts[verdict] = rest & ranges
        rest = rest - ranges
    parts[Verdict.MISSING] = rest
    for verdict, ranges in parts.items():
        runs += [(r, verdict) for r in ranges]
    return sorted(runs)


def _traded(known: Knowledge, ranges: RangeSet) -> int:
    return sum(known.traded.count(r) for r in ranges)


def _slots_of(known: Knowledge, ranges: RangeSet) -> RangeSet:
    width = known.interval.delta
    return RangeSet(TimeRange(t, t + width) for r in ranges for t in known.traded.opens(r))


def _without_traded(known: Knowledge, ranges: RangeSet) -> RangeSet:
    """A stored candle answers its slot even where no coverage says so."""
    held = [r for r in ranges if known.traded.count(r)]
    return ranges - _slots_of(known, RangeSet(held)) if held else ranges
