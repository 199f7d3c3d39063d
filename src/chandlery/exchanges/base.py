"""What every exchange offers, and the values that its markets are described with."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Tier(StrEnum):
    """How much an asset matters; a market has the tier of its base."""

    TIER1 = "TIER1"
    TIER2 = "TIER2"
    TIER3 = "TIER3"
    TIER4 = "TIER4"


class Category(StrEnum):
    """What kind of asset it is. FIAT and STABLE have no place in a tier."""

    CRYPTO = "CRYPTO"
    FIAT = "FIAT"
    STABLE = "STABLE"


@dataclass(frozen=True, slots=True)
class Listing:
    """One market as an exchange lists it; `base` and `quote` are tickers as people write them (BTC, not XBT)."""

    altname: str  # the name in files and requests: XBTUSD
    wsname: str  # the name in the live feed: XBT/USD
    base: str
    quote: str
    status: str  # in the exchange's own word: online, cancel_only, …
    key: str = ""  # the name in answers, where it is not the altname: XXBTZUSD

    @property
    def pair(self) -> str:
        return f"{self.base}/{self.quote}"


class Exchange(Protocol):
    """What the rest of the house may ask of an exchange."""

    @property
    def name(self) -> str:
        """As in series and paths: "kraken"."""

    def listings(self) -> Mapping[str, Listing]:
        """The shipped table of markets by altname."""

    def resolve(self, name: str) -> Listing:
        """The market a user means by `name`. Raises a UsageError that names the nearest ones."""
