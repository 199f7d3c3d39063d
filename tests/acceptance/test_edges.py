"""What a person may well do, and what must then hold: archives added later, twice, unpacked, or for other dates."""

import json
import os
import zipfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.acceptance.commands import Commands
from tests.candles.builders import at

pytestmark = pytest.mark.slow

NOW = "2024-08-01T00:00:00Z"


def rows(start: str, count: int, minutes: int = 60, price: int = 100) -> str:
    """Flat candles, one a slot."""
    opens = (at(start) + i * timedelta(minutes=minutes) for i in range(count))
    return "".join(f"{int(t.timestamp())},{price},{price},{price},{price},1.5,3\n" for t in opens)


def zipped(path: Path, **members: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(f"{name}.csv", text)
    return path


def ingest(home: Commands, source: Path, *more: str, status: int = 0) -> str:
    asked = ("--intervals", "60") if "--intervals" not in more else ()
    done = home("ingest_kraken_unified", "--source", source, *asked, "--yes", *more, CLOCK=NOW)
    assert done.status == status, done.err
    return done.out


def series(home: Commands, *more: str) -> dict[tuple[str, int], dict[str, Any]]:
    asked = ("--intervals", "60") if "--intervals" not in more else ()
    done = home("report_completeness", *asked, *more, "--json", CLOCK=NOW)
    assert done.status == 0, done.err
    return {(s["market"], s["interval_minutes"]): s for s in json.loads(done.out)["series"]}


def test_a_complete_set_that_names_no_period_ends_where_its_last_slot_ends(fresh: Commands, tmp_path: Path) -> None:
    archive = zipped(tmp_path / "Kraken_OHLCVT.zip", XBTUSD_60=rows("2024-01-01", 30), ETHUSD_60=rows("2024-01-01", 20))
    ingest(fresh, archive, "--markets", "ETHUSD", "--end-date", "2024-01-02")
    found = series(fresh, "--markets", "ETHUSD", "--end-date", "2024-01-02")["ETHUSD", 60]
    assert (found["traded"], found["quiet_claimed"], found["missing"]) == (20, 10, 18)
    assert found["gaps"][0]["start"] == "2024-01-02T06:00:00Z"


def test_an_older_archive_that_comes_later_is_read(fresh: Commands, tmp_path: Path) -> None:
    folder = tmp_path / "archives"
    zipped(folder / "Kraken_OHLCVT_Q1_2024.zip", XBTUSD_60=rows("2024-01-01", 91 * 24))
    ingest(fresh, folder, "--markets", "XBTUSD", "--end-date", "2024-03-31")
    zipped(folder / "Kraken_OHLCVT_Q4_2023.zip", XBTUSD_60=rows("2023-10-01", 92 * 24))
    ingest(fresh, folder, "--markets", "XBTUSD", "--end-date", "2024-03-31")
    found = series(fresh, "--markets", "XBTUSD", "--end-date", "2024-03-31")["XBTUSD", 60]
    assert (found["start"], found["traded"]) == ("2023-10-01T00:00:00Z", (91 + 92) * 24)


def test_two_archives_of_one_name_are_two(fresh: Commands, tmp_path: Path) -> None:
    zipped(tmp_path / "x" / "data.zip", XBTUSD_60=rows("2024-01-01", 240))
    zipped(tmp_path / "y" / "data.zip", XBTUSD_60=rows("2024-01-11", 240))
    ingest(fresh, tmp_path, "--markets", "XBTUSD", "--end-date", "2024-01-20")
    assert series(fresh, "--markets", "XBTUSD", "--end-date", "2024-01-20")["XBTUSD", 60]["traded"] == 480


def test_time_before_a_complete_release_began_is_unlisted(fresh: Commands, tmp_path: Path) -> None:
    zipped(tmp_path / "Kraken_OHLCVT_Full_2024Q1.zip", SOLUSD_60=rows("2023-06-17", 24))
    ingest(
        fresh, tmp_path, "--markets", "SOLUSD", "--start-date", "2022-01-01", "--end-date", "2022-12-31", "--complete"
    )
    asked = ("--markets", "SOLUSD", "--start-date", "2022-01-01", "--end-date", "2022-12-31")
    assert series(fresh, *asked)["SOLUSD", 60]["unlisted"] == 365 * 24


def test_a_market_that_began_later_than_what_is_asked_for_is_no_gap(fresh: Commands, tmp_path: Path) -> None:
    zipped(tmp_path / "Kraken_OHLCVT_Full_2024Q1.zip", SOLUSD_60=rows("2023-06-17", 24))
    ingest(fresh, tmp_path, "--markets", "SOLUSD", "--end-date", "2022-12-31", "--complete")
    found = series(fresh, "--markets", "SOLUSD", "--end-date", "2022-12-31")["SOLUSD", 60]
    assert (found["missing"], found["completeness"], found["gaps"]) == (0, 1.0, [])


def test_a_file_that_was_loose_claims_more_once_it_is_part_of_a_release(fresh: Commands, tmp_path: Path) -> None:
    folder = tmp_path / "Kraken_OHLCVT_Q1_2024"
    folder.mkdir()
    (folder / "XBTUSD_60.csv").write_text(rows("2024-01-05", 24))
    asked = ("--markets", "XBTUSD", "--start-date", "2024-01-01", "--end-date", "2024-03-31")
    ingest(fresh, folder / "XBTUSD_60.csv", *asked)
    assert series(fresh, *asked)["XBTUSD", 60]["missing"] == 91 * 24 - 24
    ingest(fresh, folder, *asked)
    found = series(fresh, *asked)["XBTUSD", 60]
    assert (found["traded"], found["quiet_claimed"], found["missing"]) == (24, 90 * 24, 0)


@pytest.mark.parametrize("whole", [True, False])
def test_only_a_whole_release_claims_silence_for_a_market_it_lacks(
    fresh: Commands, tmp_path: Path, *, whole: bool
) -> None:
    zipped(tmp_path / "old.zip", ETHUSD_60=rows("2023-12-30", 48))
    if whole:
        zipped(tmp_path / "Kraken_OHLCVT_Q1_2024.zip", XBTUSD_60=rows("2024-01-01", 48))
    else:
        folder = tmp_path / "Kraken_OHLCVT_Q1_2024"
        folder.mkdir()
        (folder / "XBTUSD_60.csv").write_text(rows("2024-01-01", 48))
    ingest(fresh, tmp_path, "--markets", "XBTUSD,ETHUSD", "--end-date", "2024-01-31")
    found = series(fresh, "--markets", "ETHUSD", "--end-date", "2024-01-31")["ETHUSD", 60]
    assert (found["quiet_claimed"], found["missing"]) == ((31 * 24, 0) if whole else (0, 31 * 24))


def test_candles_derived_from_hours_that_were_revised_are_derived_again_by_a_later_run(
    fresh: Commands, tmp_path: Path
) -> None:
    both, hours = ("--intervals", "60,1440"), ("--intervals", "60")
    asked = ("--markets", "XBTUSD", "--end-date", "2024-03-31")
    zipped(tmp_path / "Kraken_OHLCVT_Q1_2024.zip", XBTUSD_60=rows("2024-01-01", 91 * 24))
    ingest(fresh, tmp_path, *asked, *both)
    zipped(tmp_path / "Kraken_OHLCVT_Full_2024Q1.zip", XBTUSD_60=rows("2024-01-01", 91 * 24, price=200))
    ingest(fresh, tmp_path, *asked, *hours, "--no-auto-gap-fill")
    # Nothing was derived anew, and nothing is lost: the old days stand until a run may derive.
    assert series(fresh, *asked, *both)["XBTUSD", 1440]["traded"] == 91
    ingest(fresh, tmp_path, *asked, *hours)

    days = pl.read_parquet(
        fresh.lake / "exchange=kraken/market=XBTUSD/interval=1440/*.parquet", hive_partitioning=False
    )
    assert days["close"].unique().to_list() == [200.0]
    assert not days["provisional"].any()


def test_comparing_a_market_that_nobody_holds_is_an_error(fresh: Commands, tmp_path: Path) -> None:
    source = zipped(tmp_path / "data.zip", XBTUSD_60=rows("2024-01-01", 24))
    ingest(fresh, source, "--markets", "XBTUSD", "--end-date", "2024-01-01")
    assert fresh("compare_candles", "--with", source, "--markets", "BTC/USD").out.rstrip().endswith("Identical.")
    wrong = fresh("compare_candles", "--with", source, "--markets", "ETHUSD")
    assert (wrong.status, "Neither side holds a candle of ETHUSD" in wrong.err) == (2, True)


def test_btcusd_does_not_become_a_second_bitcoin_market(fresh: Commands, tmp_path: Path) -> None:
    zipped(tmp_path / "data.zip", BTCUSD_60=rows("2024-01-01", 24), XBTUSD_60=rows("2024-01-01", 24))
    out = ingest(fresh, tmp_path, "--tier", "TIER1", "--end-date", "2024-01-01")
    assert "BTCUSD" in out  # said to be unclassified
    found = [market for market, _ in series(fresh, "--tier", "TIER1", "--end-date", "2024-01-01")]
    assert found.count("XBTUSD") == 1
    assert "BTCUSD" not in found


def test_a_file_that_has_become_unreadable_claims_nothing_more(fresh: Commands, tmp_path: Path) -> None:
    folder = tmp_path / "Kraken_OHLCVT_Q1_2024"
    folder.mkdir()
    file = folder / "XBTUSD_60.csv"
    file.write_text(rows("2024-01-05", 24))
    asked = ("--markets", "XBTUSD", "--start-date", "2024-01-01", "--end-date", "2024-03-31")
    ingest(fresh, file, *asked)
    # The same place, size and time, so it looks like the file that was read; as part of a release it is read again.
    status = file.stat()
    file.write_text(rows("2024-01-05", 24).replace("100,100", "1x0,100", 1))
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    ingest(fresh, folder, *asked, status=1)
    found = series(fresh, *asked)["XBTUSD", 60]
    assert (found["traded"], found["quiet_claimed"], found["missing"]) == (24, 0, 90 * 24)
