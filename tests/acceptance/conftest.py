"""Homes to run commands in: for one test, for a file of them, and with candles and state on servers."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.commands import Commands
from tests.acceptance.deployments import EMBEDDED, SERVERS, Deployment, postgres
from tests.databases import kept_on, migrate_ahead

#: The same test with files, and with a QuestDB and a PostgreSQL.
DEPLOYMENTS = (EMBEDDED, pytest.param(SERVERS, marks=pytest.mark.slow))


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Commands:
    """What one command left behind is what the next one finds."""
    home: Path = tmp_path_factory.mktemp("home")
    migrate_ahead(home)
    return Commands(home)


@pytest.fixture
def untouched(tmp_path: Path) -> Commands:
    """A home of its own for one test, in which there is nothing."""
    home = tmp_path / "home"
    home.mkdir()
    return Commands(home)


@pytest.fixture
def fresh(untouched: Commands) -> Commands:
    """A home of its own for one test, with a database in which there is nothing."""
    migrate_ahead(untouched.home)
    return untouched


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    with postgres() as url:
        yield url


@pytest.fixture(params=DEPLOYMENTS)
def deployment(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Deployment]:
    """An empty home, and stores and state of its own."""
    home = tmp_path / "home"
    home.mkdir()
    if request.param == EMBEDDED:
        migrate_ahead(home)
        yield Deployment(home)
        return
    server: str = request.getfixturevalue("postgres_server")
    with kept_on(server, home):
        yield Deployment(home, request.getfixturevalue("candle_table"))
