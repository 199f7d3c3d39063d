"""The files to fetch."""

from pathlib import Path

import pytest

from chandlery.exchanges.kraken.window import Quarter
from chandlery.reporting.completeness import CompletenessReport
from chandlery.reporting.publication import due_text
from chandlery.reporting.unfillable import needed_files, write_unfillable
from tests.reporting.reports import at, gap, report_of, series, unknown

HEADER = "required_csv_file,member,archive,market,interval_minutes,gap_start,gap_end,candles"


def exported(report: CompletenessReport, folder: Path) -> list[str]:
    path = folder / "unfillable.csv"
    write_unfillable(report, path)
    header, *rows = path.read_text().splitlines()
    assert header == HEADER
    return rows


def test_a_gap_over_two_quarters_needs_two_files_each_with_its_part(tmp_path: Path) -> None:
    winter = gap("ETHUSD", 60, "2020-12-31", "2021-01-02")
    report = report_of(series("ETHUSD", 60, "2020-01-01", "2022-01-01", [winter]))

    assert exported(report, tmp_path) == [
        "ETHUSD_60_2020Q4.csv,ETHUSD_60.csv,Kraken_OHLCVT_2020Q4.zip,ETHUSD,60,2020-12-31T00:00:00Z,2021-01-01T00:00:00Z,24",
        "ETHUSD_60_2021Q1.csv,ETHUSD_60.csv,Kraken_OHLCVT_2021Q1.zip,ETHUSD,60,2021-01-01T00:00:00Z,2021-01-02T00:00:00Z,24",
    ]


def test_what_the_api_can_answer_is_left_out(tmp_path: Path) -> None:
    straddling = gap("ETHUSD", 60, "2025-10-20", "2025-11-23 19:00")
    recent = gap("XBTUSD", 60, "2025-11-22", "2025-11-23")
    report = report_of(
        series("ETHUSD", 60, "2025-01-01", "2025-11-23 19:00", [straddling]),
        series("XBTUSD", 60, "2025-01-01", "2025-11-23", [recent]),
    )

    assert exported(report, tmp_path) == [
        "ETHUSD_60_2025Q4.csv,ETHUSD_60.csv,Kraken_OHLCVT_2025Q4.zip,ETHUSD,60,2025-10-20T00:00:00Z,2025-10-24T19:00:00Z,115"
    ]


def test_a_gap_over_many_quarters_needs_one_file_of_the_complete_set(tmp_path: Path) -> None:
    years = gap("ETHUSD", 60, "2016-01-01", "2019-01-01")
    report = report_of(series("ETHUSD", 60, "2015-01-01", "2022-01-01", [years]))

    assert exported(report, tmp_path) == [
        "ETHUSD_60.csv,ETHUSD_60.csv,Kraken_OHLCVT.zip,ETHUSD,60,2016-01-01T00:00:00Z,2019-01-01T00:00:00Z,26304"
    ]


def test_a_series_of_which_nothing_is_known_needs_its_whole_file(tmp_path: Path) -> None:
    assert exported(report_of(unknown("ETHUSD", 60)), tmp_path) == [
        "ETHUSD_60.csv,ETHUSD_60.csv,Kraken_OHLCVT.zip,ETHUSD,60,,,"
    ]


def test_the_parts_of_all_files_add_up_to_what_only_files_can_close() -> None:
    gaps = [gap("ETHUSD", 720, "2024-02-10", "2024-11-20 12:00"), gap("ETHUSD", 720, "2025-06-29", "2025-11-23")]
    report = report_of(series("ETHUSD", 720, "2024-01-01", "2025-11-23", gaps))

    needed = needed_files(report)

    assert sum(file.part.slots(file.interval) for file in needed if file.part) == sum(g.overflow for g in gaps)
    assert len(needed) == 4 + 2


@pytest.mark.parametrize(
    ("now", "text"),
    [
        ("2025-11-23", "not published yet: due 2026-01-29 to 2026-03-19"),
        ("2026-02-15", "due 2026-01-29 to 2026-03-19: may be out by now"),
        ("2026-03-19", ""),
    ],
)
def test_an_archive_is_due_4_to_11_weeks_after_its_quarter(now: str, text: str) -> None:
    assert due_text(Quarter(2025, 4), at(now)) == text
