"""What the Parquet lake touches, and what happens to it when things go wrong."""

import multiprocessing
import os
import pickle
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import polars as pl
import pytest

from chandlery.candles.evidence import Origin, Source
from chandlery.candles.frame import empty_candles
from chandlery.candles.interval import Interval
from chandlery.candles.series import Series
from chandlery.stores import parquet, parquet_writer
from chandlery.stores.base import Written
from chandlery.stores.parquet import ParquetLake
from chandlery.stores.parquet_file import GoneFile, UnreadableFile
from chandlery.stores.parquet_writer import UnwritableLake
from tests.candles.builders import at, between, candles_at, every
from tests.stores.contract import CHEAP, DEAR, HOURLY, NOON, days_of, write_all
from tests.stores.lakes import files_of, fingerprints, staged_in
from tests.stores.turns import API, NEW, OLD, TRADES
from tests.stores.writers import ROUNDS, die_between_two_renames, three_years, write_every_second_hour

FOLDER = "exchange=kraken/market=XBTUSD/interval=60"


class Killed(BaseException):
    """As if the process had died here."""


def test_a_file_without_change_is_not_touched(lake: ParquetLake) -> None:
    candles = candles_at(*every(Interval.M60, "2021-06-01", 20_000))
    lake.write(HOURLY, candles, NEW)
    before = fingerprints(lake)
    lake.write(HOURLY, candles, NEW)
    lake.write(HOURLY, candles.with_columns(close=pl.col("open")), OLD)
    assert fingerprints(lake) == before


def test_only_files_with_a_change_are_rewritten(lake: ParquetLake) -> None:
    candles = candles_at(*every(Interval.M60, "2021-06-01", 20_000))
    lake.write(HOURLY, candles, NEW)
    before = fingerprints(lake)
    lake.write(
        HOURLY,
        candles.with_columns(open=pl.when(pl.col("timestamp").dt.year() == 2022).then(99.0).otherwise("open")),
        API,
    )
    assert fingerprints(lake) == before
    trades = candles.filter(pl.col("timestamp") == at("2022-02-02")).with_columns(open=pl.lit(99.0))
    lake.write(HOURLY, trades, Origin(Source.TRADES))
    changed = {name for name, print_ in fingerprints(lake).items() if print_ != before[name]}
    assert changed == {f"{FOLDER}/2022.parquet"}
    assert lake.read(HOURLY).height == candles.height


def test_a_file_of_which_nothing_is_removed_is_not_touched(lake: ParquetLake) -> None:
    lake.write(HOURLY, three_years(), TRADES)
    before = fingerprints(lake)
    in_2022 = three_years().filter(pl.col("timestamp").dt.year() == 2022)
    write_all(lake, HOURLY, in_2022, TRADES, between("2022-01-01", "2023-01-01"), between("2015-01-01", "2020-01-01"))
    assert fingerprints(lake) == before
    write_all(lake, HOURLY, in_2022.clear(), TRADES, between("2022-02-02", "2022-02-03"))
    changed = {name for name, print_ in fingerprints(lake).items() if print_ != before[name]}
    assert changed == {f"{FOLDER}/2022.parquet"}


def test_a_file_in_which_nothing_is_left_is_gone_for_good_once_the_commit_is(
    lake: ParquetLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.write(HOURLY, three_years(), OLD)
    seen: list[list[str]] = []
    monkeypatch.setattr(parquet_writer, "sync_folder", lambda folder: seen.append(files_of(lake)))
    written = write_all(lake, HOURLY, empty_candles(), TRADES, between("2022-01-01", "2023-01-01"))
    left = [f"{FOLDER}/2021.parquet", f"{FOLDER}/2023.parquet"]
    assert (written.removed, written.first_removed) == (365 * 24, at("2022-01-01"))
    assert files_of(lake) == left
    assert seen == [left]
    assert not lake.count(HOURLY, between("2022-01-01", "2023-01-01"))
    assert staged_in(lake) == []
    write_all(lake, HOURLY, empty_candles(), TRADES, between("2022-01-01", "2023-01-01"))
    assert seen == [left, left], "whoever removed it may have died before it was sure to stay away"


def test_clearing_a_lake_that_is_not_there_makes_none(lake: ParquetLake) -> None:
    written = write_all(lake, HOURLY, empty_candles(), TRADES, between("2023-12-31", "2024-01-02"))
    assert [piece.counts.tolist() for piece in written.days] == [[0], [0]]
    assert not lake.root.exists()


@pytest.mark.parametrize("survives", [0, 1, 2])
def test_a_clear_that_died_between_two_files_is_completed_by_repeating_it(
    lake: ParquetLake, monkeypatch: pytest.MonkeyPatch, survives: int
) -> None:
    stored = three_years().with_columns(open=pl.lit(99.0))
    lake.write(HOURLY, stored, OLD)
    walked = three_years().filter(pl.col("timestamp").dt.year() != 2022).gather_every(3)

    def clear() -> Written:
        return write_all(lake, HOURLY, walked, TRADES, between("2021-01-01", "2024-01-01"))

    years = [between(f"{year}-01-01", f"{year + 1}-01-01") for year in (2021, 2022, 2023)]
    after = [walked.filter(pl.col("timestamp").is_between(year.start, year.end, "left")) for year in years]
    before = [lake.read(HOURLY, year) for year in years]
    with monkeypatch.context() as patch:
        left = iter([None] * survives)

        def dies(path: Path, done: Callable[..., object], *arguments: Path) -> None:
            if path.suffix == ".parquet" and next(left, Killed) is Killed:
                raise Killed
            done(*arguments)

        replace, unlink = os.replace, Path.unlink
        patch.setattr(os, "replace", lambda source, target: dies(target, replace, source, target))
        patch.setattr(Path, "unlink", lambda path: dies(path, unlink, path))
        with pytest.raises(Killed):
            clear()
    for year, expected in zip(years, after[:survives] + before[survives:], strict=True):
        assert lake.read(HOURLY, year).equals(expected)
    again = clear()
    assert lake.read(HOURLY).equals(walked)
    told = {day: n for piece in again.days for day, n in days_of(piece).items()}
    assert told == days_of(lake.day_counts(HOURLY))
    assert sum(len(piece.counts) for piece in again.days) == (years[2].end - years[0].start).days
    assert staged_in(lake) == []


def test_a_reader_that_had_listed_a_file_which_is_gone_finds_nothing_in_it(
    lake: ParquetLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.write(HOURLY, three_years(), OLD)
    listed = parquet._partition_files(lake.root / FOLDER, HOURLY.interval)
    monkeypatch.setattr(parquet, "_partition_files", lambda folder, interval: listed)
    ends = [("2021", "2022"), ("2022", "2023"), ("2023", "2024")]
    for start, end in (ends[0], ends[2]):
        write_all(lake, HOURLY, empty_candles(), TRADES, between(f"{start}-01-01", f"{end}-01-01"))
    kept = three_years().filter(pl.col("timestamp").dt.year() == 2022)
    assert lake.read(HOURLY).equals(kept)
    assert lake.slots(HOURLY).to_list() == kept["timestamp"].to_list()
    assert lake.count(HOURLY) == lake.count(HOURLY, between("2021-12-01 07:00", "2023-02-01 09:00")) == kept.height
    assert lake.span(HOURLY) == between("2022-01-01", "2023-01-01")
    assert days_of(lake.day_counts(HOURLY)) == {str(day): 24 for day in kept["timestamp"].dt.date().unique()}
    assert lake.size_bytes(HOURLY) == (lake.root / FOLDER / "2022.parquet").stat().st_size
    write_all(lake, HOURLY, empty_candles(), TRADES, between("2022-01-01", "2023-01-01"))
    assert (lake.span(HOURLY), lake.day_counts(HOURLY), lake.count(HOURLY)) == (None, None, 0)


def test_a_lake_that_is_deleted_under_a_reader_is_not_taken_for_an_empty_one(
    lake: ParquetLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.write(HOURLY, three_years(), OLD)
    listed = parquet._partition_files(lake.root / FOLDER, HOURLY.interval)
    monkeypatch.setattr(parquet, "_partition_files", lambda folder, interval: listed)
    shutil.rmtree(lake.root)
    for ask in (lake.read, lake.count, lake.slots, lake.day_counts, lake.span):
        with pytest.raises(GoneFile, match=r"20\d\d\.parquet cannot be read as candles: it was removed"):
            ask(HOURLY)


def test_readers_see_all_or_nothing_of_what_is_cleared_beside_them(lake: ParquetLake) -> None:
    candles = three_years().filter(pl.col("timestamp").dt.year() == 2022)
    lake.create()
    done = threading.Event()

    def clear_and_fill() -> None:
        try:
            for _ in range(20):
                lake.write(HOURLY, candles, OLD)
                write_all(lake, HOURLY, empty_candles(), TRADES, between("2022-01-01", "2023-01-01"))
        finally:
            done.set()

    seen: set[int] = set()
    with ThreadPoolExecutor(1) as other:
        writing = other.submit(clear_and_fill)
        while not done.is_set():
            seen |= {lake.read(HOURLY).height, lake.count(HOURLY), len(lake.slots(HOURLY))}
        writing.result()
    assert seen <= {0, candles.height}


def test_candles_that_came_between_staging_and_commit_are_cleared_too(lake: ParquetLake) -> None:
    with lake.writer(HOURLY) as late:
        late.append(candles_at(NOON), TRADES)
        late.clear(between("2024-03-31", "2024-04-01"))
        lake.write(HOURLY, candles_at(at("2024-03-31 11:00"), NOON), OLD)
        written = late.commit()
    assert (written.inserted, written.removed, written.first_removed) == (0, 1, at("2024-03-31 11:00"))
    assert lake.slots(HOURLY).to_list() == [NOON]


def test_without_a_commit_no_folder_of_the_series_is_made(lake: ParquetLake) -> None:
    lake.create()
    with lake.writer(HOURLY) as writer:
        writer.append(three_years(), OLD)
    assert [path.name for path in lake.root.iterdir() if not path.name.startswith(".")] == ["_lake.json"]
    assert staged_in(lake) == []


def test_a_commit_leaves_nothing_staged(lake: ParquetLake) -> None:
    lake.write(HOURLY, CHEAP, OLD)
    lake.write(HOURLY, DEAR, NEW)
    assert staged_in(lake) == []
    assert [path.name for path in (lake.root / FOLDER).iterdir()] == ["2024.parquet"]


def test_candles_never_lie_in_a_lake_without_an_identity(lake: ParquetLake) -> None:
    lake.write(HOURLY, CHEAP, OLD)
    assert lake.identity() is not None


def test_a_lake_that_is_deleted_under_a_writer_is_an_error_of_one_line(lake: ParquetLake) -> None:
    lake.create()
    with lake.writer(HOURLY) as writer:
        writer.append(three_years(), OLD)
        shutil.rmtree(lake.root)
        with pytest.raises(UnwritableLake, match="cannot be written"):
            writer.commit()
    assert list(lake.series()) == []


@pytest.mark.parametrize("survives", [0, 1, 2])
@pytest.mark.parametrize("stored_before", [False, True], ids=["into an empty lake", "into a full one"])
def test_a_write_that_died_between_two_renames_is_completed_by_repeating_it(
    lake: ParquetLake, monkeypatch: pytest.MonkeyPatch, survives: int, stored_before: bool
) -> None:
    untroubled = ParquetLake(lake.root.parent / "untroubled")
    for one in (lake, untroubled):
        one.create()
        if stored_before:
            one.write(HOURLY, three_years().gather_every(2).with_columns(close=pl.col("open")), OLD)
    years = [between(f"{year}-01-01", f"{year + 1}-01-01") for year in (2021, 2022, 2023)]
    before = [lake.read(HOURLY, year, origin=True) for year in years]
    untroubled.write(HOURLY, three_years(), NEW)
    after = [untroubled.read(HOURLY, year, origin=True) for year in years]

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", dying_after(survives))
        with pytest.raises(Killed):
            lake.write(HOURLY, three_years(), NEW)
    found = [lake.read(HOURLY, year, origin=True) for year in years]
    for year, expected in zip(found, after[:survives] + before[survives:], strict=True):
        assert year.equals(expected)

    lake.write(HOURLY, three_years(), NEW)
    assert lake.read(HOURLY, origin=True).equals(untroubled.read(HOURLY, origin=True))
    assert staged_in(lake) == []


def dying_after(survives: int) -> Callable[[Path, Path], None]:
    """An `os.replace` that works so many times."""
    left = [os.replace] * survives

    def replace(source: Path, target: Path) -> None:
        if not left:
            raise Killed
        left.pop()(source, target)

    return replace


def test_a_writer_killed_outright_leaves_whole_files_and_is_swept_up(lake: ParquetLake) -> None:
    lake.create()
    process = multiprocessing.get_context("spawn").Process(target=die_between_two_renames, args=(lake.root, 1))
    process.start()
    process.join()
    assert process.exitcode == -9
    assert files_of(lake) == [f"{FOLDER}/2021.parquet"]
    in_2021 = three_years().filter(pl.col("timestamp") < at("2022-01-01"))
    assert lake.read(HOURLY).equals(in_2021)
    assert len(staged_in(lake)) == 1
    lake.write(Series("kraken", "ETHUSD", Interval.M60), CHEAP, OLD)
    assert staged_in(lake) == []
    written = lake.write(HOURLY, three_years(), OLD)
    assert (written.inserted, written.unchanged) == (20_000 - in_2021.height, in_2021.height)
    assert lake.read(HOURLY).equals(three_years())


def test_what_a_living_writer_has_staged_is_left_alone(lake: ParquetLake) -> None:
    with lake.writer(HOURLY) as writer:
        writer.append(three_years(), OLD)
        lake.write(HOURLY, CHEAP, OLD)
        assert len(staged_in(lake)) == 1
        assert writer.commit().inserted == 20_000
    assert lake.count(HOURLY) == 20_001


def test_two_processes_writing_one_series_lose_nothing(lake: ParquetLake) -> None:
    lake.create()
    spawn = multiprocessing.get_context("spawn")
    start = spawn.Barrier(2)
    writers = [spawn.Process(target=write_every_second_hour, args=(lake.root, offset, start)) for offset in (0, 1)]
    for process in writers:
        process.start()
    for process in writers:
        process.join()
    assert [process.exitcode for process in writers] == [0, 0]
    assert lake.slots(HOURLY).to_list() == every(Interval.M60, "2023-12-20", 2 * 24 * ROUNDS)
    assert staged_in(lake) == []


def test_files_that_appear_between_staging_and_commit_are_merged_with(lake: ParquetLake) -> None:
    with lake.writer(HOURLY) as late:
        late.append(candles_at(NOON), API)
        lake.write(HOURLY, DEAR, OLD)
        written = late.commit()
    assert (written.inserted, written.conflicting) == (0, 1)
    assert lake.read(HOURLY)["open"].to_list() == [200.0]


def test_files_that_vanish_between_staging_and_commit_are_made_anew(lake: ParquetLake) -> None:
    lake.write(HOURLY, CHEAP, OLD)
    with lake.writer(HOURLY) as writer:
        writer.append(DEAR, NEW)
        shutil.rmtree(lake.root / "exchange=kraken")
        written = writer.commit()
    assert (written.inserted, written.conflicting) == (1, 0)
    assert lake.read(HOURLY)["open"].to_list() == [200.0]


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", None], ids=["empty", "a page", "cut off"])
def test_a_damaged_file_is_named_in_one_line(lake: ParquetLake, content: bytes | None) -> None:
    lake.write(HOURLY, three_years(), OLD)
    path = lake.root / FOLDER / "2022.parquet"
    path.write_bytes(path.read_bytes()[:-200] if content is None else content)
    for ask in (
        lake.read, lake.count, lake.slots, lake.day_counts, lambda series: lake.write(series, three_years(), NEW)
    ):  # fmt: skip
        with pytest.raises(UnreadableFile, match=r"2022\.parquet cannot be read as candles: ") as raised:
            ask(HOURLY)
        assert "\n" not in str(raised.value)
        assert str(pickle.loads(pickle.dumps(raised.value))) == str(raised.value)  # it crosses from a worker process
    path.replace(lake.root / FOLDER / "2023.parquet")
    with pytest.raises(UnreadableFile, match=r"2023\.parquet"):
        lake.span(HOURLY)


def test_a_parquet_file_of_something_else_is_named(lake: ParquetLake) -> None:
    lake.write(HOURLY, CHEAP, OLD)
    path = lake.root / FOLDER / "2024.parquet"
    stored = pl.read_parquet(path)
    stored.drop("volume").write_parquet(path)
    with pytest.raises(UnreadableFile, match="volume"):
        lake.read(HOURLY)
    stored.with_columns(source=pl.lit("GUESS")).write_parquet(path)
    with pytest.raises(UnreadableFile, match="none of TRADES, CSV, API, STREAM"):
        lake.read(HOURLY, origin=True)


def test_a_file_that_another_tool_has_rewritten_is_read_all_the_same(lake: ParquetLake) -> None:
    lake.write(HOURLY, candles_at(*every(Interval.M60, "2024-03-01", 100)), OLD)
    before, span, days = lake.read(HOURLY, origin=True), lake.span(HOURLY), lake.day_counts(HOURLY)
    path = lake.root / FOLDER / "2024.parquet"
    pl.read_parquet(path).write_parquet(path, statistics=False, row_group_size=30)
    assert lake.read(HOURLY, origin=True).equals(before)
    assert lake.span(HOURLY) == span
    assert days is not None
    now = lake.day_counts(HOURLY)
    assert now is not None
    assert now.counts.tolist() == days.counts.tolist()
    assert lake.count(HOURLY) == 100


def test_files_and_folders_that_are_not_ours_are_no_series(lake: ParquetLake) -> None:
    lake.write(HOURLY, CHEAP, OLD)
    (lake.root / FOLDER / "notes.txt").write_text("mine")
    (lake.root / "exchange=kraken/market=XBTUSD/interval=7").mkdir()
    (lake.root / "exchange=kraken/market=ETHUSD/interval=60").mkdir(parents=True)
    (lake.root / "README").write_text("mine")
    assert list(lake.series()) == [HOURLY]
    assert lake.count(HOURLY) == 1


def test_a_lake_that_cannot_be_written_says_so(lake: ParquetLake) -> None:
    lake.create()
    (lake.root / "exchange=kraken").write_text("in the way")
    with pytest.raises(UnwritableLake, match=r"^The candle lake .*lake cannot be written: "):
        lake.write(HOURLY, CHEAP, OLD)
    assert staged_in(lake) == []
