"""What is kept is true: whoever commits anything, in whatever process, is seen with the next question."""

import subprocess
import sys
from pathlib import Path

import pytest
from django.db import connection, transaction

from chandlery.models import IngestionJob
from chandlery.web.pages import kept as kept_module
from chandlery.web.pages import state_version as version_module
from chandlery.web.pages.kept import Kept
from chandlery.web.pages.state_version import state_version
from tests.factories import IngestionJobFactory


class Made:
    """Counts how often a value is made."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> int:
        self.times += 1
        return self.times


@pytest.fixture
def versions(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The state's version, to be set by hand."""
    said: list[object] = [("first",)]
    monkeypatch.setattr(kept_module, "state_version", lambda: said[-1])
    return said


def test_as_long_as_state_is_the_same_nothing_is_made_again(versions: list[object]) -> None:
    kept, made = Kept[int](2), Made()
    assert [kept.get("a", made), kept.get("a", made)] == [1, 1]


def test_a_change_makes_it_anew(versions: list[object]) -> None:
    kept, made = Kept[int](2), Made()
    kept.get("a", made)
    versions.append(("second",))
    assert kept.get("a", made) == 2


def test_a_change_while_it_is_made_makes_it_anew_as_well(versions: list[object]) -> None:
    kept = Kept[str](2)

    def make() -> str:
        versions.append(("changed meanwhile",))
        return "old"

    kept.get("a", make)
    assert kept.get("a", lambda: "new") == "new"


def test_where_nobody_can_tell_nothing_is_kept(versions: list[object]) -> None:
    kept, made = Kept[int](2), Made()
    versions.append(None)
    assert [kept.get("a", made), kept.get("a", made)] == [1, 2]


def test_a_change_that_does_not_matter_makes_nothing_anew(versions: list[object]) -> None:
    marks, made = ["as it was"], Made()
    kept = Kept[int](2, lambda: marks[-1])
    kept.get("a", made)
    versions.append(("second",))
    assert kept.get("a", made) == 1
    versions.append(("third",))
    marks.append("other")
    assert kept.get("a", made) == 2


def test_only_the_last_ones_are_kept(versions: list[object]) -> None:
    kept, made = Kept[int](2), Made()
    for asked in ("a", "b", "c", "c", "b", "a"):
        kept.get(asked, made)
    assert made.times == 4


@pytest.mark.django_db
def test_inside_of_a_transaction_nobody_can_tell() -> None:
    assert state_version() is None


def test_a_commit_of_another_process_is_seen(tmp_path: Path) -> None:
    file = tmp_path / "state.sqlite3"
    write(file, "PRAGMA journal_mode=WAL; CREATE TABLE t (n)")
    watch = version_module._Watch()
    before = watch.version(str(file))
    assert watch.version(str(file)) == before
    write(file, "INSERT INTO t VALUES (1)")
    assert watch.version(str(file)) != before


def test_a_file_that_was_put_in_its_place_is_seen(tmp_path: Path) -> None:
    file, other = tmp_path / "state.sqlite3", tmp_path / "other.sqlite3"
    for each in (file, other):
        write(each, "CREATE TABLE t (n)")
    watch = version_module._Watch()
    before = watch.version(str(file))
    other.replace(file)
    assert watch.version(str(file)) != before


def write(file: Path, sql: str) -> None:
    code = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.executescript(sys.argv[2]); c.commit()"
    subprocess.run([sys.executable, "-c", code, str(file), sql], check=True)


@pytest.mark.django_db(transaction=True)
def test_postgresql_tells_a_commit_by_its_snapshot() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("the tests run on another database")
    before = state_version()
    assert state_version() == before
    with transaction.atomic():
        IngestionJobFactory.create()
    assert state_version() != before
    assert IngestionJob.objects.count() == 1
