"""How often an audit suspects honest data: `python -m benchmarks.false_alarms`. Ends with 1 where it does.

Made-up markets of every pace, with bursts, thin hours and quiet weekends, listed and delisted, nothing of which is
lost: whatever is found is a false alarm. Silences are counted before other markets are asked about them, and frozen
prices before it is asked whether others moved, so these are more alarms than an audit tells.
"""

import argparse
import multiprocessing
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice

import numpy as np
import polars as pl

from chandlery.candles.audit.agreement import Held, disagreements
from chandlery.candles.audit.flaw import FlawKind
from chandlery.candles.audit.rows import frozen_runs, row_flaws
from chandlery.candles.audit.silence import IMPROBABLE, Silence, TradeCounts, improbable_silences
from chandlery.candles.interval import Interval
from chandlery.candles.timerange import RangeSet, TimeRange
from chandlery.sandbox.market import Book, SandboxMarket, counts, minute_of
from chandlery.sandbox.noise import key_of, uniform
from chandlery.sandbox.tape import TickCandles, blocks, minute_candles

YEARS = 200.0
#: As in the exchange's real history: young markets, old ones, and some that are gone.
SPAN = TimeRange(datetime(2019, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC))
_YEAR = timedelta(days=365.25)
_MINUTE = timedelta(minutes=1)
_DAY_MINUTES = 1440
#: Of these a year is too few rows to judge one by the others.
WIDE = (Interval.M60, Interval.M240, Interval.M720, Interval.M1440)

#: What markets are drawn from. Of the minutes trade, at an average pace:
SHARES = (0.02, 0.04, 0.08, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 0.92, 0.97)
#: About so many more trades in a minute that trades: few where few minutes trade.
DEPTHS = (0.3, 0.7, 1.0, 1.5, 2.0, 4.0)
#: Powers of the usual ups and downs. Nights of 4: the liveliest hour has 64 times the trades of the quietest.
NIGHTS = (0.0, 1.0, 1.0, 1.0, 2.0, 4.0)
WEEKENDS = (0.0, 1.0, 1.0, 3.0, 8.0)
BURSTS = (0.5, 1.0, 1.0, 1.5, 2.0)
#: Of markets, this share is delisted before the span ends.
GONE = 0.3
SHORTEST = timedelta(days=30)

#: Silences are looked for from here on, to see how far away from alarms honest data stays.
LEAST = 25.0
THRESHOLDS = (IMPROBABLE, 100.0, 75.0, 50.0, LEAST)
FLAWS = (
    FlawKind.INTERVALS_SHORT,
    FlawKind.INTERVALS_EXCESS,
    FlawKind.INTERVALS_VOLUME,
    FlawKind.INTERVALS_PRICES,
    FlawKind.LAST_SLOT_DROPPED,
    FlawKind.BAD_ROW,
    FlawKind.NO_TRADES,
    FlawKind.NO_VOLUME,
    FlawKind.PRICE_SPIKE,
    FlawKind.FROZEN_PRICE,
)


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that an audit says of honest data; `what` is a kind of flaw, or a silence."""

    market: SandboxMarket
    what: str
    interval: Interval
    range: TimeRange
    figures: str
    due: float = 0.0  # of a silence

    def __str__(self) -> str:
        m = self.market
        traits = (
            f"share {m.share}, depth {m.depth}, nights {m.nights}, weekends {m.weekends}, bursts {m.bursts}, "
            f"{m.listed:%Y-%m-%d} to {m.delisted or SPAN.end:%Y-%m-%d}"
        )
        when = f"{self.range.start:%Y-%m-%d %H:%M} to {self.range.end:%Y-%m-%d %H:%M}"
        return f"{self.what} at {int(self.interval)} min, {when}: {self.figures} ({m.altname}: {traits})"


@dataclass(frozen=True, slots=True)
class Audited:
    """One market's life, audited: years of it, rows (of all intervals), and what was said of them."""

    years: float
    rows: int
    alarms: tuple[Alarm, ...]


@dataclass(frozen=True, slots=True)
class Task:
    """Runs in a worker process."""

    market: SandboxMarket
    seed: int
    silences_only: bool


@dataclass(slots=True)
class Tally:
    """What was found in all."""

    markets: int = 0
    years: float = 0.0
    rows: int = 0
    alarms: list[Alarm] = field(default_factory=list)

    def add(self, audited: Audited) -> None:
        self.markets += 1
        self.years += audited.years
        self.rows += audited.rows
        self.alarms += audited.alarms

    @property
    def false(self) -> list[Alarm]:
        """What an audit would tell: every flaw, and silences that are improbable."""
        return [alarm for alarm in self.alarms if not alarm.due or alarm.due >= IMPROBABLE]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.false_alarms", description=(__doc__ or "").strip())
    parser.add_argument("--years", type=float, default=YEARS, metavar="N", help=f"market-years to audit ({YEARS:.0f})")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="another seed is other markets (1)")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="processes (2)")
    parser.add_argument("--silences", action="store_true", help="look for silences only, far quicker")
    asked = parser.parse_args(arguments)
    told = run(asked.years, asked.seed, asked.workers, silences_only=asked.silences)
    return 0 if told["targets_met"] else 1


def run(years: float = YEARS, seed: int = 1, workers: int = 2, *, silences_only: bool = False) -> dict[str, object]:
    """Audit so many market-years, print what was found and hand back the figures."""
    started = time.perf_counter()
    tally = Tally()
    tasks = [Task(market, seed, silences_only) for market in _markets(seed, years)]
    # Not by fork: a fork after polars has run hangs.
    with ProcessPoolExecutor(workers, multiprocessing.get_context("forkserver")) as executor:
        for audited in executor.map(audit, tasks):
            tally.add(audited)
    _print(tally, years, seed, workers, silences_only=silences_only, seconds=time.perf_counter() - started)
    return {
        "market_years": round(tally.years, 1),
        "markets": tally.markets,
        "false_alarms": len(tally.false),
        "most_due_in_a_silence": round(max((alarm.due for alarm in tally.alarms), default=0.0), 1),
        "targets_met": not tally.false,
    }


def _markets(seed: int, years: float) -> Iterator[SandboxMarket]:
    """Markets whose lives add up to so many years, the same for the same seed. No two have all the same traits."""
    total, number = 0.0, 0
    while total < years:
        market = _market(seed, number)
        yield market
        total += _life(market).length / _YEAR
        number += 1


def _market(seed: int, number: int) -> SandboxMarket:
    draws = iter(uniform(key_of(seed, "honest", number), np.arange(10)).tolist())
    listed_at, lived, is_gone, depth, nights, weekends, bursts, price = islice(draws, 8)
    share = SHARES[number % len(SHARES)]
    listed = SPAN.start + timedelta(minutes=int(listed_at * 0.6 * (SPAN.length / _MINUTE)))
    rest = SPAN.end - listed - SHORTEST
    life = SHORTEST + timedelta(minutes=int(lived * (rest / _MINUTE)))
    return SandboxMarket(
        f"M{number}USD",
        f"M{number}/USD",
        f"M{number}",
        "ZUSD",
        listed=listed,
        delisted=listed + life if is_gone < GONE else None,
        price=10.0 ** (price * 4),
        decimals=4,
        share=share,
        depth=_one_of(DEPTHS, depth) * (0.5 if share < 0.3 else 1.0 if share < 0.8 else 2.0),
        nights=_one_of(NIGHTS, nights),
        weekends=_one_of(WEEKENDS, weekends),
        bursts=_one_of(BURSTS, bursts),
    )


def _one_of(choice: Sequence[float], drawn: float) -> float:
    return choice[int(drawn * len(choice))]


def _life(market: SandboxMarket) -> TimeRange:
    return TimeRange(market.listed, market.delisted or SPAN.end)


def audit(task: Task) -> Audited:
    """The whole life of one market, at all eight intervals: everything that is said of it."""
    book, life = Book(task.market, task.seed), _life(task.market)
    alarms = list(_silences(book, life))
    rows = 0
    if not task.silences_only:
        # The rows of wide candles need more than a year around them.
        wide: dict[Interval, list[Held]] = {interval: [] for interval in WIDE}
        for year in range(life.start.year, (life.end - _MINUTE).year + 1):
            held = _held(book, life, year)
            rows += sum(one.candles.height for one in held.values())
            alarms += _disagreements(task.market, held, year)
            for interval, one in held.items():
                if interval in wide:
                    wide[interval].append(one)
                else:
                    alarms += _row_flaws(task.market, one, interval)
        for interval, years in wide.items():
            alarms += _row_flaws(task.market, _joined(years), interval)
    return Audited(life.length / _YEAR, rows, tuple(alarms))


def _silences(book: Book, life: TimeRange) -> Iterator[Alarm]:
    quiet = RangeSet([life])
    for series in trade_counts(book, life):
        for silence in improbable_silences(series, quiet, LEAST):
            yield _alarm(book.market, silence)


def _alarm(market: SandboxMarket, silence: Silence) -> Alarm:
    figures = f"{silence.slots} slots at a pace of {silence.pace:g}, {silence.due:.1f} due"
    return Alarm(market, "silence", silence.interval, silence.range, figures, silence.due)


def trade_counts(book: Book, life: TimeRange) -> Iterator[TradeCounts]:
    """The trades of each slot that traded, at each interval, without the candles: these need prices too."""
    start = minute_of(life.start) // _DAY_MINUTES * _DAY_MINUTES
    days = -(-(minute_of(life.end) - start) // _DAY_MINUTES)
    minutes = counts(book, start, start + days * _DAY_MINUTES)
    for interval in Interval:
        sums = minutes.reshape(-1, int(interval)).sum(axis=1)
        traded = np.flatnonzero(sums)
        yield TradeCounts(interval, traded + start // int(interval), sums[traded])


def _held(book: Book, life: TimeRange, year: int) -> dict[Interval, Held]:
    """What a store would hold of one year: every candle, and every slot answered for."""
    days = TimeRange(Interval.M1440.floor(life.start), Interval.M1440.ceil(life.end))
    of_year = TimeRange(datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC))
    (within,) = RangeSet([days]) & RangeSet([of_year])
    pieces: dict[Interval, list[TickCandles]] = {interval: [] for interval in Interval}
    for low, high in blocks(book, minute_of(within.start), minute_of(within.end)):
        candles = minute_candles(book, low, high)
        for interval in Interval:
            candles = candles.coarser(interval)
            pieces[interval].append(candles)
    covered = RangeSet([within])
    return {interval: Held(TickCandles.joined(found).frame(book.market), covered) for interval, found in pieces.items()}


def _joined(years: Sequence[Held]) -> Held:
    covered = RangeSet([within for one in years for within in one.covered])
    return Held(pl.concat([one.candles for one in years]), covered)


def _disagreements(market: SandboxMarket, held: Mapping[Interval, Held], year: int) -> Iterator[Alarm]:
    for flaw in disagreements(held, _quarter_ends(year)):
        yield Alarm(market, flaw.kind, flaw.interval, flaw.range, str(dict(flaw.evidence)))


def _row_flaws(market: SandboxMarket, held: Held, interval: Interval) -> Iterator[Alarm]:
    for flaw in row_flaws(held.candles, interval):
        yield Alarm(market, flaw.kind, flaw.interval, flaw.range, str(dict(flaw.evidence)))
    for frozen in frozen_runs(held.candles, interval):
        figures = f"{frozen.candles} candles at {frozen.price}"
        yield Alarm(market, FlawKind.FROZEN_PRICE, frozen.interval, frozen.range, figures)


def _quarter_ends(year: int) -> list[datetime]:
    """Where archives end: the last slots before them are looked at more closely."""
    return [datetime(year, month, 1, tzinfo=UTC) for month in (4, 7, 10)] + [datetime(year + 1, 1, 1, tzinfo=UTC)]


def _print(tally: Tally, years: float, seed: int, workers: int, *, silences_only: bool, seconds: float) -> None:
    only = " --silences" if silences_only else ""
    print(f"python -m benchmarks.false_alarms --years {years:g} --seed {seed} --workers {workers}{only}")
    print(
        f"{tally.markets} honest markets, {tally.years:,.1f} market-years"
        + ("" if silences_only else f", {tally.rows:,} candles at eight intervals")
        + f", in {seconds:.0f} s on {min(workers, os.cpu_count() or 1)} cores"
    )
    print(f"{'alarms':32}" + "".join(f"{int(interval):>7}" for interval in Interval) + f"{'all':>8}{'a year':>9}")
    for least in THRESHOLDS:
        _print_row(f"silence, {least:g} trades due or more", [a for a in tally.alarms if a.due >= least], tally.years)
    if not silences_only:
        for kind in FLAWS:
            _print_row(kind, [alarm for alarm in tally.alarms if alarm.what == kind], tally.years)
    silences = [alarm for alarm in tally.alarms if alarm.due]
    if silences:
        print(f"nearest to an alarm: {max(silences, key=lambda alarm: alarm.due)}")
    for alarm in tally.false:
        print(f"false: {alarm}")
    print(f"false alarms: {len(tally.false)} in {tally.years:,.1f} market-years")


def _print_row(name: str, alarms: Sequence[Alarm], years: float) -> None:
    by_interval = Counter(alarm.interval for alarm in alarms)
    row = "".join(f"{by_interval[interval]:>7}" for interval in Interval)
    print(f"{name:32}{row}{len(alarms):>8}{len(alarms) / years:>9.4f}")


if __name__ == "__main__":
    sys.exit(main())
