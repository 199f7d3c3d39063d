"""A made-up exchange of 200 markets under real names, on loopback. It prints its address, and counts when asked.

python -m benchmarks.busy_exchange 2024-09-01T00:17:30Z
"""

import signal
import sys
from datetime import datetime, timedelta
from types import FrameType

from chandlery.exchanges.kraken.names import load_listings
from chandlery.sandbox.clock import frozen
from chandlery.sandbox.exchange import SandboxExchange
from chandlery.sandbox.market import SandboxMarket
from chandlery.sandbox.rest import SandboxApi
from chandlery.sandbox.server import serve

MARKETS = 200
#: So long before now they were listed: longer than any window but the daily one.
LISTED_FOR = timedelta(days=130)


def market_names() -> list[str]:
    """The first ones by name that are quoted in dollars."""
    return sorted(listing.altname for listing in load_listings().values() if listing.quote == "USD")[:MARKETS]


def exchange(now: datetime) -> SandboxExchange:
    """Busy markets and thin ones."""
    cast = tuple(
        SandboxMarket(
            name,
            f"{name.removesuffix('USD')}/USD",
            name.removesuffix("USD"),
            "ZUSD",
            listed=now - LISTED_FOR,
            share=(0.9, 0.5, 0.2, 0.05)[number % 4],
        )
        for number, name in enumerate(market_names())
    )
    return SandboxExchange(cast=cast, outages=())


def main(now: str) -> int:
    moment = datetime.fromisoformat(now)
    api = SandboxApi(exchange(moment), frozen(moment))

    def stop(number: int, frame: FrameType | None) -> None:
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, stop)
    with serve(api) as server:
        print(server.url, flush=True)
        # Each line that comes in asks how many requests there were since the last.
        for _ in sys.stdin:
            print(len(api.requests), flush=True)
            api.forget_requests()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
