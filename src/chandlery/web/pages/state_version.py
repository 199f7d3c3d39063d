"""Something that differs whenever the database may have changed: what is kept by it is true for as long as it stays."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from threading import Lock

from django.db import connection

Version = tuple[object, ...]


def state_version() -> Version | None:
    """Equal to an earlier one only where nobody has committed anything since. None: nobody can tell, so nothing may be
    kept.
    """
    # What this transaction has changed is seen by nobody else, and perhaps never will be.
    if connection.in_atomic_block:
        return None
    if connection.vendor == "sqlite":
        return _WATCH.version(str(connection.settings_dict["NAME"]))
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            # Names every transaction that has ended or not: two that are equal see the same rows.
            cursor.execute("SELECT pg_current_snapshot()::text")
            return tuple(cursor.fetchone())
    return None


class _Watch:
    """A connection of its own, that never writes: SQLite tells it of every commit of all others."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._opened: tuple[int, str, int] | None = None
        self._connection: sqlite3.Connection | None = None

    def version(self, name: str) -> Version | None:
        path = Path(name)
        if not path.is_file():
            return None
        # A file that was put in the place of another, or a process that was forked, needs another connection.
        place = (os.getpid(), name, path.stat().st_ino)
        with self._lock:
            if self._connection is None or self._opened != place:
                uri = f"{path.absolute().as_uri()}?mode=ro"
                self._connection = sqlite3.connect(uri, uri=True, check_same_thread=False, isolation_level=None)
                self._opened = place
            (number,) = self._connection.execute("PRAGMA data_version").fetchone()
        return (*place, number)


_WATCH = _Watch()
