"""What needs attention first, and the command that mends it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from chandlery.candles.interval import Interval
from chandlery.reporting.overview import OpenGroup, Overview, OverviewRow
from chandlery.reporting.wording import listed, plural, widths

#: More markets than these are named by their tier.
MOST_IN_COMMAND = 6
MOST_NAMES = 4


@dataclass(frozen=True, slots=True)
class Concern:
    """Something to do. `title` says what is open, `why` what that means, `command` what mends it."""

    title: str
    why: str
    command: str
    urgent: bool = False


_WHY = {
    "suspect": "What is stored is contradicted by a finding. It is made of finer candles, or rebuilt from trades.",
    "across": "Kraken's API forgets these slot by slot. What it has forgotten an archive tells, or a walk over trades.",
    "api": "Kraken's API still tells all of it.",
    "beyond": "Only an archive tells it, or a walk over trades: told with its price before it begins.",
    "unknown": "The API tells the newest 720 candles of each, an archive the rest.",
}
_COMPLETE = frozenset({"suspect", "across", "beyond"})


@dataclass(frozen=True, slots=True)
class Failed:
    """Work that failed: what, why the first of it did, and the job that goes on with it."""

    what: str
    why: str
    job: str


def concerns(overview: Overview, failed: Sequence[Failed], program: str, quotes: Sequence[str]) -> list[Concern]:
    """The most urgent first."""
    broken = [
        Concern(one.what, one.why, f"{program} ingest_kraken_unified --resume {one.job}", urgent=True) for one in failed
    ]
    found = [_of_group(group, program, quotes) for group in overview.groups]
    return [*broken, *found, *_unknown(overview.rows, program, quotes)]


def command(
    program: str, tier: str, markets: Sequence[str], intervals: Sequence[Interval], quotes: Sequence[str], *more: str
) -> str:
    """The command over these markets, or over the tier where there are too many to name."""
    if markets:
        what = ["--markets", ",".join(markets)]
    else:
        what = ["--tier", tier, *(["--quotes", ",".join(quotes)] if tuple(quotes) != ("USD",) else [])]
    wanted = ["--intervals", ",".join(str(int(interval)) for interval in intervals)]
    return f"{program} {shlex.join(['ingest_kraken_unified', *what, *wanted, *more])}"


def _of_group(group: OpenGroup, program: str, quotes: Sequence[str]) -> Concern:
    few = group.markets if group.number <= MOST_IN_COMMAND else ()
    gaps, candles = plural(group.gaps, "gap"), plural(group.candles, "candle")
    title = f"{group.tier}: {gaps} of {_markets(group.markets, group.number)} at {widths(group.intervals)} ({candles})"
    more = ["--complete"] if group.kind in _COMPLETE else []
    mend = command(program, group.tier, few, group.intervals, quotes, *more)
    return Concern(title, _WHY[group.kind], mend, urgent=group.kind in ("suspect", "across"))


def _unknown(rows: Sequence[OverviewRow], program: str, quotes: Sequence[str]) -> list[Concern]:
    found = []
    for tier in dict.fromkeys(row.tier for row in rows):
        mine = [row for row in rows if row.tier == tier and row.unknown]
        if mine:
            series = plural(sum(row.unknown for row in mine), "series", "series")
            intervals = tuple(row.interval for row in mine)
            title = f"{tier}: nothing stored yet of {series} at {widths(intervals)}"
            found.append(Concern(title, _WHY["unknown"], command(program, tier, (), intervals, quotes)))
    return found


def _markets(names: Sequence[str], number: int) -> str:
    if number <= MOST_NAMES:
        return listed(names, MOST_NAMES)
    return plural(number, "market")
