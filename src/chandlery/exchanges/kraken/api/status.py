"""What Kraken says of itself: its clock, and whether it is open."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime

from chandlery.exchanges.kraken.api.errors import UnsoundAnswer

#: The states in which market data is served. In `maintenance` it is not (Kraken REST reference, SystemStatus).
SERVING = frozenset({"online", "cancel_only", "post_only", "limit_only"})


@dataclass(frozen=True, slots=True)
class SystemStatus:
    """Kraken's own word on its state, and when it was said (UTC)."""

    status: str
    timestamp: datetime

    @property
    def is_open(self) -> bool:
        """Whether candles are to be had: orders may be restricted, but the exchange is not in maintenance."""
        return self.status in SERVING


def parse_status(result: object) -> SystemStatus:
    """The result of `GET /0/public/SystemStatus`. Raises UnsoundAnswer."""
    match result:
        case {"status": str(status), "timestamp": str(text)}:
            return SystemStatus(status, _moment(text))
    raise UnsoundAnswer(problem=f"no status and timestamp in {_shown(result)}")


def parse_server_time(result: object) -> datetime:
    """The result of `GET /0/public/Time`, to the second, UTC. Raises UnsoundAnswer."""
    match result:
        case {"unixtime": int() | float() as seconds} if not isinstance(seconds, bool) and math.isfinite(seconds):
            try:
                return datetime.fromtimestamp(seconds, UTC)
            except (ValueError, OverflowError, OSError) as problem:
                raise UnsoundAnswer(problem=f"unixtime is {_shown(seconds)}") from problem
    raise UnsoundAnswer(problem=f"no unixtime in {_shown(result)}")


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as problem:
        raise UnsoundAnswer(
            problem=f"timestamp is {_shown(text)}; expected a time such as 2025-11-11T00:17:10Z"
        ) from problem
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}…"
