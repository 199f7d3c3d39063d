"""Which assets matter most, and which are money: tiers.toml, or the user's own copy of it."""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from chandlery.errors import UsageError
from chandlery.exchanges.base import Category, Tier
from chandlery.exchanges.kraken.names import asset_ticker

SHIPPED = "tiers.toml"
#: What a file may list. TIER4 and CRYPTO hold whatever is left, and so cannot be listed.
LISTED = {
    "tiers": (Tier.TIER1, Tier.TIER2, Tier.TIER3),
    "categories": (Category.FIAT, Category.STABLE),
}


class MalformedTiers(UsageError):
    """{path}: {key}: {problem}."""


class UnreadableTiers(UsageError):
    """{path} is no readable TOML file: {problem}."""


@dataclass(frozen=True, slots=True)
class TierTable:
    """Tier and category of every asset; what is not listed is CRYPTO of the last tier."""

    tiers: Mapping[str, Tier]
    categories: Mapping[str, Category]

    def tier(self, ticker: str) -> Tier | None:
        """None for money: fiat and stablecoins have no tier."""
        if self.category(ticker) is not Category.CRYPTO:
            return None
        return self.tiers.get(ticker.upper(), Tier.TIER4)

    def category(self, ticker: str) -> Category:
        return self.categories.get(ticker.upper(), Category.CRYPTO)


def load_tiers(path: Path | None) -> TierTable:
    """The table in the file at `path`, or the shipped one. Raises MalformedTiers, UnreadableTiers.

    A section that the file leaves out is taken from the shipped table.
    """
    shipped = _sections(SHIPPED, (files(__package__) / SHIPPED).read_bytes())
    sections = shipped
    if path is not None:
        try:
            content = path.read_bytes()
        except OSError as problem:
            raise UnreadableTiers(path=path, problem=problem.strerror) from problem
        sections = shipped | _sections(path, content)
    return _table(SHIPPED if path is None else path, sections)


def _sections(path: str | Path, content: bytes) -> dict[str, Any]:
    try:
        sections = tomllib.loads(content.decode())
    except ValueError as problem:
        raise UnreadableTiers(path=path, problem=str(problem)) from problem
    unknown = next(iter(sections.keys() - LISTED.keys()), None)
    if unknown is not None:
        raise MalformedTiers(path=path, key=unknown, problem=f"no such section; there are {_enumerated(LISTED)}")
    return sections


def _table(path: str | Path, sections: dict[str, Any]) -> TierTable:
    tiers: dict[str, Tier] = {}
    categories: dict[str, Category] = {}
    listed: dict[str, str] = {}
    for section, name, key, ticker in _entries(path, sections):
        if ticker in listed:
            raise MalformedTiers(path=path, key=key, problem=f"{ticker} is already listed in {listed[ticker]}")
        listed[ticker] = key
        if section == "tiers":
            tiers[ticker] = Tier(name)
        else:
            categories[ticker] = Category(name)
    return TierTable(tiers, categories)


def _entries(path: str | Path, sections: dict[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    """(section, name, key for messages, ticker) of every asset listed, checked."""
    for section, lists in sections.items():
        if not isinstance(lists, dict):
            raise MalformedTiers(path=path, key=section, problem="must be a section of lists")
        for name, assets in lists.items():
            key = f"{section}.{name}"
            if name not in LISTED[section]:
                problem = f"cannot be listed; {_enumerated(LISTED[section])} can, and all the rest is {_rest(section)}"
                raise MalformedTiers(path=path, key=key, problem=problem)
            if not isinstance(assets, list) or not all(isinstance(asset, str) and asset.strip() for asset in assets):
                raise MalformedTiers(path=path, key=key, problem='must be a list of tickers like ["BTC", "ETH"]')
            for asset in assets:
                yield section, name, key, asset_ticker(asset.strip().upper())


def _rest(section: str) -> str:
    return Tier.TIER4 if section == "tiers" else Category.CRYPTO


def _enumerated(names: Mapping[str, object] | tuple[str, ...]) -> str:
    *others, last = (str(name) for name in names)
    return f"{', '.join(others)} and {last}"
