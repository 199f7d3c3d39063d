"""What makes a row impossible."""

import math

import polars as pl
import pytest

from chandlery.candles.frame import empty_candles, first_bad_row
from chandlery.candles.interval import Interval
from tests.candles.builders import at, candles_at, every

HOURS = candles_at(*every(Interval.M60, "2024-03-31", 5))


def changed(row: int, column: str, value: object) -> pl.DataFrame:
    values = HOURS[column].to_list()
    values[row] = value
    return HOURS.with_columns(pl.Series(column, values, dtype=HOURS.schema[column]))


def test_sound_rows_have_nothing_wrong() -> None:
    assert first_bad_row(HOURS, Interval.M60) is None
    assert first_bad_row(empty_candles(), Interval.M60) is None


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("open", math.nan),
        ("close", math.inf),
        ("high", -1.0),
        ("low", 0.0),
        ("open", None),
        ("low", 101.5),
        ("high", 100.5),
        ("volume", -0.1),
        ("volume", math.nan),
        ("volume", math.inf),
        ("volume", None),
        ("trades", -1),
        ("trades", None),
        ("timestamp", at("2024-03-31 02:30")),
        ("timestamp", None),
    ],
)
@pytest.mark.parametrize("row", [0, 2, 4])
def test_an_impossible_value_is_named_with_its_row(column: str, value: object, row: int) -> None:
    bad = first_bad_row(changed(row, column, value), Interval.M60)
    assert bad is not None
    assert bad.row == row
    assert bad.column == column or {bad.column, column} <= {"high", "low", "open", "close"}


def test_a_repeated_and_an_earlier_time_are_named() -> None:
    for time in ("2024-03-31 01:00", "2024-03-31 00:00"):
        bad = first_bad_row(changed(2, "timestamp", at(time)), Interval.M60)
        assert bad is not None
        assert (bad.row, bad.column) == (2, "timestamp")


def test_the_first_of_several_is_named() -> None:
    twice = changed(3, "volume", -1.0).with_columns(pl.Series("trades", [3, -2, 3, 3, 3]))
    bad = first_bad_row(twice, Interval.M60)
    assert bad is not None
    assert (bad.row, bad.column, bad.value) == (1, "trades", "-2")


def test_no_trades_and_no_volume_are_possible() -> None:
    assert first_bad_row(changed(1, "volume", 0.0), Interval.M60) is None
    assert first_bad_row(changed(1, "trades", 0), Interval.M60) is None
