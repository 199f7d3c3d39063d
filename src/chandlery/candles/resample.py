"""Coarser candles from finer ones."""

import polars as pl

from chandlery.candles.frame import CANDLE_SCHEMA
from chandlery.candles.interval import Interval


def resample(frame: pl.DataFrame, to: Interval) -> pl.DataFrame:
    """Candles of `to` from finer, sorted candles of a dividing interval. UTC; slots without a row stay without one.

    Whether every finer slot was answered for is not seen here: cut the input to whole slots first.
    """
    if frame.is_empty():
        return frame.select(*CANDLE_SCHEMA)
    return (
        frame.lazy()
        .group_by_dynamic("timestamp", every=f"{int(to)}m", start_by="window")
        .agg(
            pl.col("open").first(),
            pl.col("high").max(),
            pl.col("low").min(),
            pl.col("close").last(),
            pl.col("volume").sum(),
            pl.col("trades").sum(),
        )
        .select(*CANDLE_SCHEMA)
        .collect()
    )
