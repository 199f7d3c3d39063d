"""Coarser candles from finer ones."""

from datetime import datetime, timedelta
from typing import Any

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from chandlery.candles.frame import CANDLE_SCHEMA, empty_candles
from chandlery.candles.interval import Interval
from chandlery.candles.resample import resample
from tests.candles.builders import at

minutes = st.lists(
    st.tuples(st.integers(0, 4000), st.integers(1, 50), st.integers(1, 9)),
    unique_by=lambda x: x[0],
    min_size=1,
    max_size=80,
)


def frame(spec: list[tuple[int, int, int]]) -> pl.DataFrame:
    rows = [
        (at("2024-03-30") + timedelta(minutes=m), float(p), float(p + 2), float(p) / 2, float(p + 1), float(n), n)
        for m, p, n in sorted(spec)
    ]
    return pl.DataFrame(rows, schema=CANDLE_SCHEMA, orient="row")


def by_hand(fine: pl.DataFrame, to: Interval) -> list[tuple[Any, ...]]:
    slots: dict[datetime, list[dict[str, Any]]] = {}
    for row in fine.to_dicts():
        slots.setdefault(to.floor(row["timestamp"]), []).append(row)
    return [
        (
            slot,
            rows[0]["open"],
            max(row["high"] for row in rows),
            min(row["low"] for row in rows),
            rows[-1]["close"],
            sum(row["volume"] for row in rows),
            sum(row["trades"] for row in rows),
        )
        for slot, rows in slots.items()
    ]


@given(minutes, st.sampled_from([i for i in Interval if i > 1]))
def test_resampling_equals_doing_it_by_hand(spec: list[tuple[int, int, int]], to: Interval) -> None:
    fine = frame(spec)
    assert resample(fine, to).rows() == by_hand(fine, to)


@given(minutes)
def test_resampling_by_way_of_a_width_between_changes_nothing(spec: list[tuple[int, int, int]]) -> None:
    fine = frame(spec)
    assert resample(resample(fine, Interval.M60), Interval.M1440).equals(resample(fine, Interval.M1440))


def test_nothing_gives_nothing_with_the_same_columns() -> None:
    assert resample(empty_candles(), Interval.M60).schema == empty_candles().schema
