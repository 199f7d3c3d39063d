"""What a server has acknowledged, and what it has applied: only that is seen by queries."""

import time
from dataclasses import dataclass

from chandlery.stores.base import StoreUnavailable
from chandlery.stores.questdb_server import Server
from chandlery.stores.questdb_table import progress_of

#: How long nothing may be applied before we say so, and how often we look.
STUCK_SECONDS = 600.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.001, 0.05


class TableSuspended(StoreUnavailable):
    """QuestDB at {server} has suspended table {table}{reason}; see to that (a full disk, most often), then run there:
    ALTER TABLE {table} RESUME WAL"""


class NothingApplied(StoreUnavailable):
    """QuestDB at {server} has applied nothing to table {table} for {seconds:.0f} seconds, and {left} transactions
    wait; see its log"""


class LostTable(StoreUnavailable):
    """Table {table} of QuestDB at {server} was dropped while candles were written to it; run the same command again"""


class NoLog(StoreUnavailable):
    """Table {table} of QuestDB at {server} has no write-ahead log, so nothing tells what is stored; if it is one of
    candles, run there: ALTER TABLE {table} SET TYPE WAL, and restart the server; otherwise name another table in
    CANDLE_STORE"""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a table has come. `table_id`: another one of the same name has another."""

    table_id: int
    suspended: bool
    applied: int
    acknowledged: int
    error_tag: str
    error: str


def progress(server: Server, table: str) -> Progress | None:
    """None where there is no such table. Raises NoLog."""
    for has_log, table_id, suspended, applied, acknowledged, error_tag, error in server.rows(progress_of(table)):
        if not has_log:
            raise NoLog(server=server.name, table=table)
        if acknowledged is not None:  # else it is just being dropped, and has lost its log already
            return Progress(table_id, suspended, applied, acknowledged, error_tag, error)
    return None


def settled(server: Server, table: str) -> Progress | None:
    """Returns when all that was acknowledged until now is applied; None where there is no such table. Raises
    TableSuspended, NothingApplied, NoLog.
    """
    target: int | None = None
    seen, since, pause = -1, time.monotonic(), _FIRST_PAUSE
    while (now := progress(server, table)) is not None:
        if now.suspended:
            told = " ".join(part for part in (now.error_tag, now.error) if part)
            raise TableSuspended(server=server.name, table=table, reason=f" ({told})" if told else "")
        target = now.acknowledged if target is None else target
        if now.applied >= target:
            return now
        if now.applied > seen:
            seen, since = now.applied, time.monotonic()
        elif time.monotonic() - since > STUCK_SECONDS:
            raise NothingApplied(server=server.name, table=table, seconds=STUCK_SECONDS, left=target - now.applied)
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)
    return None


def applied_after(server: Server, table: str, before: Progress, flushes: int) -> None:
    """Returns when so many flushes that came after `before` are applied to the same table.

    A connection that outlived its table goes on being told that all is well, so that is not believed. Raises LostTable.
    """
    after = settled(server, table)
    if after is None or after.table_id != before.table_id or after.acknowledged < before.acknowledged + flushes:
        raise LostTable(server=server.name, table=table)
