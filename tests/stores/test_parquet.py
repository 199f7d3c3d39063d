"""The Parquet lake, beyond what every store must do."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest

from chandlery.candles.frame import CANDLE_SCHEMA
from chandlery.candles.interval import Interval
from chandlery.candles.series import Series
from chandlery.errors import UsageError
from chandlery.stores import NoFolder, UnknownStore, open_store
from chandlery.stores.parquet import DamagedIdentity, NotAFolder, ParquetLake, UnknownFormat, UnsafeName
from chandlery.stores.parquet_writer import UnwritableLake
from tests.candles.builders import at, between, candles_at, every
from tests.conftest import CHECKOUT
from tests.stores.contract import CHEAP, HOURLY, AgainstModel, StoreContract
from tests.stores.lakes import files_of, staged_in
from tests.stores.turns import API, CUT_OFF, LIVE, NEW, OLD
from tests.stores.writers import three_years

MINUTES = Series("kraken", "XBTUSD", Interval.M1)
FOLDER = "exchange=kraken/market=XBTUSD/interval=60"


class TestParquetLake(StoreContract, AgainstModel):
    @pytest.fixture
    def store(self, lake: ParquetLake) -> ParquetLake:
        return lake


def in_duckdb(query: str) -> list[Any]:
    with duckdb.connect() as connection:
        return connection.execute(query).fetchall()


def lake_of_several_series(lake: ParquetLake) -> ParquetLake:
    """Two markets, three intervals, five files, several origins."""
    lake.create()
    lake.write(MINUTES, candles_at(*every(Interval.M1, "2024-02-29 23:00", 120)), OLD)
    lake.write(HOURLY, candles_at(*every(Interval.M60, "2023-12-31", 48)), OLD)
    lake.write(HOURLY, candles_at(*every(Interval.M60, "2024-01-01 12:00", 24)), NEW)
    lake.write(HOURLY, candles_at(at("2024-01-02 12:00")), CUT_OFF)
    lake.write(
        Series("kraken", "1INCHUSD", Interval.M1440), candles_at(*every(Interval.M1440, "2015-01-01", 5000)), API
    )
    return lake


# ------------------------------------------------------------------------------------------------------- the files


def test_files_are_named_for_exchange_market_interval_and_time(lake: ParquetLake) -> None:
    lake_of_several_series(lake)
    assert files_of(lake) == [
        "exchange=kraken/market=1INCHUSD/interval=1440/all.parquet",
        "exchange=kraken/market=XBTUSD/interval=1/2024-02.parquet",
        "exchange=kraken/market=XBTUSD/interval=1/2024-03.parquet",
        "exchange=kraken/market=XBTUSD/interval=60/2023.parquet",
        "exchange=kraken/market=XBTUSD/interval=60/2024.parquet",
    ]


def test_a_file_is_compressed_sorted_and_has_statistics_and_plain_types(lake: ParquetLake) -> None:
    lake_of_several_series(lake)
    for name in files_of(lake):
        metadata = pq.read_metadata(lake.root / name)
        assert metadata.num_row_groups == 1
        group = metadata.row_group(0)
        assert [column.column_index for column in group.sorting_columns] == [0]
        columns = {group.column(i).path_in_schema: group.column(i) for i in range(group.num_columns)}
        assert list(columns) == [*CANDLE_SCHEMA, "source", "derived", "provisional", "release"]
        assert {column.compression for column in columns.values()} == {"ZSTD"}
        assert all(column.is_stats_set and column.statistics.has_min_max for column in columns.values())
        assert columns["source"].has_dictionary_page
        assert columns["release"].has_dictionary_page
        widely_read = {"PLAIN", "RLE", "RLE_DICTIONARY", "PLAIN_DICTIONARY", "DELTA_BINARY_PACKED"}
        assert {encoding for column in columns.values() for encoding in column.encodings} <= widely_read
        schema = pq.read_schema(lake.root / name)
        assert schema.field("timestamp").type == pa.timestamp("us", "UTC")
        assert (schema.field("volume").type, schema.field("trades").type) == (pa.float64(), pa.int64())
        assert (schema.field("source").type, schema.field("derived").type) == (pa.string(), pa.bool_())


def test_duckdb_reads_the_whole_lake_and_sees_each_slot_once(lake: ParquetLake) -> None:
    lake_of_several_series(lake)
    glob = str(lake.root / "**/*.parquet")
    counts = "count(*), count(DISTINCT timestamp), epoch(min(timestamp))::BIGINT, sum(trades)::BIGINT"
    lakes = f"read_parquet('{glob}', hive_partitioning = true)"
    rows = in_duckdb(f"SELECT exchange, market, interval, {counts} FROM {lakes} GROUP BY ALL ORDER BY ALL")
    assert rows == [
        ("kraken", "1INCHUSD", 1440, 5000, 5000, at("2015-01-01").timestamp(), 15000),
        ("kraken", "XBTUSD", 1, 120, 120, at("2024-02-29 23:00").timestamp(), 360),
        ("kraken", "XBTUSD", 60, 61, 61, at("2023-12-31").timestamp(), 183),
    ]


def test_polars_reads_the_whole_lake_as_the_store_does(lake: ParquetLake) -> None:
    lake_of_several_series(lake)
    scanned = pl.scan_parquet(lake.root / "**/*.parquet", hive_partitioning=True)
    for series in lake.series():
        of_series = (pl.col("market") == series.market) & (pl.col("interval") == int(series.interval))
        assert (
            scanned.filter(of_series)
            .sort("timestamp")
            .drop("exchange", "market", "interval")
            .collect()
            .equals(lake.read(series, origin=True))
        )


def test_arrow_reads_an_exchange_as_a_folder(lake: ParquetLake) -> None:
    lake_of_several_series(lake)
    found = pyarrow.dataset.dataset(lake.root / "exchange=kraken", format="parquet", partitioning="hive")
    assert found.count_rows() == 5000 + 120 + 61


def test_readers_find_no_file_that_is_being_written(lake: ParquetLake) -> None:
    lake.write(HOURLY, candles_at(at("2021-01-01")), OLD)
    with lake.writer(HOURLY) as writer:
        writer.append(three_years(), OLD)
        assert staged_in(lake)
        assert files_of(lake) == [f"{FOLDER}/2021.parquet"]
        assert in_duckdb(f"SELECT count(*) FROM '{lake.root}/**/*.parquet'") == [(1,)]
        assert pl.scan_parquet(lake.root / "**/*.parquet").select(pl.len()).collect().item() == 1


# ------------------------------------------------------------------------------------------------------- the lake


@pytest.mark.parametrize(
    "name", ["../XBT", "XBT/USD", "", ".hidden", "a=b", "XBT USD", "a\x00b", "..", "x" * 101, "a\n"]
)
def test_a_name_that_is_no_safe_folder_is_refused(lake: ParquetLake, name: str) -> None:
    for series in (Series("kraken", name, Interval.M60), Series(name, "XBTUSD", Interval.M60)):
        with pytest.raises(UnsafeName):
            lake.write(series, CHEAP, OLD)
        with pytest.raises(UnsafeName):
            lake.read(series)


def test_the_identity_is_kept_in_a_file(lake: ParquetLake) -> None:
    identity = lake.create()
    assert json.loads((lake.root / "_lake.json").read_text()) == {"id": identity, "format": 1}
    assert ParquetLake(lake.root).identity() == identity
    shutil.rmtree(lake.root)
    assert lake.identity() is None
    assert lake.create() != identity


def test_a_lake_of_a_later_format_is_refused(lake: ParquetLake) -> None:
    lake.root.mkdir()
    (lake.root / "_lake.json").write_text('{"id": "abc", "format": 2}')
    for ask in (lake.identity, lake.create):
        with pytest.raises(UnknownFormat, match=r"lake\.json is of format 2; this version reads format 1"):
            ask()


@pytest.mark.parametrize("content", ["", "[]", '{"format": 1}', "\x00"])
def test_an_identity_that_cannot_be_read_is_refused(lake: ParquetLake, content: str) -> None:
    lake.root.mkdir()
    (lake.root / "_lake.json").write_text(content)
    with pytest.raises(DamagedIdentity, match=r"lake\.json does not say which lake this is"):
        lake.identity()


def test_a_lake_is_a_folder(tmp_path: Path) -> None:
    file = tmp_path / "candles.csv"
    file.write_text("")
    with pytest.raises(NotAFolder, match=r"candles\.csv is no folder"):
        ParquetLake(file).create()
    with pytest.raises(UnwritableLake):
        ParquetLake(file / "below").create()


def test_the_size_of_a_series_is_what_its_files_take(lake: ParquetLake) -> None:
    lake.write(HOURLY, three_years(), OLD)
    assert lake.size_bytes(HOURLY) == sum((lake.root / name).stat().st_size for name in files_of(lake)) > 1000
    assert lake.size_bytes(MINUTES) == 0


def test_a_store_is_opened_by_its_url_and_nothing_is_made(tmp_path: Path) -> None:
    relative, absolute = (
        open_store("parquet:data/candles", tmp_path),
        open_store(f"parquet:{tmp_path}/data/candles", Path("/")),
    )
    assert isinstance(relative, ParquetLake)
    assert isinstance(absolute, ParquetLake)
    assert relative.root == absolute.root == tmp_path / "data" / "candles"
    assert relative.url == "parquet:data/candles"
    assert relative.identity() is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["duckdb:data", "influxdb://me:secret@host:9000", "data/candles", "", "Parquet:x"])
def test_an_unknown_kind_of_store_is_wrong_usage(tmp_path: Path, url: str) -> None:
    with pytest.raises(UnknownStore, match="A candle store is written parquet:FOLDER") as raised:
        open_store(url, tmp_path)
    assert isinstance(raised.value, UsageError)
    assert "secret" not in str(raised.value)


def test_a_store_without_a_folder_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(NoFolder):
        open_store("parquet:", tmp_path)


# ------------------------------------------------------------------------------------------------------ real files


def test_a_real_file_comes_back_row_by_row(lake: ParquetLake, shared_data: Path) -> None:
    candles = pl.read_csv(
        shared_data / "kraken" / "XBTUSD_60.csv", has_header=False, new_columns=list(CANDLE_SCHEMA)
    ).with_columns(pl.from_epoch("timestamp", "s").dt.cast_time_unit("us").dt.replace_time_zone("UTC"))
    candles = candles.cast(pl.Schema(CANDLE_SCHEMA))
    with lake.writer(HOURLY) as writer:
        for block in candles.head(-1).iter_slices(9_999):
            writer.append(block, OLD)
        writer.append(candles.tail(1), CUT_OFF)
        assert writer.commit().inserted == 70_253
    assert lake.read(HOURLY).equals(candles)
    assert lake.span(HOURLY) == between("2013-10-06 21:00", "2023-01-07 10:00")
    assert lake.write(HOURLY, candles.tail(1).with_columns(trades=pl.lit(10**6, pl.Int64)), LIVE).replaced == 1
    assert [name.rsplit("/")[-1] for name in files_of(lake)] == [f"{year}.parquet" for year in range(2013, 2024)]


PANDAS_UNASKED = """
import sys
from pathlib import Path
from chandlery.stores.parquet import ParquetLake
from tests.stores.contract import CHEAP, HOURLY
from tests.stores.turns import OLD
lake = ParquetLake(Path(sys.argv[1]))
lake.create()
lake.write(HOURLY, CHEAP, OLD)
print(lake.read(HOURLY).height, lake.count(HOURLY), lake.span(HOURLY) is None, "pandas" in sys.modules)
"""


def test_pandas_is_not_loaded_where_it_happens_to_be_installed(tmp_path: Path) -> None:
    """It takes a command a quarter of a second, and pyarrow's conversions load it unasked."""
    alone = [sys.executable, "-c", PANDAS_UNASKED, str(tmp_path / "lake")]
    told = subprocess.run(alone, cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout.split()
    assert told == [str(CHEAP.height), str(CHEAP.height), "False", "False"]
