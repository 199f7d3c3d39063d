"""What of a market is still to be audited, and who may say that nothing is."""

from datetime import timedelta

import pytest
from pytest_django import DjangoAssertNumQueries

from chandlery.candles.timerange import RangeSet, TimeRange
from chandlery.models import CandleAudit, Market
from chandlery.models.candle_audit import MOST_RANGES
from tests.candles.builders import at, between
from tests.factories import NOW, MarketFactory

pytestmark = pytest.mark.django_db

DAY = between("2024-01-04", "2024-01-05")
WEEK = between("2024-01-11", "2024-01-18")


@pytest.fixture
def market() -> Market:
    return MarketFactory.create(base__ticker="XBT")


def outdate(market: Market, *ranges: TimeRange) -> None:
    CandleAudit.objects.outdate(market, RangeSet(ranges))


def row_of(market: Market) -> CandleAudit:
    return CandleAudit.objects.get(market=market)


def finish(*markets: Market, changes: int | None = None) -> set[int]:
    """As an audit that began when each had changed so often, or just now."""
    begun = {one.pk: row_of(one).changes if changes is None else changes for one in markets}
    return CandleAudit.objects.finish(begun, NOW)


def audited(market: Market) -> Market:
    """A market of which nothing is due."""
    CandleAudit.objects.begin([market.pk])
    finish(market)
    return market


# ---------------------------------------------------------------------------------------------------------------- begin


def test_of_a_market_that_was_never_audited_all_is_due(market: Market) -> None:
    row = CandleAudit.objects.begin([market.pk])[market.pk]

    assert (row.whole, row.is_due, row.ranges, row.audited_at) == (True, True, RangeSet(), None)


def test_begun_again_what_is_due_stays_as_it_is(market: Market) -> None:
    outdate(audited(market), DAY)

    row = CandleAudit.objects.begin([market.pk])[market.pk]

    assert (row.whole, row.ranges, row.changes) == (False, RangeSet([DAY]), 1)


def test_audits_of_many_markets_take_as_many_queries_as_that_of_one(
    market: Market, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    wanted = [market.pk, *(MarketFactory.create().pk for _ in range(5))]

    with django_assert_num_queries(3):
        assert CandleAudit.objects.begin(wanted).keys() == set(wanted)


def test_markets_that_were_never_audited_have_no_row(market: Market) -> None:
    other = MarketFactory.create()
    CandleAudit.objects.begin([market.pk])

    assert CandleAudit.objects.of_markets([market.pk, other.pk]).keys() == {market.pk}


# -------------------------------------------------------------------------------------------------------------- outdate


def test_what_changes_is_due(market: Market) -> None:
    outdate(audited(market), WEEK, DAY)

    row = row_of(market)
    assert (row.whole, row.is_due, row.ranges) == (False, True, RangeSet([DAY, WEEK]))


def test_what_changes_later_is_due_as_well(market: Market) -> None:
    outdate(audited(market), DAY)
    outdate(market, WEEK)
    outdate(market, between("2024-01-04 12:00", "2024-01-06"))

    assert row_of(market).ranges == RangeSet([between("2024-01-04", "2024-01-06"), WEEK])


def test_each_change_counts(market: Market) -> None:
    outdate(audited(market), DAY)
    outdate(market, DAY)

    assert row_of(market).changes == 2


def test_where_nothing_changed_nothing_is_due(market: Market) -> None:
    outdate(audited(market))

    row = row_of(market)
    assert (row.is_due, row.changes) == (False, 0)


def test_a_market_that_was_never_audited_needs_no_row_for_its_changes(market: Market) -> None:
    outdate(market, DAY)

    assert not CandleAudit.objects.exists()


def test_the_changes_of_one_market_are_not_those_of_another(market: Market) -> None:
    other = audited(MarketFactory.create())
    outdate(audited(market), DAY)

    assert not row_of(other).is_due


def hours(count: int) -> list[TimeRange]:
    """Every other one."""
    return [
        TimeRange(start, start + timedelta(hours=1))
        for start in (at("2024-01-01") + i * timedelta(hours=2) for i in range(count))
    ]


def test_as_many_ranges_as_are_kept_are_kept_apart(market: Market) -> None:
    outdate(audited(market), *hours(MOST_RANGES))

    assert row_of(market).ranges == RangeSet(hours(MOST_RANGES))


def test_more_ranges_are_one_from_the_first_to_the_last(market: Market) -> None:
    some = hours(MOST_RANGES + 1)
    outdate(audited(market), *some[1:])
    outdate(market, some[0])

    assert row_of(market).ranges == RangeSet([TimeRange(some[0].start, some[-1].end)])


# --------------------------------------------------------------------------------------------------------------- finish


def test_of_what_was_audited_nothing_is_due_any_more(market: Market) -> None:
    outdate(audited(market), DAY)

    assert finish(market) == {market.pk}
    row = row_of(market)
    assert (row.whole, row.is_due, row.ranges, row.audited_at) == (False, False, RangeSet(), NOW)


def test_what_changed_meanwhile_is_due_as_before(market: Market) -> None:
    outdate(audited(market), DAY)
    begun = row_of(market).changes
    outdate(market, WEEK)

    assert finish(market, changes=begun) == set()
    assert row_of(market).ranges == RangeSet([DAY, WEEK])


def test_a_market_that_changed_in_its_first_audit_is_due_as_a_whole(market: Market) -> None:
    CandleAudit.objects.begin([market.pk])
    outdate(market, DAY)

    assert finish(market, changes=0) == set()
    row = row_of(market)
    assert (row.whole, row.audited_at) == (True, None)


def test_markets_that_changed_meanwhile_do_not_hold_up_the_others(market: Market) -> None:
    other = audited(MarketFactory.create())
    outdate(audited(market), DAY)

    assert CandleAudit.objects.finish({market.pk: 0, other.pk: 0}, NOW) == {other.pk}


def test_markets_that_were_not_audited_stay_due(market: Market) -> None:
    other = MarketFactory.create()
    CandleAudit.objects.begin([market.pk, other.pk])

    finish(market)

    assert row_of(other).whole


# -------------------------------------------------------------------------------------------------------------- the row


def test_a_row_says_how_much_is_due(market: Market) -> None:
    CandleAudit.objects.begin([market.pk])
    assert str(row_of(market)) == f"{market.altname}: all due"

    outdate(audited(market), DAY, WEEK)
    assert str(row_of(market)) == f"{market.altname}: 2 due"
