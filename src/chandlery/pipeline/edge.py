"""The live edge: which open slots the exchange's API still tells, and what its answers will cover. Pure.

One answer is a whole window, so one request serves every gap of its series, and no series is asked twice in a run.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache

from chandlery.candles.evidence import Coverage, Evidence, Source, extended
from chandlery.candles.interval import Interval
from chandlery.candles.series import Series
from chandlery.candles.timerange import RangeSet, TimeRange
from chandlery.exchanges.kraken.window import PROVISIONAL_SLOTS, asked_as, ohlc_window

#: The same few for every market.
_window = lru_cache(maxsize=2 * len(Interval))(ohlc_window)


@dataclass(frozen=True, slots=True)
class Ask:
    """One request. `ranges` are the slots of `series` that are asked for: those nobody has settled."""

    series: Series
    ranges: RangeSet


@dataclass(frozen=True, slots=True)
class Edge:
    """Whom the exchange can be asked about at `now`: the markets it lists, and series that were not asked before."""

    now: datetime
    markets: frozenset[str]
    asked: frozenset[Series] = frozenset()

    def window(self, series: Series) -> TimeRange | None:
        """The slots of `series` that one answer can still tell; None where it will not be asked."""
        if series.market not in self.markets or self.source(series) in self.asked:
            return None
        return _window(series.interval, self.now)

    def source(self, series: Series) -> Series:
        """The series to ask for, so that `series` can be answered."""
        interval = asked_as(series.interval)
        return series if interval == series.interval else replace(series, interval=interval)

    def foretold(self, interval: Interval) -> Coverage:
        """What an answer at `now` will cover: all of its window, the newest slots provisionally."""
        window = _window(interval, self.now)
        newest = window.end - PROVISIONAL_SLOTS * interval.delta
        return {
            Evidence(Source.API): RangeSet([TimeRange(window.start, newest)]),
            Evidence(Source.API, provisional=True): RangeSet([TimeRange(newest, window.end)]),
        }

    def answered(self, coverage: Coverage, interval: Interval) -> Coverage:
        """`coverage` once an answer is in."""
        for kind, ranges in self.foretold(interval).items():
            coverage = extended(coverage, kind, ranges)
        return coverage
