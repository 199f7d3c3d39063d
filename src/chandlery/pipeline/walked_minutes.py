"""Minutes rebuilt from trades into the store. A plain function of values, for any executor."""

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from chandlery.candles.evidence import Origin, Source
from chandlery.candles.series import Series
from chandlery.candles.timerange import RangeSet
from chandlery.stores import open_store
from chandlery.stores.base import Written


@dataclass(frozen=True, slots=True)
class WalkedTask:
    """Minutes rebuilt from trades, to be written: all there is in the ranges that are proven."""

    series: Series
    candles: pl.DataFrame
    proven: RangeSet
    store_url: str
    home: Path


def store_walked(task: WalkedTask) -> Written:
    """Write them; what is stored of proven ranges and was not traded goes. Durable when it returns; for any
    executor.
    """
    store = open_store(task.store_url, task.home)
    with store.writer(task.series) as writer:
        for proven in task.proven:
            writer.clear(proven)
        if task.candles.height:
            writer.append(task.candles, Origin(Source.TRADES))
        return writer.commit()
