"""What tests share: a home of one's own, the commands as a user runs them, and the real files."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.test import Client
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from pytest_django import Settings

from chandlery.config.options import HOME, OPTIONS
from tests.databases import SERVER, database_url
from tests.questdb_servers import candle_table, questdb_server

__all__ = ["candle_table", "questdb_server"]

# How long an example takes says more of the machine than of the code.
hypothesis_settings.register_profile("chandlery", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("chandlery")

CHECKOUT = Path(__file__).parents[1]
WEB = CHECKOUT / "tests" / "web"
SHARED_DATA = CHECKOUT.parent / "shared" / "data"


@dataclass(frozen=True, slots=True)
class CompletedRun:
    """A command that has ended."""

    status: int
    out: str
    err: str


Run = Callable[..., CompletedRun]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What is about one kind of database is left out where state is kept in the other.

    What takes a browser comes first: it is long, and whoever works beside it should not run out of other tests.
    """
    items.sort(key=lambda item: not (WEB in item.path.parents and item.get_closest_marker("slow")))
    other = "sqlite" if SERVER else "postgres"
    left_out = [item for item in items if item.get_closest_marker(other)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.fixture
def home(tmp_path: Path, settings: Settings) -> Path:
    """An empty CHANDLERY_HOME, for commands run in this process as for those run in their own."""
    folder = tmp_path / "home"
    folder.mkdir()
    settings.CHANDLERY_HOME = folder
    settings.ARCHIVE_DIR = folder / "data" / "archives"
    return folder


@pytest.fixture
def run(home: Path) -> Run:
    """`run("ingest_kraken_unified", "--tier", "TIER1")`: manage.py in a process of its own, living in `home`."""

    def run(*arguments: object, timeout: float = 300, **environment: str) -> CompletedRun:
        ended = subprocess.run(
            [sys.executable, str(CHECKOUT / "manage.py"), *map(str, arguments)],
            cwd=home,
            env=clean_environment(home) | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        return CompletedRun(ended.returncode, ended.stdout, ended.stderr)

    return run


@pytest.fixture
def client() -> Client:
    """A browser on this machine: it asks by this machine's own name."""
    return Client(headers={"host": "localhost"})


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The real files, which are not part of the project: a folder beside the checkout."""
    if not SHARED_DATA.is_dir():
        reason = "the real files (shared/data beside the checkout) are not here"
        if os.environ.get("CHANDLERY_REQUIRE_SHARED_DATA") == "1":
            pytest.fail(f"{reason}, and CHANDLERY_REQUIRE_SHARED_DATA asks for them")
        pytest.skip(reason)
    return SHARED_DATA


def clean_environment(home: Path) -> dict[str, str]:
    """What a command inherits: nothing of ours but its home, and nothing that is Django's or pytest's."""
    ours = {option.name for option in OPTIONS} | {"CHANDLERY_PROGRAM", "DJANGO_SETTINGS_MODULE", "PYTEST_ADDOPTS"}
    kept_in = {"DATABASE_URL": url} if (url := database_url(home)) else {}
    inherited = {name: value for name, value in os.environ.items() if name not in ours}
    # Nobody listens there: no test reaches an exchange by accident.
    return inherited | kept_in | {HOME.name: str(home), "KRAKEN_API": "http://127.0.0.1:9"}
