"""The ledger and audited weeks as rows."""

from datetime import datetime, timedelta

import numpy as np
import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from chandlery.candles.interval import EPOCH
from chandlery.candles.ledger import WEEK, Figures, WeekVerdict
from chandlery.candles.timerange import RangeSet, TimeRange
from chandlery.models import AuditedWeeks, Ledger, Market
from tests.candles.builders import at
from tests.factories import NOW, MarketFactory

pytestmark = pytest.mark.django_db

#: 2024-01-04, a Thursday.
FIRST = 2818


def figures(*trades: int, first: int = FIRST) -> Figures:
    counts = np.array(trades, dtype=np.int64)
    return Figures(first, counts, np.maximum(counts, 0) * 0.1)


def weeks(number: int, count: int = 1) -> TimeRange:
    return TimeRange(EPOCH + (FIRST + number) * WEEK, EPOCH + (FIRST + number + count) * WEEK)


@pytest.fixture
def market() -> Market:
    return MarketFactory.create(base__ticker="XBT")


def put(market: Market, answer: Figures, *, reaches_first: bool = True, asked_at: datetime = NOW) -> RangeSet:
    return Ledger.objects.put(market, answer, reaches_first=reaches_first, asked_at=asked_at)


def test_an_answer_is_kept_as_it_was_told(market: Market) -> None:
    assert put(market, figures(3, 0, 5)) == RangeSet([weeks(0, 3)])
    row = Ledger.objects.get()
    assert (row.first_week, row.weeks, row.trades, row.asked_at) == (FIRST, 3, 8, NOW)
    assert row.figures.trades.tolist() == [3, 0, 5]
    assert row.figures.volume.tolist() == [3 * 0.1, 0, 5 * 0.1]


def test_a_later_answer_tells_which_weeks_it_changed(market: Market) -> None:
    put(market, figures(3, 4, 5))
    assert put(market, figures(3, 6, 5, 7), asked_at=NOW + WEEK) == RangeSet([weeks(1), weeks(3)])
    assert Ledger.objects.get().asked_at == NOW + WEEK


def test_the_same_answer_changes_no_week(market: Market) -> None:
    put(market, figures(3, 4, 5))
    assert not put(market, figures(3, 4, 5))


def test_weeks_that_have_left_the_window_stay(market: Market) -> None:
    put(market, figures(3, 4, 5))
    put(market, figures(5, 6, first=FIRST + 2), reaches_first=False)
    row = Ledger.objects.get()
    assert row.figures.trades.tolist() == [3, 4, 5, 6]
    assert row.reaches_first


def test_an_answer_without_a_week_is_an_answer(market: Market) -> None:
    assert not put(market, figures())
    assert (Ledger.objects.get().weeks, Ledger.objects.get().first_traded) == (0, None)


def test_the_first_week_with_trades_is_known_where_the_ledger_reaches_it(market: Market) -> None:
    put(market, figures(0, 0, 5))
    assert Ledger.objects.get().first_traded == at("2024-01-18")
    Ledger.objects.update(reaches_first=False)
    assert Ledger.objects.get().first_traded is None


def audited(market: Market, *trades: int) -> AuditedWeeks:
    """So many trades counted, every second week of them confirmed, the others short."""
    row = AuditedWeeks(market=market, interval_minutes=60)
    judged = [WeekVerdict.SHORT if i % 2 else WeekVerdict.CONFIRMED for i in range(len(trades))]
    row.lay(figures(*trades), np.array(judged, dtype=np.uint8))
    AuditedWeeks.objects.put([row])
    return row


def test_audited_weeks_are_kept_as_they_were(market: Market) -> None:
    audited(market, 1, 2, 3)
    row = AuditedWeeks.objects.get()
    assert row.sums.trades.tolist() == [1, 2, 3]
    assert row.week_verdicts.tolist() == [1, 2, 1]
    assert (row.counted_weeks, row.confirmed_weeks, row.short_weeks) == (3, 2, 1)
    assert row.confirmed == RangeSet([weeks(0), weeks(2)])


def test_a_row_that_is_put_again_stays_one_row(market: Market) -> None:
    row = audited(market, 1, 2, 3)
    row.lay(figures(4), np.array([WeekVerdict.CONFIRMED], dtype=np.uint8))
    AuditedWeeks.objects.put([row])
    assert AuditedWeeks.objects.get().sums.trades.tolist() == [4]


def test_weeks_whose_candles_changed_are_to_be_counted_anew(market: Market) -> None:
    audited(market, 1, 2, 3, 4)
    minute = weeks(2).start + timedelta(minutes=5)
    AuditedWeeks.objects.outdate(market, 60, RangeSet([TimeRange(minute, minute + timedelta(minutes=1))]))
    row = AuditedWeeks.objects.get()
    assert row.sums.trades.tolist() == [1, 2, -1, 4]
    assert row.week_verdicts.tolist() == [1, 2, 0, 2]
    assert (row.counted_weeks, row.confirmed_weeks) == (3, 1)


def test_a_range_that_reaches_beyond_what_was_counted_outdates_what_lies_in_it(market: Market) -> None:
    audited(market, 1, 2)
    AuditedWeeks.objects.outdate(market, 60, RangeSet([weeks(-5, 6), weeks(9)]))
    assert AuditedWeeks.objects.get().sums.trades.tolist() == [-1, 2]


@pytest.mark.parametrize("within", [weeks(-3, 3), weeks(4)])
def test_outdating_costs_one_query_where_no_such_week_was_counted(
    market: Market, within: TimeRange, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    audited(market, 1, 2, 3, 4)
    with django_assert_num_queries(1):
        AuditedWeeks.objects.outdate(market, 60, RangeSet([within]))
    assert AuditedWeeks.objects.get().counted_weeks == 4


def test_other_series_are_not_outdated(market: Market) -> None:
    audited(market, 1, 2, 3, 4)
    AuditedWeeks.objects.outdate(market, 30, RangeSet([weeks(0, 4)]))
    assert AuditedWeeks.objects.get().counted_weeks == 4


def test_outdating_twice_writes_once(market: Market, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    audited(market, 1, 2)
    AuditedWeeks.objects.outdate(market, 60, RangeSet([weeks(0)]))
    with django_assert_num_queries(1):
        AuditedWeeks.objects.outdate(market, 60, RangeSet([weeks(0)]))


def test_outdating_nothing_costs_nothing(market: Market, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_num_queries(0):
        AuditedWeeks.objects.outdate(market, 60, RangeSet())


def test_confirmed_weeks_of_many_series_take_one_query(
    market: Market, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    others = [MarketFactory.create() for _ in range(3)]
    for one in (market, *others):
        audited(one, 1, 2, 3)
    with django_assert_num_queries(1):
        found = AuditedWeeks.objects.confirmed([one.pk for one in (market, *others)])
    assert found == {(one.pk, 60): RangeSet([weeks(0), weeks(2)]) for one in (market, *others)}


def test_the_database_refuses_a_second_row_of_a_series(market: Market) -> None:
    audited(market, 1)
    with pytest.raises(IntegrityError):
        audited(market, 2)


def test_the_admin_shows_spans_and_counts(market: Market, client: Client) -> None:
    put(market, figures(3, 4))
    row = audited(market, 3, 4)
    client.force_login(User.objects.create_superuser("harbour", password="a long enough one"))
    for page in (
        "/admin/chandlery/ledger/",
        f"/admin/chandlery/ledger/{Ledger.objects.get().pk}/change/",
        "/admin/chandlery/auditedweeks/",
        f"/admin/chandlery/auditedweeks/{row.pk}/change/",
    ):
        assert "2024-01-04 to 2024-01-18" in client.get(page).content.decode()
