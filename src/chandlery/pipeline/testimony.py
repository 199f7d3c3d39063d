"""What other markets did in a time in which one was quiet, or its price stood still."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from chandlery.candles.audit.outage import MarketSilence, Witness
from chandlery.candles.audit.rows import moved
from chandlery.candles.audit.silence import TradeCounts
from chandlery.candles.evidence import settled
from chandlery.candles.interval import EPOCH, Interval
from chandlery.candles.resample import resample
from chandlery.candles.timerange import RangeSet, TimeRange
from chandlery.pipeline.knowledge import MarketFacts, series_of
from chandlery.stores.base import CandleStore

#: Slots that are read to both sides of a run: those that its pace is taken from, in the thinnest market judged.
AROUND = 340
#: Markets named that moved while another stood still.
MOST_NAMED = 3


@dataclass
class Testimony:
    """Asks every market that is stored. `everybody` tells of them all, and is called when that is wanted first.
    `contradicted`: slots that are no witness, for they are contradicted themselves, by market and interval.
    """

    store: CandleStore
    everybody: Callable[[], Mapping[str, MarketFacts]]
    contradicted: Mapping[tuple[str, Interval], RangeSet] = field(default_factory=dict)
    _counts: dict[tuple[str, Interval, Interval, TimeRange], TradeCounts] = field(default_factory=dict)

    def __call__(self, silent: MarketSilence) -> list[Witness]:
        """What was due in each other market, and what it traded."""
        interval, within = silent.silence.interval, silent.silence.range
        found: list[Witness] = []
        for name, facts, source in self._others(silent.market, interval, within):
            counts = self._around(facts, source, interval, within)
            pace = counts.pace_around(within)
            if pace is not None:
                due = pace * within.slots(interval)
                found.append(Witness(name, base_of(facts), due, counts.seen(within)))
        return found

    def movers(self, market: str, base: str, interval: Interval, within: TimeRange) -> list[str]:
        """Markets whose prices moved in it, those of the same base first; a few of them."""
        others = sorted(self._others(market, interval, within), key=lambda other: (base_of(other[1]) != base, other[0]))
        found: list[str] = []
        for name, facts, source in others:
            if moved(self.store.read(series_of(facts.market, source), within), within):
                found.append(name)
            if len(found) == MOST_NAMED:
                break
        return found

    def _others(
        self, market: str, interval: Interval, within: TimeRange
    ) -> Iterator[tuple[str, MarketFacts, Interval]]:
        """Markets that were answered for all of `within`, each with the interval that tells of it: its own, or the
        widest finer one.
        """
        for name, facts in self._known.items():
            if name == market:
                continue
            for source in (interval, *interval.finer()):
                covered = settled(facts.series[source].coverage)
                doubted = self.contradicted.get((name, source), RangeSet())
                if covered.covers(within) and not doubted & RangeSet([within]):
                    yield name, facts, source
                    break

    def _around(self, facts: MarketFacts, source: Interval, interval: Interval, within: TimeRange) -> TradeCounts:
        """Trades by slot of `interval`, of the run and what lies around it; runs that are near share what is read."""
        margin, width = AROUND * interval.delta, 2 * AROUND * interval.delta
        start = EPOCH + (within.start - margin - EPOCH) // width * width
        end = EPOCH - (EPOCH - within.end - margin) // width * width
        key = (facts.market.altname, source, interval, TimeRange(start, end))
        if key not in self._counts:
            candles = self.store.read(series_of(facts.market, source), TimeRange(start, end))
            if source != interval:
                candles = resample(candles, interval)
            self._counts[key] = TradeCounts.of(candles, interval)
        return self._counts[key]

    @cached_property
    def _known(self) -> Mapping[str, MarketFacts]:
        return self.everybody()


def base_of(facts: MarketFacts) -> str:
    """Its base's ticker; of an unclassified market, its name."""
    base = facts.market.base
    return base.ticker if base is not None else facts.market.altname
