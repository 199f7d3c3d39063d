"""Trades as an exchange pages them, and walks over them."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

import polars as pl

from chandlery.candles.evidence import Evidence
from chandlery.candles.frame import empty_candles
from chandlery.candles.interval import EPOCH
from chandlery.candles.timerange import RangeSet, TimeRange
from chandlery.candles.trades import TRADE_SCHEMA, fold
from chandlery.exchanges.kraken.api.trades import TradesPage
from chandlery.exchanges.kraken.walk import (
    PROVEN,
    Break,
    Step,
    Walk,
    cursor_at,
)
from tests.candles.builders import at, between

LATER = at("2024-04-01")
SECOND = 1_000_000_000
NOON = at("2024-03-31 12:00")
MARCH = int((NOON - EPOCH).total_seconds()) * SECOND


class Trade(NamedTuple):
    """`time` in ns; id None where there is none."""

    time: int
    price: float = 100.0
    volume: float = 1.0
    id: int | None = None


def trade(clock: str, number: int | None = None, price: float = 100.0, volume: float = 1.0) -> Trade:
    """12:00:30 or 12:00:30.5 of 2024-03-31."""
    hours, minutes, seconds = clock.split(":")
    moment = at("2024-03-31") + timedelta(hours=int(hours), minutes=int(minutes), seconds=float(seconds))
    return Trade((moment - EPOCH) // timedelta(microseconds=1) * 1000, price, volume, number)


def frame(trades: Iterable[Trade]) -> pl.DataFrame:
    return pl.DataFrame(list(trades), schema=TRADE_SCHEMA, orient="row")


@dataclass(slots=True)
class Pager:
    """Kraken's Trades over a list: pages of `sizes` in turn; rows later than the cursor, or those at it as well."""

    trades: list[Trade]
    sizes: list[int] = field(default_factory=lambda: [1000])
    inclusive: bool = False
    asked: list[str] = field(default_factory=list)

    def page(self, since: str) -> TradesPage:
        size = self.sizes[len(self.asked) % len(self.sizes)]
        self.asked.append(since)
        cursor = int(since)
        rows = [t for t in self.trades if t.time > cursor or (self.inclusive and t.time == cursor)][:size]
        return TradesPage(frame(rows), str(rows[-1].time) if rows else since)


def through_json(walk: Walk) -> Walk:
    read = Walk.from_json(json.loads(json.dumps(walk.to_json())))
    assert read == walk
    return read


@dataclass(slots=True)
class Walked:
    """A whole walk: its steps put together."""

    walk: Walk
    candles: pl.DataFrame
    answers: dict[Evidence, RangeSet]
    breaks: list[Break]
    trades: int
    steps: list[Step]


def walked(walk: Walk, page: Callable[[str], TradesPage], until: datetime = LATER, most_pages: int = 1000) -> Walked:
    seen = Walked(walk, empty_candles(), {}, [], 0, [])
    while (cursor := seen.walk.next_cursor) is not None:
        assert len(seen.steps) < most_pages, "the walk goes on and on"
        step = seen.walk.taken(page(cursor), until)
        seen.steps.append(step)
        for kind, ranges in step.answers.items():
            assert not any(held & ranges for held in seen.answers.values()), "answered twice"
            seen.answers[kind] = seen.answers.get(kind, RangeSet()) | ranges
        seen.candles = pl.concat([seen.candles, step.candles])
        seen.breaks += step.breaks
        seen.trades += step.trades
        seen.walk = through_json(step.walk)
    return seen


def minutes_of(trades: Iterable[Trade], within: TimeRange) -> pl.DataFrame:
    return fold(frame(trades)).filter(pl.col("timestamp").is_between(within.start, within.end, closed="left"))


def proven(*ranges: TimeRange) -> dict[Evidence, RangeSet]:
    return {PROVEN: RangeSet(ranges)}


def clock(start: str, end: str) -> TimeRange:
    return between(f"2024-03-31 {start}", f"2024-03-31 {end}")


WANTED = clock("12:00", "12:10")
BEFORE = cursor_at(at("2024-03-31 11:58"))
