"""The checkout's own QuestDB: found again, and nothing else is touched."""

import json
import os
import socket
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from pytest_httpserver import HTTPServer

from scripts.questdb_server import LocalServer, Ports, ServerError
from tests.questdb_servers import TestServer


def test_a_server_that_runs_is_not_started_again(questdb_server: TestServer) -> None:
    process = questdb_server.local.process()
    assert questdb_server.local.start() is False
    assert questdb_server.local.process() == process


def test_only_loopback_is_listened_on(questdb_server: TestServer) -> None:
    process = questdb_server.local.process()
    assert process is not None
    listening = {one.laddr for one in process.net_connections() if one.status == psutil.CONN_LISTEN}
    ports = questdb_server.local.ports
    assert {address.ip.removeprefix("::ffff:") for address in listening} == {"127.0.0.1"}
    assert {address.port for address in listening} == {ports.http, ports.postgres, ports.line, ports.health}


@pytest.mark.parametrize("started", [0.0, None])
def test_a_process_that_is_not_ours_is_left_alone(tmp_path: Path, started: float | None) -> None:
    """Its number was given to another one, or nobody wrote down when it began."""
    record = {"pid": os.getpid(), "http": 1} | ({} if started is None else {"started": started})
    (tmp_path / "server.json").write_text(json.dumps(record))
    server = LocalServer(tmp_path)
    assert server.process() is None
    assert server.stop() is False


@pytest.mark.parametrize("moved", [-1.5, 1.5])
def test_a_server_is_ours_though_the_clock_was_corrected_since(
    questdb_server: TestServer, tmp_path: Path, moved: float
) -> None:
    """When a process began is counted from the time of boot, which moves with the clock."""
    process = questdb_server.local.process()
    assert process is not None
    facts = {"pid": process.pid, "started": process.create_time() + moved, "http": 1}
    (tmp_path / "server.json").write_text(json.dumps(facts))
    assert LocalServer(tmp_path).process() == process


def test_what_was_written_down_goes_with_the_process_and_not_before(tmp_path: Path) -> None:
    record, server = tmp_path / "server.json", LocalServer(tmp_path)
    record.write_text("{")
    assert server.stop() is False
    assert record.exists()
    record.write_text(json.dumps({"pid": os.getpid(), "started": 0.0, "http": 1}))
    assert server.stop() is False
    assert not record.exists()


# --------------------------------------------------------------------------------------------------- is it up?


@pytest.fixture
def server_at(httpserver: HTTPServer, tmp_path: Path) -> LocalServer:
    """One whose health is told by a server of the test's."""
    return LocalServer(tmp_path, replace(Ports.free(), health=httpserver.port))


@pytest.mark.parametrize(("status", "up"), [(200, True), (401, True), (403, True), (404, False), (502, False)])
def test_it_is_up_when_it_answers_or_wants_a_password(
    httpserver: HTTPServer, server_at: LocalServer, status: int, up: bool
) -> None:
    httpserver.expect_request("/status").respond_with_data("", status=status)
    assert server_at.is_up() is up


def test_a_proxy_does_not_answer_for_it(
    httpserver: HTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    httpserver.expect_request("/status").respond_with_data("")
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{httpserver.port}")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert LocalServer(tmp_path, Ports.free()).is_up() is False


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    ports = Ports.free()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", ports.line))
        taken.listen()
        with pytest.raises(ServerError, match=f"port {ports.line} of 127.0.0.1 is taken by another program"):
            LocalServer(tmp_path, ports).start()
