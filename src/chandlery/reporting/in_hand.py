"""What a running job has in hand: kept with the job, read by pages and commands."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from chandlery.reporting.as_json import JsonObject, instant
from chandlery.reporting.progress import duration


@dataclass(frozen=True, slots=True)
class InHand:
    """One stage of the work as it stood `at` (UTC): "reading files", "3 of 9 files, 12.3k rows/s", "XBTUSD_60.csv".

    `share` is from 0 to 1, None where there is no way to go; `seconds_left` is None where nothing tells.
    """

    what: str
    at: datetime
    figures: str = ""
    current: str = ""
    share: float | None = None
    seconds_left: float | None = None

    @classmethod
    def of_json(cls, kept: dict[str, Any]) -> Self:
        return cls(**kept | {"at": datetime.fromisoformat(kept["at"])})

    def as_json(self) -> JsonObject:
        return {
            "what": self.what,
            "figures": self.figures,
            "current": self.current,
            "share": self.share,
            "seconds_left": self.seconds_left,
            "at": instant(self.at),
        }

    @property
    def percent(self) -> int | None:
        return None if self.share is None else int(100 * self.share)

    def left(self, now: datetime) -> float | None:
        """Seconds left at `now`."""
        if self.seconds_left is None:
            return None
        return max(0.0, self.seconds_left - (now - self.at).total_seconds())

    def text(self, now: datetime) -> str:
        """reading files: 3 of 9 files, 12.3k rows/s, 0:42 left"""
        left = self.left(now)
        parts = [self.figures] if self.figures else []
        parts += [f"{duration(left)} left"] if left else []
        return f"{self.what}: {', '.join(parts)}" if parts else self.what
