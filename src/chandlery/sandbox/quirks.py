"""The oddities of Kraken's candles and trades that the sandbox may be told to have, as values."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from chandlery.candles.timerange import TimeRange


class QuietRows(StrEnum):
    """How a slot without a trade shows: as a flat row that counts 0 trades, not at all, or now this and now that."""

    FLAT = "flat"
    ABSENT = "absent"
    MIXED = "mixed"


class Edges(StrEnum):
    """What a page of trades begins with, where the page before it ended among trades of one nanosecond.

    LOSE: with what is later than `since`, so that who goes on from `last` never sees those that did not fit. REPEAT:
    with what is at `since` or later, so that they come, and before them what was on the last page already.
    """

    LOSE = "lose"
    REPEAT = "repeat"


@dataclass(frozen=True, slots=True)
class Quirks:
    """Of candles the first two, of trades the others; candles know nothing of these."""

    quiet_rows: QuietRows = QuietRows.FLAT
    revises_after: timedelta = timedelta(0)  # for so long after its end the newest closed candle lacks its last trades
    ids_since: datetime | None = None  # rows of trades before it have no id: 6 columns instead of 7
    edges: Edges = Edges.LOSE
    lost_trades: tuple[TimeRange, ...] = ()  # trades of these times are on no page, though they had their ids
