"""What state holds, read by nothing of ours."""

import sqlite3
from contextlib import closing
from pathlib import Path

#: What a run always writes: its own job, and that it held a lease.
OF_A_JOB = frozenset({"chandlery_ingestionjob", "chandlery_lease", "chandlery_leasedseries", "sqlite_sequence"})
Rows = dict[str, list[tuple[object, ...]]]


def state_rows(home: Path, but: frozenset[str] = OF_A_JOB) -> Rows:
    """Every row of every table except those of `but`."""
    with closing(sqlite3.connect(home / "data" / "chandlery.sqlite3")) as database:
        names = [name for (name,) in database.execute("select name from sqlite_master where type = 'table'")]
        return {name: sorted(database.execute(f'select * from "{name}"')) for name in names if name not in but}


def changed_tables(before: Rows, after: Rows) -> set[str]:
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
