"""scripts/postgres: a server of one's own, started and stopped as often as one likes, beside those of others."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT
from tests.databases import SERVER

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

Script = Callable[[str], "subprocess.CompletedProcess[str]"]


@pytest.fixture
def cluster() -> Iterator[Path]:
    """A place for a cluster that PostgreSQL's own user can come into; nothing is there yet."""
    folder = Path(tempfile.mkdtemp(dir="/var/tmp"))
    folder.chmod(0o755)
    yield folder / "postgres"
    shutil.rmtree(folder)


@pytest.fixture
def script(cluster: Path) -> Iterator[Script]:
    """`script("start")`, for that cluster."""
    environment = os.environ | {"CHANDLERY_POSTGRES_DIR": str(cluster)}
    environment.pop("CHANDLERY_POSTGRES_PORT", None)

    def run(verb: str) -> "subprocess.CompletedProcess[str]":
        command = [str(CHECKOUT / "scripts" / "postgres"), verb]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)

    yield run
    run("stop")


def answers(url: str) -> object:
    import psycopg

    with psycopg.connect(url) as connection:
        return connection.execute("select current_database(), inet_server_addr()::text").fetchone()


def started_at(url: str) -> object:
    import psycopg

    with psycopg.connect(url) as connection:
        return connection.execute("select pg_postmaster_start_time()").fetchone()


def test_it_starts_once_and_stops(script: Script) -> None:
    assert (script("status").returncode, script("status").stdout) == (1, "")
    first = script("start")
    url = first.stdout.strip()
    assert first.returncode == 0, first.stderr
    assert answers(url) == ("chandlery", "127.0.0.1/32")
    started = started_at(url)
    assert script("start").stdout.strip() == url
    assert started_at(url) == started
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


def test_a_server_in_a_folder_that_it_did_not_make_is_left_alone(script: Script, cluster: Path) -> None:
    url = script("start").stdout.strip()
    (cluster / "made").rename(cluster.parent / "made")
    try:
        assert script("status").returncode == 1
        assert script("start").returncode == 1
        assert script("stop").stderr == "PostgreSQL does not run\n"
        assert answers(url) is not None
    finally:
        (cluster.parent / "made").rename(cluster / "made")


def test_what_was_interrupted_in_the_making_is_made_anew(script: Script, cluster: Path) -> None:
    """A server that runs already included: its database may not be there yet."""
    import psycopg

    with psycopg.connect(script("start").stdout.strip(), autocommit=True) as connection:
        connection.execute("create table kept (n int)")
    (cluster / "made").rename(cluster / "making")
    with psycopg.connect(script("start").stdout.strip()) as connection:
        assert connection.execute("select to_regclass('kept')").fetchone() == (None,)
    assert ((cluster / "made").exists(), (cluster / "making").exists()) == (True, False)


def test_only_what_it_makes_changes_its_owner(script: Script, cluster: Path) -> None:
    cluster.mkdir()
    before = cluster.stat()
    assert answers(script("start").stdout.strip()) == ("chandlery", "127.0.0.1/32")
    assert (cluster.stat().st_uid, cluster.stat().st_mode) == (before.st_uid, before.st_mode)


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
