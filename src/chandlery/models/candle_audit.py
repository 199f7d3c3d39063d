"""How far the stored candles of a market have been audited."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import ClassVar

from django.db import models

from chandlery.candles.timerange import RangeSet, TimeRange
from chandlery.models.asset import Market

#: More ranges than these are taken as one: whoever changes so much is audited from the first to the last.
MOST_RANGES = 200


class CandleAudits(models.Manager["CandleAudit"]):
    """Questions about what is to be audited, and the ways to change it."""

    def of_markets(self, markets: Iterable[int]) -> dict[int, CandleAudit]:
        """By primary key of the market, in one query; markets that were never audited are not among them."""
        return {row.market_id: row for row in self.filter(market__in=list(markets))}

    def outdate(self, market: Market, within: RangeSet) -> None:
        """Candles or answers in `within` are other than before. Where nothing was ever audited there is nothing to do.
        Inside the caller's transaction, which holds the market from here on.
        """
        if not within:
            return
        Market.objects.hold([market.pk])
        row = self.filter(market=market).first()
        if row is not None:
            row.ranges = row.ranges | within
            row.changes += 1
            row.save(update_fields=["due", "changes"])

    def begin(self, markets: Iterable[int]) -> dict[int, CandleAudit]:
        """A row for each of these markets, by primary key: from now on their changes are counted."""
        wanted = list(markets)
        missing = set(wanted) - self.of_markets(wanted).keys()
        self.bulk_create([CandleAudit(market_id=pk) for pk in sorted(missing)], ignore_conflicts=True)
        return self.of_markets(wanted)

    def note(self, due: Mapping[CandleAudit, RangeSet]) -> None:
        """What is about to be audited stays due until it is. Inside the caller's transaction."""
        for row, ranges in due.items():
            if not row.whole and ranges - row.ranges:
                row.ranges = row.ranges | ranges
                row.save(update_fields=["due"])

    def finish(self, audited: Mapping[int, int], now: datetime) -> set[int]:
        """Those of `audited` (a market's primary key: its changes when its audit began) that nobody has changed since:
        nothing of them is due any more. The others are due as before. Inside the transaction that records the findings.
        """
        done = set()
        for row in self.select_for_update().filter(market__in=list(audited)).order_by("market"):
            if row.changes == audited[row.market_id]:
                row.whole, row.due, row.audited_at = False, [], now
                row.save(update_fields=["whole", "due", "audited_at"])
                done.add(row.market_id)
        return done


class CandleAudit(models.Model):
    """What of a market's stored candles is still to be audited: all of them, or ranges in which they have changed."""

    market = models.OneToOneField(Market, models.CASCADE, related_name="candle_audit")
    whole = models.BooleanField(default=True, help_text="Nothing has been audited yet.")
    due = models.JSONField(default=list, help_text="Ranges that changed since: pairs of UTC seconds since the epoch.")
    changes = models.PositiveBigIntegerField(default=0, help_text="How often something was added to what is due.")
    audited_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[CandleAudits] = CandleAudits()

    class Meta:
        ordering = ("market",)

    def __str__(self) -> str:
        return f"{self.market}: {'all' if self.whole else len(self.due)} due"

    @property
    def is_due(self) -> bool:
        return self.whole or bool(self.due)

    @property
    def ranges(self) -> RangeSet:
        """What has changed since it was audited last."""
        return RangeSet(
            TimeRange(datetime.fromtimestamp(start, UTC), datetime.fromtimestamp(end, UTC)) for start, end in self.due
        )

    @ranges.setter
    def ranges(self, changed: RangeSet) -> None:
        span = changed.span
        if len(changed) > MOST_RANGES and span is not None:
            changed = RangeSet([span])
        self.due = [[int(one.start.timestamp()), int(one.end.timestamp())] for one in changed]
