"""Kraken's names: which base and quote a market has, and which market a user means.

A pair name is never cut by guessing where its quote starts: XTZUSD is XTZ/USD, not XT/ZUSD, and DOGUSD is not DOGE.
What a name means comes from Kraken's own AssetPairs answer, shipped as listings.csv.
"""

import csv
import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

from chandlery.errors import ChandleryError, UsageError
from chandlery.exchanges.base import Listing

#: Kraken's codes of its oldest assets carry an X or a Z in front. Only these: XTZ, XCN, XRT, ZRX and ZETA are names.
OLD_CODES = MappingProxyType(
    {
        "XXBT": "XBT",
        "XXDG": "XDG",
        "XDAO": "DAO",
        "XETC": "ETC",
        "XETH": "ETH",
        "XICN": "ICN",
        "XLTC": "LTC",
        "XMLN": "MLN",
        "XNMC": "NMC",
        "XREP": "REP",
        "XSTR": "STR",
        "XXLM": "XLM",
        "XXMR": "XMR",
        "XXRP": "XRP",
        "XXVN": "XVN",
        "XZEC": "ZEC",
        "ZAUD": "AUD",
        "ZCAD": "CAD",
        "ZEUR": "EUR",
        "ZGBP": "GBP",
        "ZJPY": "JPY",
        "ZKRW": "KRW",
        "ZUSD": "USD",
    }
)
#: What Kraken calls by a name of its own, and everybody else does not.
TICKERS = MappingProxyType({"XBT": "BTC", "XDG": "DOGE"})
_KRAKEN = {ticker: code for code, ticker in TICKERS.items()}
_SEPARATOR = re.compile(r"[/_-]")


class UnknownMarket(UsageError):
    """Kraken has no market {name!r}; {hint}"""


class MalformedAssetPairs(ChandleryError):
    """Kraken's AssetPairs answer is not as expected: {problem}."""


@dataclass(frozen=True, slots=True)
class Classification:
    """What a market that no table lists must be: the one way in which its name is a known base and a known quote."""

    base: str
    quote: str

    @property
    def altname(self) -> str:
        """The name that Kraken itself gives this pair: it differs where a file is named BTCUSD."""
        return market_name(self.base, self.quote)


@dataclass(frozen=True, slots=True)
class Kraken:
    """Kraken's markets by the protocol of all exchanges."""

    name: str = "kraken"

    def listings(self) -> Mapping[str, Listing]:
        return load_listings()

    def resolve(self, name: str) -> Listing:
        return resolve(name)


def asset_ticker(code: str) -> str:
    """The ticker that people use for one of Kraken's asset codes: XXBT and XBT are BTC, ZUSD is USD, XTZ stays XTZ."""
    plain = OLD_CODES.get(code, code)
    return TICKERS.get(plain, plain)


def kraken_code(ticker: str) -> str:
    """What Kraken calls an asset inside pair names: BTC is XBT, DOGE is XDG."""
    return _KRAKEN.get(ticker, ticker)


def market_name(base: str, quote: str) -> str:
    """Kraken's altname of a pair of tickers: BTC and USD make XBTUSD."""
    return kraken_code(base) + kraken_code(quote)


@cache
def load_listings() -> Mapping[str, Listing]:
    """The shipped table: every market of Kraken in January 2026, by altname."""
    return MappingProxyType({row["altname"]: _listing(row, row["key"]) for row in _table("listings.csv")})


def parse_asset_pairs(body: Mapping[str, Any]) -> list[Listing]:
    """The markets in an answer of `GET /0/public/AssetPairs`. Raises MalformedAssetPairs."""
    pairs = body.get("result")
    if not isinstance(pairs, dict) or not pairs:
        raise MalformedAssetPairs(problem=f"no markets in it, error {body.get('error')!r}")
    listings = []
    for key, pair in pairs.items():
        try:
            fields = {name: pair[name] for name in _FORMS}
        except (KeyError, TypeError) as problem:
            raise MalformedAssetPairs(problem=f"market {key!r:.50} lacks {problem}") from problem
        # Names become folders of the lake and parts of requests.
        for name, form in _FORMS.items():
            if not isinstance(fields[name], str) or not form.fullmatch(fields[name]):
                raise MalformedAssetPairs(problem=f"{name} of market {key!r:.50} is {fields[name]!r:.50}")
        listings.append(_listing(fields, str(key) if key != fields["altname"] else ""))
    return listings


_FORMS = {
    "altname": re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,29}"),
    "wsname": re.compile(r"([A-Za-z0-9._-]{1,20}/[A-Za-z0-9._-]{1,20})?"),
    "base": re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,19}"),
    "quote": re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,19}"),
    "status": re.compile(r"[a-z_]{0,20}"),
}


def resolve(name: str) -> Listing:
    """The listed market a user means: XBTUSD, btcusd, BTC/USD, XBT/USD, xxbtzusd. Raises UnknownMarket."""
    parts = _SEPARATOR.split(name.strip().upper())
    if len(parts) == 2:
        found = _pairs().get((asset_ticker(parts[0]), asset_ticker(parts[1])))
    else:
        found = _spellings().get(name.strip().upper())
    if found is None:
        raise UnknownMarket(name=name, hint=_hint("".join(parts)))
    return found


def classify(altname: str, listings: Mapping[str, Listing]) -> Classification | None:
    """Base and quote of a market by its name; None where not exactly one split into known assets fits.

    Known are the assets of `listings` and those that Kraken once had (former.csv).
    """
    listed = listings.get(altname)
    if listed is not None:
        return Classification(listed.base, listed.quote)
    bases, quotes = _known_assets(listings)
    splits = [(altname[:i], altname[i:]) for i in range(1, len(altname)) if altname[i:] in quotes]
    fitting = [split for split in splits if split[0] in bases]
    if len(fitting) != 1:
        return None
    base, quote = fitting[0]
    # SOLAUSD would fit SOL/AUSD alone, but may as well be a new coin SOLA in USD: a quote that ends in another quote
    # decides nothing as long as the longer base is unknown.
    if any(len(shorter) < len(quote) for _, shorter in splits):
        return None
    return Classification(asset_ticker(base), asset_ticker(quote))


@cache
def former_assets() -> Mapping[str, str]:
    """What Kraken no longer lists, but its archives may hold: by ticker, whether it was base, quote or both."""
    return MappingProxyType({asset_ticker(row["code"]): row["was"] for row in _table("former.csv")})


def _known_assets(listings: Mapping[str, Listing]) -> tuple[set[str], set[str]]:
    """(bases, quotes) by every name: Kraken's and the people's."""
    former = former_assets()
    quotes = {listing.quote for listing in listings.values()} | {t for t, was in former.items() if was != "base"}
    bases = {listing.base for listing in listings.values()} | quotes | former.keys()
    return bases | set(map(kraken_code, bases)), quotes | set(map(kraken_code, quotes))


@cache
def _pairs() -> Mapping[tuple[str, str], Listing]:
    """Every listed market by base and quote, in capitals."""
    return {(market.base.upper(), market.quote.upper()): market for market in load_listings().values()}


@cache
def _spellings() -> Mapping[str, Listing]:
    """Every way to write a listed market in one word, in capitals. Where two meet, Kraken's altname wins."""
    listings = load_listings().values()
    spelled = {(market.base + market.quote).upper(): market for market in listings}
    spelled |= {market.key.upper(): market for market in listings if market.key}
    return spelled | {market.altname.upper(): market for market in listings}


def _hint(word: str) -> str:
    spelled = _spellings()
    near = (spelled[spelling].altname for spelling in difflib.get_close_matches(word, spelled, n=6))
    nearest = list(dict.fromkeys(near))[:3]
    return f"did you mean {' or '.join(nearest)}?" if nearest else "names look like XBTUSD or BTC/USD."


def _listing(row: Mapping[str, str], key: str) -> Listing:
    return Listing(
        altname=row["altname"],
        wsname=row["wsname"],
        base=asset_ticker(row["base"]),
        quote=asset_ticker(row["quote"]),
        status=row["status"],
        key=key,
    )


def _table(name: str) -> list[dict[str, str]]:
    return list(csv.DictReader((files(__package__) / name).read_text(encoding="utf-8").splitlines()))
