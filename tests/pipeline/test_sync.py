"""What is known of Kraken's markets, set beside its own list of today."""

from collections.abc import Iterable
from dataclasses import replace

import pytest

from chandlery.exchanges.base import Category, Listing
from chandlery.exchanges.kraken.names import load_listings
from chandlery.exchanges.kraken.tiers import load_tiers
from chandlery.models import Market
from chandlery.pipeline.markets import ensure_markets, register
from chandlery.pipeline.sync import Change, KnownMarket, MarketDiff, TooFewMarkets, compare_markets, sync_markets
from tests.candles.builders import at

NOW, LATER = at("2026-11-23 20:00"), at("2026-11-24 20:00")
TIERS = load_tiers(None)


def listing(altname: str, status: str = "online") -> Listing:
    """XBTUSD as Kraken lists it: the last three letters are the quote."""
    base, quote = altname[:-3], altname[-3:]
    return Listing(altname, f"{base}/{quote}", base, quote, status)


def known(*altnames: str, absent: Iterable[str] = ()) -> dict[str, KnownMarket]:
    """As an earlier list had them."""
    markets = {name: KnownMarket(name, f"{name[:-3]}/USD", f"{name[:-3]}/USD", "online") for name in altnames}
    return {name: replace(market, absent=name in absent) for name, market in markets.items()}


def test_an_equal_list_changes_nothing() -> None:
    diff = compare_markets(known("ETHUSD", "SOLUSD"), [listing("SOLUSD"), listing("ETHUSD")])

    assert diff == MarketDiff(2, (), (), (), ())
    assert diff.empty


def test_what_is_new_gone_and_back_is_told_by_name() -> None:
    before = known("ETHUSD", "SOLUSD", "XMRUSD", "ZECUSD", absent=("ZECUSD",))

    diff = compare_markets(before, map(listing, ("ZECUSD", "SOLUSD", "NEWUSD", "ETHUSD", "ADAUSD")))

    assert [new.altname for new in diff.listed] == ["ADAUSD", "NEWUSD"]
    assert (diff.delisted, diff.back, diff.changed) == (("XMRUSD",), ("ZECUSD",), ())


def test_a_market_that_has_gone_is_told_once() -> None:
    assert compare_markets(known("ETHUSD", "XMRUSD", absent=("XMRUSD",)), [listing("ETHUSD")]).empty


def test_a_name_or_a_status_that_changed_is_told_with_what_it_was() -> None:
    changed = replace(listing("ETHUSD", "cancel_only"), wsname="ETH2/USD")

    assert compare_markets(known("ETHUSD", "SOLUSD"), [changed, listing("SOLUSD")]).changed == (
        Change("ETHUSD", "wsname", "ETH/USD", "ETH2/USD"),
        Change("ETHUSD", "status", "online", "cancel_only"),
    )


def test_a_market_that_only_files_know_is_not_delisted() -> None:
    only_files = KnownMarket("FOOBAR", "", "", "")

    assert compare_markets({**known("ETHUSD"), "FOOBAR": only_files}, [listing("ETHUSD")]).empty


def test_a_list_with_less_than_half_of_the_markets_is_not_believed() -> None:
    before = known("ETHUSD", "SOLUSD", "XMRUSD", "ZECUSD")

    assert len(compare_markets(before, [listing("ETHUSD"), listing("SOLUSD")]).delisted) == 2
    with pytest.raises(TooFewMarkets, match="lists 1 of 4 known markets: "):
        compare_markets(before, [listing("ETHUSD"), listing("NEWUSD"), listing("ADAUSD")])


@pytest.mark.django_db
def test_the_shipped_list_changes_nothing_in_a_new_database() -> None:
    assert sync_markets(load_listings().values(), TIERS, NOW).empty
    assert Market.objects.count() == len(load_listings())


@pytest.mark.django_db
def test_a_list_is_recorded_as_a_whole() -> None:
    listings = dict(load_listings())
    del listings["ETHUSD"]
    listings["NEWUSD"] = listing("NEWUSD")
    listings["XBTUSD"] = replace(listings["XBTUSD"], status="cancel_only")

    sync_markets(listings.values(), TIERS, NOW)

    new = Market.objects.get(altname="NEWUSD")
    assert (new.pair, new.base and new.base.tier, new.base and new.base.category) == (
        "NEW/USD",
        "TIER4",
        Category.CRYPTO,
    )
    assert Market.objects.get(altname="XBTUSD").status == "cancel_only"
    gone = Market.objects.get(altname="ETHUSD")
    assert (gone.absent_since, gone.delisted_at, gone.is_listed) == (NOW, None, False)
    assert Market.objects.filter(absent_since__isnull=False).count() == 1

    # A day later it is still gone, since the first time; then it is back.
    assert sync_markets(listings.values(), TIERS, LATER).empty
    assert Market.objects.get(altname="ETHUSD").absent_since == NOW
    assert sync_markets([*listings.values(), load_listings()["ETHUSD"]], TIERS, LATER).back == ("ETHUSD",)
    assert Market.objects.get(altname="ETHUSD").is_listed


@pytest.mark.django_db
def test_what_a_file_brought_gets_the_name_and_the_assets_that_kraken_gives_it() -> None:
    ensure_markets(TIERS)
    assert register(["FOOBARUSD"], TIERS)["FOOBARUSD"].base is None

    diff = sync_markets([*load_listings().values(), listing("FOOBARUSD")], TIERS, NOW)

    market = Market.objects.get(altname="FOOBARUSD")
    assert (market.pair, market.wsname, market.status) == ("FOOBAR/USD", "FOOBAR/USD", "online")
    assert [change.field for change in diff.changed] == ["pair", "wsname", "status"]


@pytest.mark.django_db
def test_a_dry_run_and_a_refused_list_leave_nothing() -> None:
    ensure_markets(TIERS)
    listings = [new for new in load_listings().values() if new.altname != "ETHUSD"] + [listing("NEWUSD")]

    assert sync_markets(listings, TIERS, NOW, dry_run=True).delisted == ("ETHUSD",)
    with pytest.raises(TooFewMarkets):
        sync_markets([listing("NEWUSD")], TIERS, NOW)

    assert Market.objects.get(altname="ETHUSD").is_listed
    assert not Market.objects.filter(altname="NEWUSD").exists()
