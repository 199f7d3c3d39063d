"""Assets, their tiers, and the markets that trade them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import ClassVar

from django.db import models

from chandlery.candles.verdict import Life
from chandlery.exchanges.base import Category, Tier
from chandlery.models.held_rows import hold


class Asset(models.Model):
    """A coin, a fiat currency or a stablecoin."""

    ticker = models.CharField(max_length=32, unique=True)
    category = models.CharField(max_length=8, choices=[(c.value, c.value) for c in Category], default=Category.CRYPTO)
    tier = models.CharField(
        max_length=8,
        choices=[(t.value, t.value) for t in Tier],
        blank=True,
        db_index=True,
        help_text="Empty for fiat and stablecoins: they have no place in a tier's report.",
    )

    class Meta:
        ordering = ("ticker",)

    def __str__(self) -> str:
        return self.ticker


class Markets(models.Manager["Market"]):
    """Questions about markets, and the way to have them to oneself."""

    def chosen(
        self, tiers: Iterable[str] | None = None, quotes: Iterable[str] | None = None
    ) -> models.QuerySet[Market]:
        """Those of one of these tiers, quoted in one of these; None: in any.

        The last tier takes in unclassified markets, whatever they are quoted in: nobody knows a better place for them.
        """
        wanted = tuple(Tier if tiers is None else tiers)
        rows = self.all()
        if tiers is not None:
            rows = rows.filter(base__tier__in=wanted, base__category=Category.CRYPTO)
        if quotes is not None:
            rows = rows.filter(quote__ticker__in=tuple(quotes))
        return rows | self.filter(base__isnull=True) if Tier.TIER4 in wanted else rows

    def hold(self, markets: Iterable[int]) -> None:
        """Nobody else changes what is on record of these (by primary key) until the transaction around ends. All that a
        transaction needs at once; one that was held before costs a query, and no more.
        """
        hold(self.filter(pk__in=list(markets)))


class Market(models.Model):
    """One pair on one exchange; it has the tier of its base. An unclassified market has neither base nor quote."""

    exchange = models.CharField(max_length=16, default="kraken")
    altname = models.CharField(max_length=40, help_text="The name in files and requests: XBTUSD.")
    wsname = models.CharField(max_length=40, blank=True)
    base = models.ForeignKey(Asset, models.PROTECT, null=True, blank=True, related_name="base_of")
    quote = models.ForeignKey(Asset, models.PROTECT, null=True, blank=True, related_name="quote_of")
    status = models.CharField(max_length=16, blank=True, help_text="As the exchange says it: online, cancel_only …")
    first_trade = models.DateTimeField(
        null=True,
        blank=True,
        help_text="UTC, to the slot; told by a complete release or by the exchange. What came before is UNLISTED.",
    )
    absent_since = models.DateTimeField(
        null=True,
        blank=True,
        help_text="UTC; when the exchange's list of markets was first seen without it. Nothing is asked for it then.",
    )
    delisted_at = models.DateTimeField(null=True, blank=True, help_text="UTC; what comes after is UNLISTED.")

    objects: ClassVar[Markets] = Markets()

    class Meta:
        ordering = ("exchange", "altname")
        constraints = [models.UniqueConstraint(fields=["exchange", "altname"], name="one_market_a_name")]

    def __str__(self) -> str:
        return self.altname

    @property
    def pair(self) -> str:
        """BTC/USD; empty for an unclassified market."""
        return f"{self.base.ticker}/{self.quote.ticker}" if self.base and self.quote else ""

    @property
    def is_listed(self) -> bool:
        """Whether the exchange may be asked about it: it has not said that there is no such market."""
        return self.absent_since is None

    def mark_absent(self, now: datetime) -> None:
        """The exchange says that it does not know the market."""
        if self.absent_since is None:
            self.absent_since = now
            self.save(update_fields=["absent_since"])

    @property
    def life(self) -> Life:
        return Life(self.first_trade, self.delisted_at)
