"""A QuestDB that dies in the middle of a run: a clear line, a job that can be resumed, and in the end the truth."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote

import pytest

from chandlery.candles.compare import compare
from chandlery.candles.interval import Interval
from chandlery.candles.series import Series
from chandlery.candles.timerange import TimeRange
from chandlery.sandbox.rest import SandboxApi
from chandlery.sandbox.server import serve
from chandlery.stores import open_store
from chandlery.stores.questdb_address import parse_address
from chandlery.stores.questdb_locks import series_lock
from tests.acceptance.survival import EXCHANGE, MAIN, NOW, Gate, archive_in, jobs_in, ran, started
from tests.questdb_servers import PASSWORD, TestServer, server_in

INTERVALS = (Interval.M60, Interval.M720, Interval.M1440)
WHAT = ("--markets", ",".join(EXCHANGE.names), "--intervals", "60,720,1440")


@pytest.fixture
def exchange() -> Iterator[tuple[Gate, str]]:
    gate = Gate(SandboxApi(EXCHANGE, lambda: NOW))
    with serve(gate) as server:
        yield gate, server.url
        gate.open()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[TestServer]:
    """A server that may be killed: nobody else's."""
    server = server_in(tmp_path / "questdb")
    server.start()
    yield server
    server.local.stop()


def kill(server: TestServer) -> None:
    process = server.local.process()
    assert process is not None
    process.kill()
    server.local.stop()


def assert_truth(store_url: str, home: Path) -> None:
    """Every slot of every series, from the first trade to the last closed slot."""
    store = open_store(store_url, home)
    for name in EXCHANGE.names:
        first = EXCHANGE.first_trade(name)
        assert first is not None
        for interval in INTERVALS:
            series = Series("kraken", name, interval)
            truth = EXCHANGE.truth(series, TimeRange(interval.floor(first), interval.floor(NOW)))
            met = compare(store.read(series), truth)
            assert met.identical, (series, met)
            assert met.equal == truth.height > 0


@pytest.mark.slow
def test_a_run_whose_server_is_killed_twice_ends_with_the_truth(
    tmp_path: Path, server: TestServer, exchange: tuple[Gate, str]
) -> None:
    gate, api = exchange
    home, url = tmp_path / "home", server.url("candles")
    home.mkdir()
    archive_in(home)
    gone = f"Error: QuestDB at {server.place} cannot be reached: "

    # While a file is on its way into the store.
    held = ExitStack()
    held.enter_context(series_lock(parse_address(url, home), Series("kraken", EXCHANGE.names[0], Interval.M60)))
    typed = (MAIN, *WHAT, "--workers", "1", "--yes", "-v", "2")
    log = home / "run.jsonl"
    with held, started(home, api, *typed, CANDLE_STORE=url, LOG_FILE=str(log)) as run:
        run.until("Step 2/6")
        kill(server)
        held.close()
        assert run.ended() == 1
    told = run.text
    assert gone in told
    [(job, status)] = jobs_in(home)
    assert status == "FAILED"
    refused = ran(home, api, "report_completeness", *WHAT, CANDLE_STORE=url)
    assert (refused.status, refused.err.startswith(gone), refused.err.count("\n")) == (1, True, 1), refused.err

    # While the exchange answers.
    server.start()
    resume = (MAIN, "--resume", job[:8], "--yes")
    with gate.held(0), started(home, api, *resume, CANDLE_STORE=url, LOG_FILE=str(log)) as run:
        gate.wait_for(1)
        kill(server)
        gate.open()
        assert run.ended() == 1
    assert gone in run.text
    assert "Traceback" not in run.text
    assert jobs_in(home)[0][1] == "FAILED"
    shown = ran(home, api, "show_job", job[:8], CANDLE_STORE=url)
    assert f"QuestDB at {server.place} cannot be reached" in shown.out

    server.start()
    done = ran(home, api, *resume, CANDLE_STORE=url)
    assert done.status == 0, done.out + done.err
    assert jobs_in(home) == [(job, "COMPLETED")]
    assert_truth(url, home)
    report = json.loads(ran(home, api, "report_completeness", *WHAT, "--json", CANDLE_STORE=url).out)
    assert report["overall"]["completeness"] == 1.0

    said = "".join((told, run.text, shown.out, done.out, done.err, log.read_text()))
    written = (home / "data" / "chandlery.sqlite3").read_bytes()
    for secret in (PASSWORD, quote(PASSWORD, safe="")):
        assert secret not in said
        assert secret.encode() not in written
