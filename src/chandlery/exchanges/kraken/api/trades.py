"""What a page of Kraken's Trades holds."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from chandlery.candles.trades import TRADE_SCHEMA
from chandlery.exchanges.kraken.api.errors import UnsoundAnswer
from chandlery.exchanges.kraken.api.ohlc import LATEST, numbers, shown, taken_apart, unsound

#: Trades on a page at most (Kraken REST reference, Trades).
PAGE_ROWS = 1000
#: Rows are [price, volume, time, side, type, miscellaneous, id] (Kraken REST reference, Trades). Old ones lack the id.
SHORTEST_ROW = 6
#: Digits of the latest moment in nanoseconds that fits 64 bits.
_LONGEST_CURSOR = 19


@dataclass(frozen=True, slots=True, eq=False)
class TradesPage:
    """`trades` has TRADE_SCHEMA: sorted by id where all have one, else in the order of the answer.

    `last` is the cursor that leads on: the nanosecond of the last trade as text, verbatim (design 2.6). Times of rows
    are coarser: they come as JSON numbers, good to some 0.2 µs.
    """

    trades: pl.DataFrame
    last: str


def parse_trades(result: object) -> TradesPage:
    """The result of `GET /0/public/Trades`. Raises UnsoundAnswer, which names the row (from 0) and the value."""
    rows, last = taken_apart(result)
    if not isinstance(last, str) or not (last.isascii() and last.isdigit() and len(last) <= _LONGEST_CURSOR):
        raise UnsoundAnswer(problem=f"last is {shown(last)}; expected the digits of a time in nanoseconds")
    if len(rows) > PAGE_ROWS:
        raise UnsoundAnswer(problem=f"{len(rows):,} trades on a page; expected {PAGE_ROWS:,} at most")
    if not rows:
        return TradesPage(pl.DataFrame(schema=TRADE_SCHEMA), last)
    price, volume, time, ids = _columns(rows)
    trades = pl.DataFrame(
        {
            "time": _nanoseconds(time),
            "price": _above_zero("price", price),
            "volume": _above_zero("volume", volume),
            "id": _ids(ids),
        }
    )
    number = trades["id"]
    if number.null_count() == 0 and not number.is_sorted():
        trades = trades.sort("id", maintain_order=True)
    return TradesPage(trades, last)


def _columns(rows: Sequence[object]) -> tuple[list[object], list[object], list[object], list[object]]:
    """(price, volume, time, id) as they came; id None where there is none."""
    price, volume, time, ids = [], [], [], []
    for number, row in enumerate(rows):
        if not isinstance(row, list) or len(row) < SHORTEST_ROW:
            raise UnsoundAnswer(problem=f"row {number} is {shown(row)}; expected {SHORTEST_ROW} values or more")
        price.append(row[0])
        volume.append(row[1])
        time.append(row[2])
        ids.append(row[6] if len(row) > SHORTEST_ROW else None)
    return price, volume, time, ids


def _nanoseconds(seconds: Sequence[object]) -> npt.NDArray[np.int64]:
    """Rounded to the 7th decimal, the last one that Kraken writes.

    Whole seconds apart, since their product with a thousand million would be rounded a second time.
    """
    for number, value in enumerate(seconds):
        # Of the exact kinds: neither true nor NaN is a time.
        if type(value) not in (float, int) or not 0 < value < LATEST:  # type: ignore[operator]
            raise unsound(number, "time", value, "a time in seconds")
    moments = np.array(seconds, dtype=np.float64)
    whole = np.floor(moments)
    return whole.astype(np.int64) * 1_000_000_000 + np.round((moments - whole) * 1e7).astype(np.int64) * 100


def _above_zero(column: str, values: Sequence[object]) -> pl.Series:
    found = numbers(column, values)
    if not (found > 0).all():
        number = (found > 0).index_of(False) or 0
        raise unsound(number, column, values[number], "a number above 0")
    return found


def _ids(values: Sequence[object]) -> pl.Series:
    """Null where there is none: null or 0 in the answer."""
    if set(map(type, values)) == {int} and 0 < min(values) <= max(values) < 2**63:  # type: ignore[type-var, operator]
        return pl.Series(values, dtype=pl.Int64)
    for number, value in enumerate(values):
        if value is not None and (type(value) is not int or not 0 <= value < 2**63):
            raise unsound(number, "id", value, "a whole number")
    return pl.Series([value or None for value in values], dtype=pl.Int64)
