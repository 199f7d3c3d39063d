"""How far back Kraken's OHLC endpoint reaches, and when its archives appear."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from chandlery.candles.interval import Interval
from chandlery.candles.timerange import TimeRange

#: Committed candles in one answer, beside the forming one (Kraken REST reference, OHLC).
WINDOW_SLOTS = 720
#: Widths the endpoint offers of those we keep: 720 minutes is not among them (Kraken REST reference, OHLC).
OHLC_INTERVALS = frozenset(Interval) - {Interval.M720}
#: A quarter's archive has come this long after its end (release dates of 2024 to 2026).
PUBLISHED_AFTER = (timedelta(weeks=4), timedelta(weeks=11))


def ohlc_window(interval: Interval, now: datetime) -> TimeRange | None:
    """The closed slots that one OHLC answer can hold at `now`; None where the width is not offered."""
    if interval not in OHLC_INTERVALS:
        return None
    end = interval.floor(now)
    return TimeRange(end - WINDOW_SLOTS * interval.delta, end)


@dataclass(frozen=True, slots=True, order=True)
class Quarter:
    """A calendar quarter, UTC: the period of one archive."""

    year: int
    number: int

    @classmethod
    def of(cls, moment: datetime) -> "Quarter":
        return cls(moment.year, (moment.month + 2) // 3)

    @property
    def start(self) -> datetime:
        return datetime(self.year, 3 * self.number - 2, 1, tzinfo=UTC)

    @property
    def end(self) -> datetime:
        return self.next.start

    @property
    def next(self) -> "Quarter":
        return Quarter(self.year, self.number + 1) if self.number < 4 else Quarter(self.year + 1, 1)

    @property
    def archive(self) -> str:
        """The file Kraken publishes for it, in the newer naming style."""
        return f"Kraken_OHLCVT_{self}.zip"

    def __str__(self) -> str:
        return f"{self.year}Q{self.number}"


def quarters_of(within: TimeRange) -> list[Quarter]:
    """Every quarter that `within` touches, in order."""
    found = [Quarter.of(within.start)]
    while found[-1].end < within.end:
        found.append(found[-1].next)
    return found


def starts_quarter(moment: datetime) -> bool:
    return Quarter.of(moment).start == moment
