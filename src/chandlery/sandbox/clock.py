"""Clocks for the sandbox: callables that tell the time in UTC."""

from collections.abc import Callable
from datetime import datetime, timedelta

Clock = Callable[[], datetime]


def frozen(at: datetime) -> Clock:
    """Always the same moment."""
    return lambda: at


def ticking(since: datetime, monotonic: Callable[[], float]) -> Clock:
    """Begins at `since` and goes on at the pace of `monotonic`, which tells seconds."""
    started = monotonic()
    return lambda: since + timedelta(seconds=monotonic() - started)
