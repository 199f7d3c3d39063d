"""Builders of reports: `report_of(series(...), ...)` reads like the report it makes."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from chandlery.candles.gap import Gap, Reason
from chandlery.candles.interval import Interval
from chandlery.candles.timerange import TimeRange
from chandlery.candles.verdict import Tally
from chandlery.reporting.completeness import (
    CompletenessReport,
    GapEntry,
    SeriesEntry,
    gap_entry,
    remedy_for_nothing_known,
)

NOW = datetime(2025, 11, 23, 19, 30, tzinfo=UTC)
PAIRS = {"XBTUSD": "BTC/USD", "ETHUSD": "ETH/USD", "ADAUSD": "ADA/USD", "XMRUSD": "XMR/USD"}


def at(text: str) -> datetime:
    """2024-03-31, or 2024-03-31 14:00."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def between(start: str, end: str) -> TimeRange:
    """Half-open."""
    return TimeRange(at(start), at(end))


def gap(market: str, minutes: int, start: str, end: str, **facts: Any) -> GapEntry:
    reason = facts.pop("reason", Reason.MISSING)
    return gap_entry(market, Gap(Interval(minutes), between(start, end), reason), NOW, **facts)


def series(
    market: str,
    minutes: int,
    start: str,
    end: str,
    gaps: Sequence[GapEntry] = (),
    *,
    known: bool = False,
    **counts: int,
) -> SeriesEntry:
    """All slots that are not counted otherwise, nor in a gap, are traded."""
    interval, within = Interval(minutes), between(start, end)
    slots = within.slots(interval)
    suspect = sum(g.gap.candles for g in gaps if g.gap.reason is Reason.SUSPECT)
    missing = sum(g.gap.candles for g in gaps) - suspect
    traded = slots - missing - suspect - sum(counts.values())
    tally = Tally(slots=slots, traded=traded, missing=missing, suspect=suspect, **counts)
    pair = PAIRS.get(market, "")
    asset = pair.partition("/")[0] or market
    return SeriesEntry(market, pair, asset, interval, within, tally, tuple(gaps), first_trade_known=known)


def unknown(market: str, minutes: int) -> SeriesEntry:
    """A series of which nothing is stored."""
    pair = PAIRS.get(market, "")
    remedy = remedy_for_nothing_known(market, Interval(minutes))
    asset = pair.partition("/")[0] or market
    return SeriesEntry(market, pair, asset, Interval(minutes), None, Tally(), remedy=remedy)


def report_of(*entries: SeriesEntry, **facts: Any) -> CompletenessReport:
    """Of named markets, unless `tiers` say otherwise."""
    tiers = facts.pop("tiers", ())
    title = "+".join(tiers) if tiers else ", ".join(dict.fromkeys(entry.market for entry in entries))
    intervals = tuple(sorted({entry.interval for entry in entries}))
    return CompletenessReport(title, intervals, entries, NOW, tiers=tiers, **facts)


def real_files() -> CompletenessReport:
    """As four markets look whose loose files were read up to 2023-01-07."""
    return report_of(
        series(
            "XBTUSD",
            60,
            "2013-10-06 21:00",
            "2023-01-08",
            [gap("XBTUSD", 60, "2023-01-07 10:00", "2023-01-08")],
            quiet_claimed=10_856,
        ),
        series(
            "XBTUSD",
            1440,
            "2013-10-06",
            "2023-01-08",
            [gap("XBTUSD", 1440, "2023-01-07", "2023-01-08")],
            quiet_claimed=9,
        ),
        series("ETHUSD", 60, "2015-08-07 14:00", "2023-01-08", quiet_claimed=3_400),
        series("ETHUSD", 1440, "2015-08-07", "2023-01-08"),
        unknown("ADAUSD", 60),
        series("ADAUSD", 1440, "2018-09-28", "2023-01-08", [gap("ADAUSD", 1440, "2021-04-01", "2023-01-08")]),
    )
