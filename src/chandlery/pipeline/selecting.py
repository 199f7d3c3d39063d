"""What a person writes to say which series and dates, and the values it becomes. A wrong one is one line that says what
would be right.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.conf import settings

from chandlery.candles.interval import Interval
from chandlery.errors import UsageError
from chandlery.exchanges.base import Tier
from chandlery.exchanges.kraken.names import asset_ticker
from chandlery.pipeline.request import Selection

#: Nothing traded before, and nothing is planned after.
FIRST_YEAR, LAST_YEAR = 1970, 2099
DEFAULT_QUOTE = "USD"


class WrongDate(UsageError):
    """{option} {value!r} is not a day from 1970 to 2099; write it as YYYY-MM-DD, such as 2024-03-31"""


class EmptyDates(UsageError):
    """--start-date {start} is after --end-date {end}; both are inclusive days, the start comes first"""


class WrongTier(UsageError):
    """Tier {value!r} is not known; choose from TIER1, TIER2, TIER3, TIER4, ALL"""


class NoIntervals(UsageError):
    """{option} names none; choose from 1, 5, 15, 30, 60, 240, 720, 1440 (minutes), such as 60,1440"""


class NothingAsked(UsageError):
    """Say what you want: --tier TIER1 (or TIER2, TIER3, TIER4, ALL), --tiers TIER1,TIER2, or --markets XBTUSD,ETHUSD"""


class TiersAndMarkets(UsageError):
    """--tier and --markets are two ways to say what you want; use one of them"""


def selection_of(options: Mapping[str, Any]) -> Selection:
    """What these ask for: tier, tiers, markets, quotes, intervals, start_date, end_date. Raises UsageError."""
    tiers = tiers_named([*([options["tier"]] if options["tier"] else []), *names(options["tiers"])])
    markets = tuple(dict.fromkeys(names(options["markets"])))
    if tiers and markets:
        raise TiersAndMarkets
    if not tiers and not markets:
        raise NothingAsked
    start = day("--start-date", options["start_date"])
    end = day("--end-date", options["end_date"])
    if start is not None and end is not None and start > end:
        raise EmptyDates(start=f"{start:%F}", end=f"{end:%F}")
    intervals = intervals_named("--intervals", options["intervals"])
    quotes = [DEFAULT_QUOTE] if options["quotes"] is None else options["quotes"]
    return Selection(
        intervals=intervals,
        tiers=tiers,
        markets=markets,
        quotes=tuple(dict.fromkeys(asset_ticker(item.upper()) for item in names(quotes))),
        start=start,
        end=end + timedelta(days=1) if end is not None else None,
    )


def intervals_named(option: str, values: Sequence[object] | None) -> tuple[Interval, ...]:
    """What `option` names, the narrowest first; the setting's where it is not given. Raises NoIntervals,
    UnknownInterval.
    """
    named = settings.DEFAULT_INTERVALS if values is None else values
    intervals = tuple(sorted({Interval.parse(item) for item in names(named)}))
    if not intervals:
        raise NoIntervals(option=option)
    return intervals


def tiers_named(values: Iterable[str]) -> tuple[str, ...]:
    """TIER1 … TIER4 in order, whatever the case; ALL is all of them. Raises WrongTier."""
    found: set[str] = set()
    for value in values:
        if value.upper() == "ALL":
            found.update(tier.value for tier in Tier)
        elif value.upper() in Tier.__members__:
            found.add(value.upper())
        else:
            raise WrongTier(value=value)
    return tuple(sorted(found))


def day(option: str, value: str | None) -> datetime | None:
    """Midnight UTC of an ISO day. Raises WrongDate."""
    if value is None:
        return None
    try:
        found = datetime.combine(date.fromisoformat(value), time(), UTC)
    except ValueError:
        found = None
    if found is None or not FIRST_YEAR <= found.year <= LAST_YEAR:
        raise WrongDate(option=option, value=value)
    return found


def names(values: Iterable[object]) -> list[str]:
    """Both `60 1440` and `60,1440`."""
    return [item.strip() for value in values for item in str(value).split(",") if item.strip()]
