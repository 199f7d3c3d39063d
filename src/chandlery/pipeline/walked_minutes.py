"""Minutes rebuilt from trades into the store. A plain function of values, for any executor."""

from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from chandlery.candles.evidence import Origin, Source
from chandlery.candles.frame import span_of
from chandlery.candles.interval import Interval
from chandlery.candles.series import Series
from chandlery.candles.timerange import RangeSet
from chandlery.stores import open_store
from chandlery.stores.base import CandleStore, Written


@dataclass(frozen=True, slots=True)
class WalkedTask:
    """Minutes rebuilt from trades, to be written: all there is in the ranges that are proven."""

    series: Series
    candles: pl.DataFrame
    proven: RangeSet
    store_url: str = field(repr=False)
    home: Path


def store_walked(task: WalkedTask) -> Written:
    """Write them; what is stored of proven ranges and was not traded goes. Durable when it returns; for any
    executor.
    """
    store = open_store(task.store_url, task.home)
    candles = _no_poorer(store, task)
    with store.writer(task.series) as writer:
        for proven in task.proven:
            writer.clear(proven)
        if candles.height:
            writer.append(candles, Origin(Source.TRADES))
        return writer.commit()


def _no_poorer(store: CandleStore, task: WalkedTask) -> pl.DataFrame:
    """Without those of unproven minutes of which more is stored: some of their trades could not be had."""
    opens = pl.col("timestamp")
    is_proven = [opens.is_between(r.start, r.end, closed="left") for r in task.proven]
    doubtful = task.candles.filter(~pl.any_horizontal(is_proven)) if is_proven else task.candles
    span = span_of(doubtful, Interval.M1)
    if span is None:
        return task.candles
    stored = store.read(task.series, span, origin=True).filter(~pl.col("provisional"))
    richer = stored.join(doubtful, on="timestamp", suffix="_new").filter(pl.col("trades") > pl.col("trades_new"))
    return task.candles.join(richer, on="timestamp", how="anti") if richer.height else task.candles
