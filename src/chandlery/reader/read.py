"""Read: candles of a series as a frame, with what is known of its slots."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal, overload

import polars as pl

from chandlery.candles.frame import CANDLE_SCHEMA
from chandlery.candles.interval import EPOCH
from chandlery.candles.series import Series
from chandlery.candles.slots import VERDICT, every_slot
from chandlery.candles.timerange import TimeRange
from chandlery.models import Market
from chandlery.pipeline.knowledge import MarketFacts, know, series_of
from chandlery.pipeline.markets import named
from chandlery.pipeline.request import Clock
from chandlery.reader.options import Asked, Fill, Frame, Moment, NoPandas, WrongFrame
from chandlery.stores.base import CandleStore

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Candles:
    """Stored candles, and what state knows of their slots."""

    store: CandleStore
    clock: Clock

    @overload
    def read(
        self,
        market: str,
        interval: int | str,
        start: Moment = None,
        end: Moment = None,
        *,
        fill: Fill = None,
        verdicts: bool = False,
        frame: Literal["polars"] = "polars",
    ) -> pl.DataFrame: ...

    @overload
    def read(
        self,
        market: str,
        interval: int | str,
        start: Moment = None,
        end: Moment = None,
        *,
        fill: Fill = None,
        verdicts: bool = False,
        frame: Literal["pandas"],
    ) -> pd.DataFrame: ...

    def read(
        self,
        market: str,
        interval: int | str,
        start: Moment = None,
        end: Moment = None,
        *,
        fill: Fill = None,
        verdicts: bool = False,
        frame: Frame = "polars",
    ) -> Any:
        """Candles whose slot opens in [start, end), sorted: timestamp (UTC), open, high, low, close, volume, trades.

        Without `start` from the market's first trade on, without `end` up to the last closed slot. `fill="flat"`: quiet
        slots too, at the close before them, marked by the column `filled`; what is missing or suspect is never
        invented. `verdicts`: a row for every slot, with its `verdict`; prices are null where there are none. Raises
        UnknownMarket and other UsageErrors.
        """
        if frame not in ("polars", "pandas"):
            raise WrongFrame(value=frame)
        if frame == "pandas" and find_spec("pandas") is None:
            raise NoPandas
        asked = Asked.of(interval, start, end, fill, verdicts)
        found = self.frame(named(market), asked)
        return found.to_pandas() if frame == "pandas" else found

    def span(self, market: Market, asked: Asked) -> TimeRange | None:
        """The closed slots that are asked for; None where there is none."""
        now = self.clock()
        if asked.start is not None:
            return asked.within(asked.start, now)
        return _told_of(know([market], self.store, now)[market.altname], asked, now)

    def frame(self, market: Market, asked: Asked) -> pl.DataFrame:
        """The same of values."""
        series = series_of(market, asked.interval)
        if not asked.fill and not asked.verdicts:
            within = asked.within(asked.start or EPOCH, self.clock())
            return self.store.read(series, within) if within else nothing(asked)
        now = self.clock()
        facts = know([market], self.store, now)[market.altname]
        within = _told_of(facts, asked, now)
        if within is None:
            return nothing(asked)
        known = facts.series[asked.interval]
        looked_at = self._from_candle_before(series, within) if asked.fill else within
        rows = every_slot(known, looked_at, self.store.read(series, looked_at), fill=asked.fill)
        rows = rows.slice((within.start - looked_at.start) // asked.interval.delta)
        return rows if asked.verdicts and asked.fill else _as_asked(rows, asked)

    def _from_candle_before(self, series: Series, within: TimeRange) -> TimeRange:
        """The range, from the last stored candle before it on: a quiet slot has its close."""
        span = self.store.span(series)
        reach = max(timedelta(days=1), series.interval.delta)
        end = within.start
        while span is not None and end > span.start:
            opens = self.store.slots(series, TimeRange(max(end - reach, span.start), end))
            if len(opens):
                first = EPOCH + timedelta(microseconds=int(opens.to_physical()[-1]))
                return TimeRange(first, within.end)
            end, reach = end - reach, reach * 4
        return within


def _told_of(facts: MarketFacts, asked: Asked, now: datetime) -> TimeRange | None:
    """The closed slots that are asked for. Without a start the first is the one that holds the market's first trade,
    wherever in it that was.
    """
    first = asked.interval.floor(facts.start) if facts.start is not None else None
    start = asked.start or first
    return asked.within(start, now) if start is not None else None


def _as_asked(rows: pl.DataFrame, asked: Asked) -> pl.DataFrame:
    if asked.verdicts:
        return rows.drop("filled")
    return rows.filter(pl.col("close").is_not_null()).drop("verdict")


def nothing(asked: Asked) -> pl.DataFrame:
    """No rows, of the columns that are asked for."""
    more: dict[str, Any] = {"filled": pl.Boolean} if asked.fill else {}
    more |= {"verdict": VERDICT} if asked.verdicts else {}
    return pl.DataFrame(schema=CANDLE_SCHEMA | more)
