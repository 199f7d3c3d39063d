"""Small values for tests of silences: series with holes, the rule in slow and obvious Python, a venue that is asked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from statistics import quantiles

import numpy as np
import polars as pl

from chandlery.candles.audit.outage import MarketSilence, Witness
from chandlery.candles.audit.silence import IMPROBABLE, Silence, TradeCounts, improbable_silences
from chandlery.candles.frame import CANDLE_SCHEMA, TIMESTAMP
from chandlery.candles.interval import EPOCH, Interval
from chandlery.candles.timerange import RangeSet, TimeRange
from tests.candles.builders import between

#: Enough for seven weeks on both sides of early March.
SPAN = between("2024-01-01", "2024-05-01")


def numbers(within: TimeRange, interval: Interval) -> range:
    """The slots that open in `within`, which lies on the grid."""
    return range((within.start - EPOCH) // interval.delta, (within.end - EPOCH) // interval.delta)


def counted(trades: Mapping[int, int], interval: Interval) -> TradeCounts:
    """So many trades in each of these slots."""
    slots = sorted(trades)
    return TradeCounts(interval, np.array(slots, dtype=np.int64), np.array([trades[s] for s in slots], dtype=np.int64))


def steady(
    interval: Interval, *quiet: TimeRange, trades: int = 100, low: int = 0, span: TimeRange = SPAN
) -> TradeCounts:
    """As many trades in every slot of `span`, but `low` of them in the slots that lie in `quiet` (0: no candle)."""
    silenced = {slot for one in quiet for slot in numbers(one, interval)}
    counts = {slot: low if slot in silenced else trades for slot in numbers(span, interval)}
    return counted({slot: count for slot, count in counts.items() if count}, interval)


def whole(counts: TradeCounts) -> RangeSet:
    """From the first candle to the end of the last."""
    delta = counts.interval.delta
    return RangeSet([TimeRange(EPOCH + int(counts.slots[0]) * delta, EPOCH + (int(counts.slots[-1]) + 1) * delta)])


def found(counts: TradeCounts, quiet: RangeSet | None = None, least: float = IMPROBABLE) -> list[TimeRange]:
    return [one.range for one in improbable_silences(counts, whole(counts) if quiet is None else quiet, least)]


def real_counts(shared_data: Path, name: str) -> TradeCounts:
    """Of a real file, such as XBTUSD_60."""
    rows = pl.read_csv(shared_data / "kraken" / f"{name}.csv", has_header=False, new_columns=list(CANDLE_SCHEMA))
    candles = rows.with_columns((pl.col("timestamp") * 1_000_000).cast(TIMESTAMP))
    return TradeCounts.of(candles, Interval.parse(name.rpartition("_")[2]))


# ------------------------------------------------------------------------------------------------ the rule, slowly


def slowly(counts: TradeCounts, quiet: RangeSet, least: float) -> list[Silence]:
    """What `improbable_silences` finds, slot by slot."""
    traded = dict(zip(counts.slots.tolist(), counts.trades.tolist(), strict=True))
    silences = []
    for one in quiet.aligned_inwards(counts.interval):
        for run in _runs([slot for slot in numbers(one, counts.interval) if slot not in traded]):
            pace = _pace(traded, run)
            if pace is not None and len(run) * pace >= least and _is_busy_by_the_clock(traded, run, counts.interval):
                start, end = (EPOCH + slot * counts.interval.delta for slot in (run[0], run[-1] + 1))
                silences.append(Silence(counts.interval, TimeRange(start, end), pace))
    return silences


def _runs(slots: Iterable[int]) -> list[list[int]]:
    runs: list[list[int]] = []
    for slot in slots:
        if not runs or slot != runs[-1][-1] + 1:
            runs.append([])
        runs[-1].append(slot)
    return runs


def _pace(traded: Mapping[int, int], run: Sequence[int]) -> float | None:
    before = sorted(slot for slot in traded if slot < run[0])[:-1][-168:]
    after = sorted(slot for slot in traded if slot > run[-1])[1:][:168]
    for side in (before, after):
        if len(side) < 24 or side[-1] - side[0] + 1 > 2 * len(side):
            return None
    return min(quantiles([traded[slot] for slot in side], n=10, method="inclusive")[0] for side in (before, after))


def _is_busy_by_the_clock(traded: Mapping[int, int], run: Sequence[int], interval: Interval) -> bool:
    step = 7 if interval == Interval.M1440 else 1440 // interval
    shifted = [slot + way * times * step for slot in run for times in range(1, 8) for way in (-1, 1)]
    outside = [slot for slot in shifted if not run[0] <= slot <= run[-1]]
    return Fraction(sum(slot in traded for slot in outside), len(outside)) >= Fraction(10, 14)


# --------------------------------------------------------------------------------------------- a venue that is asked


@dataclass
class Venue:
    """Markets by name (base and quote of 3 letters), their stored series, and what somebody asked about."""

    markets: dict[str, list[TradeCounts]]
    asked: list[MarketSilence] = field(default_factory=list)

    @property
    def silences(self) -> list[MarketSilence]:
        """Every improbable one."""
        return [
            MarketSilence(market, market[:3], silence)
            for market, series in self.markets.items()
            for counts in series
            for silence in improbable_silences(counts, RangeSet([SPAN]))
        ]

    def testimony(self, one: MarketSilence) -> list[Witness]:
        self.asked.append(one)
        return [
            Witness(market, market[:3], pace * one.silence.slots, counts.seen(one.silence.range))
            for market, series in self.markets.items()
            for counts in series
            if market != one.market and counts.interval == one.silence.interval
            if (pace := counts.pace_around(one.silence.range)) is not None
        ]
