"""Requests made and answered, dropped and given up: what is told of each, and what is in the store by then."""

import json
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ParamSpec, TypeVar
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest

from chandlery.candles.interval import Interval
from chandlery.candles.series import Series
from chandlery.candles.timerange import RangeSet, TimeRange
from chandlery.exchanges.kraken.api.settings import ApiSettings
from chandlery.pipeline.ask import Asked, questions
from chandlery.pipeline.conversation import ClocksApart, Conversation, GaveUp, InMaintenance, Remark, Waiting
from chandlery.pipeline.edge import Ask
from chandlery.pipeline.request import Surroundings
from chandlery.sandbox.exchange import SandboxExchange
from chandlery.sandbox.faults import Fault, Faults
from chandlery.sandbox.rest import SandboxApi, Status
from chandlery.sandbox.server import serve
from chandlery.stores import open_store
from tests.candles.builders import at

P = ParamSpec("P")
T = TypeVar("T")

NOW = at("2024-04-20 06:17") + timedelta(seconds=23)
EXCHANGE = SandboxExchange.small()
M60, M240 = Interval.M60, Interval.M240


@dataclass
class Exchange:
    """A sandbox whose answers to a question can be replaced: by what a function of the request's number says."""

    api: SandboxApi = field(default_factory=lambda: SandboxApi(EXCHANGE, lambda: NOW))
    instead: dict[str, Callable[[], object]] = field(default_factory=dict)
    #: Questions as they came: endpoint and market.
    log: list[tuple[str, str]] = field(default_factory=list)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        endpoint = environ["PATH_INFO"].rpartition("/")[2]
        query = dict(part.split("=") for part in environ["QUERY_STRING"].split("&") if part)
        self.log.append((endpoint, query.get("pair", "")))
        if endpoint not in self.instead:
            return self.api(environ, start_response)
        body = json.dumps(self.instead[endpoint]()).encode()
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]

    def count(self, endpoint: str) -> int:
        return sum(asked == endpoint for asked, _ in self.log)


class AtOnce(Executor):
    """Does each task in this process."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


@dataclass
class Asking:
    """A conversation with an exchange, as it is set."""

    home: Path
    exchange: Exchange
    settings: ApiSettings
    clock: Callable[[], datetime] = lambda: NOW
    executor: Executor = field(default_factory=AtOnce)
    should_stop: Callable[[], bool] = lambda: False
    last: Conversation[Asked] | None = None

    def __call__(self, *series: tuple[str, Interval]) -> list[Any]:
        """Everything that is told."""
        around = Surroundings("parquet:lake", self.home, self.clock, api=self.settings)
        self.last = Conversation(around, self.executor, self.should_stop)
        return list(self.last.about(questions(ask(*one) for one in series)))

    @property
    def error(self) -> Exception | None:
        assert self.last is not None
        return self.last.error

    def stored(self, market: str, interval: Interval) -> int:
        return open_store("parquet:lake", self.home).read(Series("kraken", market, interval)).height


def ask(market: str, interval: Interval) -> Ask:
    hour = interval.floor(NOW)
    return Ask(Series("kraken", market, interval), RangeSet([TimeRange(hour - interval.delta, hour)]))


@pytest.fixture
def asking(tmp_path: Path) -> Iterator[Asking]:
    exchange = Exchange()
    with serve(exchange) as server:
        settings = ApiSettings(server.url, rate=0, timeout=5, attempts=2, retry_wait=0, maintenance_wait=0)
        yield Asking(tmp_path, exchange, settings)


def unlisted_or_not(told: Iterable[object]) -> dict[tuple[str, int], bool]:
    return {
        (one.ask.series.market, int(one.ask.series.interval)): one.unlisted for one in told if isinstance(one, Asked)
    }


def test_each_series_is_asked_for_once_and_stored_when_it_is_told(asking: Asking) -> None:
    told = asking(("XBTUSD", M60), ("XBTUSD", M240), ("ETHEUR", M60))
    assert [type(one) for one in told] == [Asked] * 3
    for one in told:
        series = one.ask.series
        assert one.error == ""
        assert asking.stored(series.market, series.interval) == one.stored.written.inserted > 0
    assert sorted(asking.exchange.log) == [
        ("OHLC", "ETHEUR"), ("OHLC", "XBTUSD"), ("OHLC", "XBTUSD"), ("SystemStatus", ""), ("Time", "")
    ]  # fmt: skip
    assert asking.last is not None
    assert asking.last.requests == 5


def test_requests_of_one_market_are_far_apart(asking: Asking) -> None:
    asking.settings = replace(asking.settings, connections=1)
    asking(("XBTUSD", M60), ("XBTUSD", M240), ("ETHEUR", M60), ("ADAUSD", M60))
    markets = [market for endpoint, market in asking.exchange.log if endpoint == "OHLC"]
    assert markets == ["ADAUSD", "ETHEUR", "XBTUSD", "XBTUSD"]


def test_nobody_there_is_one_error_and_no_series_is_asked_for(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
        asking = Asking(tmp_path, Exchange(), ApiSettings(address, rate=0, attempts=2, retry_wait=0))
        assert asking(("XBTUSD", M60), ("ETHEUR", M60)) == []
    assert isinstance(asking.error, GaveUp)
    assert f"{address} cannot be reached: Connection refused. Given up, 2 series not asked for" in str(asking.error)
    assert asking.last is not None
    assert asking.last.requests == 2


def test_what_the_exchange_says_of_itself_need_not_be_known(asking: Asking) -> None:
    """It may tell candles all the same."""
    asking.exchange.instead["SystemStatus"] = lambda: {"error": ["EService:Busy"]}
    remark, asked = asking(("XBTUSD", M60))
    assert isinstance(remark, Remark)
    assert "SystemStatus" in remark.text
    assert asked.error == ""
    assert asking.exchange.count("SystemStatus") == 2


def test_a_maintenance_that_ends_is_waited_for(asking: Asking) -> None:
    states = iter(["maintenance", "online"])
    asking.exchange.instead["SystemStatus"] = lambda: {
        "error": [], "result": {"status": next(states), "timestamp": "2024-04-20T06:17:23Z"}
    }  # fmt: skip
    asking.settings = replace(asking.settings, maintenance_wait=0.01)
    waiting, asked = asking(("XBTUSD", M60))
    assert waiting == Waiting("Kraken is in maintenance", 0.01)
    assert asked.error == ""
    assert asking.error is None


def test_a_maintenance_that_goes_on_ends_the_asking(asking: Asking) -> None:
    asking.exchange.api.status = Status.MAINTENANCE
    asking.settings = replace(asking.settings, maintenance_wait=0.01)
    assert asking(("XBTUSD", M60)) == [Waiting("Kraken is in maintenance", 0.01)]
    assert isinstance(asking.error, InMaintenance)
    assert asking.exchange.count("OHLC") == 0


def test_clocks_that_are_apart_are_told_of(asking: Asking) -> None:
    asking.clock = lambda: NOW + timedelta(minutes=2)
    told = asking(("XBTUSD", M60))
    # The exchange tells its time to the second.
    assert [one.ahead for one in told if isinstance(one, ClocksApart)] == [timedelta(minutes=2)]


# ---------------------------------------------------------------------------------------------------- unknown markets


def test_a_market_that_is_gone_is_asked_for_once_and_told_of_for_each_interval(asking: Asking) -> None:
    asking.exchange.api.delist("ETHEUR")
    asking.settings = replace(asking.settings, connections=1)
    told = asking(("ETHEUR", M60), ("ETHEUR", M240), ("XBTUSD", M60))
    assert unlisted_or_not(told) == {("ETHEUR", 60): True, ("ETHEUR", 240): True, ("XBTUSD", 60): False}
    assert asking.exchange.log.count(("OHLC", "ETHEUR")) == 1
    assert asking.exchange.count("AssetPairs") == 1
    assert asking.error is None


def test_a_market_that_is_said_to_be_unknown_and_is_listed_is_not_taken_for_gone(asking: Asking) -> None:
    asking.exchange.instead["OHLC"] = lambda: {"error": ["EQuery:Unknown asset pair"]}
    told = asking(("ETHEUR", M60), ("XBTUSD", M60), ("ADAUSD", M60))
    assert set(unlisted_or_not(told).values()) == {False}
    assert all("no longer knows the market" in one.error for one in told)
    assert asking.exchange.count("OHLC") == 3
    assert asking.exchange.count("AssetPairs") == 1


def test_a_market_is_not_taken_for_gone_where_nobody_tells_what_is_listed(asking: Asking) -> None:
    asking.exchange.api.delist("ETHEUR")
    asking.exchange.instead["AssetPairs"] = lambda: {"error": ["EService:Unavailable"]}
    told = asking(("ETHEUR", M60), ("XBTUSD", M60))
    assert unlisted_or_not(told) == {("ETHEUR", 60): False, ("XBTUSD", 60): False}
    assert [bool(one.error) for one in sorted(told, key=lambda one: one.ask.series)] == [True, False]


# ------------------------------------------------------------------------------------------------------------ the end


def test_one_answer_that_fails_keeps_nobody_else_from_theirs(asking: Asking) -> None:
    asking.settings = replace(asking.settings, connections=1)
    asking.exchange.api.faults = Faults.first(None, None, Fault.CUT, Fault.HTML)
    told = asking(("ADAUSD", M60), ("ETHEUR", M60), ("XBTUSD", M60))
    assert [bool(one.error) for one in told] == [True, False, False]
    assert "2 attempts; the last time: " in told[0].error
    assert asking.error is None


@contextmanager
def held_back() -> Iterator[threading.Event]:
    """What waits for it goes on at the end, whatever happens."""
    event = threading.Event()
    try:
        yield event
    finally:
        event.set()


def test_once_asked_to_stop_requests_are_dropped_and_what_is_being_written_is_told(asking: Asking) -> None:
    """The first answer's write asks to stop; a second one never comes."""
    writing = threading.Event()

    class Slow(ThreadPoolExecutor):
        def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
            writing.set()
            return super().submit(fn, *args, **kwargs)

    with held_back() as never, Slow(1) as executor:
        waits = iter([0.0, 30.0])

        class Held(SandboxApi):
            def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
                if environ["PATH_INFO"].endswith("OHLC"):
                    never.wait(next(waits))
                return super().__call__(environ, start_response)

        asking.exchange.api = Held(EXCHANGE, lambda: NOW)
        asking.executor, asking.should_stop = executor, writing.is_set
        asking.settings = replace(asking.settings, connections=2, timeout=30)
        [told] = asking(("ADAUSD", M60), ("ETHEUR", M60), ("XBTUSD", M60))
    series = told.ask.series
    assert asking.stored(series.market, series.interval) == told.stored.written.inserted > 0
    assert asking.error is None
    # Not those that were dropped.
    assert sum(asking.stored(market, M60) > 0 for market in EXCHANGE.names) == 1


def test_a_write_that_fails_is_the_callers_to_know(asking: Asking) -> None:
    class DiskFull(Exception):
        pass

    class Failing(Executor):
        def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
            future: Future[T] = Future()
            future.set_exception(DiskFull())
            return future

    asking.executor = Failing()
    with pytest.raises(DiskFull):
        asking(("XBTUSD", M60), ("ETHEUR", M60))


def test_an_interruption_waits_for_neither_answers_nor_writes(
    asking: Asking, capfd: pytest.CaptureFixture[str]
) -> None:
    """Pressed a second time while the exchange keeps silent."""

    def pressed() -> bool:
        raise KeyboardInterrupt

    with held_back() as never:
        asking.exchange.instead["OHLC"] = lambda: never.wait(30)
        asking.should_stop = pressed
        with pytest.raises(KeyboardInterrupt):
            asking(("XBTUSD", M60), ("ETHEUR", M60))
    assert capfd.readouterr().err == ""
