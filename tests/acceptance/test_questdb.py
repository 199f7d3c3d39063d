"""The commands with candles in a real QuestDB, as a user runs them."""

import json
import shutil
from pathlib import Path

import polars as pl
import pytest

from chandlery.candles.evidence import Origin, Source
from chandlery.candles.interval import Interval
from chandlery.candles.series import Series
from chandlery.stores import open_store
from chandlery.stores.questdb import QuestDBStore
from tests.acceptance.commands import Commands
from tests.acceptance.survival import EXCHANGE, NOW, archive_in
from tests.candles.builders import at, candles_at
from tests.questdb_servers import PASSWORD, TestServer

#: Many commands, each in a process of its own.
pytestmark = pytest.mark.slow

MAIN = "ingest_kraken_unified"
MARKETS = ("--markets", ",".join(EXCHANGE.names[:2]))
WHAT = (*MARKETS, "--intervals", "60,720,1440")
ORIGIN = Origin(Source.TRADES)
CLOCK = {"CLOCK": NOW.isoformat()}


@pytest.fixture(scope="module")
def archived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("archived")
    archive_in(home)
    return home / "data" / "archives"


@pytest.fixture(scope="module")
def with_lake(archived: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with candles in its lake."""
    home = tmp_path_factory.mktemp("with-lake")
    done = Commands(home)(MAIN, *WHAT, "--source", archived, "--yes", **CLOCK)
    assert done.status == 0, done.err
    return home


@pytest.fixture
def moved(with_lake: Path, tmp_path: Path) -> Commands:
    """The same in a home of its own."""
    return Commands(shutil.copytree(with_lake, tmp_path / "home"))


def store_at(url: str) -> QuestDBStore:
    store = open_store(url, Path("/"))
    assert isinstance(store, QuestDBStore)
    return store


def test_a_run_into_questdb_leaves_what_a_run_into_a_lake_leaves(
    with_lake: Path, archived: Path, fresh: Commands, candle_table: str
) -> None:
    around = {**CLOCK, "CANDLE_STORE": candle_table}
    done = fresh(MAIN, *WHAT, "--source", archived, "--yes", **around)
    assert done.status == 0, done.err
    compared = fresh("compare_candles", "--with", with_lake / "data" / "candles", **around)
    assert (compared.status, compared.out.splitlines()[-1]) == (0, "Identical."), compared.out
    reported = fresh("report_completeness", *WHAT, "--json", **around)
    of_lake = Commands(with_lake)("report_completeness", *WHAT, "--json", **CLOCK)
    assert json.loads(reported.out) == json.loads(of_lake.out)
    again = fresh(MAIN, *WHAT, "--source", archived, "--incremental", "--yes", **around)
    assert again.status == 0, again.err
    audited = fresh("audit_candles", *WHAT, "--json", **around)
    assert (audited.status, json.loads(audited.out)["findings"]) == (0, []), audited.err
    secret = PASSWORD.encode()
    assert secret not in (fresh.home / "data" / "chandlery.sqlite3").read_bytes()


def test_candles_are_copied_with_what_they_were_made_from_and_back(moved: Commands, candle_table: str) -> None:
    there = store_at(candle_table).url
    copied = moved("copy_candles", "--to", candle_table, **CLOCK)
    assert copied.status == 0, copied.err
    lines = copied.out.splitlines()
    assert len(lines) == 6
    assert all(line.endswith(", copied") for line in lines)
    again = moved("copy_candles", "--to", candle_table, **CLOCK)
    assert [line.rpartition(", ")[2] for line in again.out.splitlines()] == ["there already"] * 6
    back = moved("copy_candles", "--from", candle_table, "--to", "parquet:data/back", **CLOCK)
    assert back.status == 0, back.err
    lake, returned = (open_store(f"parquet:{moved.home}/data/{name}", Path("/")) for name in ("candles", "back"))
    for series in lake.series():
        assert lake.read(series, origin=True).equals(returned.read(series, origin=True))
    assert PASSWORD not in copied.out + copied.err + again.out + back.out
    refused = moved("report_completeness", *WHAT, CANDLE_STORE=candle_table, **CLOCK)
    assert refused.status == 1
    assert refused.err.startswith(f"Error: CANDLE_STORE {there} is not the store that the state")


def test_an_interrupted_copy_goes_on_with_what_is_missing(moved: Commands, candle_table: str) -> None:
    assert moved("copy_candles", "--to", candle_table, "--markets", EXCHANGE.names[0], **CLOCK).status == 0
    rest = moved("copy_candles", "--to", candle_table, **CLOCK)
    assert rest.status == 0, rest.err
    ends = [line.rpartition(", ")[2] for line in rest.out.splitlines()]
    assert sorted(ends) == ["copied"] * 3 + ["there already"] * 3


def test_the_state_can_be_switched_to_a_copy_without_losing_what_it_knows(moved: Commands, candle_table: str) -> None:
    before = json.loads(moved("report_completeness", *WHAT, "--json", **CLOCK).out)
    copied = moved("copy_candles", "--to", candle_table, "--switch", **CLOCK)
    assert copied.status == 0, copied.err
    url = store_at(candle_table).url
    assert copied.out.splitlines()[-1] == f"The state speaks of {url} now: name it in CANDLE_STORE."
    after = moved("report_completeness", *WHAT, "--json", CANDLE_STORE=candle_table, **CLOCK)
    assert json.loads(after.out) == before
    refused = moved("report_completeness", *WHAT, **CLOCK)
    assert "is not the store that the state in the database speaks of" in refused.err
    partly = moved("copy_candles", "--to", "parquet:x", "--markets", EXCHANGE.names[0], "--switch", **CLOCK)
    assert (partly.status, "--switch is for a copy of the store" in partly.err) == (2, True)


def test_the_state_is_not_switched_to_a_store_that_holds_more(moved: Commands, candle_table: str) -> None:
    store_at(candle_table).write(Series("kraken", "ADAUSD", Interval.M1), candles_at(at("2024-03-30")), ORIGIN)
    refused = moved("copy_candles", "--to", candle_table, "--switch", **CLOCK)
    assert refused.status == 2
    assert "holds 1 series that parquet:data/candles does not, ADAUSD 1min first" in refused.err


def test_a_store_that_holds_something_better_is_no_copy(moved: Commands, candle_table: str) -> None:
    lake = open_store(f"parquet:{moved.home}/data/candles", Path("/"))
    series = next(iter(lake.series()))
    better = lake.read(series).head(1).with_columns(trades=pl.lit(10**6, pl.Int64))
    store_at(candle_table).write(series, better, ORIGIN)
    copied = moved("copy_candles", "--to", candle_table, **CLOCK)
    assert copied.status == 1
    assert copied.err.startswith(f"Error: 1 of 6 series differ after they were copied, {series} first")
    assert store_at(candle_table).read(series)["trades"][0] == 10**6


def test_a_store_that_was_emptied_is_refused_and_counted_anew(
    moved: Commands, archived: Path, candle_table: str, questdb_server: TestServer
) -> None:
    around = {**CLOCK, "CANDLE_STORE": candle_table}
    before = json.loads(moved("report_completeness", *WHAT, "--json", **CLOCK).out)
    assert moved("copy_candles", "--to", candle_table, "--switch", **CLOCK).status == 0
    store = store_at(candle_table)
    store.server.run(f"TRUNCATE TABLE {store.address.table}")
    refused = moved("report_completeness", *WHAT, **around)
    assert refused.status == 1
    assert f"CANDLE_STORE {store.url} lacks 6 of 6 series" in refused.err
    store.server.run(f"DROP TABLE {store.address.table}")
    refused = moved("report_completeness", *WHAT, **around)
    assert f"CANDLE_STORE {store.url} is empty or not there" in refused.err
    rebuilt = moved("rebuild_state", "--source", archived, **around)
    assert rebuilt.status == 0, rebuilt.err
    assert json.loads(moved("report_completeness", *WHAT, "--json", **around).out)["overall"] == before["overall"]
    foreign = moved("report_completeness", *WHAT, **{**around, "CANDLE_STORE": questdb_server.url("nobody", "wrong")})
    refusal = f"Error: QuestDB at {questdb_server.place} does not accept this user and password"
    assert foreign.err == f"{refusal}; correct them in CANDLE_STORE\n"


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["--to", "parquet:data/candles"], "--from and --to name the same store, parquet:data/candles"),
        (["--from", "parquet:data/none", "--to", "parquet:b"], "parquet:data/none holds no candles; name the store"),
        (["--markets", "ETHXBT", "--to", "parquet:b"], "parquet:data/candles holds no candles of ETHXBT"),
        (["--to", "questdb://me:secret@host/a b"], "A QuestDB store is written questdb://user:"),
    ],
)
def test_what_cannot_be_copied_is_wrong_usage(with_lake: Path, typed: list[str], said: str) -> None:
    refused = Commands(with_lake)("copy_candles", *typed, **CLOCK)
    assert (refused.status, refused.err.count("\n")) == (2, 1), refused.err
    assert said in refused.err
    assert "secret" not in refused.err
