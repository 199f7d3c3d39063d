"""What an audit says of a range of one series."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from chandlery.candles.interval import Interval
from chandlery.candles.timerange import TimeRange


class FlawKind(StrEnum):
    """What can be wrong with stored candles, or with their absence."""

    #: A finer or a coarser interval counts more trades in the same time.
    INTERVALS_SHORT = "INTERVALS_SHORT"
    #: More trades than finer candles hold that trades, or the exchange's own count, have proven right.
    INTERVALS_EXCESS = "INTERVALS_EXCESS"
    #: As many trades as at another interval, another volume.
    INTERVALS_VOLUME = "INTERVALS_VOLUME"
    #: As many trades as at another interval, other prices.
    INTERVALS_PRICES = "INTERVALS_PRICES"
    #: The last slot of an archive's period is quiet at every interval that could tell, as wider ones are that traded.
    LAST_SLOT_DROPPED = "LAST_SLOT_DROPPED"
    #: Quiet where the market's own pace makes that all but impossible, while other busy markets traded.
    IMPROBABLE_SILENCE = "IMPROBABLE_SILENCE"
    #: The same, and no other busy market is there to compare.
    UNWITNESSED_SILENCE = "UNWITNESSED_SILENCE"
    #: Prices in an impossible order, or no numbers that a candle can hold.
    BAD_ROW = "BAD_ROW"
    #: A candle without a trade.
    NO_TRADES = "NO_TRADES"
    #: A candle with trades and without volume.
    NO_VOLUME = "NO_VOLUME"
    #: A price far off that is back at once.
    PRICE_SPIKE = "PRICE_SPIKE"
    #: One price in candle after candle, while other markets moved.
    FROZEN_PRICE = "FROZEN_PRICE"


@dataclass(frozen=True, slots=True)
class Flaw:
    """Something wrong in a range (UTC, on the grid of `interval`) of one series. `evidence` is JSON: the figures.

    `derivable`: finer candles that are stored tell what is right.
    """

    interval: Interval
    kind: FlawKind
    range: TimeRange
    evidence: Mapping[str, Any] = field(default_factory=dict)
    derivable: bool = False
