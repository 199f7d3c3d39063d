"""Candles in a QuestDB server, for those who have one, or who want SQL over the network.

One table holds every series; its keys make a repeated write harmless. Written over HTTP, read over HTTP as Parquet.
"""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl

from chandlery.candles.evidence import Origin, Source
from chandlery.candles.frame import CANDLE_SCHEMA, TIMESTAMP
from chandlery.candles.interval import Interval
from chandlery.candles.series import Series
from chandlery.candles.timerange import TimeRange
from chandlery.stores import questdb_table as sql
from chandlery.stores.base import DayCounts, StoreUnavailable, Written
from chandlery.stores.questdb_address import Address
from chandlery.stores.questdb_server import NoSuchTable, Server, connected
from chandlery.stores.questdb_wal import Progress, progress, settled
from chandlery.stores.questdb_writer import QuestDBWriter
from chandlery.stores.stored import STORED_SCHEMA

_INTERVALS = {int(interval): interval for interval in Interval}


class NotOurTable(StoreUnavailable):
    """Table {table} of QuestDB at {server} is no table of candles: {reason}; name another one in CANDLE_STORE:
    questdb://{server}/TABLE"""


class QuestDBStore:
    """A table of candles."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.url = str(address)
        self._table = address.table
        self._seen: tuple[Progress, list[Series]] | None = None

    def identity(self) -> str | None:
        """The id of the store; None where there is none, or no table of candles. Raises StoreUnavailable."""
        if not self._columns(self._table):
            return None
        settled(self.server, self._table)
        found = (sql.identity_in(column) for column in self._columns(sql.identity_table(self._table)))
        return next((identity for identity in found if identity), None)

    def create(self) -> str:
        """Make the tables if they are not there, and give an older one what it lacks; the id of the store."""
        if not self._columns(self._table):
            self._run(sql.create_table(self._table))
        self._upgrade()
        identity = self.identity()
        if identity is None:
            self._run(sql.create_identity(self._table, uuid.uuid4().hex))
            identity = self.identity()
        if identity is None:
            raise self._not_ours(f"{sql.identity_table(self._table)} beside it says no id")
        return identity

    def writer(self, series: Series) -> QuestDBWriter:
        return QuestDBWriter(self, series)

    def write(self, series: Series, candles: pl.DataFrame, origin: Origin) -> Written:
        """Idempotent upsert; applied when it returns."""
        with self.writer(series) as writer:
            writer.append(candles, origin)
            return writer.commit()

    def read(self, series: Series, within: TimeRange | None = None, *, origin: bool = False) -> pl.DataFrame:
        """Candles whose slot opens in `within` (all, if None), sorted; with ORIGIN_COLUMNS if asked."""
        schema = pl.Schema(STORED_SCHEMA if origin else CANDLE_SCHEMA)
        try:
            rows = self.server.frame(self._select(", ".join(schema), series, within))
        except NoSuchTable:
            return schema.to_frame()
        rows = rows.cast(schema)
        if origin and not set(rows["source"].unique()) <= {source.value for source in Source}:
            raise self._not_ours(f"a source in it is none of {', '.join(Source)}")
        return rows

    def count(self, series: Series, within: TimeRange | None = None) -> int:
        return sum(row[0] for row in self._rows(self._select("count()", series, within)))

    def slots(self, series: Series, within: TimeRange | None = None) -> pl.Series:
        """The opens of the stored candles: sorted UTC timestamps."""
        try:
            return self.server.frame(self._select("timestamp", series, within))["timestamp"].cast(TIMESTAMP)
        except NoSuchTable:
            return pl.Series("timestamp", [], TIMESTAMP)

    def span(self, series: Series) -> TimeRange | None:
        """From the first stored slot's open to the last one's end."""
        for first, last in self._rows(self._select("min(timestamp), max(timestamp)", series)):
            if first is not None:
                return TimeRange(_moment(first), _moment(last) + series.interval.delta)
        return None

    def day_counts(self, series: Series) -> DayCounts | None:
        """Traded slots of every day from the first stored one to the last; None where nothing is stored."""
        query = self._select("timestamp, count()", series) + " SAMPLE BY 1d ALIGN TO CALENDAR"
        days = [(_moment(day).date(), count) for day, count in self._rows(query)]
        if not days:
            return None
        first = days[0][0]
        counts = np.zeros((days[-1][0] - first).days + 1, dtype=np.uint16)
        for day, count in days:
            counts[(day - first).days] = count
        return DayCounts(first, counts)

    def series(self) -> Iterator[Series]:
        """Every series that holds at least one candle, in order of name. The table is looked through once for each
        state that it is in.
        """
        now = progress(self.server, self._table)
        if now is None:
            return iter(())
        if self._seen is None or self._seen[0] != now:
            rows = self._rows(f"SELECT DISTINCT exchange, market, interval FROM {self._table} WHERE NOT {sql.REMOVED}")
            self._seen = (
                now,
                sorted(
                    Series(exchange, market, _INTERVALS[interval])
                    for exchange, market, interval in rows
                    if interval in _INTERVALS and sql.is_safe(exchange) and sql.is_safe(market)
                ),
            )
        return iter(self._seen[1])

    @property
    def server(self) -> Server:
        """This process's connection."""
        return connected(self.address)

    def _upgrade(self) -> None:
        """Columns that an earlier version did not know are added. Raises NotOurTable where the table is another's."""
        there = self._columns(self._table)
        missing = [name for name in sql.COLUMNS if name not in there]
        for name in sql.KEYS:
            if name in missing:
                raise self._not_ours(f"column {name} is missing")
        for name, (kind, _) in there.items():
            if kind != sql.COLUMNS.get(name, kind):
                raise self._not_ours(f"column {name} is {kind}, not {sql.COLUMNS[name]}")
        if {name for name, (_, key) in there.items() if key} != set(sql.KEYS):
            raise self._not_ours(f"it is not deduplicated by {', '.join(sql.KEYS)}")
        for name in missing:
            self._run(sql.add_column(self._table, name))

    def _not_ours(self, reason: str) -> NotOurTable:
        return NotOurTable(server=self.address.host_and_port, table=self._table, reason=reason)

    def _columns(self, table: str) -> dict[str, tuple[str, bool]]:
        """Type by name, and whether the column is a key; nothing where there is no such table."""
        return {name: (kind, key) for name, kind, key, _ in self._rows(sql.columns_of(table))}

    def _select(self, columns: str, series: Series, within: TimeRange | None = None) -> str:
        return sql.select(columns, self._table, series, within)

    def _rows(self, query: str) -> list[list[Any]]:
        try:
            return self.server.rows(query)
        except NoSuchTable:
            return []

    def _run(self, statement: str) -> None:
        self.server.run(statement)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
