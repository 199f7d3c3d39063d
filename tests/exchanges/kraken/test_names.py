"""Names of markets and assets, judged by Kraken's own answer where it is at hand."""

import csv
import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from chandlery.errors import UsageError
from chandlery.exchanges.base import Exchange, Listing
from chandlery.exchanges.kraken import names
from chandlery.exchanges.kraken.names import (
    OLD_CODES,
    Classification,
    Kraken,
    MalformedAssetPairs,
    UnknownMarket,
    asset_ticker,
    classify,
    former_assets,
    kraken_code,
    load_listings,
    market_name,
    parse_asset_pairs,
    resolve,
)

CHECKOUT = Path(__file__).parents[3]
ASSET_PAIRS = CHECKOUT.parent / "shared" / "data" / "kraken-api" / "AssetPairs.json"
SHIPPED = Path(names.__file__).with_name("listings.csv")
#: Written out here once more, so that a wrong table in the source cannot vouch for itself.
RENAMED = {"XBT": "BTC", "XDG": "DOGE"}


@pytest.fixture(scope="module")
def answer() -> dict[str, Any]:
    if not ASSET_PAIRS.exists():
        pytest.skip(f"Kraken's recorded AssetPairs answer is not beside the checkout: {ASSET_PAIRS}")
    body: dict[str, Any] = json.loads(ASSET_PAIRS.read_text())
    return body


def pair_of(listing: Listing | Classification) -> str:
    return f"{listing.base}/{listing.quote}"


def pair_by_wsname(wsname: str) -> str:
    return "/".join(RENAMED.get(part, part) for part in wsname.split("/"))


# ----------------------------------------------------------------------------------------- against the real answer


def test_every_market_of_the_real_answer_is_shipped_with_the_right_base_and_quote(answer: dict[str, Any]) -> None:
    expected = {pair["altname"]: pair_by_wsname(pair["wsname"]) for pair in answer["result"].values()}
    assert len(expected) == 1434
    assert {altname: pair_of(listing) for altname, listing in load_listings().items()} == expected


def test_the_shipped_table_holds_what_a_live_answer_says(answer: dict[str, Any]) -> None:
    assert {listing.altname: listing for listing in parse_asset_pairs(answer)} == load_listings()


def test_wsname_status_and_key_are_shipped_as_answered(answer: dict[str, Any]) -> None:
    for key, pair in answer["result"].items():
        listing = load_listings()[pair["altname"]]
        assert (listing.wsname, listing.status) == (pair["wsname"], pair["status"])
        assert (listing.key or listing.altname) == key


def test_every_market_of_the_real_answer_is_found_by_each_of_its_names(answer: dict[str, Any]) -> None:
    for key, pair in answer["result"].items():
        tickers = pair_by_wsname(pair["wsname"])
        for name in (pair["altname"], key, pair["wsname"], tickers, tickers.replace("/", ""), pair["altname"].lower()):
            assert resolve(name).altname == pair["altname"], name


def test_the_script_makes_the_shipped_table(answer: dict[str, Any], tmp_path: Path) -> None:
    made = tmp_path / "listings.csv"
    script = CHECKOUT / "scripts" / "make_listings.py"
    subprocess.run([sys.executable, str(script), str(ASSET_PAIRS), str(made)], check=True)
    assert made.read_bytes() == SHIPPED.read_bytes()


# ------------------------------------------------------------------------------------------------- the shipped table


def test_the_shipped_table_has_every_market_once() -> None:
    listings = load_listings()
    assert len(listings) == 1434
    assert len({pair_of(listing) for listing in listings.values()}) == 1434


def test_every_altname_is_the_market_name_of_its_pair() -> None:
    for altname, listing in load_listings().items():
        assert market_name(listing.base, listing.quote) == altname


@pytest.mark.parametrize(
    ("altname", "pair"),
    [
        ("XBTUSD", "BTC/USD"),
        ("XDGXBT", "DOGE/BTC"),
        ("DOGUSD", "DOG/USD"),
        ("DOGSUSD", "DOGS/USD"),
        ("SUNDOGUSD", "SUNDOG/USD"),
        ("XTZUSD", "XTZ/USD"),
        ("XCNEUR", "XCN/EUR"),
        ("XRTUSD", "XRT/USD"),
        ("XYOUSD", "XYO/USD"),
        ("ZETAUSD", "ZETA/USD"),
        ("ZRXXBT", "ZRX/BTC"),
        ("EURUSD", "EUR/USD"),
        ("USDCHF", "USD/CHF"),
        ("USDCCHF", "USDC/CHF"),
        ("USDTUSD", "USDT/USD"),
        ("TUSD", "T/USD"),
        ("TUSDUSD", "TUSD/USD"),
        ("REPUSD", "REP/USD"),
        ("REPV2USD", "REPV2/USD"),
        ("LUNAUSD", "LUNA/USD"),
        ("LUNA2USD", "LUNA2/USD"),
        ("SUSD", "S/USD"),
        ("MONAUSD", "MON/AUSD"),
        ("USD1USD", "USD1/USD"),
        ("XBTUSD1", "BTC/USD1"),
        ("1INCHUSD", "1INCH/USD"),
    ],
)
def test_hard_names_are_split_where_kraken_splits_them(altname: str, pair: str) -> None:
    assert pair_of(load_listings()[altname]) == pair


def test_the_name_in_answers_is_kept_where_it_differs() -> None:
    assert load_listings()["XBTUSD"].key == "XXBTZUSD"
    assert load_listings()["USDTUSD"].key == "USDTZUSD"
    assert load_listings()["SOLUSD"].key == ""


def test_kraken_offers_what_every_exchange_offers() -> None:
    exchange: Exchange = Kraken()
    assert exchange.name == "kraken"
    assert exchange.resolve("BTC/USD") is exchange.listings()["XBTUSD"]


# ------------------------------------------------------------------------------------------------------------ assets


@pytest.mark.parametrize(
    ("code", "ticker"),
    [
        ("XXBT", "BTC"),
        ("XBT", "BTC"),
        ("XXDG", "DOGE"),
        ("XDG", "DOGE"),
        ("XETH", "ETH"),
        ("XREP", "REP"),
        ("REPV2", "REPV2"),
        ("ZUSD", "USD"),
        ("ZKRW", "KRW"),
        ("CHF", "CHF"),
        ("XTZ", "XTZ"),
        ("XCN", "XCN"),
        ("XRT", "XRT"),
        ("XYO", "XYO"),
        ("XION", "XION"),
        ("XTER", "XTER"),
        ("ZRX", "ZRX"),
        ("ZETA", "ZETA"),
        ("ZEUS", "ZEUS"),
        ("ZORA", "ZORA"),
        ("ZBCN", "ZBCN"),
        ("DOG", "DOG"),
    ],
)
def test_only_the_old_codes_lose_their_letter(code: str, ticker: str) -> None:
    assert asset_ticker(code) == ticker


def test_a_letter_is_in_front_of_every_old_code_and_nothing_else_changes() -> None:
    assert all(code in {"X" + plain, "Z" + plain} for code, plain in OLD_CODES.items())


def test_krakens_own_words_for_two_assets() -> None:
    assert [kraken_code(ticker) for ticker in ("BTC", "DOGE", "ETH", "USD")] == ["XBT", "XDG", "ETH", "USD"]
    assert market_name("DOGE", "BTC") == "XDGXBT"


# --------------------------------------------------------------------------------------------------- what users type


@pytest.mark.parametrize(
    "name",
    ["XBTUSD", "BTCUSD", "btcusd", "BTC/USD", "btc-usd", "XBT/USD", "xbt_usd", "xxbtzusd", "XXBT/ZUSD", " XBTUSD "],
)
def test_one_market_is_found_however_it_is_written(name: str) -> None:
    assert resolve(name).altname == "XBTUSD"


def test_doge_is_not_dog() -> None:
    assert [resolve(name).altname for name in ("DOGEUSD", "DOGUSD", "dog/usd", "doge/usd")] == [
        "XDGUSD",
        "DOGUSD",
        "DOGUSD",
        "XDGUSD",
    ]


@pytest.mark.parametrize("name", ["DO/GEUSD", "XB/TUSD", "BTC/", "/USD", "BTC/USD/EUR", "", "/", "XTZZUSD", "XT/ZUSD"])
def test_a_name_that_is_cut_elsewhere_is_no_market(name: str) -> None:
    with pytest.raises(UnknownMarket):
        resolve(name)


def test_an_unknown_market_is_wrong_usage_and_the_nearest_names_are_told() -> None:
    with pytest.raises(UsageError, match=r"^Kraken has no market 'XBTUSDD'; did you mean .*XBTUSD.*\?$") as caught:
        resolve("XBTUSDD")
    assert caught.value.exit_status == 2
    assert 1 <= str(caught.value).count(" or ") + 1 <= 3


def test_the_nearest_names_are_told_for_a_pair_with_a_slash_too() -> None:
    with pytest.raises(UnknownMarket, match="XBTUSD"):
        resolve("BTC/USDX")


def test_where_nothing_is_near_the_form_of_a_name_is_told() -> None:
    with pytest.raises(UnknownMarket, match=r"names look like XBTUSD or BTC/USD"):
        resolve("qqqqqqqqqqqqqqqqqqqqqqqq")


def test_the_error_survives_the_way_from_another_process() -> None:
    with pytest.raises(UnknownMarket) as caught:
        resolve("XBTUSDD")
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


# -------------------------------------------------------------------------------------------- markets in no table


@pytest.mark.parametrize(
    ("altname", "pair"),
    [
        ("MATICUSD", "MATIC/USD"),
        ("MATICUSDT", "MATIC/USDT"),
        ("MATICXBT", "MATIC/BTC"),
        ("MATICPOL", "MATIC/POL"),
        ("EOSETH", "EOS/ETH"),
        ("BSVXBT", "BSV/BTC"),
        ("ICNETH", "ICN/ETH"),
        ("DAOEUR", "DAO/EUR"),
        ("WAVESUSD", "WAVES/USD"),
        ("GNOXBT", "GNO/BTC"),
        ("KEEPXBT", "KEEP/BTC"),
        ("NMCKRW", "NMC/KRW"),
        ("XBTXVN", "BTC/XVN"),
        ("XBTXDG", "BTC/DOGE"),
        ("XBTLTC", "BTC/LTC"),
        ("EURXRP", "EUR/XRP"),
        ("KSMDOT", "KSM/DOT"),
        ("ETH2.SETH", "ETH2.S/ETH"),
        ("XBTAED", "BTC/AED"),
        ("USDTBRL", "USDT/BRL"),
        ("EURTUSDT", "EURT/USDT"),
        ("RNDRUSD", "RNDR/USD"),
        ("DOGEEUR", "DOGE/EUR"),
        ("BTCUSD", "BTC/USD"),
        ("REPV2XBT", "REPV2/BTC"),
    ],
)
def test_a_market_in_no_table_is_split_where_one_split_fits(altname: str, pair: str) -> None:
    assert altname not in load_listings()
    found = classify(altname, load_listings())
    assert found is not None
    assert pair_of(found) == pair


@pytest.mark.parametrize(
    "altname",
    [
        "NOSUCHCOINUSD",  # unknown base
        "XBTQQQ",  # unknown quote
        "USD",
        "XBT",
        "",
        "maticusd",  # Kraken's names are capitals; what this file is, nobody knows
        "XTZZUSD",
    ],
)
def test_a_name_that_no_split_fits_stays_unclassified(altname: str) -> None:
    assert classify(altname, load_listings()) is None


def test_a_name_that_two_splits_fit_stays_unclassified() -> None:
    listings = {x.altname: x for x in (of("GAL", "USD"), of("GALA", "EUR"), of("XBT", "AUSD"))}
    assert classify("GALAUSD", listings) is None
    assert classify("GALAEUR", listings) == Classification("GALA", "EUR")


def test_a_quote_that_ends_in_another_quote_does_not_swallow_the_end_of_a_new_coin() -> None:
    listings = {x.altname: x for x in (of("SOL", "USD"), of("XBT", "AUSD"))}
    assert classify("SOLAUSD", listings) is None


def of(base: str, quote: str) -> Listing:
    return Listing(base + quote, f"{base}/{quote}", base, quote, "online")


def test_a_listed_market_is_what_the_table_says() -> None:
    found = classify("MONAUSD", load_listings())
    assert found == Classification("MON", "AUSD")


def test_a_classified_pair_tells_krakens_own_name_for_it() -> None:
    found = classify("BTCUSD", load_listings())
    assert found is not None
    assert found.altname == "XBTUSD"


def test_no_listed_market_would_be_split_wrongly_if_it_were_in_no_table() -> None:
    listings = load_listings()
    for altname, listing in listings.items():
        rest = {name: other for name, other in listings.items() if name != altname}
        assert classify(altname, rest) in (None, Classification(listing.base, listing.quote)), altname


def test_no_market_of_an_unknown_asset_is_split_wrongly() -> None:
    listings = load_listings()
    for base in sorted({listing.base for listing in listings.values()} - former_assets().keys()):
        rest = {name: other for name, other in listings.items() if base not in (other.base, other.quote)}
        for altname in (name for name, listing in listings.items() if listing.base == base):
            assert classify(altname, rest) is None, altname


def test_former_assets_are_told_with_the_part_they_played() -> None:
    former = former_assets()
    assert former["MATIC"] == "base"
    assert former["KRW"] == "both"
    assert former["DOGE"] == "quote"
    assert set(former.values()) == {"base", "quote", "both"}


def test_no_former_base_is_still_listed() -> None:
    listed = {listing.base for listing in load_listings().values()}
    assert not {ticker for ticker, was in former_assets().items() if was != "quote"} & listed


# ------------------------------------------------------------------------------------------------------ live answers


def test_a_live_answer_is_read() -> None:
    pair = {"altname": "XDGUSD", "wsname": "XDG/USD", "base": "XXDG", "quote": "ZUSD", "status": "online"}
    listings = parse_asset_pairs({"error": [], "result": {"XDGUSD": pair, "XXDGZUSD": pair | {"altname": "XDGUSD"}}})
    assert listings == [
        Listing("XDGUSD", "XDG/USD", "DOGE", "USD", "online"),
        Listing("XDGUSD", "XDG/USD", "DOGE", "USD", "online", "XXDGZUSD"),
    ]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"error": ["EGeneral:Too many requests"]}, "EGeneral:Too many requests"),
        ({"error": [], "result": {}}, "no markets"),
        ({"error": [], "result": {"XBTUSD": {"altname": "XBTUSD"}}}, "'XBTUSD' lacks 'wsname'"),
    ],
)
def test_an_answer_of_another_shape_is_refused(body: dict[str, Any], message: str) -> None:
    with pytest.raises(MalformedAssetPairs, match=message):
        parse_asset_pairs(body)


def test_the_shipped_table_is_facts_in_krakens_own_codes() -> None:
    rows = list(csv.DictReader(SHIPPED.read_text().splitlines()))
    assert rows == sorted(rows, key=lambda row: row["altname"])
    assert next(row for row in rows if row["altname"] == "XBTUSD")["base"] == "XXBT"
