"""Events of walks over trades and of the ledger, as builders."""

from chandlery.candles.timerange import TimeRange
from chandlery.pipeline.events import Audited, PageWalked, WalkDone, WalkPlanned, WalkStarted
from tests.candles.builders import at, between

#: Ten days.
PART = between("2026-08-01", "2026-08-11")


def walk(market: str = "XBTUSD", requests: int | None = 1_205, part: TimeRange = PART, minutes: int = 0) -> WalkPlanned:
    """A thousand trades a request; `minutes` where these are not all of `part`."""
    length = minutes or int(part.length.total_seconds() // 60)
    return WalkPlanned(market, length, (part,), None if requests is None else 1_000.0 * requests, requests)


def walk_started(*walks: WalkPlanned, seconds: float = 1_250.0, budget: int | None = None) -> WalkStarted:
    numbers = [one.requests for one in walks]
    requests = None if None in numbers else sum(number or 0 for number in numbers)
    return WalkStarted(walks, requests, seconds, budget)


def page(
    reached: str, market: str = "XBTUSD", *current: str, part: TimeRange = PART, trades: int = 1_000
) -> PageWalked:
    return PageWalked(market, part, trades, at(reached), current or (market,))


def walk_done(markets: int = 3, of: int = 3, **others: int) -> WalkDone:
    facts = {"failed": 0, "pages": 1_210, "trades": 1_203_456, "candles": 134_000, "requests": 1_212, **others}
    return WalkDone(markets=markets, of=of, seconds=1_250.0, **facts)


def audited(short: int = 4, differing: int = 0, examples: tuple[str, ...] = ()) -> Audited:
    return Audited(8, 1_234, 1_234 - short - differing, short, differing, examples)
