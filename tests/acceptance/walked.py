"""An exchange whose archive ended a hundred days ago, and what must be known of it once its trades were walked."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

import polars as pl
from polars.testing import assert_frame_equal

from chandlery.candles.frame import PRICES
from chandlery.candles.interval import Interval
from chandlery.candles.series import Series
from chandlery.candles.timerange import TimeRange
from chandlery.sandbox.archives import write_archive
from chandlery.sandbox.editions import Edition
from chandlery.sandbox.exchange import SandboxExchange
from chandlery.sandbox.market import SandboxMarket
from chandlery.sandbox.quirks import Quirks
from chandlery.sandbox.rest import SandboxApi
from chandlery.sandbox.server import SandboxServer, serve
from tests.acceptance.commands import Commands
from tests.acceptance.in_process import lake_contents
from tests.candles.builders import at
from tests.conftest import CompletedRun

ALL = ",".join(str(int(interval)) for interval in Interval)
ARCHIVE_END = at("2024-04-01")
#: A hundred days after the archive's last.
NOW = at("2024-07-09 06:17") + timedelta(seconds=23)


def market(name: str, listed: str, share: float, depth: float = 1.0) -> SandboxMarket:
    base, quote = name[:3], name[3:]
    return SandboxMarket(
        name, f"{base}/{quote}", base, f"Z{quote}", listed=at(listed), share=share, depth=depth, price=100, size=1
    )


#: Busy, thin, all but dead, and one that was listed after the archive ended.
EXCHANGE = SandboxExchange(
    cast=(
        market("XBTUSD", "2024-01-18 10:07", 0.5),
        market("ETHUSD", "2024-02-14 10:07", 0.05),
        market("SOLUSD", "2024-01-14 10:07", 0.002, 0.5),
        market("ADAUSD", "2024-05-02 09:30", 0.2),
    ),
    outages=(),
)


@dataclass
class Served:
    """An exchange that is served at one moment, and whatever a test does when a request comes in."""

    api: SandboxApi
    server: SandboxServer
    now: datetime
    on_request: list[Callable[[str], None]] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        clock = self.now.isoformat()
        return {"CLOCK": clock, "KRAKEN_API": self.server.url, "KRAKEN_RATE": "0", "KRAKEN_RETRY_WAIT": "0"}

    def run(self, commands: Commands, *arguments: object) -> CompletedRun:
        return commands(*arguments, **self.environment)

    def asked(self) -> Counter[tuple[str, str, str]]:
        """(method, market, width or cursor) of every request so far, but for the state and the time."""
        found: Counter[tuple[str, str, str]] = Counter()
        for request in self.api.requests:
            method = request.path.rpartition("/")[2]
            if method in ("OHLC", "Trades"):
                query = request.query
                # That one trade was asked for to date a market is no page of a walk.
                single = " alone" if query.get("count") == "1" else ""
                found[method, query["pair"], query.get("interval") or f"{query.get('since', '')}{single}"] += 1
        return found

    def pages(self) -> Counter[tuple[str, str]]:
        """(market, cursor) of every page of trades that was asked for."""
        return Counter({key[1:]: times for key, times in self.asked().items() if key[0] == "Trades"})


@contextmanager
def served(exchange: SandboxExchange = EXCHANGE, now: datetime = NOW, quirks: Quirks | None = None) -> Iterator[Served]:
    api = SandboxApi(exchange, lambda: now, quirks=quirks)
    lock = threading.Lock()
    listening: list[Callable[[str], None]] = []

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        with lock:
            for listen in listening:
                listen(f"{environ['PATH_INFO']}?{environ['QUERY_STRING']}")
        return api(environ, start_response)

    with serve(app) as server:
        yield Served(api, server, now, listening)


def archive_in(home: Path, edition: Edition | None = None, exchange: SandboxExchange = EXCHANGE) -> None:
    """A complete history up to the end of March, at every width."""
    write_archive(exchange, edition or Edition.complete("2024Q1"), home / "data" / "archives")


def report_of(commands: Commands, world: Served, *arguments: object) -> dict[tuple[str, int], dict[str, Any]]:
    """Figures of each series, as `report_completeness --json` prints them."""
    done = world.run(commands, "report_completeness", *arguments, "--json")
    assert done.status == 0, done.err
    return {(one["market"], one["interval_minutes"]): one for one in json.loads(done.out)["series"]}


def check_candles(
    stored: Path | Mapping[Series, pl.DataFrame],
    exchange: SandboxExchange,
    intervals: Iterable[Interval],
    until: datetime,
) -> None:
    """Every slot of every series that closed by `until` holds the candle that the exchange's trades make, or none.
    `stored`: a lake, or what a store holds.
    """
    stored = lake_contents(stored) if isinstance(stored, Path) else stored
    for life in exchange.cast:
        for interval in intervals:
            within = TimeRange(interval.floor(life.listed), interval.floor(until))
            truth = exchange.truth(Series("kraken", life.altname, interval), within)
            check_rows(stored.get(Series("kraken", life.altname, interval)), truth, f"{life.altname} {int(interval)}")


def check_rows(rows: pl.DataFrame | None, truth: pl.DataFrame, name: str) -> None:
    """Prices and counts exactly, volumes within 1e-9."""
    if truth.is_empty():
        assert rows is None or rows.is_empty(), name
        return
    assert rows is not None, name
    exact = ["timestamp", *PRICES, "trades"]
    assert_frame_equal(rows.select(exact), truth.select(exact), check_exact=True)
    assert ((rows["volume"] / truth["volume"] - 1).abs() <= 1e-9).all(), name
