"""A real QuestDB for the tests that need one: a process of the test run's own, on ports that were free."""

import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest

from scripts.questdb_server import LocalServer, Ports, ServerError

USER, PASSWORD = "chandlery", "s3cret/p@ss:word%"


@dataclass(frozen=True, slots=True)
class TestServer:
    """A server that asks for a password."""

    __test__ = False

    local: LocalServer

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.local.ports.http}"

    def url(self, table: str, password: str = PASSWORD) -> str:
        return f"questdb://{USER}:{quote(password, safe='')}@{self.place}/{table}"

    def start(self) -> None:
        """Bring it up. Where that cannot be, CI fails; others skip what needs it, and say so."""
        try:
            self.local.start()
        except ServerError as error:
            reason = f"no QuestDB: {error}"
            if os.environ.get("CI") == "true":
                pytest.fail(reason)
            pytest.skip(reason)


def server_in(folder: Path) -> TestServer:
    """A server with its data in the folder, not started yet. Tables can be suspended there by a statement."""
    settings = {
        "QDB_HTTP_USER": USER,
        "QDB_HTTP_PASSWORD": PASSWORD,
        "QDB_DEV_MODE_ENABLED": "true",
        # No test switches the power off.
        "QDB_CAIRO_COMMIT_MODE": "nosync",
    }
    return TestServer(LocalServer(folder, Ports.free(), memory="256m", extra=settings))


@pytest.fixture(scope="session")
def questdb_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    """One server for all tests of this process."""
    server = server_in(tmp_path_factory.mktemp("questdb"))
    server.start()
    yield server
    server.local.stop()


@pytest.fixture
def candle_table(questdb_server: TestServer) -> str:
    """The URL of a store that is not there yet."""
    return questdb_server.url(f"t_{uuid.uuid4().hex}")
