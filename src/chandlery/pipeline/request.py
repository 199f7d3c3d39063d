"""What a user asks for, as values."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from chandlery.candles.interval import Interval
from chandlery.candles.timerange import TimeRange
from chandlery.exchanges.kraken.api.settings import ApiSettings

#: Requests for trades that a run may make where nobody says otherwise: an hour, at one a second.
TRADE_BUDGET = 3_600

Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Selection:
    """Which series and dates. Tiers are narrowed by `quotes`; named markets are not. Dates: [start, end) UTC, None =
    open.
    """

    intervals: tuple[Interval, ...]
    tiers: tuple[str, ...] = ()
    markets: tuple[str, ...] = ()
    quotes: tuple[str, ...] = ("USD",)
    start: datetime | None = None
    end: datetime | None = None

    @property
    def title(self) -> str:
        """TIER1, or TIER1+TIER2, or the markets."""
        return "+".join(self.tiers) if self.tiers else ", ".join(self.markets)

    def wanted(self, interval: Interval, first: datetime | None, now: datetime) -> TimeRange | None:
        """The closed slots asked for, of a market whose history begins at `first`; None where nobody knows when.

        Without a start date it begins at `first`; without an end date it ends with the last closed slot. Of a market
        whose history begins later than that, it is the last slot: nothing but its verdict can be told.
        """
        start = self.start if self.start is not None else first
        if start is None:
            return None
        end = interval.floor(now if self.end is None else min(self.end, now))
        return TimeRange(min(interval.floor(start), end - interval.delta), end)


@dataclass(frozen=True, slots=True)
class IngestRequest:
    """One run of the main command."""

    selection: Selection
    sources: tuple[Path, ...]
    #: Whether somebody named them, or they are the default.
    sources_named: bool = True
    complete: bool = False
    stop_on_error: bool = False
    api_backfill: bool = True
    auto_gap_fill: bool = True
    incremental: bool = False
    #: Requests that may be spent on walks over trades; None: any number.
    trade_budget: int | None = TRADE_BUDGET
    workers: int = 2


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a run stands in: the store, the folder that relative paths start from, the clock, and how the exchange is
    asked. The store's URL may hold a password.
    """

    store_url: str = field(repr=False)
    home: Path
    clock: Clock
    #: The time of day by which leases are held, whatever `clock` says: other hosts compare it with theirs.
    time_of_day: Clock = lambda: datetime.now(UTC)
    api: ApiSettings = field(default_factory=ApiSettings)
