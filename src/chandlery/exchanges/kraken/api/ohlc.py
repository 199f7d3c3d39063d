"""What an OHLC answer holds, and what may be concluded from it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import polars as pl

from chandlery.candles.evidence import Coverage, Evidence, Source
from chandlery.candles.frame import PRICES, TIMESTAMP, empty_candles, first_bad_row
from chandlery.candles.interval import Interval
from chandlery.candles.timerange import RangeSet, TimeRange
from chandlery.exchanges.kraken.api.errors import UnsoundAnswer
from chandlery.exchanges.kraken.window import PROVISIONAL_SLOTS

SETTLED = Evidence(Source.API)
PROVISIONAL = Evidence(Source.API, provisional=True)
#: Rows are [time, open, high, low, close, vwap, volume, count] (Kraken REST reference, OHLC). vwap is not kept.
ARITY = 8
_NUMBERS = {"open": 1, "high": 2, "low": 3, "close": 4, "volume": 6}
#: 2100-01-01: seconds beyond it are milliseconds or worse.
LATEST = 4_102_444_800


@dataclass(frozen=True, slots=True)
class OhlcAnswer:
    """Every row of an answer in order, the forming candle and slots without a trade (trades 0) included.

    `rows` has CANDLE_SCHEMA. `last` is the exchange's own word on its last committed slot, None where it gave none.
    """

    rows: pl.DataFrame
    last: datetime | None


@dataclass(frozen=True, slots=True)
class Committed:
    """What an answer says for good, and what it says for now: candles (trades > 0) and the ranges answered for."""

    settled: pl.DataFrame
    provisional: pl.DataFrame
    answers: Coverage


def parse_ohlc(result: object, interval: Interval) -> OhlcAnswer:
    """The rows in the result of `GET /0/public/OHLC`. Raises UnsoundAnswer, which names the row (from 0) and the value.

    The rows' key is whatever is not "last": it differs from the name asked for (design 2.5). Prices and volumes may be
    strings or numbers.
    """
    rows, stated = taken_apart(result)
    last = last_committed(stated)
    if not rows:
        return OhlcAnswer(empty_candles(), last)
    columns = columns_of(rows)
    frame = pl.DataFrame(
        {
            "timestamp": (whole_numbers("time", columns[0], LATEST) * 1_000_000).cast(TIMESTAMP),
            **{name: numbers(name, columns[place]) for name, place in _NUMBERS.items()},
            "trades": whole_numbers("count", columns[7], 2**53),
        }
    )
    _check(frame, interval)
    return OhlcAnswer(frame, last)


def commit(answer: OhlcAnswer, interval: Interval, asked_at: datetime) -> Committed:
    """What `answer`, asked for at `asked_at` (UTC), establishes.

    - The forming candle is left out by time, never by position: a slot counts once it had ended when it was asked for,
      since a slow answer may arrive after the last one has closed (Kraken REST reference, OHLC: the last entry is the
      current, not yet committed one).
    - Nor does it tell of slots later than `answer.last`, the exchange's own word on what is committed: our clock may
      run ahead of the exchange's, the answer may be an old one. Without that word, it ends with its last row.
    - It answers from its first row's open to the last committed slot: a slot in between without a row, or with a count
      of 0, is quiet (design 2.5, 3).
    - The newest three committed slots are provisional: they can still change (design 2.5).
    - Without a committed slot it answers nothing.
    """
    first, last_row = _opens_of_ends(answer.rows)
    if first is None or last_row is None:
        return Committed(empty_candles(), empty_candles(), {})
    newest = last_row if answer.last is None else interval.floor(answer.last)
    closed = min(interval.floor(asked_at), newest + interval.delta)
    if first >= closed:
        return Committed(empty_candles(), empty_candles(), {})
    final = max(first, closed - PROVISIONAL_SLOTS * interval.delta)
    parts = {SETTLED: TimeRange.maybe(first, final), PROVISIONAL: TimeRange.maybe(final, closed)}
    candles = answer.rows.filter(answer.rows["trades"] > 0)
    time = candles["timestamp"]
    return Committed(
        settled=candles.filter(time < final),
        provisional=candles.filter((time >= final) & (time < closed)),
        answers={kind: RangeSet([part]) for kind, part in parts.items() if part is not None},
    )


def taken_apart(result: object) -> tuple[list[object], object]:
    """(rows, last as it came) of the result of a question about one market. Raises UnsoundAnswer.

    The rows' key is whatever is not "last".
    """
    if not isinstance(result, dict):
        raise UnsoundAnswer(problem=f"the result is {shown(result)}; expected rows and last")
    keys = [key for key in result if key != "last"]
    if len(keys) != 1:
        raise UnsoundAnswer(problem=f"the result has the keys {shown(list(result))}; expected one market and last")
    rows = result[keys[0]]
    if not isinstance(rows, list):
        raise UnsoundAnswer(problem=f"{shown(keys[0])} is {shown(rows)}; expected a list of rows")
    return rows, result.get("last")


def columns_of(rows: Sequence[object]) -> list[tuple[object, ...]]:
    """The columns of the rows of an OHLC answer, at least one. Raises UnsoundAnswer for one of the wrong length."""
    for number, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != ARITY:
            raise UnsoundAnswer(problem=f"row {number} is {shown(row)}; expected {ARITY} values")
    return list(zip(*rows, strict=True))


def last_committed(value: object) -> datetime | None:
    """A number or digits; anything else is no word at all, and takes nothing from the rows."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < LATEST:
        return None
    return datetime.fromtimestamp(int(value), UTC)


def whole_numbers(column: str, values: Sequence[object], limit: int) -> pl.Series:
    """Raises UnsoundAnswer for what is no whole number from 0 to below `limit`."""
    if set(map(type, values)) != {int} or min(values) < 0 or max(values) >= limit:  # type: ignore[type-var, operator]
        for number, value in enumerate(values):
            if type(value) is not int or not 0 <= value < limit:
                raise unsound(number, column, value, "a whole number")
    return pl.Series(values, dtype=pl.Int64)


def numbers(column: str, values: Sequence[object]) -> pl.Series:
    """Raises UnsoundAnswer for what is neither a finite number nor the text of one."""
    kinds = set(map(type, values))
    if kinds == {str} and all(map(str.isascii, values)):  # type: ignore[arg-type]
        numbers = pl.Series(values, dtype=pl.String).cast(pl.Float64, strict=False)
    else:
        numbers = pl.Series([_number(value) for value in values], dtype=pl.Float64)
    sound = numbers.is_finite()
    if not sound.all(ignore_nulls=False):
        number = sound.fill_null(False).index_of(False)
        raise unsound(number or 0, column, values[number or 0], "a finite number")
    return numbers


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _check(frame: pl.DataFrame, interval: Interval) -> None:
    """Raises UnsoundAnswer for times off the grid or not increasing, for candles that cannot be, and for volume
    without a trade. The prices of a row without trades are only repeated, and may be 0 before the first trade.
    """
    quiet = pl.col("trades") == 0
    bad = first_bad_row(
        frame.with_columns(pl.when(quiet).then(1.0).otherwise(pl.col(price)).alias(price) for price in PRICES), interval
    )
    if bad is not None:
        raise unsound(bad.row, bad.column, bad.value, bad.expected)
    contradiction = frame.select((quiet & (pl.col("volume") != 0)).arg_true()).to_series()
    if len(contradiction):
        row = contradiction[0]
        raise unsound(row, "volume", frame["volume"][row], "no volume where nothing was traded")


def _opens_of_ends(rows: pl.DataFrame) -> tuple[datetime | None, datetime | None]:
    """(the first row's open, the last one's)"""
    ends = (rows["timestamp"].first(), rows["timestamp"].last())
    first, last = (end.replace(tzinfo=UTC) if isinstance(end, datetime) else None for end in ends)
    return first, last


def unsound(row: int, column: str, value: object, expected: str) -> UnsoundAnswer:
    return UnsoundAnswer(problem=f"row {row}: {column} is {shown(value)}; expected {expected}")


def shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}…"
