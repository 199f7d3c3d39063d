"""What every candle store promises."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from types import TracebackType
from typing import Protocol, Self, runtime_checkable

import numpy as np
import numpy.typing as npt
import polars as pl

from chandlery.candles.evidence import Origin
from chandlery.candles.series import Series
from chandlery.candles.timerange import TimeRange
from chandlery.errors import ChandleryError

#: The columns that say what a stored candle was made from, beside the candle's own.
ORIGIN_COLUMNS = ("source", "derived", "provisional", "release")


class StoreUnavailable(ChandleryError):
    """The candle store cannot be used: {reason}"""

    # Not the fault of one file or answer: whoever meets it goes on with nothing.


@dataclass(frozen=True, slots=True)
class DayCounts:
    """Traded slots a UTC day: `counts[i]` (uint16) belongs to `first_day` + i days."""

    first_day: date
    counts: npt.NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class Written:
    """What a write did. `days` tells the traded slots of every day of every partition it touched, as they are now.

    inserted: slots that held nothing; replaced: stored values that changed; unchanged: answers equal to what was
    stored; conflicting: settled answers that differ from a stored, settled one beyond tolerance, whichever of the two
    was kept; removed: stored candles of cleared ranges that were not among the answers.

    Every day that was cleared is told too, also where nothing is (or was) stored: whoever repeats a write because its
    outcome was never recorded learns from `days` alone what to record.
    """

    inserted: int = 0
    replaced: int = 0
    unchanged: int = 0
    conflicting: int = 0
    first_conflict: datetime | None = None
    days: tuple[DayCounts, ...] = ()
    removed: int = 0
    first_removed: datetime | None = None


class CandleWriter(Protocol):
    """Candles of one series on their way into a store. Nothing is seen by readers before `commit`."""

    def append(self, candles: pl.DataFrame, origin: Origin) -> None:
        """Hand over candles (CANDLE_SCHEMA, sorted), all later than any appended before."""

    def clear(self, within: TimeRange) -> None:
        """What is appended, before or after, is all there is in `within` (whole slots): at the commit stored candles
        of other slots there are removed, whatever they were made from.
        """

    def commit(self) -> Written:
        """Make everything durable and visible; then tell what it did."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Without a commit, leave no trace."""


class CandleStore(Protocol):
    """Where candles live. An upsert by slot that respects the strength of the source (design, section 3)."""

    #: What it is called where people see it: never with a password.
    url: str

    def identity(self) -> str | None:
        """The id this store was given when it was created; None where there is no store (or an emptied one)."""

    def create(self) -> str:
        """Make the store if it is not there; its id."""

    def writer(self, series: Series) -> CandleWriter: ...

    def write(self, series: Series, candles: pl.DataFrame, origin: Origin) -> Written:
        """Idempotent upsert; durable when it returns."""

    def read(self, series: Series, within: TimeRange | None = None, *, origin: bool = False) -> pl.DataFrame:
        """Candles of `series` whose slot opens in `within` (all, if None), sorted; with ORIGIN_COLUMNS if asked."""

    def count(self, series: Series, within: TimeRange | None = None) -> int: ...

    def slots(self, series: Series, within: TimeRange | None = None) -> pl.Series:
        """The opens of the stored candles: sorted UTC timestamps."""

    def span(self, series: Series) -> TimeRange | None:
        """From the first stored slot's open to the last one's end."""

    def day_counts(self, series: Series) -> DayCounts | None:
        """Traded slots of every day from the first stored one to the last; None where nothing is stored."""

    def series(self) -> Iterator[Series]:
        """Every series that holds at least one candle."""


@runtime_checkable
class Probed(Protocol):
    """A store that can tell whether it could be written to, without writing."""

    def probe(self) -> None:
        """Raises a ChandleryError, with what to do, where a write would fail. A store that is not there yet would be
        made.
        """
