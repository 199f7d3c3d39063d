"""The database ready to use. A file of ours is brought up to date without a word; a server is its owner's to change."""

from __future__ import annotations

import sqlite3
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from pkgutil import iter_modules

from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.db import DEFAULT_DB_ALIAS, DatabaseError, NotSupportedError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from chandlery.errors import UsageError
from chandlery.reporting.checkup import DatabaseFacts

Migration = tuple[str, str]

IN_MEMORY = ":memory:"


class DatabaseBehind(UsageError):
    """The database {database} is not up to date ({pending} migrations are due); bring it up to date with: {repair}"""


class DatabaseAhead(UsageError):
    """The database {database} was written by a newer version of Chandlery (it has {migration});
    update Chandlery, or point DATABASE_URL elsewhere."""


class DatabaseUnusable(UsageError):
    """The database {database} cannot be used: {reason}; DATABASE_URL says which one it is."""


def ensure_migrated(*, dry_run: bool = False) -> None:
    """Apply what is due to an SQLite file, making it and its folder where there is none.

    A dry run that would have to do so works on a copy in memory instead. Raises DatabaseBehind for a server,
    DatabaseAhead where an older version would misread the state, DatabaseUnusable where there is no connection.
    """
    connection = connections[DEFAULT_DB_ALIAS]
    try:
        if not _pending(connection):
            return
        if connection.vendor != "sqlite":
            raise _behind(connection)
        if dry_run:
            _continue_in_memory(connection)
            _migrate()
        else:
            _migrate_file(connection)
    except (DatabaseError, OSError) as error:
        raise DatabaseUnusable(database=_named(connection), reason=_first_line(error)) from error


def look_at_database() -> DatabaseFacts:
    """What the database is like; nothing is made or changed. Raises DatabaseBehind for a server, DatabaseAhead,
    DatabaseUnusable.
    """
    connection = connections[DEFAULT_DB_ALIAS]
    is_sqlite = connection.vendor == "sqlite"
    try:
        pending = len(_pending(connection))
        if _is_file(connection) and not Path(_name(connection)).exists():
            return DatabaseFacts(_named(connection), is_sqlite, is_there=False)
        if pending and not is_sqlite:
            raise _behind(connection)
        question = "SELECT sqlite_version()" if is_sqlite else "SHOW server_version"
        version = _told(connection, question).partition(" ")[0]
        journal = _told(connection, "PRAGMA journal_mode") if is_sqlite else ""
    except (DatabaseError, NotSupportedError, OSError) as error:
        raise DatabaseUnusable(database=_named(connection), reason=_first_line(error)) from error
    return DatabaseFacts(_named(connection), is_sqlite, version=version, pending=pending, journal=journal)


def _told(connection: BaseDatabaseWrapper, question: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(question)
        (value,) = cursor.fetchone() or ("",)
        return str(value)


def _behind(connection: BaseDatabaseWrapper) -> DatabaseBehind:
    return DatabaseBehind(
        database=_named(connection), pending=len(_pending(connection)), repair=f"{settings.PROGRAM} migrate"
    )


def _pending(connection: BaseDatabaseWrapper) -> set[Migration]:
    """Migrations that this version has and the database does not."""
    shipped, applied = _shipped(), _applied(connection)
    ahead = sorted(name for app, name in applied - shipped if app == "chandlery")
    if ahead:
        raise DatabaseAhead(database=_named(connection), migration=ahead[-1])
    return shipped - applied


def _shipped() -> set[Migration]:
    """Every migration of the installed apps, by name: to import them all would take ten times as long."""
    return {
        (app.label, module.name)
        for app in apps.get_app_configs()
        if find_spec(package := settings.MIGRATION_MODULES.get(app.label, f"{app.name}.migrations"))
        for module in iter_modules(import_module(package).__path__)
        if not module.name.startswith("_")
    }


def _applied(connection: BaseDatabaseWrapper) -> set[Migration]:
    if _is_file(connection) and not Path(_name(connection)).exists():
        return set()  # a connection would make the file
    with connection.cursor() as cursor:
        if "django_migrations" not in connection.introspection.table_names(cursor):
            return set()
        cursor.execute("SELECT app, name FROM django_migrations")
        return {(str(app), str(name)) for app, name in cursor.fetchall()}


def _migrate_file(connection: BaseDatabaseWrapper) -> None:
    if not _is_file(connection):
        _migrate()
        return
    from filelock import FileLock

    file = Path(_name(connection))
    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(file.with_name(f"{file.name}.lock")):
        # Another process may have been faster.
        if _pending(connection):
            _migrate()


def _migrate() -> None:
    call_command("migrate", database=DEFAULT_DB_ALIAS, interactive=False, verbosity=0)


def _continue_in_memory(connection: BaseDatabaseWrapper) -> None:
    """From here on, what is done to the database is forgotten when the process ends."""
    if not _is_file(connection):
        return
    file = Path(_name(connection))
    connection.close()
    connection.settings_dict["NAME"] = IN_MEMORY
    if file.exists():
        connection.ensure_connection()
        source = sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)
        try:
            source.backup(connection.connection)
        finally:
            source.close()


def _is_file(connection: BaseDatabaseWrapper) -> bool:
    return connection.vendor == "sqlite" and not _name(connection).startswith((IN_MEMORY, "file:"))


def _name(connection: BaseDatabaseWrapper) -> str:
    return str(connection.settings_dict["NAME"])


def _named(connection: BaseDatabaseWrapper) -> str:
    """For a person to recognise; without a password."""
    if connection.vendor == "sqlite":
        return _name(connection)
    return f"{_name(connection)} on {connection.settings_dict['HOST'] or 'localhost'}"


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
