"""Walks: what only the trades can tell, how many requests that takes, and which of it a run may spend them on. Pure.

One walk over a market's trades answers every width at once: its minutes are stored, the rest is derived from them.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from chandlery.candles.interval import Interval
from chandlery.candles.series import Series
from chandlery.candles.timerange import RangeSet, TimeRange
from chandlery.candles.verdict import Life
from chandlery.exchanges.kraken.api.trades import PAGE_ROWS

Price = Callable[[str, TimeRange], float | None]
"""How many trades of a market are to be expected in a range; None where nothing tells."""


@dataclass(frozen=True, slots=True)
class TradeWalk:
    """The minutes of a market that are to be rebuilt from its trades; `requests` it will take, None: nobody knows.

    `trades` are those expected.
    """

    series: Series
    ranges: RangeSet
    trades: float | None = None
    requests: int | None = None

    @property
    def market(self) -> str:
        return self.series.market


@dataclass(frozen=True, slots=True)
class Trail:
    """Whose trades can be walked, up to `until` (the newest closed minute), at what price.

    `budget`: requests that may be spent on it, None: any number. `walked`: what was walked already. `standing`: how far
    walks came that were interrupted; they are finished, whatever else could tell the rest. `lives`: when each market
    traded: of a coarse slot with its first trade, the minutes before that trade are not walked.
    """

    until: datetime
    markets: frozenset[str]
    price: Price
    budget: int | None = None
    walked: Mapping[str, RangeSet] = field(default_factory=dict)
    standing: Mapping[str, datetime] = field(default_factory=dict)
    lives: Mapping[str, Life] = field(default_factory=dict)

    def walks(
        self, left: Mapping[Series, RangeSet], asked: Mapping[Series, RangeSet], ends: Mapping[Series, datetime]
    ) -> list[TradeWalk]:
        """The walks over what would be `left` open. What a request would answer of a gap (`asked`) is walked with the
        rest of it; and where a gap reaches to the newest slot wanted (`ends`), the walk goes on to `until`.
        """
        if self.budget is not None and self.budget <= 0:
            return []
        wanted: dict[tuple[str, str], RangeSet] = defaultdict(RangeSet)
        for series, ranges in left.items():
            if series.market not in self.markets:
                continue
            standing = self.standing.get(series.market)
            for run in ranges | asked.get(series, RangeSet()):
                if not (ranges & RangeSet([run])) and (standing is None or standing not in run):
                    continue
                to_end = run.end >= ends[series] and self.until - run.end < series.interval.delta
                whole = TimeRange(run.start, max(run.end, self.until) if to_end else run.end)
                wanted[series.exchange, series.market] |= RangeSet([whole])
        found = []
        for (exchange, market), ranges in wanted.items():
            due = ranges - self.walked.get(market, RangeSet())
            if due.span is not None and (life := self.lives.get(market)):
                due = due - life.unlisted(due.span, Interval.M1)
            if due:
                found.append(self._priced(Series(exchange, market, Interval.M1), due))
        return self._affordable(found)

    def _priced(self, series: Series, ranges: RangeSet) -> TradeWalk:
        trades, requests = 0.0, 0
        for part in ranges:
            expected = self.price(series.market, part)
            if expected is None:
                return TradeWalk(series, ranges)
            trades += expected
            # At the newest minute two more pages say that there is nothing more, unless something is traded meanwhile.
            requests += 1 + int(expected // PAGE_ROWS) + (part.end >= self.until)
        return TradeWalk(series, ranges, trades, requests)

    def _affordable(self, walks: Iterable[TradeWalk]) -> list[TradeWalk]:
        """The cheapest first, as long as something is left to begin the next one with."""
        chosen: list[TradeWalk] = []
        left = self.budget
        for walk in sorted(walks, key=lambda w: (w.requests or 0, w.series)):
            if left is not None and left <= 0:
                break
            chosen.append(walk)
            left = left if left is None else left - max(1, walk.requests or 0)
        return chosen


def requests_of(walks: Iterable[TradeWalk]) -> int | None:
    """All of them together; None where one is unknown."""
    numbers = [walk.requests for walk in walks]
    return None if None in numbers else sum(number or 0 for number in numbers)
