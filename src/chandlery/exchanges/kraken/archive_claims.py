"""What a file of an archive claims about time, by the rules of the truth model."""

from dataclasses import dataclass
from datetime import datetime

from chandlery.candles.evidence import Evidence, Source
from chandlery.candles.interval import Interval
from chandlery.candles.timerange import RangeSet, TimeRange
from chandlery.exchanges.kraken.window import starts_quarter

SETTLED = Evidence(Source.CSV)
PROVISIONAL = Evidence(Source.CSV, provisional=True)


@dataclass(frozen=True, slots=True)
class Period:
    """What a release covers: [start, end) in UTC; a complete one has no start, each market begins at its first row."""

    start: datetime | None
    end: datetime
    complete: bool


@dataclass(frozen=True, slots=True)
class Claim:
    """The ranges in which a file's silence means no trade. `provisional` is a last slot that may have been cut off."""

    settled: TimeRange | None
    provisional: TimeRange | None = None

    @property
    def answers(self) -> dict[Evidence, RangeSet]:
        parts = {SETTLED: self.settled, PROVISIONAL: self.provisional}
        return {kind: RangeSet([r]) for kind, r in parts.items() if r is not None}


def claim_of(period: Period | None, interval: Interval, first: datetime, last: datetime) -> Claim:
    """What a file with rows from slot `first` to slot `last` claims; `period` is its release's, None for a loose file.

    A release claims its period (a complete one from the first row on); a loose file its first row to its last. The last
    row of a loose file may have been cut in the middle of its slot, unless it ends a UTC quarter.
    """
    if period is not None:
        start = first if period.complete or period.start is None else period.start
        whole = TimeRange.maybe(start, period.end)
        return Claim(whole.aligned_inwards(interval) if whole else None)
    end = last + interval.delta
    if starts_quarter(end):
        return Claim(TimeRange(first, end))
    return Claim(TimeRange.maybe(first, last), TimeRange(last, end))
