"""Defects planted at random in an archive, and what an audit has to say of each."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

import polars as pl

from chandlery.candles.interval import Interval
from chandlery.candles.series import Series
from chandlery.candles.timerange import TimeRange
from chandlery.models import FindingKind
from chandlery.sandbox.defects import (
    CorruptCell,
    Defect,
    FrozenPrice,
    MissingDay,
    MissingLastSlot,
    MissingSlots,
    Spike,
)
from chandlery.sandbox.exchange import SandboxExchange
from tests.acceptance.walked import market
from tests.candles.builders import at

#: Busy enough to be missed, and over three bases.
CAST = tuple(
    replace(market(name, "2024-01-08 10:07", share), depth=3.0, decimals=4)
    for name, share in (("XBTUSD", 0.95), ("ETHUSD", 0.93), ("XBTEUR", 0.92), ("SOLUSD", 0.9))
)
END = at("2024-04-01")
#: Days with as many before and behind them as tell what is usual of a day, and far enough from each other.
DAYS = [date(2024, 2, 7) + 3 * i * timedelta(days=1) for i in range(10)]
EVERY = tuple(Interval)


@dataclass(frozen=True, slots=True)
class Expected:
    """A finding that must be there: it holds `lost`, and nothing outside of `within`."""

    market: str
    interval: Interval
    kind: FindingKind
    lost: TimeRange
    within: TimeRange

    def is_told_by(self, market: str, interval: Interval, kind: FindingKind, told: TimeRange) -> bool:
        same = (market, interval, kind) == (self.market, self.interval, self.kind)
        return same and told.contains(self.lost) and self.within.contains(told)


@dataclass
class Planted:
    """An exchange and what its archive has suffered."""

    exchange: SandboxExchange
    defects: list[Defect] = field(default_factory=list)
    expected: list[Expected] = field(default_factory=list)
    outages: list[TimeRange] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a defect is planted. `dice` decides what else is left to chance."""

    exchange: SandboxExchange
    market: str
    day: date
    dice: random.Random

    @property
    def whole_day(self) -> TimeRange:
        start = datetime(self.day.year, self.day.month, self.day.day, tzinfo=UTC)
        return TimeRange(start, start + timedelta(days=1))

    def traded(self, interval: Interval, within: TimeRange) -> TimeRange:
        """From the first slot to the end of the last that traded in it."""
        opens = self.truth(interval, within)["timestamp"]
        first, last = (time.replace(tzinfo=UTC) for time in (opens[0], opens[-1]))
        return TimeRange(first, last + interval.delta)

    def truth(self, interval: Interval, within: TimeRange) -> pl.DataFrame:
        return self.exchange.truth(Series("kraken", self.market, interval), within)

    def expect(
        self, interval: Interval, kind: FindingKind, within: TimeRange, most: TimeRange | None = None
    ) -> Expected:
        """Something wrong with what traded in `within`; `most`: where it cannot be told from what lies around it."""
        return Expected(self.market, interval, kind, self.traded(interval, within), most or within)


Plant = Callable[[Place, Planted], None]


def day_at_one_interval(place: Place, to: Planted) -> None:
    interval = place.dice.choice(EVERY)
    to.defects.append(MissingDay(place.day, place.market, interval))
    to.expected.append(place.expect(interval, FindingKind.INTERVALS_SHORT, place.whole_day))


def hours_that_wider_candles_hold(place: Place, to: Planted) -> None:
    start = place.whole_day.start + timedelta(hours=4)
    within = TimeRange(start, start + timedelta(hours=4))
    to.defects.append(MissingSlots(within, place.market))
    half_day = TimeRange(place.whole_day.start, place.whole_day.start + timedelta(hours=12))
    for interval in EVERY:
        if interval <= Interval.M240:
            to.expected.append(place.expect(interval, FindingKind.INTERVALS_SHORT, within, half_day))


def day_at_every_interval(place: Place, to: Planted) -> None:
    to.defects.append(MissingDay(place.day, place.market))
    for interval in EVERY:
        # Quiet slots beside it belong to the silence.
        edge = max(timedelta(minutes=10), 2 * min(interval.delta, timedelta(hours=1)))
        around = TimeRange(place.whole_day.start - edge, place.whole_day.end + edge)
        to.expected.append(place.expect(interval, FindingKind.IMPROBABLE_SILENCE, place.whole_day, around))


def end_of_the_quarter(place: Place, to: Planted) -> None:
    to.defects.append(MissingLastSlot(place.market))
    for interval in EVERY:
        last = TimeRange(END - interval.delta, END)
        is_told = any(place.truth(finer, TimeRange(last.start, END - finer.delta)).height for finer in interval.finer())
        kind = FindingKind.INTERVALS_SHORT if is_told else FindingKind.LAST_SLOT_DROPPED
        to.expected.append(Expected(place.market, interval, kind, last, last))


def spike_everywhere(place: Place, to: Planted) -> None:
    minute = _traded_minute(place)
    to.defects.append(Spike(minute, place.dice.choice((3.0, 2.0, 0.3)), place.market))
    for interval in EVERY:
        to.expected.append(_slot(place, interval, FindingKind.PRICE_SPIKE, minute))


def spike_at_one_interval(place: Place, to: Planted) -> None:
    interval = place.dice.choice(EVERY)
    minute = _traded_minute(place)
    factor = place.dice.choice((3.0, 1.2, 0.8))
    to.defects.append(Spike(minute, factor, place.market, interval))
    # Which of the minutes it was the next wider candle cannot tell.
    told_by = Interval.M5 if interval is Interval.M1 else interval
    to.expected.append(_slot(place, interval, FindingKind.INTERVALS_PRICES, minute, told_by))
    if factor == 3.0:
        to.expected.append(_slot(place, interval, FindingKind.PRICE_SPIKE, minute))


def frozen_everywhere(place: Place, to: Planted) -> None:
    within = TimeRange(place.whole_day.start + timedelta(hours=8), place.whole_day.start + timedelta(hours=20))
    to.defects.append(FrozenPrice(within, place.market))
    for interval in EVERY:
        if place.truth(interval, within).height >= 12 and interval <= Interval.M60:
            to.expected.append(place.expect(interval, FindingKind.FROZEN_PRICE, within, _or_before(within, interval)))


def frozen_at_one_interval(place: Place, to: Planted) -> None:
    interval = place.dice.choice([one for one in EVERY if one <= Interval.M60])
    within = TimeRange(place.whole_day.start + timedelta(hours=8), place.whole_day.start + timedelta(hours=20))
    to.defects.append(FrozenPrice(within, place.market, interval))
    to.expected.append(place.expect(interval, FindingKind.INTERVALS_PRICES, within))
    to.expected.append(place.expect(interval, FindingKind.FROZEN_PRICE, within, _or_before(within, interval)))


def volume_of_one_candle(place: Place, to: Planted) -> None:
    interval = place.dice.choice(EVERY[1:])
    candles = place.truth(interval, TimeRange(at("2024-01-08"), END))
    opens = candles["timestamp"].to_list()
    slot = interval.floor(_traded_minute(place))
    row = opens.index(slot)
    volume = candles["volume"][row] * 1.5
    to.defects.append(CorruptCell(row + 1, "volume", f"{volume:.8f}", place.market, interval))
    to.expected.append(_slot(place, interval, FindingKind.INTERVALS_VOLUME, slot))


def outage(place: Place, to: Planted) -> None:
    start = place.whole_day.start + timedelta(minutes=place.dice.randrange(0, 720))
    to.outages.append(TimeRange(start, start + timedelta(hours=place.dice.choice((5, 9)))))


PLANTS: Mapping[str, Plant] = {
    plant.__name__: plant
    for plant in (
        day_at_one_interval,
        hours_that_wider_candles_hold,
        day_at_every_interval,
        end_of_the_quarter,
        spike_everywhere,
        spike_at_one_interval,
        frozen_everywhere,
        frozen_at_one_interval,
        volume_of_one_candle,
        outage,
    )
}


def plant(seed: int) -> Planted:
    """Of the first seeds each plants one kind of defect, of the others some or all of them."""
    dice = random.Random(seed)
    names = list(PLANTS)
    chosen = [names[seed]] if seed < len(names) else dice.sample(names, dice.randint(2, len(names)))
    # What befell the exchange is part of its truth.
    outage_day, *days = dice.sample(DAYS, len(chosen) + ("outage" not in chosen))
    bare = SandboxExchange(seed + 1, CAST, outages=())
    planted = Planted(bare)
    if "outage" in chosen:
        outage(Place(bare, "", outage_day, dice), planted)
        trickle = dice.choice((0.0, 0.002))
        planted.exchange = replace(bare, outages=tuple(planted.outages), trickle=trickle)
    # Rows are counted in the file: the market whose row is spoiled loses none.
    spoiled, *others = dice.sample([one.altname for one in CAST], len(CAST))
    for name, day in zip([name for name in chosen if name != "outage"], days, strict=True):
        altname = spoiled if name == "volume_of_one_candle" else dice.choice(others)
        PLANTS[name](Place(planted.exchange, altname, day, dice), planted)
    return planted


def _or_before(within: TimeRange, interval: Interval) -> TimeRange:
    """The last candles before may hold the same price by chance."""
    return TimeRange(within.start - 3 * interval.delta, within.end)


def _traded_minute(place: Place) -> datetime:
    """In the middle of the day, where nothing else of it is touched."""
    minutes = place.truth(Interval.M1, TimeRange(place.whole_day.start + timedelta(hours=10), place.whole_day.end))
    minute: datetime = minutes["timestamp"][place.dice.randrange(0, 600)]
    return minute.replace(tzinfo=UTC)


def _slot(
    place: Place, interval: Interval, kind: FindingKind, moment: datetime, told_by: Interval | None = None
) -> Expected:
    lost, within = (
        TimeRange(one.floor(moment), one.floor(moment) + one.delta) for one in (interval, told_by or interval)
    )
    return Expected(place.market, interval, kind, lost, within)
