"""The database is ready before a command looks at it, and never changed when it must not be."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connections
from django.db.utils import OperationalError
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoDbBlocker

from chandlery.config.database import DatabaseAhead, DatabaseBehind, DatabaseUnusable, ensure_migrated
from chandlery.models import Asset

pytestmark = pytest.mark.sqlite


@pytest.fixture
def database(tmp_path: Path, django_db_blocker: DjangoDbBlocker) -> Iterator[Path]:
    """The default connection, pointed to a file that is not there yet."""
    file = tmp_path / "data" / "state.sqlite3"
    connection = connections["default"]
    known = connection.settings_dict["NAME"]
    held, connection.connection = connection.connection, None
    connection.settings_dict["NAME"] = str(file)
    with django_db_blocker.unblock():
        yield file
        connection.settings_dict["NAME"] = str(file)
        connection.close()
    connection.settings_dict["NAME"], connection.connection = known, held


def change(file: Path, statement: str) -> None:
    connections["default"].close()
    with sqlite3.connect(file) as connection:
        connection.execute(statement)
    connection.close()


def test_a_first_use_makes_the_folder_and_the_tables(database: Path) -> None:
    ensure_migrated()
    assert database.is_file()
    assert Asset.objects.count() == 0


def test_the_file_is_in_wal_mode(database: Path) -> None:
    ensure_migrated()
    with connections["default"].cursor() as cursor:
        assert cursor.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_second_use_looks_for_what_is_applied_and_does_nothing(database: Path) -> None:
    ensure_migrated()
    with CaptureQueriesContext(connections["default"]) as asked:
        ensure_migrated()
    tables, applied = (query["sql"].lstrip() for query in asked)
    assert tables.startswith("SELECT name, type FROM sqlite_master")
    assert applied == "SELECT app, name FROM django_migrations"


def test_a_migration_that_is_due_is_applied(database: Path) -> None:
    ensure_migrated()
    change(database, "DELETE FROM django_migrations WHERE app = 'sessions'")
    change(database, "DROP TABLE django_session")
    ensure_migrated()
    with connections["default"].cursor() as cursor:
        assert "django_session" in connections["default"].introspection.table_names(cursor)


def test_a_dry_run_makes_no_file(database: Path) -> None:
    ensure_migrated(dry_run=True)
    assert Asset.objects.count() == 0
    assert not database.parent.exists()


def test_a_dry_run_sees_what_is_there_and_leaves_it_as_it_was(database: Path) -> None:
    ensure_migrated()
    Asset.objects.create(ticker="BTC")
    change(database, "DELETE FROM django_migrations WHERE app = 'sessions'")
    change(database, "DROP TABLE django_session")
    before = database.read_bytes()
    ensure_migrated(dry_run=True)
    Asset.objects.create(ticker="ETH")
    assert set(Asset.objects.values_list("ticker", flat=True)) == {"BTC", "ETH"}
    assert database.read_bytes() == before


def test_a_database_of_a_newer_version_is_refused(database: Path) -> None:
    ensure_migrated()
    change(database, "INSERT INTO django_migrations (app, name, applied) VALUES ('chandlery', '9999_later', 0)")
    with pytest.raises(DatabaseAhead, match="newer version of Chandlery.*9999_later"):
        ensure_migrated()


def test_a_file_that_is_no_database_is_refused_in_one_line(database: Path) -> None:
    database.parent.mkdir()
    database.write_text("a letter, and a long one at that; no database begins like this\n" * 20)
    with pytest.raises(DatabaseUnusable, match="file is not a database"):
        ensure_migrated()


def test_a_server_that_is_behind_is_left_to_its_owner(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections["default"], "vendor", "postgresql")
    database.parent.mkdir()
    with pytest.raises(DatabaseBehind, match="python manage.py migrate"):
        ensure_migrated()
    with connections["default"].cursor() as cursor:
        assert connections["default"].introspection.table_names(cursor) == []


def test_a_server_that_cannot_be_reached_is_an_error_of_one_line(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise OperationalError("connection refused\nis the server running?")

    monkeypatch.setattr(connections["default"], "vendor", "postgresql")
    monkeypatch.setattr(connections["default"], "ensure_connection", refuse)
    with pytest.raises(DatabaseUnusable, match="connection refused; DATABASE_URL"):
        ensure_migrated()
