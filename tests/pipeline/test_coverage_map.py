"""The map from state: the figures of the report, by as many queries for a thousand markets as for one."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from chandlery.candles.interval import Interval
from chandlery.models import Market
from chandlery.pipeline.coverage_map import coverage_map
from chandlery.pipeline.markets import on_record
from chandlery.pipeline.report import report
from chandlery.pipeline.request import Selection
from chandlery.stores import open_store
from tests.candles.builders import at
from tests.pipeline.stocked import NOW, stocked

pytestmark = pytest.mark.django_db

HOUR = Selection((Interval.M60,), markets=("x",))


def shown(selection: Selection, step: str = "month") -> dict[str, object]:
    made = coverage_map(selection, on_record(), selection.intervals[0], step, NOW)
    return {row.market: tally for row, tally in zip(made.rows, made.tallies(), strict=True)}


def reported(selection: Selection, home: Path, now: datetime = NOW) -> dict[str, object]:
    found = report(selection, on_record(), open_store("parquet:candles", home), now)
    return {entry.market: entry.tally for entry in found.series}


def test_rows_add_up_to_the_report(tmp_path: Path) -> None:
    stocked(7)
    assert shown(HOUR) == reported(HOUR, tmp_path)


def test_dates_are_those_of_the_report(tmp_path: Path) -> None:
    stocked(4)
    march = Selection((Interval.M60,), markets=("x",), start=at("2024-03-01"), end=at("2024-04-10"))
    assert shown(march, "day") == reported(march, tmp_path)


def test_a_day_is_a_column(tmp_path: Path) -> None:
    stocked(1)
    week = Selection((Interval.M1440,), markets=("x",), start=at("2024-04-01"), end=at("2024-04-08"))
    made = coverage_map(week, on_record(), Interval.M1440, "day", NOW)
    assert made.cells.shape == (1, 7, 7)
    assert made.cells.sum() == 7


def test_nothing_on_record_is_an_empty_map() -> None:
    assert coverage_map(HOUR, on_record(), Interval.M60, "month", NOW).rows == ()


def test_queries_do_not_grow_with_the_markets() -> None:
    stocked(3)
    few = queries()
    stocked(20, first=3)
    assert queries() == few


def queries() -> int:
    markets: list[Market] = on_record()
    with CaptureQueriesContext(connection) as counted:
        coverage_map(HOUR, markets, Interval.M60, "month", NOW + timedelta(minutes=1))
    return len(counted)
