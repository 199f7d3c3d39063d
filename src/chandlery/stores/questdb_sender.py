"""Rows on their way to QuestDB: through the official client, over HTTP, each flush acknowledged and atomic."""

import math
import os
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import polars as pl

from chandlery.candles.frame import CANDLE_SCHEMA, PRICES
from chandlery.candles.series import Series
from chandlery.stores.base import StoreUnavailable
from chandlery.stores.questdb_address import Address
from chandlery.stores.questdb_server import Unreachable, WrongCredentials, connected
from chandlery.stores.questdb_table import COLUMNS, REMOVED, SYMBOLS, safe

if TYPE_CHECKING:
    import pandas as pd
    from questdb import QuestDBError, Sender

#: Measured best on two cores.
FLUSH_ROWS = 75_000
#: How long the client repeats a flush that met no server. The keys of the table make repetitions harmless.
RETRY_MILLISECONDS = 5_000
#: What a server is given to take a flush, beside the time that its bytes need.
REQUEST_MILLISECONDS = 120_000
_BROKEN_OFF = "it broke off the connection, and answers still; its disk may be full, see its log"

_connections: "dict[tuple[Address, int, int], list[Sender]]" = {}


class NoClient(StoreUnavailable):
    """CANDLE_STORE names a QuestDB, which needs {missing}; install it with: pip install 'chandlery[questdb]'"""


class NotStored(StoreUnavailable):
    """QuestDB at {server} did not store what was sent: {reason}"""


class Outbox:
    """Rows of one series, sent FLUSH_ROWS at a time. What is sent stays sent: only `finish` sends the rest.

    Leaving it in peace keeps its connection for the next one.
    """

    def __init__(self, address: Address, table_id: int, series: Series) -> None:
        self._address = address
        self._table_id = table_id
        self.flushes = 0
        self._names = {"exchange": safe(series.exchange), "market": safe(series.market)}
        self._interval = int(series.interval)
        self._sender: Sender | None = None
        self._waiting: list[pl.DataFrame] = []
        self._rows = 0

    def put(self, rows: pl.DataFrame) -> None:
        """Rows of STORED_SCHEMA to lay over what is stored. Raises StoreUnavailable."""
        self._add(rows.with_columns(pl.lit(False).alias(REMOVED)))

    def remove(self, slots: pl.Series) -> None:
        """Slots whose candle goes."""
        if len(slots):
            empty = {name: pl.lit(math.nan if kind == pl.Float64 else 0, kind) for name, kind in CANDLE_SCHEMA.items()}
            origin = {"source": pl.lit(""), "derived": pl.lit(False), "provisional": pl.lit(False)}
            values = {**empty, **origin, "release": pl.lit(""), REMOVED: pl.lit(True)}
            values.pop("timestamp")
            self._add(slots.rename("timestamp").to_frame().with_columns(**values))

    def finish(self) -> None:
        """Send what is left."""
        if self._rows:
            self._send(pl.concat(self._waiting))
        self._waiting, self._rows = [], 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._waiting, self._rows = [], 0
        sender, self._sender = self._sender, None
        if sender is None:
            return
        if error is None:
            _idle(self._address, self._table_id).append(sender)
        else:
            sender.close(flush=False)

    def _add(self, rows: pl.DataFrame) -> None:
        self._waiting.append(rows)
        self._rows += rows.height
        if self._rows < FLUSH_ROWS:
            return
        whole = pl.concat(self._waiting)
        sent = whole.height - whole.height % FLUSH_ROWS
        for start in range(0, sent, FLUSH_ROWS):
            self._send(whole.slice(start, FLUSH_ROWS))
        self._waiting, self._rows = [whole.slice(sent)], whole.height - sent

    def _send(self, rows: pl.DataFrame) -> None:
        error_type, sender = self._established()
        try:
            sender.dataframe(
                as_pandas(rows, self._names, self._interval),
                table_name=self._address.table,
                symbols=list(SYMBOLS),
                at="timestamp",
            )
            sender.flush(transactional=True)
            self.flushes += 1
        except error_type as error:
            told = _told(error, self._address)
            if isinstance(told, Unreachable) and _answers(self._address):
                told = NotStored(server=self._address.host_and_port, reason=_BROKEN_OFF)
            raise told from error

    def _established(self) -> "tuple[type[QuestDBError], Sender]":
        try:
            import pandas as pd  # noqa: F401 - the client takes no other frames
            from questdb import QuestDBError
        except ImportError as error:
            raise NoClient(missing=error.name) from error
        if self._sender is None and (idle := _idle(self._address, self._table_id)):
            self._sender = idle.pop()
        if self._sender is None:
            sender = _sender(self._address)
            try:
                sender.establish()  # type: ignore[no-untyped-call]
            except QuestDBError as error:
                told = _told(error, self._address)
                if isinstance(told, NotStored):  # nothing was sent yet
                    told = Unreachable(**told.facts)
                raise told from error
            self._sender = sender
        return QuestDBError, self._sender


def as_pandas(rows: pl.DataFrame, names: dict[str, str], interval: int) -> "pd.DataFrame":
    """The frame that the client takes: words as categories, times in nanoseconds."""
    import pandas as pd

    columns: dict[str, Any] = {"timestamp": rows["timestamp"].dt.cast_time_unit("ns").to_pandas()}
    for name, word in names.items():
        columns[name] = _category(np.zeros(rows.height, dtype=np.int8), [word])
    columns["interval"] = np.full(rows.height, interval, dtype=np.int16)
    for name in (*PRICES, "volume", "trades", "derived", "provisional", REMOVED):
        columns[name] = rows[name].to_numpy()
    for name in ("source", "release"):
        words = rows[name].unique(maintain_order=True)
        codes = rows[name].cast(pl.Enum(words)).to_physical() if len(words) > 1 else np.zeros(rows.height, np.int8)
        columns[name] = _category(np.asarray(codes), words.to_list())
    return pd.DataFrame({name: columns[name] for name in COLUMNS})


def _idle(address: Address, table_id: int) -> "list[Sender]":
    """This process's connections that nobody uses now: each is used by one writer at a time.

    They belong to one table: the server goes on taking rows for one that was dropped from whoever wrote to it before.
    """
    return _connections.setdefault((address, table_id, os.getpid()), [])


def _category(codes: Any, words: Sequence[str]) -> "pd.Categorical[str]":
    import pandas as pd

    return pd.Categorical.from_codes(codes, categories=list(words))


def _sender(address: Address) -> "Sender":
    from questdb import Protocol, Sender, TlsCa

    given: dict[str, Any] = {}
    if address.user:
        given |= {"username": address.user, "password": address.password}
    if address.tls:
        given |= {"tls_roots": str(address.ca)} if address.ca else {"tls_ca": TlsCa.OsRoots}
    return Sender(
        Protocol.Https if address.tls else Protocol.Http,
        address.host,
        address.port,
        auto_flush=False,
        retry_timeout=RETRY_MILLISECONDS,
        request_timeout=REQUEST_MILLISECONDS,
        **given,
    )


def _answers(address: Address) -> bool:
    """Whether the server is there for others. Where its disk becomes full, QuestDB resets the connection over which it
    was sent rows, and says nothing.
    """
    try:
        connected(address).rows("SELECT 1")
    except StoreUnavailable:
        return False
    return True


def _told(error: "QuestDBError", address: Address) -> StoreUnavailable:
    from questdb import QuestDBErrorCode

    server, reason = address.host_and_port, " ".join(str(error).split())
    if error.code == QuestDBErrorCode.AuthError:
        return WrongCredentials(server=server)
    if error.code in (QuestDBErrorCode.SocketError, QuestDBErrorCode.CouldNotResolveAddr, QuestDBErrorCode.TlsError):
        return Unreachable(server=server, reason=reason)
    return NotStored(server=server, reason=reason)
