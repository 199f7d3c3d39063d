"""Findings on record: each is found once, and goes when its cause goes."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from chandlery.candles.timerange import RangeSet, TimeRange
from chandlery.models import Finding, FindingKind, FindingsChanged, FindingState, Market, QualityFinding, Severity
from tests.candles.builders import between
from tests.databases import HOLDING
from tests.factories import NOW, MarketFactory

pytestmark = pytest.mark.django_db

SHORT, NEARLY = FindingKind.LEDGER_SHORT, FindingKind.LEDGER_NEARLY
KINDS = {SHORT, NEARLY}
DAY = between("2024-01-04", "2024-01-05")
WEEK = between("2024-01-11", "2024-01-18")
LATER = NOW + timedelta(days=1)


@pytest.fixture
def market() -> Market:
    return MarketFactory.create(base__ticker="XBT")


def short(within: TimeRange = DAY, trades: int = 7) -> Finding:
    return Finding(SHORT, within, {"ledger_trades": 10, "stored_trades": trades})


def settle(market: Market, *wanted: Finding) -> FindingsChanged:
    return QualityFinding.objects.reconcile(market, 60, KINDS, wanted, LATER)


def rows() -> list[tuple[str, TimeRange, str]]:
    return [(row.kind, row.range, row.state) for row in QualityFinding.objects.order_by("start", "pk")]


def test_what_is_found_is_on_record(market: Market) -> None:
    assert settle(market, short()) == FindingsChanged(opened=1)
    row = QualityFinding.objects.get()
    assert (row.range, row.kind, row.severity, row.state) == (DAY, SHORT, Severity.ERROR, FindingState.OPEN)
    assert (row.evidence, row.found_at, row.resolved_at) == ({"ledger_trades": 10, "stored_trades": 7}, LATER, None)


def test_found_again_it_changes_nothing(market: Market, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    settle(market, short())
    before = list(QualityFinding.objects.values())
    with django_assert_num_queries(1 + HOLDING):
        assert settle(market, short()) == FindingsChanged()
    assert list(QualityFinding.objects.values()) == before


def test_found_with_other_figures_it_keeps_its_row(market: Market) -> None:
    settle(market, short())
    before = QualityFinding.objects.get().pk
    wider = TimeRange(DAY.start, WEEK.end)
    assert settle(market, short(wider, trades=5)) == FindingsChanged(updated=1)
    row = QualityFinding.objects.get()
    assert (row.pk, row.range, row.evidence["stored_trades"]) == (before, wider, 5)


def test_what_is_found_no_more_is_resolved_with_its_time(market: Market) -> None:
    settle(market, short())
    assert settle(market) == FindingsChanged(resolved=1)
    row = QualityFinding.objects.get()
    assert (row.state, row.resolved_at) == (FindingState.RESOLVED, LATER)


def test_what_comes_back_is_a_new_finding(market: Market) -> None:
    settle(market, short())
    settle(market)
    settle(market, short())
    assert [state for _, _, state in rows()] == [FindingState.RESOLVED, FindingState.OPEN]


def test_an_accepted_finding_stays_accepted(market: Market) -> None:
    settle(market, short())
    QualityFinding.objects.update(state=FindingState.ACCEPTED, why="the exchange says so")
    settle(market, short(trades=3))
    settle(market)
    settle(market, short())
    row = QualityFinding.objects.get()
    assert (row.state, row.why) == (FindingState.ACCEPTED, "the exchange says so")


def test_nothing_of_its_kind_is_opened_inside_of_an_accepted_one(market: Market) -> None:
    settle(market, short(WEEK))
    QualityFinding.objects.update(state=FindingState.ACCEPTED)
    day = between("2024-01-12", "2024-01-13")
    assert settle(market, short(day), Finding(NEARLY, day)) == FindingsChanged(opened=1)
    assert [(kind, state) for kind, _, state in rows()] == [
        (SHORT, FindingState.ACCEPTED),
        (NEARLY, FindingState.OPEN),
    ]


def test_findings_of_other_kinds_and_series_are_left_alone(market: Market) -> None:
    QualityFinding.objects.record(market, 60, Finding(FindingKind.ID_BREAK, DAY), NOW)
    QualityFinding.objects.reconcile(market, 1440, KINDS, [short()], NOW)
    settle(market)
    assert [state for _, _, state in rows()] == [FindingState.OPEN] * 2


def test_findings_of_many_series_take_as_many_queries_as_those_of_one(
    market: Market, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    others = [MarketFactory.create() for _ in range(5)]
    wanted = {(one.pk, 60): [short()] for one in (market, *others)}
    with django_assert_num_queries(2 + HOLDING):
        QualityFinding.objects.reconcile_all(wanted, KINDS, NOW)
    with django_assert_num_queries(1 + HOLDING):
        QualityFinding.objects.reconcile_all(wanted, KINDS, NOW)


def test_only_open_findings_of_contradicting_kinds_contradict(
    market: Market, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    gone = between("2024-02-01", "2024-02-02")
    settle(market, short(gone))
    settle(market, short(), short(WEEK), Finding(NEARLY, between("2024-03-07", "2024-03-14")))
    QualityFinding.objects.filter(start=WEEK.start).update(state=FindingState.ACCEPTED)
    with django_assert_num_queries(1):
        assert QualityFinding.objects.contradicted([market.pk]) == {(market.pk, 60): RangeSet([DAY])}


def test_what_was_seen_twice_is_recorded_once(market: Market) -> None:
    for trades in (1, 2, 2):
        seen = Finding(FindingKind.TRADES_DIFFER, DAY, {"candles": trades})
        QualityFinding.objects.record(market, 60, seen, NOW)
    assert QualityFinding.objects.get().evidence == {"candles": 2}


def test_what_trades_have_set_right_is_on_record_and_not_open(market: Market) -> None:
    QualityFinding.objects.record(market, 1, Finding(FindingKind.TRADES_DIFFER, DAY), NOW)
    QualityFinding.objects.record(market, 1, Finding(FindingKind.ID_BREAK, DAY), NOW)

    states = dict(QualityFinding.objects.values_list("kind", "state"))
    assert states == {FindingKind.TRADES_DIFFER: FindingState.RESOLVED, FindingKind.ID_BREAK: FindingState.OPEN}
    assert QualityFinding.objects.get(kind=FindingKind.TRADES_DIFFER).resolved_at == NOW


def test_the_database_refuses_one_thing_found_twice(market: Market) -> None:
    settle(market, short())
    twin = QualityFinding.objects.get()
    twin.pk = None
    with pytest.raises(IntegrityError):
        twin.save(force_insert=True)


def test_findings_are_accepted_in_the_admin(market: Market, client: Client) -> None:
    settle(market, short(), short(WEEK))
    settle(market, short())
    client.force_login(User.objects.create_superuser("harbour", password="a long enough one"))
    chosen = list(QualityFinding.objects.values_list("pk", flat=True))
    client.post("/admin/chandlery/qualityfinding/", {"action": "accept", "_selected_action": chosen})
    assert [state for _, _, state in rows()] == [FindingState.ACCEPTED, FindingState.RESOLVED]
    page = f"/admin/chandlery/qualityfinding/{chosen[0]}/change/"
    assert client.get(page).status_code == 200
    client.post(page, {"why": "the exchange says so", "state": FindingState.OPEN})
    row = QualityFinding.objects.get(pk=chosen[0])
    assert (row.why, row.state) == ("the exchange says so", FindingState.ACCEPTED)
