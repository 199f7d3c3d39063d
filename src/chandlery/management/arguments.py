"""The options that several commands share, and the values they become. A wrong one is one line that says what would
be right.
"""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
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


def add_selection(parser: ArgumentParser, intervals: str = "") -> None:
    """--tier --tiers --markets --quotes --intervals --start-date --end-date. `intervals`: what is meant without
    --intervals, where that is not the setting's.
    """
    parser.add_argument("--tier", metavar="TIER", help="TIER1 … TIER4, or ALL")
    parser.add_argument("--tiers", nargs="+", default=[], metavar="TIER", help="several tiers: TIER1,TIER2")
    parser.add_argument(
        "--markets",
        nargs="+",
        default=[],
        metavar="NAME",
        help="markets by name: XBTUSD,ETHUSD or BTC/USD",
    )
    parser.add_argument(
        "--quotes",
        nargs="+",
        default=None,
        metavar="ASSET",
        help="quote assets of a tier's markets (default: USD)",
    )
    default = intervals or ",".join(str(i) for i in settings.DEFAULT_INTERVALS)
    parser.add_argument(
        "--intervals",
        nargs="+",
        default=None,
        metavar="MINUTES",
        help=f"candle widths in minutes (default: {default})",
    )
    parser.add_argument(
        "--start-date",
        metavar="YYYY-MM-DD",
        help="first day, UTC (default: each market's first trade)",
    )
    parser.add_argument(
        "--end-date",
        metavar="YYYY-MM-DD",
        help="last day, UTC, inclusive (default: the last closed slot)",
    )


def add_workers(parser: ArgumentParser) -> None:
    """--workers."""
    parser.add_argument(
        "--workers",
        type=_processes,
        default=settings.WORKERS,
        metavar="N",
        help=f"processes that read files (default: {settings.WORKERS})",
    )


def selection_of(options: dict[str, Any]) -> Selection:
    """What the options of `add_selection` ask for. Raises UsageError."""
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


def sources_of(named: Sequence[str]) -> tuple[Path, ...]:
    """The sources named, or else the archive folder of the settings, if it is there."""
    if named:
        return tuple(Path(item) for item in named)
    folder: Path | None = settings.ARCHIVE_DIR
    return (folder,) if folder is not None and folder.exists() else ()


def names(values: Iterable[object]) -> list[str]:
    """Both `60 1440` and `60,1440`."""
    return [item.strip() for value in values for item in str(value).split(",") if item.strip()]


def _processes(value: str) -> int:
    if not value.isdecimal() or int(value) < 1:
        raise ArgumentTypeError(f"{value!r} is no number of processes; give a whole number from 1 on")
    return int(value)


def requests_to_spend(value: str) -> int:
    """A whole number from 0 on."""
    if not value.isdecimal():
        raise ArgumentTypeError(f"{value!r} is no number of requests; give a whole number from 0 on")
    return int(value)
