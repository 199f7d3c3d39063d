"""One series: a market's candles of one interval."""

from dataclasses import dataclass

from chandlery.candles.interval import Interval


@dataclass(frozen=True, slots=True, order=True)
class Series:
    """The unit of coverage, gaps, files and completeness."""

    exchange: str
    market: str
    interval: Interval

    def __str__(self) -> str:
        return f"{self.market} {int(self.interval)}min"
