"""How many requests the sandbox bears. Beyond that it refuses, as Kraken does; it never waits."""

from collections.abc import Callable
from threading import Lock

#: The share of a request's time by which one may come too early: a network's jitter is no greed.
_FORGIVEN = 0.1


class RateLimit:
    """`rate` requests a second for each name, as many at once as a second bears, and at least one. 0: no limit.

    `monotonic` tells seconds. May be shared between threads.
    """

    def __init__(self, rate: float, monotonic: Callable[[], float]) -> None:
        self._rate, self._monotonic = rate, monotonic
        self._most = max(1.0, rate)
        self._lock = Lock()
        self._left: dict[str, tuple[float, float]] = {}  # requests left, and when that was so

    def allows(self, name: str) -> bool:
        """Whether one more may be answered now. A refused request costs nothing."""
        if self._rate <= 0:
            return True
        with self._lock:
            now = self._monotonic()
            left, then = self._left.get(name, (self._most, now))
            left = min(self._most, left + (now - then) * self._rate)
            allowed = left >= 1.0 - _FORGIVEN
            self._left[name] = (left - 1.0 if allowed else left, now)
            return allowed
