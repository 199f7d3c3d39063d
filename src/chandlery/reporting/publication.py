"""Where Kraken's archives are published, and when each can be expected."""

from collections.abc import Sequence
from datetime import datetime

from chandlery.exchanges.kraken.window import PUBLISHED_AFTER, Quarter

#: All of Kraken's archives, without a key (design 2.4).
DOWNLOADS = "https://assets.kraken.com/marketing/institutions/"
COMPLETE_SET = "Kraken_OHLCVT.zip"


def due_text(quarter: Quarter, now: datetime) -> str:
    """When a quarter's archive can be expected; empty where it must be out by `now`."""
    early, late = (quarter.end + wait for wait in PUBLISHED_AFTER)
    if now >= late:
        return ""
    dates = f"{early:%Y-%m-%d} to {late:%Y-%m-%d}"
    return f"not published yet: due {dates}" if now < early else f"due {dates}: may be out by now"


def newest_part_text(newest: Quarter, now: datetime) -> str:
    """When the complete set can be expected to reach to the end of `newest`; empty where it must by `now`."""
    early, late = (newest.end + wait for wait in PUBLISHED_AFTER)
    if now >= late:
        return ""
    maybe = ": may be out by now" if now >= early else ""
    return f"the newest part follows {early:%Y-%m-%d} to {late:%Y-%m-%d}{maybe}"


def quarterly_archives(quarters: Sequence[Quarter], now: datetime) -> str:
    """Kraken_OHLCVT_2026Q3.zip (due …: may be out by now) and Kraken_OHLCVT_2026Q4.zip (not published yet: due …)"""
    names = [_remarked(quarter.archive, due_text(quarter, now)) for quarter in quarters]
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]


def complete_set(newest: Quarter, now: datetime) -> str:
    """Kraken_OHLCVT.zip (the newest part follows …)"""
    return _remarked(COMPLETE_SET, newest_part_text(newest, now))


def _remarked(name: str, remark: str) -> str:
    return f"{name} ({remark})" if remark else name
