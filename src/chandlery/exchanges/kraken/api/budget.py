"""How often Kraken may be asked, kept in one small file that every process on this machine looks at."""

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from filelock import FileLock, Timeout

from chandlery.exchanges.kraken.api.errors import BudgetUnusable

#: Two requests are this much further apart than the rate demands: what counts is when they arrive.
MARGIN = 1.05
#: Seconds until another process has surely finished its one statement.
BUSY_WAIT = 0.002
#: A last request that lies further in the future was written before the clock was set back, and counts for nothing.
CLOCK_TOLERANCE = 1.0
OPENING_TIMEOUT = 10.0

_TABLE = "CREATE TABLE IF NOT EXISTS spent (purse TEXT PRIMARY KEY, at REAL NOT NULL) WITHOUT ROWID"
#: One statement, and so atomic between processes: it changes a row only where the purse may be spent from.
_SPEND = """
INSERT INTO spent (purse, at) VALUES (:purse, :now) ON CONFLICT (purse) DO UPDATE SET at = excluded.at
WHERE excluded.at >= at + :step OR excluded.at < at - :tolerance
"""
_LAST = "SELECT at FROM spent WHERE purse = ?"
_REPLACED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR})
_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})


class Budget:
    """`rate` requests a second (above 0) from each purse: evenly spaced, never in bursts.

    Processes share it through the file `path`, which is made where there is none and replaced where it is damaged;
    None: this one has it to itself. `clock` is the time in seconds since the epoch, the same for all of them.
    Nothing here waits: `take` says how long to wait, so that the caller can do so without holding anything up.
    Raises BudgetUnusable where the file cannot be written.
    """

    def __init__(self, path: Path | None, rate: float, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._step = MARGIN / rate
        self._clock = clock
        self._connection = _opened(path)

    def take(self, purse: str) -> float:
        """0 where the request may be made now, and is counted; else the seconds after which to try again."""
        try:
            return self._spend(purse)
        except sqlite3.DatabaseError as problem:
            if _code(problem) not in _REPLACED:
                raise BudgetUnusable(path=self._path, why=problem) from problem
        self._connection.close()
        self._connection = _opened(self._path)
        try:
            return self._spend(purse)
        except sqlite3.DatabaseError as problem:
            raise BudgetUnusable(path=self._path, why=problem) from problem

    def close(self) -> None:
        self._connection.close()

    def _spend(self, purse: str) -> float:
        now = self._clock()
        facts = {"purse": purse, "now": now, "step": self._step, "tolerance": CLOCK_TOLERANCE}
        try:
            with closing(self._connection.execute(_SPEND, facts)) as spent:
                if spent.rowcount == 1:
                    return 0.0
            with closing(self._connection.execute(_LAST, (purse,))) as found:
                (last,) = found.fetchone()
        except sqlite3.OperationalError as problem:
            if _code(problem) in _BUSY:
                return BUSY_WAIT
            raise
        return max(BUSY_WAIT, float(last) + self._step - now)


def _opened(path: Path | None) -> sqlite3.Connection:
    if path is None:
        return _connected(":memory:")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Two processes that both replace a damaged file would end up with one each.
        with FileLock(f"{path}.lock", timeout=OPENING_TIMEOUT):
            try:
                return _connected(str(path))
            except sqlite3.DatabaseError as problem:
                if _code(problem) not in _REPLACED:
                    raise
            for left in (path, Path(f"{path}-wal"), Path(f"{path}-shm")):
                left.unlink(missing_ok=True)
            return _connected(str(path))
    except (OSError, Timeout, sqlite3.DatabaseError) as problem:
        raise BudgetUnusable(path=path, why=problem) from problem


def _connected(database: str) -> sqlite3.Connection:
    """Raises sqlite3.DatabaseError where the file is no sound budget."""
    connection = sqlite3.connect(database, timeout=OPENING_TIMEOUT, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = WAL").close()
        # A budget that a power cut takes away is no loss; a pause for the disk at every request would be.
        connection.execute("PRAGMA synchronous = OFF").close()
        connection.execute(_TABLE).close()
        connection.execute("SELECT purse, at FROM spent LIMIT 1").close()
        with closing(connection.execute("PRAGMA quick_check")) as check:
            if check.fetchone() != ("ok",):
                raise _Damaged(database)
        # From here on nobody waits inside SQLite, where an event loop would stand still.
        connection.execute("PRAGMA busy_timeout = 0").close()
    except BaseException:
        connection.close()
        raise
    return connection


class _Damaged(sqlite3.DatabaseError):
    sqlite_errorcode = sqlite3.SQLITE_CORRUPT


def _code(problem: sqlite3.DatabaseError) -> int:
    """SQLite's primary result code."""
    return getattr(problem, "sqlite_errorcode", 0) & 0xFF
