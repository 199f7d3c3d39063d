"""How candles are asked for: names, times and ways to fill, and the values they become."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Literal

from chandlery.candles.interval import Interval
from chandlery.candles.timerange import TimeRange
from chandlery.errors import UsageError

Moment = str | date | datetime | None
Fill = Literal["flat"] | None
Frame = Literal["polars", "pandas"]
FIRST_YEAR, LAST_YEAR = 1970, 2099


class WrongMoment(UsageError):
    """{name} {value!r} is no time from 1970 to 2099; write it as 2024-03-31 or 2024-03-31T12:00:00Z"""


class NothingBetween(UsageError):
    """start {start} is not before end {end}; the range is half-open, [start, end)"""


class WrongFill(UsageError):
    """fill {value!r} is no way to fill; give "flat", or leave it out"""


class WrongFrame(UsageError):
    """frame {value!r} is not known; choose from "polars", "pandas" """


class NoPandas(UsageError):
    """frame "pandas" takes pandas, which is not installed: pip install pandas"""


@dataclass(frozen=True, slots=True)
class Asked:
    """What of a series is wanted: [start, end), None where that is for state to say."""

    interval: Interval
    start: datetime | None
    end: datetime | None
    fill: bool
    verdicts: bool

    @classmethod
    def of(cls, interval: int | str, start: Moment, end: Moment, fill: Fill, verdicts: bool) -> Asked:
        """Raises UnknownInterval, WrongMoment, NothingBetween, WrongFill."""
        if fill not in (None, "flat"):
            raise WrongFill(value=fill)
        width = Interval.parse(interval)
        first, last = moment("start", start), moment("end", end)
        if first is not None and last is not None and last <= first:
            raise NothingBetween(start=start, end=end)
        return cls(width, first, last, fill is not None, verdicts)

    def within(self, start: datetime, now: datetime) -> TimeRange | None:
        """The closed slots that open in [start, end); None where there is none."""
        end = self.interval.ceil(self.end) if self.end is not None else self.interval.floor(now)
        return TimeRange.maybe(self.interval.ceil(start), min(end, self.interval.floor(now)))


def moment(name: str, value: Moment) -> datetime | None:
    """In UTC, to which a time without a zone belongs too; a day is its midnight. Raises WrongMoment."""
    if value is None:
        return None
    found = _parsed(value)
    if found is None or not FIRST_YEAR <= found.year <= LAST_YEAR:
        raise WrongMoment(name=name, value=str(value))
    return found


def _parsed(value: str | date) -> datetime | None:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            return None
    if not isinstance(value, datetime):
        value = datetime.combine(value, time())
    if value.tzinfo is None:
        return value.replace(tzinfo=UTC)
    try:
        return value.astimezone(UTC)
    except OverflowError:
        return None
