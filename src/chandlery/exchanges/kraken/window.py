"""How far back Kraken's OHLC endpoint reaches, and when its archives appear."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from chandlery.candles.interval import Interval
from chandlery.candles.timerange import TimeRange

#: Committed candles in one answer, beside the forming one (Kraken REST reference, OHLC).
WINDOW_SLOTS = 720
#: Widths the endpoint offers of those we keep: 720 minutes is not among them (Kraken REST reference, OHLC).
OHLC_INTERVALS = frozenset(Interval) - {Interval.M720}
#: The newest closed slots, whose candles can still change (seen on the live endpoint; design, section 2.5).
PROVISIONAL_SLOTS = 3
#: A quarter's archive has come this long after its end (release dates of 2024 to 2026).
PUBLISHED_AFTER = (timedelta(weeks=4), timedelta(weeks=11))


def asked_as(interval: Interval) -> Interval:
    """The width to ask for: 720 minutes are made from 240, the widest one offered that divides them."""
    return interval if interval in OHLC_INTERVALS else next(i for i in interval.finer() if i in OHLC_INTERVALS)


def ohlc_window(interval: Interval, now: datetime) -> TimeRange:
    """The closed slots that one OHLC answer can tell at `now`; of a width that is not offered, those that can be made
    of one.
    """
    asked = asked_as(interval)
    end = asked.floor(now)
    window = TimeRange(end - WINDOW_SLOTS * asked.delta, end).aligned_inwards(interval)
    assert window is not None, "720 slots hold at least one of three times their width"
    return window


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
