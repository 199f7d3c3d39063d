"""What whole releases claim beyond their single files, and what they tell of a market's first trade."""

from datetime import datetime
from pathlib import Path

import pytest

from chandlery.candles.evidence import Evidence, Origin, Source
from chandlery.candles.interval import Interval
from chandlery.candles.series import Series
from chandlery.candles.timerange import TimeRange
from chandlery.models import ArchiveRelease, DataCoverageRange, Market, TradedDays
from chandlery.pipeline.cover import settle
from chandlery.stores import open_store
from chandlery.stores.base import CandleStore
from tests.candles.builders import at, between, candles_at
from tests.factories import NOW, ArchiveReleaseFactory, FileIngestionRecordFactory, MarketFactory

pytestmark = pytest.mark.django_db

SETTLED = Evidence(Source.CSV)
LISTED = at("2024-02-14 11:36")


@pytest.fixture
def store(tmp_path: Path) -> CandleStore:
    store = open_store("parquet:candles", tmp_path)
    store.create()
    return store


@pytest.fixture
def market() -> Market:
    return MarketFactory.create(base__ticker="ETH", altname="ETHUSD")


def release(
    *markets: str, complete: bool = False, end: str = "2024-04-01", minutes: tuple[int, ...] = (60, 1440)
) -> ArchiveRelease:
    """A release that holds these markets at these intervals."""
    start = None if complete else at("2024-01-01")
    members = {str(m): sorted(markets) for m in minutes}
    return ArchiveReleaseFactory.create(period_start=start, period_end=at(end), complete=complete, members=members)


def read(of: ArchiveRelease, market: Market, minutes: int, first: datetime) -> None:
    """A file of the release is in, and its first row is `first`."""
    FileIngestionRecordFactory.create(
        release=of,
        market=market,
        interval_minutes=minutes,
        date_range_start=Interval(minutes).floor(first),
        date_range_end=at("2024-03-31"),
    )


def stored(store: CandleStore, market: Market, minutes: int, slot: datetime) -> None:
    """One candle, as a loose file would have brought it."""
    series = Series("kraken", market.altname, Interval(minutes))
    written = store.write(series, candles_at(slot), Origin(Source.CSV))
    row = TradedDays(
        market=market, interval_minutes=minutes, first_day=slot.date(), packed=b"", first_slot=slot, last_slot=slot
    )
    row.put([(piece.first_day, piece.counts) for piece in written.days], slot, slot)
    row.save()


def coverage(market: Market) -> dict[int, list[TimeRange]]:
    rows = DataCoverageRange.objects.filter(market=market).order_by("interval_minutes", "start_date")
    assert all(row.evidence == SETTLED for row in rows)
    return {minutes: [row.range for row in rows if row.interval_minutes == minutes] for minutes in (60, 1440)}


def test_a_complete_release_tells_the_first_trade_to_the_finest_slot(market: Market, store: CandleStore) -> None:
    whole = release("ETHUSD", complete=True)
    read(whole, market, 1440, LISTED)
    read(whole, market, 60, LISTED)
    settle([market], store, NOW)
    assert Market.objects.get().first_trade == at("2024-02-14 11:00")


def test_a_finer_file_that_comes_later_tells_it_more_closely(market: Market, store: CandleStore) -> None:
    whole = release("ETHUSD", complete=True)
    read(whole, market, 1440, LISTED)
    settle([market], store, NOW)
    assert Market.objects.get().first_trade == at("2024-02-14")
    read(whole, market, 60, LISTED)
    settle([market], store, NOW)
    assert Market.objects.get().first_trade == at("2024-02-14 11:00")


def test_of_two_complete_releases_the_earlier_row_is_the_first_trade(market: Market, store: CandleStore) -> None:
    read(release("ETHUSD", complete=True), market, 60, at("2024-02-20"))
    read(release("ETHUSD", complete=True), market, 60, LISTED)
    settle([market], store, NOW)
    assert Market.objects.get().first_trade == at("2024-02-14 11:00")


def test_a_first_trade_that_is_known_better_is_kept(market: Market, store: CandleStore) -> None:
    market.first_trade = at("2024-02-13 09:17")
    market.save()
    read(release("ETHUSD", complete=True), market, 60, LISTED)
    settle([market], store, NOW)
    assert Market.objects.get().first_trade == at("2024-02-13 09:17")


def test_a_quarterly_release_tells_nothing_of_the_first_trade(market: Market, store: CandleStore) -> None:
    read(release("ETHUSD"), market, 60, LISTED)
    settle([market], store, NOW)
    assert Market.objects.get().first_trade is None
    assert coverage(market) == {60: [], 1440: []}


def test_a_complete_release_claims_what_was_read_of_it_from_the_first_trade_on(
    market: Market, store: CandleStore
) -> None:
    """A day whose first hour traded began with a trade, even where the file of hours lacks it."""
    whole = release("ETHUSD", complete=True, minutes=(15, 60, 1440))
    read(whole, market, 1440, LISTED)
    read(whole, market, 60, at("2024-02-15 08:00"))
    settle([market], store, NOW)
    assert coverage(market) == {
        60: [between("2024-02-14", "2024-04-01")],
        1440: [between("2024-02-14", "2024-04-01")],
    }
    assert not DataCoverageRange.objects.filter(interval_minutes=15).exists()


def test_of_a_period_that_ends_inside_a_slot_whole_slots_are_claimed(market: Market, store: CandleStore) -> None:
    whole = release("ETHUSD", complete=True, end="2024-03-31 23:58")
    read(whole, market, 1440, LISTED)
    read(whole, market, 60, LISTED)
    settle([market], store, NOW)
    assert coverage(market) == {
        60: [between("2024-02-14 11:00", "2024-03-31 23:00")],
        1440: [between("2024-02-14", "2024-03-31")],
    }


def test_a_market_that_is_absent_from_a_whole_release_is_claimed_quiet_at_its_intervals(
    market: Market, store: CandleStore
) -> None:
    stored(store, market, 15, LISTED.replace(minute=30))
    release("XBTUSD")
    settle([market], store, NOW)
    assert coverage(market) == {
        60: [between("2024-02-14 11:00", "2024-04-01")],
        1440: [between("2024-02-14", "2024-04-01")],
    }
    assert not DataCoverageRange.objects.filter(interval_minutes=15).exists()


def test_a_market_whose_first_candle_came_later_is_not_claimed(market: Market, store: CandleStore) -> None:
    stored(store, market, 60, at("2024-04-20"))
    release("XBTUSD")
    assert settle([market], store, NOW) == 0
    assert coverage(market) == {60: [], 1440: []}


def test_a_market_of_which_nothing_is_known_is_not_claimed(market: Market, store: CandleStore) -> None:
    release("XBTUSD")
    assert settle([market], store, NOW) == 0


def test_a_market_that_lacks_one_interval_of_a_release_is_not_claimed_there(market: Market, store: CandleStore) -> None:
    stored(store, market, 60, at("2024-01-05"))
    ArchiveReleaseFactory.create(members={"60": ["ETHUSD"], "1440": ["XBTUSD"]})
    assert settle([market], store, NOW) == 0


def test_settling_twice_gains_nothing(market: Market, store: CandleStore) -> None:
    stored(store, market, 60, at("2024-01-05"))
    release("XBTUSD")
    assert settle([market], store, NOW) == 2
    before = list(DataCoverageRange.objects.values())
    assert settle([market], store, NOW) == 0
    assert list(DataCoverageRange.objects.values()) == before
