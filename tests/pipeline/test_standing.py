"""Standings: at any moment the figures are a report's; a market is told anew when it has changed."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from chandlery.candles.evidence import Source
from chandlery.candles.interval import Interval
from chandlery.models import DataCoverageRange, GapRecord, GapStatus, Market, QualityFinding, TradedDays
from chandlery.pipeline import standing
from chandlery.pipeline.knowledge import MarketFacts, know
from chandlery.pipeline.markets import select
from chandlery.pipeline.report import report
from chandlery.pipeline.request import Selection
from chandlery.pipeline.standing import StandingsKept
from chandlery.reporting.as_json import report_as_json
from chandlery.stores import open_store
from chandlery.stores.base import CandleStore
from tests.candles.builders import at
from tests.factories import DataCoverageRangeFactory, GapRecordFactory
from tests.pipeline.stocked import NOW, covered, doubted, stocked, traded

pytestmark = pytest.mark.django_db

HOUR = Interval.M60


@pytest.fixture
def store(tmp_path: Path) -> CandleStore:
    return open_store("parquet:candles", tmp_path)


@pytest.fixture
def kept(store: CandleStore) -> StandingsKept:
    return StandingsKept(store)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The markets that were told anew, each time."""
    asked: list[list[str]] = []

    def noted(markets: list[Market], store: CandleStore, now: datetime) -> dict[str, MarketFacts]:
        asked.append([market.altname for market in markets])
        return know(markets, store, now)

    monkeypatch.setattr(standing, "know", noted)
    return asked


def agree(kept: StandingsKept, store: CandleStore, now: datetime, tier: str = "TIER1") -> None:
    """The overview's row is what `report_completeness --tier … --intervals 60 --json` tells at `now`."""
    selection = Selection((HOUR,), tiers=(tier,))
    found = report_as_json(report(selection, select(selection), store, now))
    overall, series = found["overall"], found["series"]
    assert isinstance(overall, dict)
    assert isinstance(series, list)
    row = next(row for row in kept.at(now).at(now, ("USD",)).rows if (row.tier, row.interval) == (tier, HOUR))
    names = ("slots", "traded", "quiet_proven", "quiet_confirmed", "quiet_claimed", "suspect", "missing", "unlisted")
    assert {name: getattr(row.tally, name) for name in names} == {name: overall[name] for name in names}
    assert (row.completeness, row.density) == (overall["completeness"], overall["density"])
    assert (row.gaps.all, row.gaps.api) == (overall["gaps"], overall["api_fillable"])
    assert (row.markets, row.unknown) == (len(series), overall["unknown_series"])
    gaps = [gap for one in series for gap in one["gaps"]]
    assert row.gaps.suspect == sum(gap["reason"] == "SUSPECT" for gap in gaps)
    assert row.gaps.accepted == sum(gap["status"] == "ACCEPTED" for gap in gaps)
    across = sum(0 < gap["overflow_candles"] < gap["candles"] and gap["reason"] == "MISSING" for gap in gaps)
    assert row.gaps.across == across
    assert row.complete == sum(one["start"] is not None and not one["missing"] + one["suspect"] for one in series)


def moments() -> Iterator[datetime]:
    """Minutes, hours, days and weeks later."""
    for hours in (0, 0.02, 0.5, 1, 7, 24, 24 * 13, 24 * 22, 24 * 23, 24 * 40):
        yield NOW + timedelta(hours=hours)


def test_at_any_moment_it_is_what_a_report_tells(kept: StandingsKept, store: CandleStore) -> None:
    stocked(8)
    for now in moments():
        agree(kept, store, now)


def test_time_alone_tells_no_market_anew(kept: StandingsKept, store: CandleStore, told: list[list[str]]) -> None:
    stocked(3)
    for now in moments():
        kept.at(now)
    assert len(told) == 1


def test_whoever_asks_for_the_minute_and_who_for_the_second_are_told_the_same(
    kept: StandingsKept, store: CandleStore, told: list[list[str]]
) -> None:
    stocked(2)
    for seconds in (30, 0, 59, 1):
        kept.at(NOW + timedelta(seconds=seconds))
    assert len(told) == 1


def test_what_the_api_may_still_change_counts_until_it_leaves_the_window(
    kept: StandingsKept, store: CandleStore
) -> None:
    (market,) = stocked(1)
    DataCoverageRangeFactory.create(
        market=market, source=Source.API, provisional=True, start_date=at("2024-05-01"), end_date=at("2024-05-01 03:00")
    )
    for days in (0, 29, 29.9, 30, 30.05, 30.1, 30.2, 31):
        agree(kept, store, NOW + timedelta(days=days))


def test_an_exchange_that_told_a_delisting_ahead_is_believed_when_it_comes(
    kept: StandingsKept, store: CandleStore
) -> None:
    (market,) = stocked(1)
    market.delisted_at = NOW + timedelta(hours=5)
    market.save()
    for hours in (0, 1, 4, 5, 6, 30):
        agree(kept, store, NOW + timedelta(hours=hours))


Change = Callable[[Market], None]


def _coverage_gone(market: Market) -> None:
    DataCoverageRange.objects.filter(market=market, source=Source.API).delete()


def _fewer_candles(market: Market) -> None:
    TradedDays.objects.filter(market=market).delete()
    traded(market, HOUR, at("2024-02-20"), at("2024-04-01"), seed=99)


def _accepted(market: Market) -> None:
    GapRecordFactory.create(
        market=market, gap_start=at("2024-04-01"), gap_end=at("2024-04-08"), status=GapStatus.ACCEPTED
    )


def _delisted(market: Market) -> None:
    market.delisted_at = at("2024-04-10")
    market.save()


def _not_listed(market: Market) -> None:
    market.absent_since = at("2024-04-10")
    market.save()


def _answered(market: Market) -> None:
    covered(market, HOUR, Source.CSV, at("2024-04-02"), at("2024-04-03"))


def _contradicted(market: Market) -> None:
    doubted(market, HOUR, at("2024-03-20"))


CHANGES: list[Change] = [
    _answered,
    _contradicted,
    _coverage_gone,
    _fewer_candles,
    _accepted,
    _delisted,
    _not_listed,
]


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_changes_is_seen_at_once_and_told_of_that_market_alone(
    change: Change, kept: StandingsKept, store: CandleStore, told: list[list[str]]
) -> None:
    markets = stocked(3)
    agree(kept, store, NOW)
    change(markets[2])
    agree(kept, store, NOW + timedelta(hours=2))
    assert told[1:] == [[markets[2].altname]]


def test_a_finding_that_is_accepted_is_one_no_more(kept: StandingsKept, store: CandleStore) -> None:
    stocked(2)
    agree(kept, store, NOW)
    QualityFinding.objects.get().accept("an outage of the exchange")
    agree(kept, store, NOW)
    assert kept.at(NOW).at(NOW, ("USD",)).rows[0].gaps.suspect == 0


def test_a_market_that_goes_is_gone(kept: StandingsKept, store: CandleStore) -> None:
    markets = stocked(3)
    agree(kept, store, NOW)
    GapRecord.objects.all().delete()
    markets[0].delete()
    agree(kept, store, NOW)


def test_queries_do_not_grow_with_the_markets(store: CandleStore) -> None:
    stocked(2)
    few = queries(StandingsKept(store))
    stocked(30, first=2)
    assert queries(StandingsKept(store)) == few


def queries(kept: StandingsKept) -> int:
    with CaptureQueriesContext(connection) as counted:
        kept.at(NOW)
        kept.at(NOW + timedelta(minutes=1))
    return len(counted)
