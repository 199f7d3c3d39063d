import asyncio
import subprocess
import sys
from asyncio.subprocess import PIPE
from itertools import pairwise
from pathlib import Path

import pytest

from chandlery.candles.interval import Interval
from chandlery.exchanges.kraken.api.budget import MARGIN, Budget
from chandlery.exchanges.kraken.api.client import KrakenApi
from chandlery.exchanges.kraken.api.errors import BudgetUnusable
from chandlery.exchanges.kraken.api.settings import ApiSettings
from tests.exchanges.kraken.api.builders import ONLINE, Serving, error, ohlc_result, result, rows_from, serving

WINDOW = result(ohlc_result(rows_from("2025-11-11", 5)))
#: Requests are sent apart; on a busy machine the first arrives late, and so seems nearer to the others than it was.
LATE = 0.75
ASKS = """
import asyncio, pathlib, sys
from chandlery.exchanges.kraken.api.client import KrakenApi
from chandlery.exchanges.kraken.api.settings import ApiSettings

async def run():
    settings = ApiSettings(sys.argv[1], rate=50, budget=pathlib.Path(sys.argv[2]))
    async with KrakenApi(settings) as api:
        print("ready", flush=True)
        sys.stdin.readline()
        await asyncio.gather(*(api.system_status() for _ in range(10)))

asyncio.run(run())
"""


class Clock:
    """A clock moved by hand."""

    def __init__(self) -> None:
        self.now = 1_762_819_200.0

    def __call__(self) -> float:
        return self.now


def gaps(server: Serving) -> list[float]:
    return [later.arrived - earlier.arrived for earlier, later in pairwise(server.asked)]


def test_one_request_a_step_from_each_purse(tmp_path: Path) -> None:
    clock = Clock()
    budget = Budget(tmp_path / "budget", 1, clock)
    assert budget.take("XBTUSD") == 0
    assert budget.take("ETHUSD") == 0
    assert budget.take("XBTUSD") == pytest.approx(MARGIN, abs=1e-3)
    clock.now += MARGIN / 2
    assert budget.take("XBTUSD") == pytest.approx(MARGIN / 2, abs=1e-3)
    clock.now += MARGIN / 2 + 0.001
    assert budget.take("XBTUSD") == 0
    budget.close()


def test_two_budgets_on_one_file_are_one(tmp_path: Path) -> None:
    clock = Clock()
    first, second = (Budget(tmp_path / "new" / "folder" / "budget", 1, clock) for _ in range(2))
    assert first.take("XBTUSD") == 0
    assert second.take("XBTUSD") > 0
    clock.now += 2
    assert second.take("XBTUSD") == 0
    assert first.take("XBTUSD") > 0
    first.close()
    second.close()


def test_without_a_file_each_has_its_own() -> None:
    clock = Clock()
    first, second = Budget(None, 1, clock), Budget(None, 1, clock)
    assert (first.take("XBTUSD"), second.take("XBTUSD")) == (0, 0)
    assert first.take("XBTUSD") > 0
    first.close()
    second.close()


def test_a_clock_that_was_set_back_holds_nobody_up(tmp_path: Path) -> None:
    clock = Clock()
    budget = Budget(tmp_path / "budget", 1, clock)
    budget.take("XBTUSD")
    clock.now -= 3600
    assert budget.take("XBTUSD") == 0
    assert budget.take("XBTUSD") > 0
    budget.close()


@pytest.mark.parametrize("content", [b"no database at all, but long enough to have a header" * 10, b"\0" * 5000])
def test_a_damaged_file_is_replaced(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "budget"
    path.write_bytes(content)
    budget = Budget(path, 1, Clock())
    assert budget.take("XBTUSD") == 0
    assert budget.take("XBTUSD") > 0
    budget.close()


def test_a_file_with_another_table_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "budget"
    made = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('CREATE TABLE spent (x)').connection.commit()"
    subprocess.run([sys.executable, "-c", made, str(path)], check=True, timeout=60)
    budget = Budget(path, 1, Clock())
    assert budget.take("XBTUSD") == 0
    budget.close()


def test_a_file_damaged_while_in_use_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "budget"
    first = Budget(path, 1, Clock())
    first.take("XBTUSD")
    first.close()
    budget = Budget(path, 1, Clock())
    with path.open("r+b") as file:
        file.write(b"x" * path.stat().st_size)
    assert budget.take("ETHUSD") == 0
    assert budget.take("ETHUSD") > 0
    budget.close()


def test_a_place_where_no_file_can_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BudgetUnusable, match="file/budget, cannot be used"):
        Budget(tmp_path / "file" / "budget", 1, Clock())


def test_a_folder_in_the_place_of_the_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BudgetUnusable, match="unable to open database file"):
        Budget(tmp_path, 1, Clock())


def test_without_a_rate_there_is_no_file(tmp_path: Path) -> None:
    async def run() -> None:
        async with serving(result(ONLINE)) as server:
            settings = ApiSettings(server.url, rate=0, budget=tmp_path / "budget")
            async with KrakenApi(settings) as api:
                await api.system_status()

    asyncio.run(run())
    assert list(tmp_path.iterdir()) == []


def test_questions_about_one_market_keep_their_distance(tmp_path: Path) -> None:
    async def run() -> list[float]:
        async with serving(WINDOW) as server:
            async with KrakenApi(ApiSettings(server.url, rate=50, budget=tmp_path / "budget")) as api:
                await asyncio.gather(*(api.ohlc("XBTUSD", Interval.M60) for _ in range(6)))
            return gaps(server)

    found = asyncio.run(run())
    assert len(found) == 5
    assert sum(found) >= LATE * 5 / 50


def test_repetitions_keep_their_distance_too(tmp_path: Path) -> None:
    async def run() -> list[float]:
        async with serving(error("EService:Busy"), error("EService:Busy"), result(ONLINE)) as server:
            settings = ApiSettings(server.url, rate=20, retry_wait=0, budget=tmp_path / "budget")
            async with KrakenApi(settings) as api:
                await api.system_status()
            return gaps(server)

    assert sum(asyncio.run(run())) >= LATE * 2 / 20


def test_different_markets_do_not_wait_for_each_other(tmp_path: Path) -> None:
    async def run() -> int:
        async with serving(WINDOW) as server:
            # At one request in a quarter of an hour, whoever waited at all would wait past every timeout of the test.
            settings = ApiSettings(server.url, rate=0.001, connections=2, budget=tmp_path / "budget")
            async with KrakenApi(settings) as api:
                await api.ohlc("XBTUSD", Interval.M60)
                waiting = [asyncio.ensure_future(api.ohlc("XBTUSD", Interval.M60)) for _ in range(4)]
                async with asyncio.timeout(10):
                    await asyncio.gather(*(api.ohlc(f"COIN{n}USD", Interval.M60) for n in range(6)))
                for question in waiting:
                    question.cancel()
                await asyncio.gather(*waiting, return_exceptions=True)
                assert all(question.cancelled() for question in waiting)
            return len(server.asked)

    assert asyncio.run(run()) == 7


def test_two_clients_keep_to_the_rate_together(tmp_path: Path) -> None:
    async def run() -> list[float]:
        async with serving(result(ONLINE)) as server:
            settings = ApiSettings(server.url, rate=50, budget=tmp_path / "budget")
            async with KrakenApi(settings) as one, KrakenApi(settings) as other:
                await asyncio.gather(*(api.system_status() for api in (one, other) * 10))
            return gaps(server)

    found = asyncio.run(run())
    assert len(found) == 19
    assert sum(found) >= LATE * 19 / 50


def test_two_processes_keep_to_the_rate_together(tmp_path: Path) -> None:
    async def run() -> list[float]:
        async with serving(result(ONLINE)) as server:
            program = (sys.executable, "-c", ASKS, server.url, str(tmp_path / "budget"))
            asks = [await asyncio.create_subprocess_exec(*program, stdin=PIPE, stdout=PIPE) for _ in range(2)]
            for process in asks:
                assert process.stdout is not None
                assert await process.stdout.readline() == b"ready\n"
            # Both begin at once, and only now: ten requests of one alone would take half as long as the twenty.
            ended = await asyncio.gather(*(process.communicate(b"go\n") for process in asks))
            assert [out for out, _ in ended] == [b"", b""]
            return gaps(server)

    found = asyncio.run(run())
    assert len(found) == 19
    assert sum(found) >= LATE * 19 / 50
