"""Sync: bring what is known of Kraken's markets in line with Kraken's own list of today."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from chandlery.errors import ChandleryError
from chandlery.exchanges.base import Listing
from chandlery.exchanges.kraken.tiers import TierTable
from chandlery.models import Asset, Market
from chandlery.pipeline.markets import add_listings, ensure_markets


class TooFewMarkets(ChandleryError):
    """Kraken's answer lists {found:,} of {known:,} known markets: that is no list to believe, so nothing was changed;
    try again later"""


@dataclass(frozen=True, slots=True)
class KnownMarket:
    """A market on record. `pair` is BTC/USD, empty where it is in no table; so is `status` where no list named it."""

    altname: str
    wsname: str
    pair: str
    status: str
    absent: bool = False

    @property
    def was_listed(self) -> bool:
        """By the shipped table or an earlier answer: a name that only files know never was."""
        return bool(self.status)


@dataclass(frozen=True, slots=True)
class Change:
    """What Kraken now says otherwise of a market. `field`: wsname, pair or status."""

    market: str
    field: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class MarketDiff:
    """What a list of today changes, each sorted by name. `listed` are in no record yet; `delisted` have gone from the
    list; `back` are on it again.
    """

    markets: int
    listed: tuple[Listing, ...]
    delisted: tuple[str, ...]
    back: tuple[str, ...]
    changed: tuple[Change, ...]

    @property
    def empty(self) -> bool:
        return not (self.listed or self.delisted or self.back or self.changed)


def compare_markets(known: Mapping[str, KnownMarket], listings: Iterable[Listing]) -> MarketDiff:
    """Set what is on record beside what is listed. Raises TooFewMarkets where less than half of what was listed is."""
    live = {listing.altname: listing for listing in sorted(listings, key=lambda listing: listing.altname)}
    before = {name for name, market in known.items() if market.was_listed and not market.absent}
    found = len(before & live.keys())
    if 2 * found < len(before):
        raise TooFewMarkets(found=found, known=len(before))
    return MarketDiff(
        markets=len(live),
        listed=tuple(listing for name, listing in live.items() if name not in known),
        delisted=tuple(sorted(before - live.keys())),
        back=tuple(name for name in live if name in known and known[name].absent),
        changed=tuple(
            change for name, listing in live.items() if name in known for change in _changes(known[name], listing)
        ),
    )


def _changes(known: KnownMarket, listing: Listing) -> Iterable[Change]:
    for field in ("pair", "wsname", "status"):
        before, after = getattr(known, field), getattr(listing, field)
        if before != after:
            yield Change(known.altname, field, before, after)


def sync_markets(listings: Iterable[Listing], tiers: TierTable, now: datetime, *, dry_run: bool = False) -> MarketDiff:
    """Record what Kraken lists at `now`; all of it, or with `dry_run` nothing. Raises TooFewMarkets.

    A market that has gone from the list is only marked absent: that it is delisted needs a second proof, its last
    trade (design, section 3).
    """
    live = {listing.altname: listing for listing in listings}
    with transaction.atomic():
        ensure_markets(tiers)
        ours = Market.objects.filter(exchange="kraken").select_related("base", "quote")
        Market.objects.hold(ours.values_list("pk", flat=True))
        markets = {market.altname: market for market in ours.all()}
        diff = compare_markets({name: _known(market) for name, market in markets.items()}, live.values())
        add_listings(diff.listed, tiers)
        _change(markets, {change.market: live[change.market] for change in diff.changed}, tiers)
        Market.objects.filter(pk__in=[markets[name].pk for name in diff.delisted]).update(absent_since=now)
        Market.objects.filter(pk__in=[markets[name].pk for name in diff.back]).update(
            absent_since=None, delisted_at=None
        )
        transaction.set_rollback(dry_run)
    return diff


def _known(market: Market) -> KnownMarket:
    return KnownMarket(
        market.altname, market.wsname, market.pair, market.status, absent=market.absent_since is not None
    )


def _change(markets: Mapping[str, Market], changed: Mapping[str, Listing], tiers: TierTable) -> None:
    """Kraken's word on its own markets stands, also over what was concluded from a file's name."""
    # The markets themselves are there; this adds the assets that they have now.
    add_listings(changed.values(), tiers)
    tickers = {ticker for listing in changed.values() for ticker in (listing.base, listing.quote)}
    assets = {asset.ticker: asset for asset in Asset.objects.filter(ticker__in=tickers)}
    for name, listing in changed.items():
        market = markets[name]
        market.wsname, market.status = listing.wsname, listing.status
        market.base, market.quote = assets[listing.base], assets[listing.quote]
    Market.objects.bulk_update([markets[name] for name in changed], ["wsname", "status", "base", "quote"])
