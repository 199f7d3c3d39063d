"""Candles of one series on their way into QuestDB: read what is stored, merge, send the difference, wait for it."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Self

import polars as pl

from chandlery.candles.evidence import Origin
from chandlery.candles.series import Series
from chandlery.candles.timerange import RangeSet, TimeRange
from chandlery.stores.base import Written
from chandlery.stores.merge import merge
from chandlery.stores.partition import Edges, Partition, edges, met
from chandlery.stores.questdb_locks import series_lock
from chandlery.stores.questdb_sender import Outbox
from chandlery.stores.questdb_table import time_of
from chandlery.stores.questdb_wal import LostTable, applied_after, settled
from chandlery.stores.spool import Spool
from chandlery.stores.stored import STORED_SCHEMA
from chandlery.stores.writing import checked, days_of, outcome, told, total, whole_slots

if TYPE_CHECKING:
    from chandlery.stores.questdb import QuestDBStore


class QuestDBWriter:
    """Cuts a series where the lake does, so that a merge has a bounded part of it in memory."""

    def __init__(self, store: QuestDBStore, series: Series) -> None:
        self._store = store
        self._series = series
        self._spool = Spool(series.interval)
        self._cleared: list[TimeRange] = []
        self._last: int | None = None

    def append(self, candles: pl.DataFrame, origin: Origin) -> None:
        """Hand over candles, sorted and all later than any appended before. Raises NotCandles, NotInOrder, NoRoom."""
        self._last = checked(self._series, candles, self._last)
        self._spool.put(candles, origin)

    def clear(self, within: TimeRange) -> None:
        """What is appended, before or after, is all there is in `within`. Raises NotWholeSlots."""
        self._cleared.append(whole_slots(self._series, within))

    def commit(self) -> Written:
        """Send it, and return when the server has applied it; then tell what it did. Raises StoreUnavailable:
        LostTable where there is no table to take what was appended.
        """
        cleared = edges(RangeSet(self._cleared))
        appended = set(self._spool.partitions())
        partitions = sorted({*appended, *met(cleared, self._series.interval)})
        if not partitions:
            return Written()
        if appended and self._store.identity() is None:
            # Candles never lie in a store without an identity, not even in one that was emptied a moment ago.
            self._store.create()
        # Nobody else merges into the series meanwhile.
        with series_lock(self._store.address, self._series):
            written = self._merged(partitions, cleared, appended)
        self._spool.close()
        self._cleared = []
        return total(written)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Without a commit, leave no trace."""
        self._spool.close()

    def _merged(self, partitions: list[Partition], cleared: Edges, appended: set[Partition]) -> list[Written]:
        server, address = self._store.server, self._store.address
        # What was acknowledged is applied before it is read, also a dead writer's.
        before = settled(server, address.table)
        if before is None and appended:
            raise LostTable(server=server.name, table=address.table)
        if before is None:  # there is nothing, so nothing goes
            return [Written(days=told([], partition.cut(cleared))) for partition in partitions]
        with Outbox(address, before.table_id, self._series) as outbox:
            fresh = self._nothing_stored(partitions)
            written = [self._merge(partition, cleared, outbox, fresh=fresh) for partition in partitions]
            outbox.finish()
            if outbox.flushes:
                applied_after(server, address.table, before, outbox.flushes)
        return written

    def _nothing_stored(self, partitions: list[Partition]) -> bool:
        """One look in place of one for each partition: more often than not a series comes as a whole."""
        whole = TimeRange(time_of(partitions[0]).start, time_of(partitions[-1]).end)
        return len(partitions) > 1 and self._store.count(self._series, whole) == 0

    def _merge(self, partition: Partition, cleared: Edges, outbox: Outbox, *, fresh: bool) -> Written:
        incoming, cleared = self._spool.rows(partition), partition.cut(cleared)
        stored = pl.DataFrame(schema=STORED_SCHEMA)
        if not fresh:
            stored = self._store.read(self._series, time_of(partition), origin=True)
        if stored.is_empty():
            outbox.put(incoming)
            return Written(inserted=incoming.height, days=told(days_of(incoming), cleared))
        merged = merge(stored, incoming, cleared)
        outbox.remove(merged.gone)
        outbox.put(merged.laid)
        return outcome(merged, cleared)
