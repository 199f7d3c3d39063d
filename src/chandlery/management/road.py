"""How far walks over trades have come: the bar and the log tell it alike."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from chandlery.pipeline.events import PageWalked, WalkStarted
from chandlery.reporting.progress import Pace

_SECOND = timedelta(seconds=1)


@dataclass(slots=True)
class Road:
    """The time that is walked, market by market, and how much of it is known by now."""

    pages: int = 0
    trades: int = 0
    #: What the walks were expected to take.
    seconds: float = 0.0
    _weights: dict[str, float] = field(default_factory=dict)
    _lengths: dict[str, int] = field(default_factory=dict)
    _known: dict[tuple[str, str], int] = field(default_factory=dict)

    def expect(self, started: WalkStarted) -> None:
        self.seconds += started.seconds
        for walk in started.walks:
            self._weights[walk.market] = float(walk.requests or 1)
            self._lengths[walk.market] = walk.slots * 60

    def advance(self, page: PageWalked) -> None:
        self.pages += 1
        self.trades += page.trades
        known = (min(page.reached, page.part.end) - page.part.start) // _SECOND
        self._known[page.market, str(page.part.end)] = max(0, known)

    def pace(self, seconds: float) -> Pace:
        """In thousandths of the requests expected, after so many seconds."""
        done = 0.0
        for market, weight in self._weights.items():
            known = sum(length for (name, _), length in self._known.items() if name == market)
            done += weight * min(1.0, known / max(1, self._lengths[market]))
        return Pace(round(1000 * done), round(1000 * sum(self._weights.values())), self.trades, seconds)
