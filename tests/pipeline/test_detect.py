"""Gaps on record: a gap keeps its row for as long as any of it is open."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
from pytest_django import DjangoAssertNumQueries

from chandlery.candles.evidence import Evidence, Source
from chandlery.candles.gap import Reason
from chandlery.candles.interval import Interval
from chandlery.candles.series import Series
from chandlery.candles.timerange import RangeSet, TimeRange
from chandlery.candles.verdict import Knowledge, Life
from chandlery.models import GapRecord, GapStatus, Market
from chandlery.pipeline.detect import record_gaps
from chandlery.pipeline.knowledge import MarketFacts
from tests.candles.builders import at, between
from tests.factories import MarketFactory

pytestmark = pytest.mark.django_db

HOURS = Interval.M60
JANUARY = between("2024-01-01", "2024-02-01")
#: Hourly candles of the last 30 days can be had from the API: none of January.
NOW = at("2024-06-01")
LATER = NOW + timedelta(days=1)


class NoCandles:
    """A series that never traded."""

    def count(self, within: TimeRange) -> int:
        return 0

    def opens(self, within: TimeRange) -> Sequence[datetime]:
        return ()


@pytest.fixture
def market() -> Market:
    return MarketFactory.create(base__ticker="XBT", altname="XBTUSD")


def look(
    market: Market,
    *answered: TimeRange,
    within: TimeRange | None = JANUARY,
    now: datetime = NOW,
    life: Life | None = None,
    suspected: RangeSet | None = None,
) -> list[GapRecord]:
    """Detect with so much answered of the market's hours; the records that are open afterwards."""
    coverage = {Evidence(Source.CSV): RangeSet(answered)}
    known = Knowledge(HOURS, life or Life(), coverage, NoCandles(), suspected=suspected or RangeSet())
    facts = {market.altname: MarketFacts(market, {HOURS: known}, None)}
    return record_gaps(facts, {Series("kraken", market.altname, HOURS): within}, now)


def rows() -> list[tuple[int, TimeRange, str]]:
    """Key, range and status of all records, by time."""
    return [(row.pk, row.range, row.status) for row in GapRecord.objects.order_by("gap_start", "pk")]


def test_each_run_of_open_slots_becomes_a_record(market: Market) -> None:
    first, second = look(market, between("2024-01-05", "2024-01-10"), between("2024-01-11", "2024-02-01"))
    assert (first.range, first.missing_candles) == (between("2024-01-01", "2024-01-05"), 96)
    assert (second.range, second.missing_candles) == (between("2024-01-10", "2024-01-11"), 24)
    assert (first.reason, first.detected_at, first.filled_at) == (Reason.MISSING, NOW, None)


def test_a_gap_outside_the_window_is_unfillable_and_names_the_file(market: Market) -> None:
    [gap] = look(market)
    assert (gap.status, gap.is_api_fillable, gap.overflow_candles) == (GapStatus.UNFILLABLE, False, 31 * 24)
    assert gap.required_csv_file == "XBTUSD_60_2024Q1.csv"


def test_a_gap_inside_the_window_is_fillable(market: Market) -> None:
    [gap] = look(market, within=between("2024-05-20", "2024-05-21"))
    assert (gap.status, gap.is_api_fillable, gap.overflow_candles) == (GapStatus.DETECTED, True, 0)
    assert gap.required_csv_file == ""


def test_a_gap_over_the_edge_of_the_window_stays_one_record(market: Market) -> None:
    [gap] = look(market, within=between("2024-05-01", "2024-05-03"))
    assert (gap.status, gap.is_api_fillable, gap.overflow_candles) == (GapStatus.DETECTED, False, 24)


def test_looking_again_changes_nothing(market: Market) -> None:
    look(market, between("2024-01-05", "2024-01-10"))
    before = list(GapRecord.objects.values())
    look(market, between("2024-01-05", "2024-01-10"))
    assert list(GapRecord.objects.values()) == before


def test_a_gap_that_shrinks_keeps_its_row(market: Market) -> None:
    [gap] = look(market)
    look(market, between("2024-01-01", "2024-01-20"), now=LATER)
    assert rows() == [(gap.pk, between("2024-01-20", "2024-02-01"), GapStatus.UNFILLABLE)]
    kept = GapRecord.objects.get()
    assert (kept.missing_candles, kept.detected_at) == (12 * 24, NOW)


def test_a_gap_that_grows_keeps_its_row(market: Market) -> None:
    [gap] = look(market)
    look(market, within=between("2023-12-20", "2024-03-01"), now=LATER)
    assert rows() == [(gap.pk, between("2023-12-20", "2024-03-01"), GapStatus.UNFILLABLE)]


def test_when_a_gap_is_split_the_earliest_piece_keeps_the_row(market: Market) -> None:
    [gap] = look(market)
    look(market, between("2024-01-10", "2024-01-20"), now=LATER)
    first, second = rows()
    assert first[:2] == (gap.pk, between("2024-01-01", "2024-01-10"))
    assert second[1] == between("2024-01-20", "2024-02-01")
    assert GapRecord.objects.get(pk=second[0]).detected_at == LATER


def test_when_two_gaps_become_one_the_earlier_row_stays(market: Market) -> None:
    first, _ = look(market, between("2024-01-10", "2024-01-20"))
    look(market, now=LATER)
    assert rows() == [(first.pk, JANUARY, GapStatus.UNFILLABLE)]


def test_a_closed_gap_is_filled_with_its_time(market: Market) -> None:
    [gap] = look(market)
    assert look(market, JANUARY, now=LATER) == []
    closed = GapRecord.objects.get()
    assert (closed.pk, closed.status, closed.filled_at) == (gap.pk, GapStatus.FILLED, LATER)
    assert (closed.missing_candles, closed.range) == (0, JANUARY)


def test_time_that_turns_out_to_be_unlisted_closes_a_gap(market: Market) -> None:
    look(market)
    assert look(market, life=Life(first_trade=at("2024-02-01")), now=LATER) == []
    assert GapRecord.objects.get().status == GapStatus.FILLED


def test_a_gap_that_opens_again_is_a_new_record(market: Market) -> None:
    [gap] = look(market)
    look(market, JANUARY)
    [again] = look(market, now=LATER)
    assert again.pk != gap.pk
    assert [status for _, _, status in rows()] == [GapStatus.FILLED, GapStatus.UNFILLABLE]


def test_an_accepted_gap_stays_accepted_while_it_changes(market: Market) -> None:
    [gap] = look(market)
    GapRecord.objects.update(status=GapStatus.ACCEPTED)
    look(market, between("2024-01-01", "2024-01-20"), now=LATER)
    assert rows() == [(gap.pk, between("2024-01-20", "2024-02-01"), GapStatus.ACCEPTED)]
    look(market, JANUARY, now=LATER)
    assert rows()[0][2] == GapStatus.FILLED


def test_a_gap_on_record_is_looked_at_although_something_else_is_asked_for(market: Market) -> None:
    [gap] = look(market)
    look(market, JANUARY, within=between("2024-05-20", "2024-05-21"), now=LATER)
    assert (rows()[0][0], rows()[0][2]) == (gap.pk, GapStatus.FILLED)


def test_a_gap_that_holds_a_suspect_slot_says_so(market: Market) -> None:
    [gap] = look(market, JANUARY, suspected=RangeSet([between("2024-01-05 03:00", "2024-01-05 04:00")]))
    assert (gap.reason, gap.missing_candles) == (Reason.SUSPECT, 1)


def test_gaps_of_other_series_are_left_alone(market: Market) -> None:
    other = MarketFactory.create(base__ticker="ETH")
    look(other)
    look(market)
    look(market, JANUARY)
    assert GapRecord.objects.get(market=other).status == GapStatus.UNFILLABLE


def test_the_markets_of_gaps_on_record_are_not_looked_up_one_by_one(
    market: Market, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    look(market, between("2024-01-05", "2024-01-10"))
    with django_assert_num_queries(3):  # the records, and the bounds of the transaction
        assert {row.market for row in look(market, between("2024-01-05", "2024-01-10"))} == {market}


def test_what_is_left_of_an_accepted_gap_stays_accepted_in_all_its_pieces(market: Market) -> None:
    look(market, between("2024-01-01", "2024-01-10"), between("2024-01-20", "2024-02-01"))
    GapRecord.objects.get().accept()
    filled = between("2024-01-13", "2024-01-15")
    look(market, between("2024-01-01", "2024-01-10"), filled, between("2024-01-20", "2024-02-01"), now=LATER)
    found = [(row.range, row.status) for row in GapRecord.objects.order_by("gap_start")]
    assert found == [
        (between("2024-01-10", "2024-01-13"), GapStatus.ACCEPTED),
        (between("2024-01-15", "2024-01-20"), GapStatus.ACCEPTED),
    ]


def test_a_gap_beside_an_accepted_one_is_not_accepted(market: Market) -> None:
    look(market, between("2024-01-01", "2024-01-10"), between("2024-01-20", "2024-02-01"))
    GapRecord.objects.get().accept()
    look(market, between("2024-01-01", "2024-01-10"), between("2024-01-20", "2024-01-25"), now=LATER)
    assert [row.status for row in GapRecord.objects.order_by("gap_start")] == [
        GapStatus.ACCEPTED,
        GapStatus.UNFILLABLE,
    ]
