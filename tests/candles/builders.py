"""Small values for tests: a moment from its text, a range, candles at given times."""

from datetime import UTC, datetime, timedelta

import polars as pl

from chandlery.candles.frame import CANDLE_SCHEMA
from chandlery.candles.interval import Interval
from chandlery.candles.timerange import TimeRange


def at(text: str) -> datetime:
    """2024-03-31 or 2024-03-31 09:00, UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def between(start: str, end: str) -> TimeRange:
    return TimeRange(at(start), at(end))


def candles_at(*opens: datetime, price: float = 100.0, volume: float = 1.5, trades: int = 3) -> pl.DataFrame:
    n = len(opens)
    return pl.DataFrame(
        {
            "timestamp": list(opens),
            "open": [price] * n,
            "high": [price + 2] * n,
            "low": [price - 2] * n,
            "close": [price + 1] * n,
            "volume": [volume] * n,
            "trades": [trades] * n,
        },
        schema=CANDLE_SCHEMA,
    )


def every(interval: Interval, start: str, count: int) -> list[datetime]:
    return [at(start) + i * timedelta(minutes=int(interval)) for i in range(count)]
