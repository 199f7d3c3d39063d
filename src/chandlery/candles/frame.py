"""The candle frame: one row a traded slot, sorted by time, and what makes a row impossible."""

from dataclasses import dataclass, replace
from datetime import UTC

import polars as pl

from chandlery.candles.interval import Interval
from chandlery.candles.timerange import TimeRange

TIMESTAMP = pl.Datetime("us", "UTC")
#: Slot open in UTC, prices in quote currency, volume in base currency, number of trades.
CANDLE_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "timestamp": TIMESTAMP,
    "open": pl.Float64,
    "high": pl.Float64,
    "low": pl.Float64,
    "close": pl.Float64,
    "volume": pl.Float64,
    "trades": pl.Int64,
}
PRICES = ("open", "high", "low", "close")
#: What "equal" allows between two volumes, relative (daily volumes differ from summed hours in the 13th digit).
VOLUME_TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True)
class BadRow:
    """An impossible row of a frame: its position (from 0), the column, the value as text, what was expected."""

    row: int
    column: str
    value: str
    expected: str


def empty_candles() -> pl.DataFrame:
    return pl.DataFrame(schema=CANDLE_SCHEMA)


def span_of(candles: pl.DataFrame, interval: Interval) -> TimeRange | None:
    """From the open of the first candle to the end of the last, UTC; None where there is none."""
    if candles.is_empty():
        return None
    first, last = candles["timestamp"][0], candles["timestamp"][-1]
    return TimeRange(first.replace(tzinfo=UTC), last.replace(tzinfo=UTC) + interval.delta)


def first_bad_row(frame: pl.DataFrame, interval: Interval) -> BadRow | None:
    """The first row that no honest candle frame of `interval` can hold, or None. `frame` has CANDLE_SCHEMA.

    Sound are: finite positive prices with low <= open, close <= high; finite volume >= 0; trades >= 0;
    timestamps on the grid, strictly increasing.
    """
    if frame.is_empty() or _is_sound(frame, interval):
        return None
    broken = frame.select(pl.any_horizontal(*(expression for _, _, expression in _rules(interval))).arg_max()).item()
    # The row before it comes along, for times are compared with it.
    before = 1 if broken else 0
    found = next(iter(bad_rows(frame.slice(broken - before, before + 1), interval)), None)
    return None if found is None else replace(found, row=found.row + broken - before)


def bad_rows(frame: pl.DataFrame, interval: Interval) -> list[BadRow]:
    """Every row that no honest candle frame of `interval` can hold, and what is wrong with it first."""
    if frame.is_empty() or _is_sound(frame, interval):
        return []
    rules = _rules(interval)
    first_broken = pl.coalesce(pl.when(expression).then(i) for i, (_, _, expression) in enumerate(rules))
    broken = frame.with_row_index("row").with_columns(first_broken.alias("rule")).filter(pl.col("rule").is_not_null())
    return [
        BadRow(row["row"], column, _shown(row[column]), expected)
        for row in broken.iter_rows(named=True)
        for column, expected, _ in (rules[row["rule"]],)
    ]


def _is_sound(frame: pl.DataFrame, interval: Interval) -> bool:
    """Whether no rule is broken, at a quarter of the cost of asking which.

    Polars orders NaN above infinity, so `low > 0`, `low <= x <= high` and `high < infinity` leave no room for one.
    """
    if any(frame[column].null_count() for column in CANDLE_SCHEMA):
        return False
    microseconds = pl.col("timestamp").to_physical()
    low, high, volume = pl.col("low"), pl.col("high"), pl.col("volume")
    checks = [
        microseconds % (interval.seconds * 1_000_000) == 0,
        microseconds.diff() > 0,
        low > 0,
        *(low <= pl.col(price) for price in ("open", "close")),
        *(pl.col(price) <= high for price in ("open", "close")),
        high < float("inf"),
        volume >= 0,
        volume < float("inf"),
        pl.col("trades") >= 0,
    ]
    return all(frame.select(check.all().alias(str(i)) for i, check in enumerate(checks)).row(0))


def _rules(interval: Interval) -> list[tuple[str, str, pl.Expr]]:
    """(column, what would be right, true where it is wrong), in the order in which a reader looks."""
    seconds = pl.col("timestamp").dt.epoch("s")
    step = interval.seconds
    rules: list[tuple[str, str, pl.Expr]] = [
        ("timestamp", "a time", pl.col("timestamp").is_null()),
        ("timestamp", f"a multiple of {int(interval)} minutes since the epoch", seconds % step != 0),
        (
            "timestamp",
            "a time after that of the row before",
            (pl.col("timestamp").diff() <= pl.duration(seconds=0)).fill_null(False),
        ),
    ]
    for price in PRICES:
        column = pl.col(price)
        sound = column.is_not_null() & column.is_finite() & (column > 0)
        rules.append((price, "a finite price above zero", ~sound.fill_null(False)))
    low, high = pl.col("low"), pl.col("high")
    rules += [
        (
            "low",
            "a low that is at most open, close and high",
            (low > pl.min_horizontal("open", "close", "high")).fill_null(True),
        ),
        ("high", "a high that is at least open and close", (high < pl.max_horizontal("open", "close")).fill_null(True)),
    ]
    volume, trades = pl.col("volume"), pl.col("trades")
    rules += [
        ("volume", "a finite volume of at least zero", ~(volume.is_finite() & (volume >= 0)).fill_null(False)),
        ("trades", "a whole number of trades of at least zero", ~(trades >= 0).fill_null(False)),
    ]
    return rules


def _shown(value: object) -> str:
    return "" if value is None else str(value)
