"""Candle widths in minutes, and the UTC grid each of them spans."""

from datetime import UTC, datetime, timedelta
from enum import IntEnum

from chandlery.errors import UsageError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class UnknownInterval(UsageError):
    """Interval {value!r} is not known; choose from 1, 5, 15, 30, 60, 240, 720, 1440 (minutes)."""


class Interval(IntEnum):
    """The width of a candle in minutes. Its slots start at multiples of the width since the Unix epoch, UTC."""

    M1 = 1
    M5 = 5
    M15 = 15
    M30 = 30
    M60 = 60
    M240 = 240
    M720 = 720
    M1440 = 1440

    @classmethod
    def parse(cls, value: str | int) -> "Interval":
        """The interval of so many minutes. Raises UnknownInterval."""
        try:
            return cls(int(value))
        except ValueError:
            raise UnknownInterval(value=value) from None

    @property
    def delta(self) -> timedelta:
        return timedelta(minutes=int(self))

    @property
    def seconds(self) -> int:
        return int(self) * 60

    @property
    def label(self) -> str:
        """The usual English name: "Hourly"."""
        return _LABELS[self]

    def floor(self, moment: datetime) -> datetime:
        """The open of the slot that holds `moment`."""
        return moment - (moment - EPOCH) % self.delta

    def ceil(self, moment: datetime) -> datetime:
        """The first slot open at or after `moment`."""
        floor = self.floor(moment)
        return floor if floor == moment else floor + self.delta

    def finer(self) -> tuple["Interval", ...]:
        """Every narrower interval that divides this one, widest first."""
        return tuple(sorted((i for i in Interval if i < self and self % i == 0), reverse=True))


_LABELS = {
    Interval.M1: "Minutely",
    Interval.M5: "5-minute",
    Interval.M15: "15-minute",
    Interval.M30: "30-minute",
    Interval.M60: "Hourly",
    Interval.M240: "4-hourly",
    Interval.M720: "12-hourly",
    Interval.M1440: "Daily",
}
