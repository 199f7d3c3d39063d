"""Assets and markets: loaded from the shipped tables, chosen by tier or name, added when a file brings a new one."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from django.db import transaction

from chandlery.errors import UsageError
from chandlery.exchanges.base import Listing
from chandlery.exchanges.kraken.names import UnknownMarket, asset_ticker, classify, load_listings, resolve
from chandlery.exchanges.kraken.tiers import TierTable
from chandlery.models import Asset, DataCoverageRange, Market
from chandlery.pipeline.request import Selection


class UnknownQuote(UsageError):
    """No market is quoted in {quote!r}; there are {near} and others"""


class NothingSelected(UsageError):
    """No market matches {what}; {hint}."""


class UnknownAsset(UsageError):
    """Kraken has no asset or market {name!r}; {hint}"""


def ensure_markets(tiers: TierTable) -> None:
    """Fill the tables of a new database with the shipped names and these tiers; an existing one is left as it is."""
    if not Market.objects.exists():
        with transaction.atomic():
            add_listings(load_listings().values(), tiers)


def add_listings(listings: Iterable[Listing], tiers: TierTable) -> None:
    """Add markets, with their assets, that are not there yet: in one order, so that two who do so never wait for each
    other.
    """
    wanted = sorted(listings, key=lambda listing: listing.altname)
    tickers = {ticker for listing in wanted for ticker in (listing.base, listing.quote)}
    Asset.objects.bulk_create(
        (Asset(ticker=t, category=tiers.category(t), tier=tiers.tier(t) or "") for t in sorted(tickers)),
        ignore_conflicts=True,
    )
    assets = {asset.ticker: asset for asset in Asset.objects.filter(ticker__in=tickers)}
    Market.objects.bulk_create(
        (
            Market(altname=x.altname, wsname=x.wsname, base=assets[x.base], quote=assets[x.quote], status=x.status)
            for x in wanted
        ),
        ignore_conflicts=True,
    )


@transaction.atomic
def apply_tiers(tiers: TierTable) -> int:
    """Set category and tier of every asset as the table says; how many changed."""
    changed = []
    for asset in Asset.objects.order_by("ticker").select_for_update():
        wanted = (tiers.category(asset.ticker), tiers.tier(asset.ticker) or "")
        if (asset.category, asset.tier) != wanted:
            asset.category, asset.tier = wanted
            changed.append(asset)
    Asset.objects.bulk_update(changed, ["category", "tier"])
    return len(changed)


def register(altnames: Collection[str], tiers: TierTable) -> dict[str, Market]:
    """The markets of these file names; those in no table are classified where that is certain, else left
    unclassified.
    """
    known = {
        market.altname: market for market in Market.objects.filter(altname__in=altnames).select_related("base", "quote")
    }
    unknown = sorted(set(altnames) - known.keys())
    if not unknown:
        return known
    listings = load_listings()
    split = {altname: classify(altname, listings) for altname in unknown}
    # BTCUSD is how some call Kraken's XBTUSD. Which of the two files is right, nobody can tell: it stays apart.
    classified = [
        Listing(altname, "", one.base, one.quote, "")
        for altname, one in split.items()
        if one is not None and one.altname not in listings
    ]
    add_listings(classified, tiers)
    # Another process may be reading the same files.
    left = set(unknown) - {listing.altname for listing in classified}
    Market.objects.bulk_create((Market(altname=altname) for altname in sorted(left)), ignore_conflicts=True)
    added = Market.objects.filter(exchange="kraken", altname__in=unknown).select_related("base", "quote")
    return known | {market.altname: market for market in added}


def select(selection: Selection) -> list[Market]:
    """The markets asked for, sorted by name; see `Markets.chosen`. Raises UnknownMarket, NothingSelected."""
    if selection.markets:
        chosen = [named(name) for name in selection.markets]
    else:
        _require_quotes(selection.quotes)
        chosen = list(Market.objects.chosen(selection.tiers, selection.quotes).select_related("base", "quote"))
        if not chosen:
            raise NothingSelected(
                what=f"{selection.title} quoted in {', '.join(selection.quotes)}",
                hint="try --quotes USD,EUR or --markets",
            )
    return sorted({market.altname: market for market in chosen}.values(), key=lambda market: market.altname)


def on_record() -> list[Market]:
    """The markets of which any candle or any silence is known, by name."""
    return list(
        Market.objects.select_related("base", "quote")
        .filter(pk__in=DataCoverageRange.objects.values("market"))
        .order_by("altname")
    )


def of_asset(name: str, quote: str = "USD") -> list[Market]:
    """The markets that a user means by an asset: BTC, XBT, XXBT; or by a market's name. Sorted by name.

    Of an asset: those on record, and where none is, the one in `quote`. Raises UnknownAsset, NothingSelected.
    """
    ticker = asset_ticker(name.strip().upper())
    based = Market.objects.select_related("base", "quote").filter(base__ticker__iexact=ticker).order_by("altname")
    if not based:
        try:
            return [named(name.strip())]
        except UnknownMarket as error:
            raise UnknownAsset(**error.facts) from error
    recorded = set(on_record())
    known = [market for market in based if market in recorded]
    chosen = known or [market for market in based if market.quote and market.quote.ticker == quote]
    if not chosen:
        raise NothingSelected(what=f"{ticker} quoted in {quote}", hint=f"name one, such as {based[0].altname}")
    return chosen


def _require_quotes(quotes: Iterable[str]) -> None:
    """Raises UnknownQuote."""
    known = set(Market.objects.values_list("quote__ticker", flat=True).distinct())
    for quote in quotes:
        if quote not in known:
            near = sorted(ticker for ticker in known if ticker and ticker.startswith(quote[:2]))
            raise UnknownQuote(quote=quote, near=", ".join(near[:5]) or "USD, EUR")


def named(name: str) -> Market:
    """The market that a person calls so: XBTUSD, BTC/USD. Raises UnknownMarket."""
    markets = Market.objects.select_related("base", "quote")
    for spelled in (name, name.upper()):
        stored = markets.filter(altname=spelled).first()
        if stored is not None:
            return stored
    listed = markets.filter(altname=resolve(name).altname).first()
    if listed is None:
        raise UnknownMarket(name=name, hint="it is listed, but not on record yet: run sync_markets")
    return listed
