"""The client as a server sees it. Every question here is asked three times at most, without waits."""

import asyncio
import gzip
import json
import socket
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from chandlery.candles.interval import Interval
from chandlery.exchanges.base import Listing
from chandlery.exchanges.kraken.api.client import KrakenApi, is_loopback
from chandlery.exchanges.kraken.api.errors import NoAnswer, Refused, UnknownPair, Unreachable
from chandlery.exchanges.kraken.api.ohlc import OhlcAnswer
from chandlery.exchanges.kraken.api.settings import ApiSettings
from chandlery.exchanges.kraken.api.status import SystemStatus
from tests.candles.builders import at
from tests.exchanges.kraken.api.builders import (
    ONLINE,
    Wire,
    asking,
    error,
    http,
    ohlc_result,
    result,
    row,
    rows_from,
    serving,
)

WINDOW = result(ohlc_result(rows_from("2025-11-11", 5)))
WHOLE = json.dumps({"error": [], "result": ohlc_result(rows_from("2025-11-11", 5))})


async def hourly(api: KrakenApi) -> OhlcAnswer:
    return await api.ohlc("XBTUSD", Interval.M60)


async def status(api: KrakenApi) -> SystemStatus:
    return await api.system_status()


# ---------------------------------------------------------------------------------------------------------- questions


def test_a_window_is_asked_for_by_market_and_minutes() -> None:
    outcome = asking(hourly, WINDOW)
    assert isinstance(outcome.value, OhlcAnswer)
    assert outcome.value.rows.height == 5
    assert [asked.target for asked in outcome.asked] == ["/0/public/OHLC?pair=XBTUSD&interval=60"]


def test_a_width_that_the_endpoint_lacks_is_refused_without_a_request() -> None:
    outcome = asking(lambda api: api.ohlc("XBTUSD", Interval.M720), WINDOW)
    assert isinstance(outcome.problem, Refused)
    assert outcome.requests == 0


def test_the_state_of_the_exchange() -> None:
    outcome = asking(status, result(ONLINE))
    assert outcome.value == SystemStatus("online", datetime(2025, 11, 11, 0, 17, 10, tzinfo=UTC))
    assert outcome.asked[0].target == "/0/public/SystemStatus"


def test_the_clock_of_the_exchange() -> None:
    outcome = asking(lambda api: api.server_time(), result({"unixtime": 1762820224, "rfc1123": "…"}))
    assert outcome.value == datetime(2025, 11, 11, 0, 17, 4, tzinfo=UTC)


def test_the_markets_of_the_exchange() -> None:
    pair = {"altname": "XBTUSD", "wsname": "XBT/USD", "base": "XXBT", "quote": "ZUSD", "status": "online"}
    outcome = asking(lambda api: api.asset_pairs(), result({"XXBTZUSD": pair}))
    assert outcome.value == [Listing("XBTUSD", "XBT/USD", "BTC", "USD", "online", "XXBTZUSD")]


def test_a_base_address_may_have_a_path_of_its_own() -> None:
    assert asking(status, result(ONLINE), path="/mirror/").asked[0].target == "/mirror/0/public/SystemStatus"


def test_the_real_list_of_markets(shared_data: Path) -> None:
    body = (shared_data / "kraken-api" / "AssetPairs.json").read_bytes()
    outcome = asking(lambda api: api.asset_pairs(), http(gzip.compress(body, 1), Content_Encoding="gzip"))
    assert isinstance(outcome.value, list)
    assert len(outcome.value) == 1434


def test_the_real_window_time_and_state(shared_data: Path) -> None:
    bodies = [(shared_data / "kraken-api" / f"{name}.json").read_bytes() for name in ("Time", "SystemStatus")]

    async def both(api: KrakenApi) -> tuple[datetime, SystemStatus]:
        return await api.server_time(), await api.system_status()

    outcome = asking(both, *map(http, bodies))
    assert outcome.value == (
        datetime(2025, 11, 11, 0, 17, 4, tzinfo=UTC),
        SystemStatus("online", datetime(2025, 11, 11, 0, 17, 10, tzinfo=UTC)),
    )


# ----------------------------------------------------------------------------------------------------- what is repeated

PASSING = {
    "too many requests": error("EGeneral:Too many requests"),
    "rate limit": error("EAPI:Rate limit exceeded"),
    "service unavailable": error("EService:Unavailable"),
    "service busy": error("EService:Busy"),
    "internal error": error("EGeneral:Internal error"),
    "internal error with a number": error("EGeneral:Internal error[7]"),
    "lockout": error("EGeneral:Temporary lockout"),
    "403": http("<html>no</html>", "403 Forbidden"),
    "408": http("", "408 Request Timeout"),
    "429": http("", "429 Too Many Requests", Retry_After="30"),
    "500": http("", "500 Internal Server Error"),
    "502": http("<html>Bad gateway</html>", "502 Bad Gateway"),
    "503 with an error": error("EService:Unavailable", status="503 Service Unavailable"),
    "520": http("", "520 Web Server Returned an Unknown Error"),
    "204": http("", "204 No Content"),
    "HTML": http("<!DOCTYPE html><html></html>", Content_Type="text/html"),
    "an empty body": http(""),
    "a cut body": http(WHOLE[:200], length=len(WHOLE), then="close"),
    "a body cut in the JSON": http(WHOLE[:200]),
    "no UTF-8": http(b'{"error":[],"result":{"A":"\xff"}}'),
    "endless nesting": http("[" * 100_000),
    "a list": http("[]"),
    "a result that is missing": http('{"error":[]}'),
    "an empty result": http('{"error":[],"result":{}}'),
    "garbled gzip": http(b"\x1f\x8bnonsense", Content_Encoding="gzip"),
    "a row too short": result(ohlc_result([[1, 2]])),
    "rows out of order": result(ohlc_result([row(at("2025-11-11 01:00")), row(at("2025-11-11"))])),
    "a connection closed without an answer": Wire(b"", "close"),
    "no HTTP": Wire(b"SSH-2.0-OpenSSH_9.2\r\n", "close"),
    "a body without end": http(b" " * 4_000_001),
}


@pytest.mark.parametrize("wire", PASSING.values(), ids=PASSING)
def test_what_may_pass_is_asked_again(wire: Wire) -> None:
    outcome = asking(hourly, wire, WINDOW)
    assert isinstance(outcome.value, OhlcAnswer)
    assert outcome.requests == len(outcome.asked) == 2


@pytest.mark.parametrize("wire", PASSING.values(), ids=PASSING)
def test_what_does_not_pass_is_given_up_after_the_attempts(wire: Wire) -> None:
    outcome = asking(hourly, wire)
    assert isinstance(outcome.problem, NoAnswer)
    assert outcome.requests == len(outcome.asked) == 3
    message = str(outcome.problem)
    assert message.startswith("Kraken gave no usable answer to OHLC of XBTUSD at 60 minutes in 3 attempts; the last")
    assert "\n" not in message


def test_a_stalled_answer_is_asked_for_again() -> None:
    outcome = asking(hourly, Wire(b"", "stall"), Wire(WINDOW.sent[:300], "stall"), WINDOW, timeout=1.0)
    assert isinstance(outcome.value, OhlcAnswer)
    assert outcome.requests == 3


def test_the_last_reason_is_the_one_that_is_named() -> None:
    outcome = asking(hourly, error("EService:Busy"), http("<html>"), http("", "503 Service Unavailable"))
    assert str(outcome.problem).endswith("the last time: HTTP 503 Service Unavailable.")


def test_one_attempt_is_one_request() -> None:
    assert asking(hourly, error("EService:Busy"), attempts=1).requests == 1


def test_requests_are_counted_over_all_questions() -> None:
    async def twice(api: KrakenApi) -> None:
        await api.system_status()
        await api.system_status()

    assert asking(twice, error("EService:Busy"), result(ONLINE)).requests == 3


# ------------------------------------------------------------------------------------------------- what is not repeated

FINAL = {
    "invalid arguments": error("EGeneral:Invalid arguments"),
    "another query error": error("EQuery:Unknown asset"),
    "permission": error("EGeneral:Permission denied"),
    "one that passes and one that does not": error("EService:Busy", "EGeneral:Invalid arguments"),
    "an error that is no text": http('{"error":[7]}'),
    "400": http("", "400 Bad Request"),
    "404": http("<html>", "404 Not Found"),
    "a redirect": http("", "302 Found", Location="/elsewhere"),
}


@pytest.mark.parametrize("wire", FINAL.values(), ids=FINAL)
def test_what_no_repetition_would_mend_is_not_repeated(wire: Wire) -> None:
    outcome = asking(hourly, wire, WINDOW)
    assert type(outcome.problem) is Refused
    assert outcome.requests == len(outcome.asked) == 1


@pytest.mark.parametrize("state", ["200 OK", "404 Not Found"])
def test_a_market_that_is_gone_has_an_error_of_its_own(state: str) -> None:
    outcome = asking(hourly, error("EQuery:Unknown asset pair", status=state), WINDOW)
    assert isinstance(outcome.problem, UnknownPair)
    assert "XBTUSD" in str(outcome.problem)
    assert outcome.requests == 1


def test_a_redirect_is_not_followed_and_said() -> None:
    outcome = asking(hourly, http("", "301 Moved Permanently", Location="http://127.0.0.1:9/"))
    assert str(outcome.problem).endswith("HTTP 301 Moved Permanently to http://127.0.0.1:9/, which is not followed.")


def test_a_warning_beside_a_result_is_no_error() -> None:
    body = json.dumps({"error": ["WGeneral:Deprecated"], "result": ONLINE})
    assert isinstance(asking(status, http(body)).value, SystemStatus)


# ---------------------------------------------------------------------------------------------------------- the network


def unused_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


async def asked_of(url: str, attempts: int = 3) -> tuple[Exception | None, int]:
    async with KrakenApi(ApiSettings(url, rate=0, retry_wait=0, attempts=attempts, timeout=30)) as api:
        try:
            await api.system_status()
        except (Unreachable, NoAnswer, Refused) as problem:
            return problem, api.requests
        return None, api.requests


def test_where_nobody_listens_the_api_is_unreachable() -> None:
    url = f"http://127.0.0.1:{unused_port()}"
    problem, requests = asyncio.run(asked_of(url))
    assert str(problem) == f"Kraken's API at {url} cannot be reached: Connection refused."
    assert isinstance(problem, Unreachable)
    assert requests == 3


def test_a_name_that_leads_nowhere_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fails)
    problem, _ = asyncio.run(asked_of("http://nowhere.localhost:80"))
    assert isinstance(problem, Unreachable)
    assert "Name or service not known" in str(problem)


def test_an_answer_before_the_network_went_means_that_it_was_reached() -> None:
    async def run() -> Exception | None:
        async with serving(Wire(b"", "close")) as server:
            problem, _ = await asked_of(server.url)
            return problem

    assert isinstance(asyncio.run(run()), NoAnswer)


def test_a_proxy_is_not_asked_for_the_way_to_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{unused_port()}")
    assert isinstance(asking(status, result(ONLINE)).value, SystemStatus)


def test_a_proxy_is_asked_for_the_way_to_the_world(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)

    async def run() -> str:
        async with serving(result(ONLINE)) as proxy:
            monkeypatch.setenv("http_proxy", proxy.url)
            problem, _ = await asked_of("http://kraken.invalid")
            assert problem is None
            return proxy.asked[0].target

    assert asyncio.run(run()) == "http://kraken.invalid/0/public/SystemStatus"


def test_a_proxy_of_no_use_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "gopher://127.0.0.1:1")
    with pytest.raises(Unreachable, match="gopher"):
        asyncio.run(asked_of("https://kraken.invalid"))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:8686", True),
        ("http://127.3.2.1", True),
        ("http://[::1]:8686/x", True),
        ("http://localhost:8686", True),
        ("https://api.kraken.com", False),
        ("http://192.168.1.7", False),
        ("http://localhost.example.com", False),
    ],
)
def test_which_addresses_are_this_machine(url: str, expected: bool) -> None:
    assert is_loopback(url) is expected


# ------------------------------------------------------------------------------------------------------------- manners


def test_the_user_agent_says_who_asks() -> None:
    headers = asking(status, result(ONLINE)).asked[0].headers
    assert headers["user-agent"].startswith("chandlery/0.")
    assert headers["accept"] == "application/json"
    assert "gzip" in headers["accept-encoding"]


def test_a_connection_is_used_again() -> None:
    async def thrice(api: KrakenApi) -> None:
        for _ in range(3):
            await api.system_status()

    outcome = asking(thrice, result(ONLINE))
    assert (outcome.requests, outcome.connections) == (3, 1)


def test_no_more_connections_than_allowed_are_open_at_once() -> None:
    async def run() -> tuple[int, int]:
        async with serving(WINDOW) as server:
            settings = ApiSettings(server.url, rate=0, connections=2)
            async with KrakenApi(settings) as api:
                await asyncio.gather(*(api.ohlc(f"COIN{n}USD", Interval.M60) for n in range(12)))
            return len(server.asked), server.connections

    assert asyncio.run(run()) == (12, 2)


def test_a_client_that_was_not_opened_says_so() -> None:
    with pytest.raises(RuntimeError, match="async with"):
        asyncio.run(status(KrakenApi(ApiSettings("http://127.0.0.1:9"))))


def test_a_cancelled_question_gives_its_place_back() -> None:
    async def run() -> object:
        async with serving(Wire(b"", "stall"), result(ONLINE)) as server:
            settings = ApiSettings(server.url, rate=0, connections=1, timeout=5)
            async with KrakenApi(settings) as api:
                question = asyncio.ensure_future(api.system_status())
                await server.first.wait()
                question.cancel()
                await asyncio.gather(question, return_exceptions=True)
                assert question.cancelled()
                return await api.system_status()

    assert isinstance(asyncio.run(run()), SystemStatus)


def test_a_person_hears_of_a_long_wait_before_it_begins() -> None:
    async def run() -> list[tuple[str, float]]:
        told: list[tuple[str, float]] = []
        heard = asyncio.Event()

        def on_wait(why: str, seconds: float) -> None:
            told.append((why, seconds))
            heard.set()

        async with serving(http("", "503 Service Unavailable")) as server:
            api = KrakenApi(ApiSettings(server.url, rate=0, retry_wait=30), on_wait=on_wait)
            async with api:
                question = asyncio.ensure_future(api.system_status())
                await heard.wait()
                question.cancel()
                await asyncio.gather(question, return_exceptions=True)
        return told

    ((why, seconds),) = asyncio.run(run())
    assert why == "Kraken's API gives no usable answer (HTTP 503 Service Unavailable)"
    assert 22 <= seconds <= 38


def test_a_repetition_leaves_standard_error_alone() -> None:
    script = (
        "import chandlery.exchanges.kraken.api.client, logging\n"
        "logging.getLogger('stamina').warning('stamina.retry_scheduled')"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert ended.stderr == ""


def test_importing_the_package_imports_no_http() -> None:
    script = (
        "import sys, chandlery.exchanges.kraken.api, chandlery.exchanges.kraken.api.settings as _\n"
        "print([name for name in ('httpx2', 'stamina', 'polars', 'sqlite3', 'asyncio') if name in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert ended.stdout.strip() == "[]"
