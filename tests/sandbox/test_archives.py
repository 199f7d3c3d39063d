"""Archives on disk tell the truth, in every shape, except where they were told not to."""

import io
import json
import zipfile
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from chandlery.candles.frame import CANDLE_SCHEMA, TIMESTAMP
from chandlery.candles.interval import Interval
from chandlery.candles.timerange import TimeRange
from chandlery.sandbox.archives import WrittenArchive, write_archive
from chandlery.sandbox.defects import (
    CorruptCell,
    CorruptRow,
    CutLastRow,
    Defect,
    DefectOfNothing,
    MissingDay,
    MissingLastSlot,
    NoSuchRow,
    Revised,
    UnknownColumn,
)
from chandlery.sandbox.editions import Container, Edition, Naming, Shape, UnknownQuarter
from chandlery.sandbox.exchange import SandboxExchange, UnknownMarket
from tests.candles.builders import at, between

EXCHANGE = SandboxExchange.small()
QUARTER = between("2024-01-01", "2024-04-01")
COARSE = (Interval.M60, Interval.M1440)


def candles_in(csv: bytes) -> pl.DataFrame:
    read = pl.read_csv(io.BytesIO(csv), has_header=False, schema={**CANDLE_SCHEMA, "timestamp": pl.Int64})
    return read.with_columns((pl.col("timestamp") * 1_000_000).cast(TIMESTAMP))


def contents_of(archive: WrittenArchive) -> dict[str, bytes]:
    """Every file of an archive, by its name inside."""
    if archive.path.is_dir():
        return {file.relative_to(archive.path).as_posix(): file.read_bytes() for file in archive.files}
    with zipfile.ZipFile(io.BytesIO(b"".join(file.read_bytes() for file in archive.files))) as zipped:
        assert zipped.testzip() is None
        return {name: zipped.read(name) for name in zipped.namelist() if not name.endswith("/")}


def quarter_with(folder: Path, *defects: Defect, markets: tuple[str, ...] = ("XBTUSD",)) -> dict[str, bytes]:
    """The files of the first quarter of 2024 at 60 and 1440 minutes."""
    edition = Edition.quarterly("2024Q1", intervals=COARSE, markets=markets, defects=defects)
    return contents_of(write_archive(EXCHANGE, edition, folder))


@pytest.mark.parametrize("container", Container)
@pytest.mark.parametrize("nested", [None, "master_q4"])
def test_every_file_of_a_release_is_the_truth(tmp_path: Path, container: Container, nested: str | None) -> None:
    shape = Shape(container, nested=nested, part_bytes=100_000)
    archive = write_archive(EXCHANGE, Edition.quarterly("2024Q1"), tmp_path, shape)
    contents = contents_of(archive)
    folder = f"{nested}/" if nested else ""
    assert set(contents) == {f"{folder}{name}_{int(i)}.csv" for name in EXCHANGE.names for i in Interval}
    for name in EXCHANGE.names:
        for interval in Interval:
            found = candles_in(contents[f"{folder}{name}_{int(interval)}.csv"])
            assert_frame_equal(found, EXCHANGE.candles(name, interval, QUARTER), check_exact=True)
    assert archive.rows == sum(content.count(b"\n") for content in contents.values())


@pytest.mark.parametrize(
    ("edition", "naming", "name"),
    [
        (Edition.quarterly("2024Q1"), Naming.OLD, "Kraken_OHLCVT_Q1_2024.zip"),
        (Edition.quarterly("2024Q1"), Naming.NEW, "Kraken_OHLCVT_2024Q1.zip"),
        (Edition.complete("2024Q1"), Naming.OLD, "Kraken_OHLCVT.zip"),
        (Edition.complete("2024Q1"), Naming.NEW, "Kraken_OHLCVT_Full_2024Q1.zip"),
    ],
)
def test_archives_are_named_in_both_styles(tmp_path: Path, edition: Edition, naming: Naming, name: str) -> None:
    few = Edition(edition.start, edition.end, edition.quarter, intervals=(Interval.M1440,), markets=("ETHEUR",))
    assert write_archive(EXCHANGE, few, tmp_path, Shape(naming=naming)).path == tmp_path / name


def test_a_split_archive_is_one_zip_cut_into_pieces(tmp_path: Path) -> None:
    edition = Edition.complete("2024Q1", intervals=COARSE)
    whole = write_archive(EXCHANGE, edition, tmp_path)
    parts = write_archive(EXCHANGE, edition, tmp_path, Shape(Container.SPLIT, part_bytes=200_000))
    assert parts.path == whole.path
    assert [file.name for file in parts.files[:2]] == [f"{whole.path.name}.part00", f"{whole.path.name}.part01"]
    assert {file.stat().st_size for file in parts.files[:-1]} == {200_000}
    assert b"".join(file.read_bytes() for file in parts.files) == whole.path.read_bytes()


def test_parts_of_an_earlier_split_do_not_stay_behind(tmp_path: Path) -> None:
    edition = Edition.quarterly("2024Q1", intervals=COARSE)
    write_archive(EXCHANGE, edition, tmp_path, Shape(Container.SPLIT, part_bytes=10_000))
    second = write_archive(EXCHANGE, edition, tmp_path, Shape(Container.SPLIT, part_bytes=50_000))
    assert sorted(tmp_path.iterdir()) == sorted(second.files)


def test_the_wide_form_holds_the_same_files(tmp_path: Path) -> None:
    edition = Edition.quarterly("2024Q1", intervals=COARSE)
    narrow = contents_of(write_archive(EXCHANGE, edition, tmp_path))
    wide = write_archive(EXCHANGE, edition, tmp_path, Shape(name="wide", zip64=True))
    assert b"PK\6\6" in wide.path.read_bytes()
    assert contents_of(wide) == narrow


def test_a_complete_release_carries_each_market_from_its_first_trade(tmp_path: Path) -> None:
    contents = contents_of(write_archive(EXCHANGE, Edition.complete("2024Q2", intervals=COARSE), tmp_path))
    for name in EXCHANGE.names:
        for interval in COARSE:
            truth = EXCHANGE.candles(name, interval, between("2013-01-01", "2024-07-01"))
            assert_frame_equal(candles_in(contents[f"{name}_{int(interval)}.csv"]), truth, check_exact=True)


def test_a_market_that_did_not_trade_is_absent_from_a_release(tmp_path: Path) -> None:
    contents = contents_of(write_archive(EXCHANGE, Edition.quarterly("2024Q3", intervals=COARSE), tmp_path))
    assert set(contents) == {"XBTUSD_60.csv", "XBTUSD_1440.csv", "ETHEUR_60.csv", "ETHEUR_1440.csv"}


@pytest.mark.parametrize("container", [Container.ZIP, Container.FOLDER])
def test_a_mac_leaves_a_tree_of_its_own(tmp_path: Path, container: Container) -> None:
    edition = Edition.quarterly("2024Q1", intervals=COARSE, markets=("XBTUSD",))
    shape = Shape(container, nested="master_q4", macosx=True)
    contents = contents_of(write_archive(EXCHANGE, edition, tmp_path, shape))
    junk = {name for name in contents if name.startswith("__MACOSX/")}
    assert junk == {"__MACOSX/master_q4/._XBTUSD_60.csv", "__MACOSX/master_q4/._XBTUSD_1440.csv"}
    assert all(contents[name].startswith(b"\x00\x05\x16\x07") for name in junk)


def test_a_manifest_tells_inclusive_days_and_what_there_is(tmp_path: Path) -> None:
    edition = Edition.quarterly("2024Q1", intervals=COARSE)
    archive = write_archive(EXCHANGE, edition, tmp_path, Shape(manifest=True))
    assert json.loads(contents_of(archive)["MANIFEST.json"]) == {
        "release": "2024Q1",
        "coverage": {"start": "2024-01-01", "end": "2024-03-31"},
        "generated": "2024-05-11T10:00:00Z",
        "files": 6,
        "pairs": 3,
        "rows": archive.rows,
        "intervals": [60, 1440],
    }


def test_the_manifest_of_a_complete_release_begins_with_the_first_market(tmp_path: Path) -> None:
    archive = write_archive(
        EXCHANGE, Edition.complete("2024Q1", intervals=(Interval.M1440,)), tmp_path, Shape(manifest=True)
    )
    manifest = json.loads(contents_of(archive)["MANIFEST.json"])
    assert manifest["release"] == "Full_2024Q1"
    assert manifest["coverage"] == {"start": "2022-10-06", "end": "2024-03-31"}


def test_volumes_in_scientific_notation_are_the_same_numbers(tmp_path: Path) -> None:
    edition = Edition.quarterly("2024Q1", intervals=(Interval.M1,), markets=("ADAUSD",))
    plain = contents_of(write_archive(EXCHANGE, edition, tmp_path))["ADAUSD_1.csv"]
    scientific = contents_of(write_archive(EXCHANGE, edition, tmp_path, Shape(scientific=True)))["ADAUSD_1.csv"]
    assert b"E+" not in plain
    assert b",1E+2," in scientific
    assert_frame_equal(candles_in(scientific), candles_in(plain), check_exact=True)


def test_loose_files_of_any_days_lie_in_the_folder_itself(tmp_path: Path) -> None:
    within = between("2024-02-03", "2024-02-20")
    edition = Edition.loose(within, intervals=COARSE, markets=("XBTUSD",))
    archive = write_archive(EXCHANGE, edition, tmp_path, Shape(Container.LOOSE))
    assert sorted(tmp_path.iterdir()) == sorted(archive.files)
    found = candles_in((tmp_path / "XBTUSD_60.csv").read_bytes())
    assert_frame_equal(found, EXCHANGE.candles("XBTUSD", Interval.M60, within), check_exact=True)


def test_a_loose_file_may_end_in_the_middle_of_a_slot(tmp_path: Path) -> None:
    within = between("2024-02-03 00:30", "2024-02-20 09:25")
    edition = Edition.loose(within, intervals=(Interval.M60,), markets=("XBTUSD",))
    write_archive(EXCHANGE, edition, tmp_path, Shape(Container.LOOSE))
    found = candles_in((tmp_path / "XBTUSD_60.csv").read_bytes())
    truth = EXCHANGE.candles("XBTUSD", Interval.M60, within)
    assert_frame_equal(found[:-1], truth[:-1], check_exact=True)
    so_far = EXCHANGE.trades("XBTUSD", between("2024-02-20 09:00", "2024-02-20 09:25"))
    assert found["trades"][-1] == so_far.height < truth["trades"][-1]
    assert found["close"][-1] == so_far["price"][-1]


def test_a_day_can_be_missing_at_one_interval(tmp_path: Path) -> None:
    contents = quarter_with(tmp_path, MissingDay(date(2024, 3, 31), "XBTUSD", Interval.M1440))
    assert candles_in(contents["XBTUSD_1440.csv"])["timestamp"].max() == at("2024-03-30")
    assert candles_in(contents["XBTUSD_60.csv"])["timestamp"].max() == at("2024-03-31 23:00")


def test_a_day_can_be_missing_at_all_intervals(tmp_path: Path) -> None:
    contents = quarter_with(tmp_path, MissingDay(date(2024, 2, 1)))
    for interval in COARSE:
        truth = EXCHANGE.candles("XBTUSD", interval, QUARTER)
        left = truth.filter(pl.col("timestamp").dt.date() != date(2024, 2, 1))
        assert left.height < truth.height
        assert_frame_equal(candles_in(contents[f"XBTUSD_{int(interval)}.csv"]), left, check_exact=True)


@pytest.mark.parametrize("complete", [False, True])
def test_a_missing_day_of_one_market_is_missing_at_each_of_the_eight_intervals(tmp_path: Path, complete: bool) -> None:
    gone = MissingDay(date(2024, 2, 20), "XBTUSD")
    release = Edition.complete if complete else Edition.quarterly
    within = between("2022-01-01", "2024-04-01") if complete else QUARTER
    contents = contents_of(write_archive(EXCHANGE, release("2024Q1", defects=(gone,)), tmp_path))
    for name in EXCHANGE.names:
        for interval in Interval:
            expected = EXCHANGE.candles(name, interval, within)
            if name == gone.market:
                day = pl.col("timestamp").dt.date() == gone.day
                assert expected.filter(day).height > 0
                expected = expected.filter(~day)
            assert_frame_equal(candles_in(contents[f"{name}_{int(interval)}.csv"]), expected, check_exact=True)


def test_the_last_slot_of_a_quarter_can_be_missing(tmp_path: Path) -> None:
    contents = quarter_with(tmp_path, MissingLastSlot(interval=Interval.M60))
    truth = EXCHANGE.candles("XBTUSD", Interval.M60, QUARTER)
    assert truth["timestamp"][-1] == at("2024-03-31 23:00")
    assert_frame_equal(candles_in(contents["XBTUSD_60.csv"]), truth[:-1], check_exact=True)
    assert candles_in(contents["XBTUSD_1440.csv"])["timestamp"].max() == at("2024-03-31")


def test_a_last_row_can_be_cut_off(tmp_path: Path) -> None:
    sound = quarter_with(tmp_path / "sound")
    cut = quarter_with(tmp_path / "cut", CutLastRow("XBTUSD", Interval.M60))
    *rows, last = sound["XBTUSD_60.csv"].splitlines(keepends=True)
    *found, rest = cut["XBTUSD_60.csv"].splitlines(keepends=True)
    assert found == rows
    assert last.startswith(rest)
    assert 0 < len(rest) < len(last) - 1
    assert cut["XBTUSD_1440.csv"] == sound["XBTUSD_1440.csv"]


@pytest.mark.parametrize("row", [1, 700, 2179])
def test_a_cell_can_be_corrupted_at_a_given_row(tmp_path: Path, row: int) -> None:
    sound = quarter_with(tmp_path / "sound")["XBTUSD_60.csv"].splitlines()
    defect = CorruptCell(row, "open", "4x2", "XBTUSD", Interval.M60)
    broken = quarter_with(tmp_path / "broken", defect)["XBTUSD_60.csv"].splitlines()
    assert [i + 1 for i, (a, b) in enumerate(zip(sound, broken, strict=True)) if a != b] == [row]
    assert broken[row - 1].split(b",")[1] == b"4x2"


def test_a_row_can_be_replaced_beyond_the_first_block(tmp_path: Path) -> None:
    edition = Edition.complete(
        "2024Q1", intervals=(Interval.M60,), markets=("XBTUSD",), defects=(CorruptRow(12_000, ""),)
    )
    rows = contents_of(write_archive(EXCHANGE, edition, tmp_path))["XBTUSD_60.csv"].splitlines()
    assert [i + 1 for i, row in enumerate(rows) if not row] == [12_000]


def test_a_revised_release_tells_the_revised_truth(tmp_path: Path) -> None:
    days = between("2024-03-01", "2024-03-03")
    contents = quarter_with(tmp_path, Revised(days))
    revised = EXCHANGE.revised(days)
    for interval in COARSE:
        found = candles_in(contents[f"XBTUSD_{int(interval)}.csv"])
        assert_frame_equal(found, revised.candles("XBTUSD", interval, QUARTER), check_exact=True)
        assert not found.equals(EXCHANGE.candles("XBTUSD", interval, QUARTER))


def test_a_defect_of_what_the_archive_does_not_hold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DefectOfNothing, match="no interval 5, so a CutLastRow"):
        quarter_with(tmp_path, CutLastRow(interval=Interval.M5))
    with pytest.raises(DefectOfNothing, match="no market ETHEUR"):
        quarter_with(tmp_path, Revised(QUARTER, "ETHEUR"))
    with pytest.raises(NoSuchRow, match=r"XBTUSD_1440\.csv has 91 rows; its row 92"):
        quarter_with(tmp_path, CorruptRow(92, "", interval=Interval.M1440))
    with pytest.raises(UnknownColumn, match="no column 'vwap'"):
        CorruptCell(1, "vwap", "")


def test_an_unknown_market_or_quarter_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownMarket, match="'FOOUSD'"):
        quarter_with(tmp_path, markets=("FOOUSD",))
    with pytest.raises(UnknownQuarter, match="'2024Q5' is no quarter"):
        Edition.quarterly("2024Q5")


def test_the_same_edition_written_twice_is_the_same_bytes(tmp_path: Path) -> None:
    edition = Edition.quarterly("2024Q1", intervals=COARSE)
    first = write_archive(EXCHANGE, edition, tmp_path / "a").path.read_bytes()
    assert write_archive(EXCHANGE, edition, tmp_path / "b").path.read_bytes() == first


def test_two_quarters_of_three_markets_are_covered_by_adjoining_releases(tmp_path: Path) -> None:
    quarters = [write_archive(EXCHANGE, Edition.quarterly(q, intervals=COARSE), tmp_path) for q in ("2024Q1", "2024Q2")]
    joined = pl.concat(candles_in(contents_of(quarter)["ADAUSD_60.csv"]) for quarter in quarters)
    half = TimeRange(QUARTER.start, QUARTER.end + timedelta(days=91))
    assert_frame_equal(joined, EXCHANGE.candles("ADAUSD", Interval.M60, half), check_exact=True)
