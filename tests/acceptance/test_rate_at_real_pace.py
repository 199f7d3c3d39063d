"""Kraken's own limit, at its real pace, for a minute: two jobs in one home never ask one market twice in a second.

All other tests let the sandbox bear any number of requests.
"""

import re
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from chandlery.sandbox.exchange import SandboxExchange
from chandlery.sandbox.market import SandboxMarket
from chandlery.sandbox.rest import Asked
from tests.acceptance.commands import Commands
from tests.acceptance.disturbed import Sandbox, assert_clean, sandbox, started
from tests.candles.builders import at
from tests.conftest import CompletedRun

pytestmark = pytest.mark.slow

NOW = at("2024-07-09 06:17") + timedelta(seconds=23)
NAMES = ("XBTUSD", "ETHUSD")
#: 5,000 trades a day, so that ten days take both markets about 50 pages each.
EXCHANGE = SandboxExchange(
    cast=tuple(
        SandboxMarket(name, f"{name[:3]}/USD", name[:3], "ZUSD", listed=at("2024-05-02 10:07"), share=0.95, depth=3)
        for name in NAMES
    ),
    outages=(),
)
MARKETS = ("--markets", ",".join(NAMES))
DATES = ("--start-date", "2024-06-20", "--end-date", "2024-06-29")
WALK = ("ingest_kraken_unified", *MARKETS, "--intervals", "1", *DATES, "--complete", "--yes")
#: Of the same markets at widths of which the walk holds none. Newest candles may still change: each run asks anew.
ASK = ("ingest_kraken_unified", *MARKETS, "--intervals", "5,15,30,60,240,1440", "--trade-budget", "0", "--yes")
MINUTE = 60.0
#: By so much of a second a request may have been longer on its way than the next one, on a machine with other work.
ON_THE_WAY = 0.3
#: So long all may take, where a machine is busy.
PATIENCE = 240.0


@dataclass(frozen=True, slots=True)
class Seen:
    """What the sandbox was asked while one job walked, and others asked for candles."""

    requests: Sequence[Asked]
    walk: CompletedRun
    asks: Sequence[CompletedRun]

    @property
    def purses(self) -> dict[str, list[Asked]]:
        """In order of arrival: candles and trades of each market, and under "" all the rest."""
        found: defaultdict[str, list[Asked]] = defaultdict(list)
        for request in sorted(self.requests, key=lambda request: request.at):
            found[request.query.get("pair", "")].append(request)
        return found


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    home: Path = tmp_path_factory.mktemp("home")
    with sandbox(EXCHANGE, NOW, rate=1.0) as world:
        return both_jobs(world, Commands(home, trades=True))


def both_jobs(world: Sandbox, commands: Commands) -> Seen:
    """One job after the other for candles, as long as the walk goes on."""
    around = world.environment | {"KRAKEN_RATE": "1"}
    asks: list[CompletedRun] = []
    with started(commands, *WALK, **around) as walk:
        walk.wait_for("walking over the trades")
        overdue = time.monotonic() + PATIENCE
        while walk.process.poll() is None:
            assert time.monotonic() < overdue, "the walk takes too long"
            asks.append(commands(*ASK, **around))
        return Seen(world.api.requests, walk.end(), asks)


def method(request: Asked) -> str:
    return request.path.rpartition("/")[2]


def test_both_jobs_are_done(seen: Seen) -> None:
    """Once it has walked, the one job looks for a moment at all that is stored: who comes just then is told so."""
    assert_clean(seen.walk)
    assert seen.walk.status == 0, seen.walk
    said = re.search(r"^Job (\w{8})", seen.walk.out, re.MULTILINE)
    assert said is not None, seen.walk
    for done in seen.asks:
        assert_clean(done)
        if done.status:
            assert (done.status, done.err.count("\n")) == (1, 1), done
            assert f"are being written by job {said[1]} (" in done.err


def test_for_a_minute_two_processes_ask_for_the_same_markets(seen: Seen) -> None:
    for name in NAMES:
        asked = seen.purses[name]
        walked = [request.at for request in asked if method(request) == "Trades"]
        told = [request.at for request in asked if method(request) == "OHLC"]
        assert walked[-1] - walked[0] >= MINUTE - 1
        assert sum(walked[0] < moment < walked[-1] for moment in told) >= 10
        # The pace is what holds them up, and nothing else.
        both = sum(walked[0] <= request.at <= walked[-1] for request in asked)
        assert both >= 0.75 * (walked[-1] - walked[0])


def test_no_market_is_asked_more_than_once_a_second(seen: Seen) -> None:
    for name, asked in seen.purses.items():
        times = [request.at for request in asked]
        apart = [later - earlier for earlier, later in pairwise(times)]
        assert min(apart) >= 1 - ON_THE_WAY, name
        assert len(times) <= times[-1] - times[0] + 1, name


def test_hardly_any_request_is_refused(seen: Seen) -> None:
    """Of two that went out a second apart the first may be held up on its way, and that is all."""
    outcomes = Counter(request.outcome for request in seen.requests)
    assert set(outcomes) <= {"ok", "EGeneral:Too many requests"}
    assert outcomes["ok"] >= 0.95 * outcomes.total()
