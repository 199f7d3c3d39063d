"""The tables of a QuestDB store, and the statements that speak of them.

QuestDB's HTTP interface takes no parameters. What comes from outside and stands in a statement is therefore a name of
letters, digits, dots, dashes and underscores, a number, or a time that was made here: nothing that could end a literal.
"""

import re
from datetime import UTC, datetime, timedelta

from chandlery.candles.interval import EPOCH
from chandlery.candles.series import Series
from chandlery.candles.timerange import TimeRange
from chandlery.errors import ChandleryError
from chandlery.stores.partition import Partition

#: A row whose candle was removed stays as one that is marked: QuestDB deletes no rows. It has no price.
REMOVED = "removed"
#: Columns by name: what they are created as, and the type that the server then tells.
COLUMNS = {
    "timestamp": "TIMESTAMP",
    "exchange": "SYMBOL",
    "market": "SYMBOL",
    "interval": "SHORT",
    "open": "DOUBLE",
    "high": "DOUBLE",
    "low": "DOUBLE",
    "close": "DOUBLE",
    "volume": "DOUBLE",
    "trades": "LONG",
    "source": "SYMBOL",
    "derived": "BOOLEAN",
    "provisional": "BOOLEAN",
    "release": "SYMBOL",
    REMOVED: "BOOLEAN",
}
KEYS = ("timestamp", "exchange", "market", "interval")
SYMBOLS = tuple(name for name, kind in COLUMNS.items() if kind == "SYMBOL")
#: Symbols that may become many; the others are a handful.
_CAPACITY = {"market": 2048, "release": 1024}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_IDENTITY = re.compile(r"id_([0-9a-f]{32})")
_FIRST, _LAST = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)


class UnsafeName(ChandleryError):
    """{name!r} cannot name a series in QuestDB: only letters, digits, dots, dashes and underscores can."""


def safe(name: str) -> str:
    """The name, if it can stand in a statement as it is. Raises UnsafeName."""
    if not _NAME.fullmatch(name):
        raise UnsafeName(name=name)
    return name


def is_safe(name: object) -> bool:
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def create_table(table: str) -> str:
    """A year a partition: a write touches every one of its span, and each costs a sync of every column."""
    columns = ", ".join(f"{name} {_created_as(name)}" for name in COLUMNS)
    return (
        f"CREATE TABLE IF NOT EXISTS {table} ({columns}) TIMESTAMP(timestamp) PARTITION BY YEAR WAL "
        f"DEDUP UPSERT KEYS({', '.join(KEYS)})"
    )


def add_column(table: str, name: str) -> str:
    return f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS {name} {_created_as(name)}"


def identity_table(table: str) -> str:
    return f"{table}_store"


def create_identity(table: str, identity: str) -> str:
    """The id is the name of a column: of two processes that make a store at once, one creates the table, and no
    moment shows it without its id. QuestDB has neither unique keys nor transactions of more than one statement.
    """
    return f"CREATE TABLE IF NOT EXISTS {identity_table(table)} (id_{identity} BOOLEAN)"


def identity_in(column: str) -> str | None:
    match = _IDENTITY.fullmatch(column)
    return match[1] if match else None


def columns_of(table: str) -> str:
    return f'SELECT "column", "type", "upsertKey", "designated" FROM (SHOW COLUMNS FROM {table})'


def progress_of(table: str) -> str:
    """Whether the table has a log; which one it is, whether it is suspended, what is applied and what was acknowledged,
    and why no more is. QuestDB keeps the capitals that a table was made with, and takes any for it.
    """
    return (
        "SELECT walEnabled, id, suspended, writerTxn, sequencerTxn, errorTag, errorMessage "
        f"FROM tables() LEFT JOIN wal_tables() ON name = table_name WHERE lower(table_name) = '{table.lower()}'"
    )


def select(columns: str, table: str, series: Series, within: TimeRange | None) -> str:
    """Of the candles of `series` whose slot opens in `within` (all, if None)."""
    exchange, market = safe(series.exchange), safe(series.market)
    query = (
        f"SELECT {columns} FROM {table} WHERE exchange = '{exchange}' AND market = '{market}' "
        f"AND interval = {int(series.interval)} AND NOT {REMOVED}"
    )
    if within is not None:
        query += f" AND timestamp >= '{_literal(within.start)}' AND timestamp < '{_literal(within.end)}'"
    return query


def time_of(partition: Partition) -> TimeRange:
    """A partition's share of time, as far as there are dates."""
    first, last = (_moment(edge) for edge in (partition.start, partition.end))
    return TimeRange(first, last)


def _created_as(name: str) -> str:
    capacity = f" CAPACITY {_CAPACITY[name]}" if name in _CAPACITY else ""
    return f"{COLUMNS[name]}{capacity}"


def _moment(microseconds: int) -> datetime:
    earliest, latest = ((edge - EPOCH) // timedelta(microseconds=1) for edge in (_FIRST, _LAST))
    return EPOCH + timedelta(microseconds=min(max(microseconds, earliest), latest))


def _literal(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ").zfill(27)
