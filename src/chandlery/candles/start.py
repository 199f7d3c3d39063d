"""Where a market's history begins, as far as stored slots tell."""

from collections.abc import Mapping
from datetime import datetime

from chandlery.candles.interval import Interval


def earliest_slot(first_slots: Mapping[Interval, datetime]) -> datetime | None:
    """The open of the finest slot known to hold a market's earliest stored trade; None where nothing is stored.

    A day that starts the daily series and an hour of that day that starts the hourly one tell of the same first trade:
    the hour says it better. A finer series that starts later than that day tells nothing of it.
    """
    if not first_slots:
        return None
    interval, start = min(first_slots.items(), key=lambda item: (item[1], -item[0]))
    end = start + interval.delta
    for finer in sorted(first_slots, reverse=True):
        if finer < interval and start <= first_slots[finer] < end:
            start, end = first_slots[finer], first_slots[finer] + finer.delta
    return start
