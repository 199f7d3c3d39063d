"""An archive ended long ago, and the API's window begins much later: what lies between is rebuilt from trades."""

import random
import signal
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from chandlery.candles.interval import Interval
from tests.acceptance.commands import Commands
from tests.acceptance.deployments import Deployment
from tests.acceptance.state import changed_tables, state_rows
from tests.acceptance.survival import Started, assert_tidy, jobs_in
from tests.acceptance.walked import (
    ALL,
    ARCHIVE_END,
    EXCHANGE,
    NOW,
    Served,
    archive_in,
    check_candles,
    report_of,
    served,
)

MARKETS = ",".join(EXCHANGE.names)
COMPLETE = ("ingest_kraken_unified", "--markets", MARKETS, "--intervals", ALL, "--complete", "--yes")
SELECTION = ("--markets", MARKETS, "--intervals", ALL)
KILLS = 10
#: No walk is killed later than after so many requests for trades, and no sooner than after one.
LATEST = 14


@pytest.fixture(scope="module")
def world() -> Iterator[Served]:
    with served() as found:
        yield found


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("archived")
    archive_in(home)
    return home / "data" / "archives"


def check_complete(deployment: Deployment, world: Served) -> None:
    """100 % for every series, every slot as the trades have it; what is quiet after the archive is proven."""
    commands = deployment.commands
    check_candles(deployment.candles(), EXCHANGE, Interval, NOW)
    for key, whole in report_of(commands, world, *SELECTION).items():
        assert whole["completeness"] == 1, key
        assert whole["missing"] == whole["suspect"] == 0, key
        assert whole["gaps"] == [], key
    since = f"{ARCHIVE_END:%F}"
    for key, after in report_of(commands, world, *SELECTION, "--start-date", since).items():
        assert after["quiet_proven"] == after["slots"] - after["unlisted"] - after["traded"], key
        assert after["quiet_claimed"] == after["quiet_confirmed"] == 0, key
    before = report_of(commands, world, *SELECTION, "--end-date", "2024-03-31")
    # Full weeks agree with the exchange's own count; only what is left of a week at the very end is a claim.
    assert {key: one["quiet_claimed"] for key, one in before.items() if one["quiet_claimed"]} == {}


def test_one_command_closes_the_hole_and_proves_its_silence(
    world: Served, archives: Path, deployment: Deployment
) -> None:
    commands = deployment.commands
    world.api.forget_requests()

    done = world.run(commands, *COMPLETE, "--source", archives)

    assert (done.status, done.err) == (0, "")
    check_complete(deployment, world)
    assert_tidy(commands.home)
    # A walk that is due anyway spares every other request; no page was asked for twice.
    asked = world.asked()
    assert {key for key in asked if key[0] == "OHLC"} == {("OHLC", name, "10080") for name in EXCHANGE.names}
    assert set(asked.values()) == {1}
    assert not list((commands.home / "data" / "walks").glob("*.journal"))

    writes, state = deployment.writes(), state_rows(commands.home)
    again = world.run(commands, *COMPLETE, "--source", archives)
    assert (again.status, again.err) == (0, "")
    assert deployment.writes() == writes
    assert changed_tables(state, state_rows(commands.home)) == set()
    assert world.asked() == asked


@pytest.mark.slow
def test_killed_ten_times_it_ends_the_same_and_asks_for_no_page_twice(
    world: Served, archives: Path, deployment: Deployment
) -> None:
    commands, home = deployment.commands, deployment.home
    dice = random.Random(5)
    pages: list[Counter[tuple[str, str]]] = []
    typed: tuple[str, ...] = (*COMPLETE, "--source", str(archives))
    while len(pages) < KILLS:
        if jobs := jobs_in(home) if pages else []:
            typed = ("ingest_kraken_unified", "--resume", jobs[-1][0], "--yes")
        # A server for each run: what a killed one had sent off a moment before is not taken for the next one's.
        with served() as to_one, Started(home, *typed, trades=True, **patient(to_one), **deployment.settings) as run:
            left = [dice.randrange(1, LATEST)]
            delay = dice.random() * 0.04

            def strike(request: str, left: list[int] = left, delay: float = delay, run: Started = run) -> None:
                if "/Trades?" in request:
                    left[0] -= 1
                    if left[0] == 0:
                        threading.Timer(delay, run.signal, (signal.SIGKILL,)).start()

            to_one.on_request.append(strike)
            status = run.ended()
        assert status == -signal.SIGKILL, run.text
        pages.append(to_one.pages())

    world.api.forget_requests()
    done = commands("ingest_kraken_unified", "--resume", jobs_in(home)[-1][0], "--yes", **patient(world))
    pages.append(world.pages())

    assert (done.status, done.err) == (0, "")
    check_complete(deployment, world)
    assert_tidy(home)
    check_asked_once(pages)


def patient(world: Served) -> dict[str, str]:
    """However long an answer takes on a busy machine, nobody asks for it again."""
    return world.environment | {"KRAKEN_TIMEOUT": "300"}


def check_asked_once(pages: Sequence[Counter[tuple[str, str]]]) -> None:
    """`pages`: of each run. No run asks for a page twice; of what it was asked for before the run before it was killed,
    it asks for the one page of a market that was on its way then.
    """
    before: set[tuple[str, str]] = set()
    for number, asked in enumerate(pages):
        assert set(asked.values()) <= {1}, (number, asked)
        again = Counter(market for market, _ in before & set(asked))
        assert set(again.values()) <= {1}, (number, sorted(before & set(asked)))
        before |= set(asked)
    assert len(before) > KILLS


@pytest.mark.slow
def test_a_release_that_lacks_a_market_is_not_believed_where_the_exchange_counts_its_trades(tmp_path: Path) -> None:
    commands = Commands(tmp_path, trades=True)
    archive_in(tmp_path, exchange=EXCHANGE.only("ETHUSD"))
    asked = ("ingest_kraken_unified", "--markets", "ETHUSD,SOLUSD", "--intervals", "60", "--yes")
    with served() as world:
        # It ends before the market is walked over; from now on its first trade is known.
        assert world.run(commands, *asked, "--trade-budget", "1").status == 0

        done = world.run(commands, *asked, "--complete")

        assert (done.status, done.err) == (0, "")
        told = report_of(commands, world, "--markets", "SOLUSD", "--intervals", "60")["SOLUSD", 60]
        assert (told["completeness"], told["quiet_confirmed"]) == (1, 0)
        # The newest 720 hours were asked for by the first run; all before is proven.
        assert told["quiet_claimed"] < 720 < told["quiet_proven"]
        check_candles(commands.lake, EXCHANGE.only("SOLUSD"), [Interval.M60], NOW)
