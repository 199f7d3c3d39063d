"""Where the tests keep state: an SQLite file in each home or, with TEST_DATABASE_URL, one database a home on a server.

What commands find on a server is as they find an SQLite file of theirs: there, migrated, and empty.
"""

import atexit
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

import django
from filelock import FileLock

CHECKOUT = Path(__file__).parents[1]
MIGRATIONS = CHECKOUT / "src" / "chandlery" / "models" / "migrations"

#: A server as postgres://user:password@host:port/name; empty: SQLite.
SERVER = os.environ.get("TEST_DATABASE_URL", "")

#: Queries by which rows are held: on SQLite there is nothing to hold.
HOLDING = 1 if SERVER else 0

Row = tuple[Any, ...]

#: Homes whose state is where a test says, whatever it is with the others.
_ELSEWHERE: dict[Path, str] = {}


def database_url(home: Path) -> str:
    """What DATABASE_URL says to commands that live in `home`; empty where they keep an SQLite file in it."""
    if home in _ELSEWHERE:
        return _ELSEWHERE[home]
    return _on_server(_made(str(home))) if SERVER else ""


@contextmanager
def kept_on(server: str, home: Path) -> Iterator[None]:
    """The state of `home` is in an empty database of that server, or in an SQLite file where none is named."""
    if not server:
        _ELSEWHERE[home] = ""
        yield
        return
    name = f"kept_{sha256(str(home).encode()).hexdigest()[:20]}_{os.getpid()}"
    with _connected(server) as there:
        there.execute(f'CREATE DATABASE "{name}"')
        _ELSEWHERE[home] = urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
        _migrate(_ELSEWHERE[home])
        yield
        there.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def queried(home: Path, query: str) -> list[Row]:
    """The rows of a query on the state of `home`, read by nothing of ours; values as SQLite would hold them."""
    url = database_url(home)
    if not url:
        with closing(sqlite3.connect(home / "data" / "chandlery.sqlite3")) as database:
            return list(database.execute(query))
    with _connected(url) as database:
        return [tuple(map(_as_in_sqlite, row)) for row in database.execute(query)]


def tables(home: Path) -> list[str]:
    """The names of all tables."""
    if database_url(home):
        query = "select tablename from pg_tables where schemaname = 'public'"
    else:
        query = "select name from sqlite_master where type = 'table'"
    return [str(name) for (name,) in queried(home, query)]


def migrate_ahead(home: Path) -> None:
    """Where state is an SQLite file, put a migrated and empty one in `home`, as it is on a server from the start.

    A first command would make the same, in a second; tests of that begin without.
    """
    if not database_url(home):
        data = home / "data"
        data.mkdir(parents=True)
        shutil.copy(_template_file(), data / "chandlery.sqlite3")


def copy_home(home: Path, to: Path) -> None:
    """All that is in `home`, its state included, where there is nothing yet."""
    shutil.copytree(home, to)
    if SERVER:
        replace_state(to, by=home)


def replace_state(home: Path, *, by: Path | None = None) -> None:
    """The state of `home` becomes that of another home; none: gone, as before a first command."""
    if SERVER:
        name, source = _made(str(home)), _made(str(by)) if by is not None else _template()
        _drop(name)
        _create(name, source)
        return
    for path in (home / "data").glob("chandlery.sqlite3*"):
        path.unlink()
    if by is not None:
        shutil.copy(by / "data" / "chandlery.sqlite3", home / "data" / "chandlery.sqlite3")


@cache
def _made(home: str) -> str:
    """The name of a database that is made now and dropped when this process ends."""
    name = f"home_{sha256(home.encode()).hexdigest()[:20]}_{os.getpid()}"
    _create(name, _template())
    atexit.register(_drop, name)
    return name


def _create(name: str, template: str) -> None:
    with _connected(SERVER) as server:
        server.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')


@cache
def _template_file() -> Path:
    """A migrated and empty SQLite file: one for each state of the migrations and of Django, kept for later runs."""
    file = Path(tempfile.gettempdir()) / f"chandlery-{_template_name()}-wal.sqlite3"
    with FileLock(file.with_suffix(".lock")):
        if not file.exists():
            draft = file.with_suffix(".draft")
            draft.unlink(missing_ok=True)
            _migrate(f"sqlite:///{draft}")
            with closing(sqlite3.connect(draft)) as database:
                # All of it in the one file that is copied.
                database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            draft.rename(file)
    return file


@cache
def _template_name() -> str:
    content = b"".join(path.read_bytes() for path in sorted(MIGRATIONS.glob("*.py")))
    return f"template_{sha256(content + django.__version__.encode()).hexdigest()[:20]}"


@cache
def _template() -> str:
    """The name of a database that is migrated and empty: one for each state of the migrations."""
    name = _template_name()
    with FileLock(Path(tempfile.gettempdir()) / f"chandlery-{name}.lock"), _connected(SERVER) as server:
        if server.execute("select 1 from pg_database where datname = %s", [name]).fetchone() is None:
            draft = f"{name}_draft"
            server.execute(f'DROP DATABASE IF EXISTS "{draft}" WITH (FORCE)')
            server.execute(f'CREATE DATABASE "{draft}"')
            _migrate(_on_server(draft))
            server.execute(f'ALTER DATABASE "{draft}" RENAME TO "{name}"')
    return name


def _migrate(url: str) -> None:
    with tempfile.TemporaryDirectory() as home:
        environment = os.environ | {"DATABASE_URL": url, "CHANDLERY_HOME": home, "PYTHONWARNINGS": ""}
        environment.pop("DJANGO_SETTINGS_MODULE", None)
        command = [sys.executable, str(CHECKOUT / "manage.py"), "migrate", "--verbosity", "0"]
        subprocess.run(command, env=environment, check=True)


def _drop(name: str) -> None:
    with _connected(SERVER) as server:
        server.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def _on_server(name: str) -> str:
    return urlunsplit(urlsplit(SERVER)._replace(path=f"/{name}"))


@contextmanager
def _connected(url: str) -> Iterator[Any]:
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


def _as_in_sqlite(value: object) -> object:
    match value:
        case bool():
            return int(value)
        case datetime():
            return str(value.astimezone(UTC).replace(tzinfo=None))
        case UUID():
            return value.hex
        case dict() | list():
            return json.dumps(value)
        case memoryview():
            return bytes(value)
        case _:
            return value
