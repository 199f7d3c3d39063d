"""QuestDB, beyond what every store must do: on a real server."""

import multiprocessing
from contextlib import AbstractContextManager
from pathlib import Path

import polars as pl
import pytest

from chandlery.candles.frame import empty_candles
from chandlery.candles.interval import Interval
from chandlery.candles.series import Series
from chandlery.candles.timerange import TimeRange
from chandlery.stores import open_store, spool
from chandlery.stores.base import StoreUnavailable
from chandlery.stores.questdb import NotOurTable, QuestDBStore
from chandlery.stores.questdb_address import Address
from chandlery.stores.questdb_locks import series_lock
from chandlery.stores.questdb_sender import FLUSH_ROWS, NotStored
from chandlery.stores.questdb_server import Unreachable, WrongCredentials
from chandlery.stores.questdb_table import COLUMNS, UnsafeName, create_identity, create_table
from chandlery.stores.questdb_wal import LostTable, NoLog, TableSuspended
from chandlery.stores.stored import STORED_SCHEMA
from tests.candles.builders import between, candles_at, every
from tests.questdb_servers import PASSWORD, TestServer
from tests.stores.contract import CHEAP, DEAR, HOURLY, AgainstModel, StoreContract, opening
from tests.stores.turns import API, CUT_OFF, LIVE, NEW, OLD, TRADES
from tests.stores.writers import write_hours_through

MINUTES = Series("kraken", "XBTUSD", Interval.M1)


def opened(url: str) -> QuestDBStore:
    store = open_store(url, Path("/"))
    assert isinstance(store, QuestDBStore)
    return store


@pytest.fixture
def questdb(candle_table: str) -> QuestDBStore:
    return opened(candle_table)


class TestQuestDB(StoreContract):
    @pytest.fixture
    def store(self, questdb: QuestDBStore) -> QuestDBStore:
        return questdb


@pytest.mark.slow
class TestQuestDBAgainstModel(AgainstModel):
    @pytest.fixture
    def store(self, questdb: QuestDBStore) -> QuestDBStore:
        return questdb


# ------------------------------------------------------------------------------------------------------ the table


def test_every_stored_column_has_its_place_in_the_table() -> None:
    assert set(STORED_SCHEMA) < set(COLUMNS)


def test_the_table_is_typed_and_knows_each_slot_once(questdb: QuestDBStore) -> None:
    questdb.create()
    table = questdb.address.table
    shown = questdb.server.rows(f"SHOW CREATE TABLE {table}")[0][0]
    assert "PARTITION BY YEAR" in shown
    assert "DEDUP UPSERT KEYS(timestamp,exchange,market,interval)" in shown
    assert "market SYMBOL" in shown
    assert "trades LONG" in shown


def test_a_removed_candle_is_a_marked_row_without_prices(questdb: QuestDBStore) -> None:
    questdb.write(HOURLY, CHEAP, OLD)
    with questdb.writer(HOURLY) as writer:
        writer.clear(between("2024-03-31", "2024-04-01"))
        writer.commit()
    row = questdb.server.rows(f"SELECT open, volume, removed FROM {questdb.address.table}")
    assert row == [[None, None, True]]
    questdb.write(HOURLY, DEAR, LIVE)
    assert opening(questdb) == [200.0]


def test_a_table_of_an_earlier_version_is_given_what_it_lacks(questdb: QuestDBStore) -> None:
    older = create_table(questdb.address.table).replace(", removed BOOLEAN", "")
    assert "removed" not in older
    questdb.server.run(older)
    questdb.create()
    questdb.write(HOURLY, CHEAP, CUT_OFF)
    assert opening(questdb) == [100.0]


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ("timestamp TIMESTAMP, price DOUBLE", "column exchange is missing"),
        (
            "timestamp TIMESTAMP, exchange VARCHAR, market SYMBOL, interval SHORT",
            "column exchange is VARCHAR, not SYMBOL",
        ),
        (
            "timestamp TIMESTAMP, exchange SYMBOL, market SYMBOL, interval SHORT",
            "it is not deduplicated by timestamp, exchange, market, interval",
        ),
    ],
)
def test_a_table_of_somebody_else_is_left_alone(questdb: QuestDBStore, columns: str, reason: str) -> None:
    table = questdb.address.table
    questdb.server.run(f"CREATE TABLE {table} ({columns}) TIMESTAMP(timestamp) PARTITION BY DAY WAL")
    assert questdb.identity() is None
    with pytest.raises(NotOurTable, match=reason):
        questdb.write(HOURLY, CHEAP, OLD)
    assert questdb.server.rows(f"SELECT count() FROM {table}") == [[0]]


def test_two_tables_of_a_server_are_two_stores(questdb_server: TestServer, questdb: QuestDBStore) -> None:
    other = opened(questdb_server.url(f"{questdb.address.table}_b"))
    assert questdb.create() != other.create()
    questdb.write(HOURLY, CHEAP, OLD)
    assert (other.count(HOURLY), list(other.series())) == (0, [])


def test_capitals_make_no_other_table(questdb_server: TestServer, questdb: QuestDBStore) -> None:
    """Names of tables are the same to QuestDB, however they are spelt."""
    questdb.write(HOURLY, CHEAP, OLD)
    other = opened(questdb_server.url(questdb.address.table.upper()))
    assert other.address == questdb.address
    assert (other.identity(), list(other.series())) == (questdb.identity(), [HOURLY])
    assert other.write(HOURLY, DEAR, NEW).replaced == 1
    assert opening(questdb) == [200.0]


def test_a_table_that_was_made_with_capitals_is_written_to(questdb: QuestDBStore) -> None:
    questdb.server.run(create_table(questdb.address.table.upper()))
    assert questdb.write(HOURLY, CHEAP, OLD).inserted == 1
    assert (opening(questdb), list(questdb.series())) == ([100.0], [HOURLY])


def test_a_truncated_table_holds_no_series(questdb: QuestDBStore) -> None:
    questdb.write(HOURLY, CHEAP, OLD)
    assert list(questdb.series()) == [HOURLY]
    questdb.server.run(f"TRUNCATE TABLE {questdb.address.table}")
    assert list(questdb.series()) == []


@pytest.mark.parametrize(
    "name", ["X' OR '1'='1", 'X"USD', "X;DROP TABLE candles", "", "X\\", "X\nUSD", "-X", "Ⅹ", "X USD", "x" * 101]
)
def test_a_hostile_name_never_becomes_part_of_a_statement(questdb: QuestDBStore, name: str) -> None:
    for series in (Series("kraken", name, Interval.M60), Series(name, "XBTUSD", Interval.M60)):
        with pytest.raises(UnsafeName):
            questdb.count(series)
        with pytest.raises(UnsafeName):
            questdb.write(series, CHEAP, OLD)
    assert list(questdb.series()) == []


# ------------------------------------------------------------------------------------------------ large writes


def test_more_than_a_flush_and_more_than_memory_comes_back_row_by_row(
    questdb: QuestDBStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "MOST_IN_MEMORY", 50_000)
    opens = every(Interval.M1, "2023-10-01", 2 * FLUSH_ROWS + 17)
    candles = candles_at(*opens).with_columns(volume=pl.int_range(pl.len()) / 7, trades=pl.int_range(pl.len()))
    with questdb.writer(MINUTES) as writer:
        for part in candles.iter_slices(33_333):
            writer.append(part, OLD)
        assert writer.commit().inserted == candles.height
    assert questdb.read(MINUTES).equals(candles)
    again = questdb.write(MINUTES, candles, OLD)
    assert (again.unchanged, again.inserted, again.replaced) == (candles.height, 0, 0)


def test_two_processes_that_write_one_series_lose_nothing(candle_table: str) -> None:
    """A weaker and a stronger answer for the same slots, again and again: the stronger one stands."""
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(2)
    opened(candle_table).create()
    writers = [
        context.Process(target=write_hours_through, args=(candle_table, origin, price, start))
        for origin, price in ((TRADES, 100.0), (API, 200.0))
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(120)
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert set(opening(opened(candle_table))) == {100.0}


# ------------------------------------------------------------------------------------------------- what goes wrong


def test_a_wrong_password_is_one_line_without_it(questdb_server: TestServer) -> None:
    store = opened(questdb_server.url("x", password="guessed-it"))
    with pytest.raises(WrongCredentials) as raised:
        store.identity()
    assert str(raised.value) == (
        f"QuestDB at {questdb_server.place} does not accept this user and password; correct them in CANDLE_STORE"
    )
    assert "guessed" not in repr(store.address) + store.url + repr(raised.value)
    assert PASSWORD not in repr(opened(questdb_server.url("x")).address)


def test_nobody_there_is_one_line() -> None:
    store = opened("questdb://127.0.0.1:9/candles")
    for look in (store.identity, lambda: store.write(HOURLY, CHEAP, OLD)):
        with pytest.raises(Unreachable, match=r"^QuestDB at 127\.0\.0\.1:9 cannot be reached: .*refused"):
            look()


def test_a_suspended_table_is_told_with_what_to_do(questdb: QuestDBStore) -> None:
    questdb.write(HOURLY, CHEAP, OLD)
    table = questdb.address.table
    questdb.server.run(f"ALTER TABLE {table} SUSPEND WAL WITH 28, 'no space left on device'")
    with pytest.raises(TableSuspended, match=rf"DISK.FULL.*then run there: ALTER TABLE {table} RESUME WAL"):
        questdb.write(HOURLY, DEAR, NEW)
    with pytest.raises(StoreUnavailable):
        questdb.identity()
    questdb.server.run(f"ALTER TABLE {table} RESUME WAL")
    assert questdb.write(HOURLY, DEAR, NEW).replaced == 1


def test_a_table_that_is_dropped_under_a_writer_is_told(questdb: QuestDBStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server goes on acknowledging rows over a connection that outlived its table."""
    questdb.write(HOURLY, CHEAP, OLD)
    read = QuestDBStore.read

    def read_and_drop(self: QuestDBStore, series: Series, within: TimeRange, *, origin: bool) -> pl.DataFrame:
        rows = read(self, series, within, origin=origin)
        self.server.run(f"DROP TABLE {self.address.table}")
        self.server.run(create_table(self.address.table))
        return rows

    monkeypatch.setattr(QuestDBStore, "read", read_and_drop)
    with pytest.raises(LostTable):
        questdb.write(HOURLY, DEAR, NEW)


def test_a_table_that_is_dropped_before_it_is_read_is_told(
    questdb: QuestDBStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    questdb.write(HOURLY, CHEAP, OLD)

    def drop_and_lock(address: Address, series: Series) -> AbstractContextManager[object]:
        questdb.server.run(f"DROP TABLE {address.table}")
        return series_lock(address, series)

    monkeypatch.setattr("chandlery.stores.questdb_writer.series_lock", drop_and_lock)
    with pytest.raises(LostTable):
        questdb.write(HOURLY, DEAR, NEW)


def test_a_table_without_a_log_is_told(questdb: QuestDBStore) -> None:
    """Somebody has taken it away: nothing would say then what is applied."""
    table = questdb.address.table
    questdb.server.run(
        create_table(table).replace("WAL DEDUP UPSERT KEYS(timestamp, exchange, market, interval)", "BYPASS WAL")
    )
    questdb.server.run(create_identity(table, "0" * 32))
    with pytest.raises(NoLog, match=rf"run there: ALTER TABLE {table} SET TYPE WAL"):
        questdb.write(HOURLY, CHEAP, OLD)
    with questdb.writer(HOURLY) as writer:
        writer.clear(between("2024-03-31", "2024-04-01"))
        with pytest.raises(NoLog):
            writer.commit()
    for look in (questdb.identity, questdb.series):
        with pytest.raises(NoLog):
            look()


def test_rows_that_the_server_cannot_take_are_told(questdb: QuestDBStore) -> None:
    questdb.create()
    questdb.server.run(f"ALTER TABLE {questdb.address.table} DROP COLUMN high")
    questdb.server.run(f"ALTER TABLE {questdb.address.table} ADD COLUMN high BOOLEAN")
    with pytest.raises(NotStored, match="did not store what was sent: .*high"):
        questdb.write(HOURLY, CHEAP, OLD)


def test_a_write_of_nothing_makes_no_table(questdb: QuestDBStore) -> None:
    with questdb.writer(HOURLY) as writer:
        writer.clear(between("2024-03-31", "2024-04-01"))
        writer.append(empty_candles(), OLD)
        assert writer.commit().removed == 0
    assert questdb.identity() is None
