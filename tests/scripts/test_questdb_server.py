"""The checkout's own QuestDB: found again, and nothing else is touched."""

import json
import os
import socket
from pathlib import Path

import psutil
import pytest

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


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    ports = Ports.free()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", ports.line))
        taken.listen()
        with pytest.raises(ServerError, match=f"port {ports.line} of 127.0.0.1 is taken by another program"):
            LocalServer(tmp_path, ports).start()
