"""One-minute candles from trades."""

import numpy as np
import numpy.typing as npt
import polars as pl

from chandlery.candles.frame import CANDLE_SCHEMA, TIMESTAMP, empty_candles

#: One row a trade: nanoseconds since the epoch (UTC), price in quote and volume in base currency, the exchange's number
#: of it (null: it has none).
TRADE_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "time": pl.Int64,
    "price": pl.Float64,
    "volume": pl.Float64,
    "id": pl.Int64,
}
#: Nanoseconds.
MINUTE = 60_000_000_000
#: Volume is counted in units of 1e-8. Beyond this sum a float64 is coarser than that: there is nothing to round.
_FINE, _UNIT_DECIMALS = 2**53 / 1e8, 8


def fold(trades: pl.DataFrame) -> pl.DataFrame:
    """1-minute candles (CANDLE_SCHEMA, sorted) of `trades` (TRADE_SCHEMA), whose rows are in the order of trade.

    That order decides what opens and closes a minute. Volumes are sums rounded to 8 decimals, so that they equal what
    the exchange itself says.
    """
    if trades.is_empty():
        return empty_candles()
    minute = trades["time"].to_numpy() // MINUTE
    price, volume = trades["price"].to_numpy(), trades["volume"].to_numpy()
    if (minute[1:] < minute[:-1]).any():
        order = np.argsort(minute, kind="stable")
        minute, price, volume = minute[order], price[order], volume[order]
    first = np.concatenate(([0], np.flatnonzero(minute[1:] != minute[:-1]) + 1))
    beyond = np.append(first[1:], len(minute))
    return pl.DataFrame(
        {
            "timestamp": pl.Series(minute[first] * (MINUTE // 1000)).cast(TIMESTAMP),
            "open": price[first],
            "high": np.maximum.reduceat(price, first),
            "low": np.minimum.reduceat(price, first),
            "close": price[beyond - 1],
            "volume": _rounded(np.add.reduceat(volume, first)),
            "trades": beyond - first,
        }
    )


def joined(earlier: pl.DataFrame, later: pl.DataFrame) -> pl.DataFrame:
    """Two sorted frames of candles as one, `later` beginning no earlier than with the last slot of `earlier`.

    A slot that both hold becomes one candle: the open of the earlier part, the close of the later one.
    """
    if earlier.is_empty() or later.is_empty():
        return later if earlier.is_empty() else earlier
    one, other = earlier.row(-1), later.row(0)
    if one[0] != other[0]:
        return pl.concat([earlier, later])
    (when, opened, high, low, _, volume, count), (_, _, *later_extremes, closed, more, counted) = one, other
    shared = {
        "timestamp": [when],
        "open": [opened],
        "high": [max(high, later_extremes[0])],
        "low": [min(low, later_extremes[1])],
        "close": [closed],
        "volume": _rounded(np.array([volume + more])),
        "trades": [count + counted],
    }
    return pl.concat([earlier[:-1], pl.DataFrame(shared, schema=CANDLE_SCHEMA), later[1:]])


def _rounded(volume: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.where(volume < _FINE, np.round(np.minimum(volume, _FINE), _UNIT_DECIMALS), volume)
