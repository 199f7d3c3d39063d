"""The API on loopback: threads that answer side by side, and that are gone when it closes."""

import http.client
import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import httpx2
import pytest

from chandlery.sandbox.faults import Fault, Faults
from chandlery.sandbox.replies import JSON_TYPE
from chandlery.sandbox.rest import SandboxApi
from chandlery.sandbox.server import PortTaken, serve
from tests.candles.builders import at
from tests.sandbox.asked import SMALL, Hands, ask

OHLC = "/0/public/OHLC?pair=XBTUSD&interval=60"
TIME = b"GET /0/public/Time HTTP/1.1\r\nHost: sandbox\r\n\r\n"
NOW = at("2024-04-03 07:44:30")


class Arrivals:
    """A clock that tells when it was looked at: a request has come, and what befalls it is decided."""

    def __init__(self) -> None:
        self.event = threading.Event()

    def __call__(self) -> datetime:
        self.event.set()
        return NOW


def an_api(faults: Faults | None = None) -> SandboxApi:
    return SandboxApi(SMALL, Hands(NOW), faults=faults)


def test_a_client_gets_what_the_application_answers() -> None:
    api = an_api()
    with serve(api) as server:
        assert server.url == f"http://127.0.0.1:{server.port}"
        answer = httpx2.get(f"{server.url}/0/public/OHLC", params={"pair": "XBT/USD", "interval": 60})
    assert answer.http_version == "HTTP/1.1"
    assert answer.headers["Content-Type"] == JSON_TYPE
    assert answer.json() == ask(api, "OHLC", pair="XBTUSD", interval=60)
    assert api.requests[0].query == {"pair": "XBT/USD", "interval": "60"}


def test_one_connection_serves_many_requests() -> None:
    with serve(an_api()) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        own: set[tuple[str, int]] = set()
        for _ in range(3):
            connection.request("GET", "/0/public/Time")
            assert json.load(connection.getresponse())["error"] == []
            own.add(connection.sock.getsockname())
        connection.close()
    assert len(own) == 1


def test_a_connection_closes_when_the_client_wants_it() -> None:
    with serve(an_api()) as server, socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        client.sendall(b"GET /0/public/Time HTTP/1.1\r\nHost: sandbox\r\nConnection: close\r\n\r\n")
        received = b"".join(iter(lambda: client.recv(65_536), b""))
    assert b"\r\nConnection: close\r\n" in received
    assert received.endswith(b'+0000"}}')


def test_clients_are_answered_side_by_side_while_another_is_stalled() -> None:
    arrived = Arrivals()
    api = SandboxApi(SMALL, arrived, faults=Faults.first(Fault.STALL))
    with (
        serve(api) as server,
        socket.create_connection(("127.0.0.1", server.port), timeout=10) as stalled,
        httpx2.Client(base_url=server.url, timeout=10) as client,
        ThreadPoolExecutor(8) as pool,
    ):
        stalled.sendall(TIME)
        assert arrived.event.wait(10)
        answers = list(pool.map(lambda _: client.get("/0/public/Time").status_code, range(64)))
    assert answers.count(200) == 64


def test_closing_does_not_wait_for_who_is_stalled_or_idle() -> None:
    before = threading.active_count()
    arrived = Arrivals()
    api = SandboxApi(SMALL, arrived, faults=Faults.first(None, Fault.STALL))
    with serve(api) as server:
        idle = socket.create_connection(("127.0.0.1", server.port), timeout=10)
        idle.sendall(TIME)
        assert idle.recv(65_536).startswith(b"HTTP/1.1 200 OK")
        arrived.event.clear()
        stalled = socket.create_connection(("127.0.0.1", server.port), timeout=10)
        stalled.sendall(TIME)
        assert arrived.event.wait(10)
        started = time.monotonic()
    # It would be stalled for a minute.
    assert time.monotonic() - started < 30
    for client in (idle, stalled):
        assert client.recv(1) == b""
        client.close()
    assert threading.active_count() == before


def test_a_closed_server_answers_nobody() -> None:
    with serve(an_api()) as server:
        url = server.url
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(f"{url}/0/public/Time")


def test_the_same_port_can_be_used_again_at_once() -> None:
    with serve(an_api()) as server:
        httpx2.get(f"{server.url}/0/public/Time")
        port = server.port
    with serve(an_api(), port) as server:
        assert httpx2.get(f"{server.url}/0/public/Time").status_code == 200


def test_a_port_in_use_is_refused_in_one_line() -> None:
    told = r"^Port \d+ of 127\.0\.0\.1 cannot be used: [^\n]+\.$"
    with serve(an_api()) as server, pytest.raises(PortTaken, match=told), serve(an_api(), server.port):
        pytest.fail("two servers on one port")


def test_a_client_that_goes_away_leaves_no_trace(capsys: pytest.CaptureFixture[str]) -> None:
    with serve(an_api()) as server:
        for _ in range(5):
            with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
                client.sendall(f"GET {OHLC} HTTP/1.1\r\nHost: sandbox\r\n\r\n".encode())
                # A reset instead of an orderly end.
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        assert httpx2.get(f"{server.url}/0/public/Time").status_code == 200
    assert capsys.readouterr() == ("", "")


def test_what_is_no_get_request_is_refused() -> None:
    with serve(an_api()) as server:
        assert httpx2.delete(f"{server.url}/0/public/Time").status_code == 501
