"""The report as CSV, and how files come to be."""

import csv
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from chandlery.reporting.as_csv import ReportNotWritten, write_report_csv, write_rows
from chandlery.reporting.as_json import series_as_json
from tests.reporting.reports import real_files


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_there_is_a_row_for_each_series_under_the_names_of_json(tmp_path: Path) -> None:
    write_report_csv(real_files(), tmp_path / "report.csv")

    rows = rows_of(tmp_path / "report.csv")
    assert [(row["market"], row["interval_minutes"]) for row in rows] == [
        ("XBTUSD", "60"),
        ("XBTUSD", "1440"),
        ("ETHUSD", "60"),
        ("ETHUSD", "1440"),
        ("ADAUSD", "60"),
        ("ADAUSD", "1440"),
    ]
    for row, entry in zip(rows, real_files().series, strict=True):
        expected = {**series_as_json(entry), "gaps": len(entry.gaps)}
        assert row == {name: "" if value is None else str(value) for name, value in expected.items()}


def test_a_file_that_is_there_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "report.csv"
    path.write_text("before\n")

    def breaks_off() -> Iterator[tuple[str]]:
        yield ("first",)
        raise RuntimeError("the power went")

    with pytest.raises(RuntimeError):
        write_rows(path, ("name",), breaks_off())
    assert path.read_text() == "before\n"

    write_rows(path, ("name",), [("after",)])
    assert path.read_text() == "name\nafter\n"
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.csv"]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    target, link = tmp_path / "real.csv", tmp_path / "link.csv"
    target.touch()
    link.symlink_to(target)

    write_rows(link, ("name",), [("x",)])

    assert link.is_symlink()
    assert target.read_text() == "name\nx\n"


def test_a_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_rows(pipe, ("name",), [("x",)])
        assert os.read(reader, 100) == b"name\nx\n"
    finally:
        os.close(reader)
    assert pipe.is_fifo()


def test_a_path_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    path = tmp_path / "absent" / "report.csv"

    with pytest.raises(ReportNotWritten, match="absent/report.csv cannot be written: No such file or directory"):
        write_report_csv(real_files(), path)


def test_a_folder_in_place_of_a_file_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(ReportNotWritten, match="cannot be written: Is a directory"):
        write_report_csv(real_files(), tmp_path)
