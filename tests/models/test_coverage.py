"""Coverage rows and the days array: grown, merged, counted."""

from collections.abc import Sequence
from datetime import date, datetime

import numpy as np
import pytest
from django.db import IntegrityError

from chandlery.candles.evidence import Evidence, Source
from chandlery.candles.timerange import RangeSet, TimeRange
from chandlery.models import DataCoverageRange, Market, TradedDays
from tests.candles.builders import at, between
from tests.factories import NOW, DataCoverageRangeFactory, MarketFactory

pytestmark = pytest.mark.django_db

CSV = Evidence(Source.CSV)
DERIVED = Evidence(Source.CSV, derived=True)


class Five:
    """Whatever the range, five candles."""

    def count(self, within: TimeRange) -> int:
        return 5

    def opens(self, within: TimeRange) -> Sequence[datetime]:
        return ()


@pytest.fixture
def market() -> Market:
    return MarketFactory.create(base__ticker="XBT")


def grow(market: Market, kind: Evidence, *ranges: TimeRange) -> None:
    DataCoverageRange.objects.extend(market, 60, {kind: RangeSet(ranges)}, Five(), NOW)


def rows(market: Market) -> list[tuple[TimeRange, Evidence]]:
    return [(row.range, row.evidence) for row in DataCoverageRange.objects.filter(market=market).order_by("start_date")]


def test_touching_ranges_of_one_source_become_one_row(market: Market) -> None:
    grow(market, CSV, between("2024-01-01", "2024-02-01"))
    grow(market, CSV, between("2024-02-01", "2024-03-01"))
    assert rows(market) == [(between("2024-01-01", "2024-03-01"), CSV)]


def test_the_same_answer_twice_changes_no_row(market: Market) -> None:
    grow(market, CSV, between("2024-01-01", "2024-02-01"))
    before = list(DataCoverageRange.objects.values_list("pk", flat=True))
    grow(market, CSV, between("2024-01-10", "2024-01-20"))
    assert list(DataCoverageRange.objects.values_list("pk", flat=True)) == before


def test_a_direct_answer_takes_the_place_of_a_derived_one(market: Market) -> None:
    grow(market, DERIVED, between("2024-01-01", "2024-03-01"))
    grow(market, CSV, between("2024-01-10", "2024-02-01"))
    assert rows(market) == [
        (between("2024-01-01", "2024-01-10"), DERIVED),
        (between("2024-01-10", "2024-02-01"), CSV),
        (between("2024-02-01", "2024-03-01"), DERIVED),
    ]


def test_a_row_says_how_many_candles_stand_in_it(market: Market) -> None:
    grow(market, CSV, between("2024-01-01", "2024-02-01"))
    assert DataCoverageRange.objects.get().record_count == 5


def test_overlapping_finds_ranges_that_reach_into_the_window(market: Market) -> None:
    grow(market, CSV, between("2024-01-01", "2024-02-01"), between("2024-03-01", "2024-04-01"))
    found = DataCoverageRange.objects.overlapping(market, 60, between("2024-01-15", "2024-03-01"))
    assert [row.range for row in found] == [between("2024-01-01", "2024-02-01")]


def test_a_range_that_ends_before_it_starts_is_refused_by_the_database(market: Market) -> None:
    with pytest.raises(IntegrityError):
        DataCoverageRangeFactory.create(market=market, end_date=at("2023-01-01"))


def test_coverage_of_many_series_takes_one_query(market: Market, django_assert_num_queries: object) -> None:
    others = [MarketFactory.create() for _ in range(5)]
    for one in (market, *others):
        grow(one, CSV, between("2024-01-01", "2024-02-01"))
    with django_assert_num_queries(1):  # type: ignore[operator]
        found = DataCoverageRange.objects.of_series([(one.pk, 60) for one in (market, *others)])
    assert all(coverage == {CSV: RangeSet([between("2024-01-01", "2024-02-01")])} for coverage in found.values())


def days(market: Market) -> TradedDays:
    first = at("2024-01-10 05:00")
    return TradedDays(
        market=market, interval_minutes=60, first_day=date(2024, 1, 10), packed=b"", first_slot=first, last_slot=first
    )


def counts(*values: int) -> np.ndarray[tuple[int], np.dtype[np.uint16]]:
    return np.array(values, dtype=np.uint16)


def test_days_are_laid_in_their_place_and_the_array_grows(market: Market) -> None:
    row = days(market)
    row.put([(date(2024, 1, 10), counts(3, 4))], at("2024-01-10 05:00"), at("2024-01-11 09:00"))
    row.put([(date(2024, 1, 8), counts(7)), (date(2024, 1, 13), counts(9))], at("2024-01-08"), at("2024-01-13 23:00"))
    row.save()
    stored = TradedDays.objects.get()
    assert stored.first_day == date(2024, 1, 8)
    assert stored.counts.tolist() == [7, 0, 3, 4, 0, 9]
    assert stored.candles == 23
    assert (stored.first_slot, stored.last_slot) == (at("2024-01-08"), at("2024-01-13 23:00"))


def test_days_counted_anew_replace_what_was_counted(market: Market) -> None:
    row = days(market)
    row.put([(date(2024, 1, 10), counts(3, 4, 5))], at("2024-01-10"), at("2024-01-12"))
    row.put([(date(2024, 1, 11), counts(24))], at("2024-01-11"), at("2024-01-11 23:00"))
    assert row.counts.tolist() == [3, 24, 5]
