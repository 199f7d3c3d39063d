"""Which assets matter most, which are money, and what a mistake in one's own file is answered with."""

from pathlib import Path

import pytest

from chandlery.errors import UsageError
from chandlery.exchanges.base import Category, Tier
from chandlery.exchanges.kraken.names import former_assets, load_listings
from chandlery.exchanges.kraken.tiers import MalformedTiers, UnreadableTiers, load_tiers


def assets_of(tier: Tier) -> list[str]:
    return [ticker for ticker, its in load_tiers(None).tiers.items() if its is tier]


@pytest.mark.parametrize(("tier", "size"), [(Tier.TIER1, 20), (Tier.TIER2, 50), (Tier.TIER3, 150)])
def test_the_shipped_tiers_have_20_50_and_150_assets(tier: Tier, size: int) -> None:
    assert len(assets_of(tier)) == size


def test_every_asset_of_a_shipped_tier_is_listed_against_the_dollar() -> None:
    in_dollars = {listing.base for listing in load_listings().values() if listing.quote == "USD"}
    assert set(load_tiers(None).tiers) <= in_dollars


def test_the_assets_that_everybody_knows_are_in_the_first_tier() -> None:
    assert {"BTC", "ETH", "XRP", "SOL", "LTC", "ADA", "DOGE"} <= set(assets_of(Tier.TIER1))


def test_every_asset_that_no_list_names_is_in_the_last_tier() -> None:
    table = load_tiers(None)
    assert [table.tier(ticker) for ticker in ("DOGS", "MATIC", "NEVERHEARDOF")] == [Tier.TIER4] * 3


def test_every_money_that_a_shipped_market_is_quoted_in_has_its_category() -> None:
    table = load_tiers(None)
    quotes = {listing.quote for listing in load_listings().values()} - {"BTC", "ETH", "SOL"}
    assert {quote for quote in quotes if table.category(quote) is Category.CRYPTO} == set()


def test_every_money_in_the_shipped_lists_is_or_was_on_kraken() -> None:
    known = {ticker for listing in load_listings().values() for ticker in (listing.base, listing.quote)}
    assert set(load_tiers(None).categories) <= known | former_assets().keys()


@pytest.mark.parametrize(
    ("category", "tickers"),
    [
        (Category.FIAT, "USD EUR GBP CAD JPY AUD CHF KRW AED BRL"),
        (
            Category.STABLE,
            "USDT USDC DAI PYUSD EURC EUROP EURQ EURR USDG USDQ USDR USDS USDE USDD TUSD RLUSD USD1 AUSD UST",
        ),
        (Category.STABLE, "TGBP AUDX BRL1 COPM FRNT MIM MXNB EURT"),
        (Category.CRYPTO, "BTC PAXG XAUT TBTC WBTC USDUC USUAL STABLE STBL NEVERHEARDOF"),
    ],
)
def test_what_is_money_and_what_is_not(category: Category, tickers: str) -> None:
    table = load_tiers(None)
    assert {ticker: table.category(ticker) for ticker in tickers.split()} == dict.fromkeys(tickers.split(), category)


def test_money_has_no_tier() -> None:
    table = load_tiers(None)
    assert [table.tier(ticker) for ticker in ("USD", "EUR", "USDT", "DAI")] == [None] * 4


def written(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text)
    return path


def test_a_file_of_ones_own_replaces_the_shipped_lists(tmp_path: Path) -> None:
    mine = written(tmp_path, '[tiers]\nTIER1 = ["DOGS"]\n[categories]\nFIAT = ["USD"]\n')
    table = load_tiers(mine)
    assert (table.tier("DOGS"), table.tier("BTC")) == (Tier.TIER1, Tier.TIER4)
    assert (table.category("USD"), table.category("EUR")) == (Category.FIAT, Category.CRYPTO)


def test_a_section_left_out_is_as_shipped(tmp_path: Path) -> None:
    table = load_tiers(written(tmp_path, '[tiers]\nTIER1 = ["DOGS"]\n'))
    assert table.tier("DOGS") is Tier.TIER1
    assert table.category("USDT") is Category.STABLE


def test_krakens_codes_and_small_letters_are_understood(tmp_path: Path) -> None:
    table = load_tiers(written(tmp_path, '[tiers]\nTIER1 = ["XBT", "xdg", " eth "]\n'))
    assert [table.tier(ticker) for ticker in ("BTC", "DOGE", "ETH", "btc")] == [Tier.TIER1] * 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '[tiers]\nTIER5 = ["BTC"]',
            "tiers.TIER5: cannot be listed; TIER1, TIER2 and TIER3 can, and all the rest is TIER4.",
        ),
        ('[tiers]\nTIER4 = ["BTC"]', "tiers.TIER4: cannot be listed"),
        (
            '[categories]\nCRYPTO = ["BTC"]',
            "categories.CRYPTO: cannot be listed; FIAT and STABLE can, and all the rest is CRYPTO.",
        ),
        ('[colours]\nred = ["BTC"]', "colours: no such section; there are tiers and categories."),
        ('TIER1 = ["BTC"]', "TIER1: no such section; there are tiers and categories."),
        ('tiers = ["BTC"]', "tiers: must be a section of lists."),
        ('[tiers]\nTIER1 = "BTC"', 'tiers.TIER1: must be a list of tickers like ["BTC", "ETH"].'),
        ("[tiers]\nTIER1 = [1]", "tiers.TIER1: must be a list of tickers"),
        ('[tiers]\nTIER1 = [""]', "tiers.TIER1: must be a list of tickers"),
        ('[tiers]\nTIER1 = ["BTC"]\nTIER2 = ["ETH", "BTC"]', "tiers.TIER2: BTC is already listed in tiers.TIER1."),
        ('[tiers]\nTIER1 = ["BTC", "XBT"]', "tiers.TIER1: BTC is already listed in tiers.TIER1."),
        (
            '[tiers]\nTIER1 = ["DAI"]\n[categories]\nSTABLE = ["DAI"]',
            "categories.STABLE: DAI is already listed in tiers.TIER1.",
        ),
    ],
)
def test_a_mistake_is_one_line_that_names_file_and_key(text: str, message: str, tmp_path: Path) -> None:
    mine = written(tmp_path, text)
    with pytest.raises(MalformedTiers) as caught:
        load_tiers(mine)
    assert str(caught.value).startswith(f"{mine}: {message}")
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, UsageError)


def test_a_file_that_is_no_toml_is_one_line_that_names_it(tmp_path: Path) -> None:
    mine = written(tmp_path, "[tiers\n")
    with pytest.raises(UnreadableTiers, match=r"mine\.toml is no readable TOML file: .*line 1"):
        load_tiers(mine)


def test_a_file_that_is_no_text_is_one_line_that_names_it(tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UnreadableTiers, match=r"mine\.toml is no readable TOML file"):
        load_tiers(mine)


def test_a_missing_file_and_a_folder_are_one_line_each(tmp_path: Path) -> None:
    with pytest.raises(UnreadableTiers, match="No such file"):
        load_tiers(tmp_path / "absent.toml")
    with pytest.raises(UnreadableTiers, match="Is a directory"):
        load_tiers(tmp_path)
