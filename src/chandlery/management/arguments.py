"""The options that several commands share."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError

from django.conf import settings

from chandlery.config.surroundings import sources_of
from chandlery.pipeline.selecting import day, intervals_named, names, selection_of, tiers_named

__all__ = [
    "add_selection",
    "add_workers",
    "day",
    "intervals_named",
    "names",
    "requests_to_spend",
    "selection_of",
    "sources_of",
    "tiers_named",
]


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


def _processes(value: str) -> int:
    if not value.isdecimal() or int(value) < 1:
        raise ArgumentTypeError(f"{value!r} is no number of processes; give a whole number from 1 on")
    return int(value)


def requests_to_spend(value: str) -> int:
    """A whole number from 0 on."""
    if not value.isdecimal():
        raise ArgumentTypeError(f"{value!r} is no number of requests; give a whole number from 0 on")
    return int(value)
