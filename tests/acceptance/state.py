"""What state holds, read by nothing of ours."""

from pathlib import Path

from tests.databases import Row, queried, tables

#: What a run always writes: its own job, and that it held a lease.
OF_A_JOB = frozenset({"chandlery_ingestionjob", "chandlery_lease", "chandlery_leasedseries", "sqlite_sequence"})
Rows = dict[str, list[Row]]


def state_rows(home: Path, but: frozenset[str] = OF_A_JOB) -> Rows:
    """Every row of every table except those of `but`."""
    return {
        name: sorted(queried(home, f'select * from "{name}"'), key=repr) for name in tables(home) if name not in but
    }


def changed_tables(before: Rows, after: Rows) -> set[str]:
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
