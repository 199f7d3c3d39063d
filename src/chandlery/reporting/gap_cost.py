"""What closing a gap takes: requests and time, told before anybody begins."""

from __future__ import annotations

from math import ceil

from chandlery.reporting.completeness import GapEntry
from chandlery.reporting.progress import about
from chandlery.reporting.wording import plural

#: Trades that one answer tells (Kraken REST reference, Trades).
TRADES_A_REQUEST = 1000


def gap_cost(entry: GapEntry, trades: float | None) -> str:
    """In words; empty where nothing of ours closes it. `trades`: as many as there were in it, None where nobody knows.

    The exchange allows one request a second for a market.
    """
    if entry.api_fillable:
        return "1 request"
    if not entry.remedy.trades:
        return ""
    if trades is None:
        return "1 request for each 1,000 trades; how many there were is not known yet"
    requests = max(1, ceil(trades / TRADES_A_REQUEST)) + 1
    return f"about {plural(requests, 'request')} for trades, {about(requests)}"
