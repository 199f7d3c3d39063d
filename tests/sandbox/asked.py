"""How tests ask the sandbox's API, without a server, and read what it answers."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from chandlery.candles.frame import CANDLE_SCHEMA
from chandlery.candles.interval import EPOCH
from chandlery.sandbox.exchange import SandboxExchange
from chandlery.sandbox.replies import parsed
from chandlery.sandbox.rest import SandboxApi

SMALL = SandboxExchange.small()


@dataclass
class Hands:
    """A clock that is moved by hand; `seconds` is what a monotonic one shows."""

    now: datetime

    def __call__(self) -> datetime:
        return self.now

    @property
    def seconds(self) -> Callable[[], float]:
        return lambda: (self.now - EPOCH) / timedelta(seconds=1)

    def pass_by(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def ask(api: SandboxApi, method: str, **query: object) -> dict[str, Any]:
    """The body of an answer."""
    return parsed(api.answer(f"/0/public/{method}", {key: str(value) for key, value in query.items()}))


def rows_of(api: SandboxApi, pair: str, width: int, **query: object) -> list[list[Any]]:
    """The rows of an OHLC answer."""
    body = ask(api, "OHLC", pair=pair, interval=width, **query)
    assert body["error"] == []
    (rows,) = (value for key, value in body["result"].items() if key != "last")
    found: list[list[Any]] = rows
    return found


def candles_of(rows: list[list[Any]]) -> pl.DataFrame:
    """The rows that count trades, in CANDLE_SCHEMA."""
    traded = [
        (EPOCH + timedelta(seconds=seconds), *map(float, (opened, high, low, close, volume)), trades)
        for seconds, opened, high, low, close, _, volume, trades in rows
        if trades
    ]
    return pl.DataFrame(traded, schema=CANDLE_SCHEMA, orient="row")


def is_quiet(row: list[Any], price: str) -> bool:
    return row[1:] == [price, price, price, price, "0.0", "0.00000000", 0]
