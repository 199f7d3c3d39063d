"""The stored frame: a candle, and what it was made from."""

import polars as pl

from chandlery.candles.evidence import Origin
from chandlery.candles.frame import CANDLE_SCHEMA

STORED_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    **CANDLE_SCHEMA,
    "source": pl.String,
    "derived": pl.Boolean,
    "provisional": pl.Boolean,
    "release": pl.String,
}


def with_origin(candles: pl.DataFrame, origin: Origin) -> pl.DataFrame:
    """Candles (CANDLE_SCHEMA) that were all made from the same: a frame of STORED_SCHEMA."""
    return candles.with_columns(
        pl.lit(origin.source.value, pl.String).alias("source"),
        pl.lit(origin.derived).alias("derived"),
        pl.lit(origin.provisional).alias("provisional"),
        pl.lit(origin.release, pl.String).alias("release"),
    )
