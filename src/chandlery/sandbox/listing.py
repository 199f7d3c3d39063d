"""A market of the sandbox as Kraken's AssetPairs lists it, and the names by which it may be asked for."""

from collections.abc import Iterable, Mapping
from typing import Any

from chandlery.sandbox.market import SandboxMarket

_DECIMALS_OF_VOLUME = 8
#: Percent by the volume of thirty days in dollars. (AssetPairs as recorded in 2026, abridged)
_FEES = [[0, 0.4], [10000, 0.35], [50000, 0.24], [100000, 0.22], [250000, 0.2], [500000, 0.18]]
_FEES_MAKER = [[0, 0.25], [10000, 0.2], [50000, 0.14], [100000, 0.12], [250000, 0.1], [500000, 0.08]]


def key_of_market(market: SandboxMarket) -> str:
    """XBTUSD is XXBTZUSD: the markets of the oldest assets go by both of their codes, X or Z included.

    Not those of XDG with a currency, which came later: XDGUSD is XDGUSD. (AssetPairs as recorded in 2026)
    """
    base, quote = market.base, market.quote
    are_old = all(len(code) == 4 and code[0] in "XZ" for code in (base, quote))
    is_cut_out = market.altname == base[1:] + quote[1:]
    return base + quote if are_old and is_cut_out and base != "XXDG" else market.altname


def asset_pair(market: SandboxMarket) -> dict[str, Any]:
    """One value of the answer; fields as in the REST reference."""
    return {
        "altname": market.altname,
        "wsname": market.wsname,
        "aclass_base": "currency",
        "base": market.base,
        "aclass_quote": "currency",
        "quote": market.quote,
        "lot": "unit",
        "cost_decimals": 5,
        "pair_decimals": market.decimals,
        "lot_decimals": _DECIMALS_OF_VOLUME,
        "lot_multiplier": 1,
        "leverage_buy": [],
        "leverage_sell": [],
        "fees": _FEES,
        "fees_maker": _FEES_MAKER,
        "fee_volume_currency": "ZUSD",
        "margin_call": 80,
        "margin_stop": 40,
        "ordermin": f"{market.size / 100:.8f}".rstrip("0").rstrip("."),
        "costmin": "0.5",
        "tick_size": f"{market.tick:.{market.decimals}f}",
        "status": "online",
    }


def by_every_name(markets: Iterable[SandboxMarket]) -> Mapping[str, SandboxMarket]:
    """Altname, key and wsname: XBTUSD, XXBTZUSD and XBT/USD."""
    return {name: market for market in markets for name in (market.wsname, key_of_market(market), market.altname)}
