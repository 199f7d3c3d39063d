"""Where the dashboard may be served, and that it is."""

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, Request, build_opener

import pytest
from pytest_django import Settings

from chandlery.web.serving import DebugForOthers, NotForOthers, PortTaken, require_free_port, require_safe_host
from tests.conftest import CHECKOUT, Run, clean_environment
from tests.web.browsing import browser, window

OPENER = build_opener(ProxyHandler({}))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_this_machine_may_always_be_served(host: str) -> None:
    require_safe_host(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "candles.example"])
def test_others_are_let_in_only_by_name_and_with_a_login(settings: Settings, host: str) -> None:
    settings.ALLOWED_HOSTS = ["127.0.0.1", "localhost", "[::1]"]
    with pytest.raises(NotForOthers, match=r"ALLOWED_HOSTS=.* and .*WEB_LOGIN_REQUIRED=true"):
        require_safe_host(host)
    settings.ALLOWED_HOSTS = ["candles.example"]
    with pytest.raises(NotForOthers, match="WEB_LOGIN_REQUIRED=true"):
        require_safe_host(host)
    settings.WEB_LOGIN_REQUIRED = True
    require_safe_host(host)
    settings.DEBUG = True
    with pytest.raises(DebugForOthers):
        require_safe_host(host)


def test_a_port_that_is_taken_is_told_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(PortTaken, match=f"127.0.0.1:{port} cannot be served: .*; another port: --port {port + 1}"):
            require_free_port("127.0.0.1", port)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--host", "0.0.0.0"], "Error: --host 0.0.0.0 lets others in: say by which name they ask"),
        (["--port", "0"], "'0' is no port; give a whole number from 1 to 65535"),
        (["--threads", "many"], "'many' is no number of threads"),
    ],
)
def test_what_cannot_be_served_is_one_line_and_status_2(run: Run, arguments: list[str], says: str) -> None:
    refused = run("serve", *arguments)
    assert refused.status == 2
    assert says in refused.err
    assert len(refused.err.splitlines()) == 1


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def served(home: Path, **environment: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The address of a server of its own, and its process."""
    port = free_port()
    command = [sys.executable, str(CHECKOUT / "manage.py"), "serve", "--port", str(port)]
    with (home / "serve.log").open("wb") as log:
        process = subprocess.Popen(
            command, env=clean_environment(home) | environment, stdout=log, stderr=subprocess.STDOUT, cwd=home
        )
    address = f"http://127.0.0.1:{port}"
    try:
        eventually(lambda: ask(address, "/healthz")[0] == 200, process)
        yield address, process
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


def eventually(is_so: Callable[[], bool], server: subprocess.Popen[bytes], tries: int = 600) -> None:
    """Ask until other processes have brought it about, for as long as the server lives."""
    for _ in range(tries):
        if is_so():
            return
        with pytest.raises(subprocess.TimeoutExpired):
            server.wait(0.1)
    raise AssertionError("it never came to be")


def ask(address: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    """Status and JSON; 0 where nobody listens yet."""
    data = json.dumps(body).encode() if body is not None else None
    request = Request(address + path, data, {"Content-Type": "application/json"} | headers)
    try:
        with OPENER.open(request, timeout=20) as answer:
            return answer.status, json.loads(answer.read())
    except HTTPError as error:
        with error:
            return error.code, json.loads(error.read())
    except (URLError, ConnectionError):
        return 0, None


@pytest.mark.slow
def test_a_job_that_was_started_by_the_api_is_done_by_a_process_of_its_own(home: Path) -> None:
    token = {"Authorization": "Bearer open-sesame"}
    with served(home, API_TOKEN="open-sesame") as (address, server):
        status, job = ask(address, "/api/v1/fill", {"markets": "XBTUSD", "intervals": "60", "trade_budget": 0}, **token)
        assert (status, job["status"]) == (202, "PENDING")

        def now() -> Any:
            return ask(address, f"/api/v1/jobs/{job['job_id']}")[1]

        # Nobody answers for the exchange, so it ends with a failure: what counts is that it was tried, and told.
        eventually(lambda: now()["status"] in ("COMPLETED", "FAILED"), server)
        assert now()["started_at"] is not None
        status, again = ask(address, f"/api/v1/jobs/{job['job_id'][:8]}/resume", {}, **token)
        assert (status, again["job_id"]) == (202, job["job_id"])
        assert (home / "data" / "logs" / f"job-{job['job_id'][:8]}.log").is_file()


@pytest.mark.slow
def test_the_page_of_the_api_works_in_a_browser_and_asks_nobody_else(home: Path) -> None:
    with (
        served(home) as (address, _),
        browser() as opened,
        window(opened, address, "light", 1400) as shown,
    ):
        shown.go("/api/v1/docs")
        page = shown.page
        page.get_by_text("Candles as JSON").click()
        page.get_by_role("button", name="Try it out").click()
        assert page.locator(".opblock").count() == sum(
            map(len, ask(address, "/api/v1/openapi.json")[1]["paths"].values())
        )
