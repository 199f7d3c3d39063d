"""How far walks over trades have come: the bar and the log tell it alike."""

from __future__ import annotations

from dataclasses import dataclass, field

from chandlery.pipeline.events import PageWalked, WalkStarted


@dataclass(slots=True)
class Road:
    """The requests that walks are expected to take, market by market, and the pages that are there by now."""

    pages: int = 0
    trades: int = 0
    #: What the walks were expected to take.
    seconds: float = 0.0
    _expected: dict[str, int | None] = field(default_factory=dict)
    _pages: dict[str, int] = field(default_factory=dict)

    def expect(self, started: WalkStarted) -> None:
        self.seconds += started.seconds
        self._expected |= {walk.market: walk.requests for walk in started.walks}

    def advance(self, page: PageWalked) -> None:
        self.pages += 1
        self.trades += page.trades
        self._pages[page.market] = self._pages.get(page.market, 0) + 1

    @property
    def total(self) -> int:
        """Requests expected of all walks, those that took more than that included."""
        return sum(max(expected or 0, self._pages.get(name, 0)) for name, expected in self._expected.items())

    @property
    def share(self) -> float:
        """From 0 to 1."""
        return self.pages / self.total if self.total else 0.0

    def remaining(self, seconds: float) -> float | None:
        """Seconds left after so many: as long as the longest walk takes at the pace of its own market, or all of them
        at the pace of all together; None while there is no pace, or no price.
        """
        if None in self._expected.values():
            return None
        if not self.pages or seconds <= 0:
            return self.seconds or None
        together = (self.total - self.pages) * seconds / self.pages
        alone = (
            (expected - pages) * seconds / pages
            for name, expected in self._expected.items()
            if expected and (pages := self._pages.get(name, 0)) and expected > pages
        )
        return max(together if self._waiting else 0.0, *alone, 0.0)

    @property
    def _waiting(self) -> bool:
        """Whether some markets have not had their turn yet."""
        return any(name not in self._pages for name in self._expected)
