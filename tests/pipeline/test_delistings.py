"""When a market counts as delisted: its exchange does not list it, and the quarter after its last candle is told."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from chandlery.candles.evidence import Origin, Source
from chandlery.candles.interval import Interval
from chandlery.candles.series import Series
from chandlery.models import Market, TradedDays
from chandlery.pipeline.cover import QUARTER, date_delistings
from chandlery.pipeline.knowledge import know
from chandlery.stores import open_store
from chandlery.stores.base import CandleStore
from tests.candles.builders import at, candles_at
from tests.factories import DataCoverageRangeFactory, MarketFactory

pytestmark = pytest.mark.django_db

NOW = at("2024-10-15 12:00")
#: The hour of the last trade, and its minute; both end at noon.
LAST_HOUR, LAST_MINUTE, END = at("2024-03-10 11:00"), at("2024-03-10 11:59"), at("2024-03-10 12:00")


@pytest.fixture
def store(tmp_path: Path) -> CandleStore:
    store = open_store("parquet:candles", tmp_path)
    store.create()
    return store


@pytest.fixture
def gone() -> Market:
    market = MarketFactory.create(base__ticker="ETH", altname="ETHUSD")
    market.mark_absent(NOW)
    return market


def stored(store: CandleStore, market: Market, minutes: int, slot: datetime) -> None:
    """One candle."""
    series = Series("kraken", market.altname, Interval(minutes))
    written = store.write(series, candles_at(slot), Origin(Source.CSV))
    row = TradedDays(
        market=market, interval_minutes=minutes, first_day=slot.date(), packed=b"", first_slot=slot, last_slot=slot
    )
    row.put([(piece.first_day, piece.counts) for piece in written.days], slot, slot)
    row.save()


def told(
    market: Market,
    until: datetime,
    source: Source = Source.CSV,
    minutes: int = 60,
    since: str = "2024-01-01",
    **kind: bool,
) -> None:
    DataCoverageRangeFactory.create(
        market=market, interval_minutes=minutes, start_date=at(since), end_date=until, source=source, **kind
    )


def delisted(store: CandleStore, *markets: Market) -> dict[str, datetime | None]:
    """Who is found to be so, and since when by what is on record."""
    found = date_delistings(know(markets, store, NOW).values())
    return {market.altname: Market.objects.get(pk=market.pk).delisted_at for market in found}


@pytest.mark.parametrize("source", [Source.CSV, Source.TRADES])
def test_silence_for_a_quarter_after_the_last_candle_dates_the_end(
    store: CandleStore, gone: Market, source: Source
) -> None:
    stored(store, gone, 60, LAST_HOUR)
    told(gone, END + QUARTER, source, proven=source is Source.TRADES)

    assert delisted(store, gone) == {"ETHUSD": END}


def test_a_day_less_than_a_quarter_is_not_enough(store: CandleStore, gone: Market) -> None:
    stored(store, gone, 60, LAST_HOUR)
    told(gone, END + QUARTER - timedelta(days=1))

    assert delisted(store, gone) == {}
    assert Market.objects.get().delisted_at is None


def test_a_market_that_is_listed_is_only_quiet(store: CandleStore) -> None:
    market = MarketFactory.create(base__ticker="ETH", altname="ETHUSD")
    stored(store, market, 60, LAST_HOUR)
    told(market, END + 2 * QUARTER)

    assert delisted(store, market) == {}


@pytest.mark.parametrize(("source", "provisional"), [(Source.API, False), (Source.CSV, True)])
def test_neither_the_api_nor_what_may_still_change_dates_an_end(
    store: CandleStore, gone: Market, source: Source, provisional: bool
) -> None:
    stored(store, gone, 60, LAST_HOUR)
    told(gone, END + QUARTER, source, provisional=provisional)

    assert delisted(store, gone) == {}


def test_a_hole_in_the_quarter_leaves_it_open(store: CandleStore, gone: Market) -> None:
    stored(store, gone, 60, LAST_HOUR)
    told(gone, at("2024-05-01"))
    told(gone, END + QUARTER, since="2024-05-02")

    assert delisted(store, gone) == {}


def test_a_release_and_a_walk_may_tell_a_part_of_it_each(store: CandleStore, gone: Market) -> None:
    stored(store, gone, 60, LAST_HOUR)
    told(gone, at("2024-04-01"))
    told(gone, END + QUARTER, Source.TRADES, since="2024-04-01", proven=True)

    assert delisted(store, gone) == {"ETHUSD": END}


def test_one_width_that_tells_the_quarter_is_enough(store: CandleStore, gone: Market) -> None:
    stored(store, gone, 1, LAST_MINUTE)
    stored(store, gone, 60, LAST_HOUR)
    told(gone, at("2024-04-01"), minutes=60)
    told(gone, END + QUARTER, Source.TRADES, minutes=1, proven=True)

    assert delisted(store, gone) == {"ETHUSD": END}


def test_the_narrowest_candle_tells_when_the_last_trade_was(store: CandleStore, gone: Market) -> None:
    """A day's candle ends at midnight, whenever in it the last trade was."""
    stored(store, gone, 1440, at("2024-03-10"))
    stored(store, gone, 1, at("2024-03-10 09:17"))
    told(gone, END + QUARTER, minutes=1)

    assert delisted(store, gone) == {"ETHUSD": at("2024-03-10 09:18")}


def test_minutes_that_end_long_before_the_last_day_tell_nothing_of_it(store: CandleStore, gone: Market) -> None:
    stored(store, gone, 1440, at("2024-03-10"))
    stored(store, gone, 1, at("2024-01-20 09:17"))
    told(gone, at("2024-03-11") + QUARTER, minutes=1440)

    assert delisted(store, gone) == {"ETHUSD": at("2024-03-11")}


def test_a_market_of_which_nothing_is_stored_has_no_end(store: CandleStore, gone: Market) -> None:
    told(gone, END + QUARTER)

    assert delisted(store, gone) == {}


def test_what_is_dated_is_not_dated_again(store: CandleStore, gone: Market) -> None:
    stored(store, gone, 60, LAST_HOUR)
    told(gone, END + QUARTER)
    delisted(store, gone)

    assert delisted(store, Market.objects.get()) == {}


def test_of_several_markets_only_those_that_are_silent_are_found(store: CandleStore, gone: Market) -> None:
    other = MarketFactory.create(base__ticker="SOL", altname="SOLUSD")
    other.mark_absent(NOW)
    for market in (gone, other):
        stored(store, market, 60, LAST_HOUR)
    told(gone, END + QUARTER)
    told(other, at("2024-04-01"))

    assert delisted(store, gone, other) == {"ETHUSD": END}
