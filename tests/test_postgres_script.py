"""scripts/postgres: a server of one's own, started and stopped as often as one likes, beside those of others."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT
from tests.databases import SERVER

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

Script = Callable[[str], "subprocess.CompletedProcess[str]"]


@pytest.fixture
def script() -> Iterator[Script]:
    """`script("start")`, for a cluster in a folder that PostgreSQL's own user can come into."""
    folder = Path(tempfile.mkdtemp(dir="/var/tmp"))
    folder.chmod(0o755)
    environment = os.environ | {"CHANDLERY_POSTGRES_DIR": str(folder / "postgres")}
    environment.pop("CHANDLERY_POSTGRES_PORT", None)

    def run(verb: str) -> "subprocess.CompletedProcess[str]":
        command = [str(CHECKOUT / "scripts" / "postgres"), verb]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)

    yield run
    run("stop")
    shutil.rmtree(folder)


def answers(url: str) -> object:
    import psycopg

    with psycopg.connect(url) as connection:
        return connection.execute("select current_database(), inet_server_addr()::text").fetchone()


def test_it_starts_once_is_quick_the_second_time_and_stops(script: Script) -> None:
    assert (script("status").returncode, script("status").stdout) == (1, "")
    first = script("start")
    url = first.stdout.strip()
    assert first.returncode == 0, first.stderr
    assert answers(url) == ("chandlery", "127.0.0.1/32")
    started = time.monotonic()
    assert script("start").stdout.strip() == url
    assert time.monotonic() - started < 3
    status = script("status")
    assert (status.returncode, status.stdout.strip()) == (0, url)
    assert script("stop").returncode == 0
    assert script("status").returncode == 1
    assert script("stop").returncode == 0


def test_a_server_that_it_did_not_start_is_left_alone(script: Script) -> None:
    beside = script("start").stdout.strip()
    assert beside != SERVER
    assert script("stop").returncode == 0
    assert answers(SERVER) is not None


def test_what_was_in_it_is_there_after_a_restart(script: Script) -> None:
    import psycopg

    with psycopg.connect(script("start").stdout.strip(), autocommit=True) as connection:
        connection.execute("create table kept (n int)")
    script("stop")
    with psycopg.connect(script("start").stdout.strip()) as connection:
        assert connection.execute("select count(*) from kept").fetchone() == (0,)


def test_another_verb_tells_what_there_is(script: Script) -> None:
    told = script("restart")
    assert told.returncode == 2
    assert "scripts/postgres start" in told.stderr
