"""Rows that are wrong: the file, the line, the column, the value and what would be right, in one line."""

import zipfile
from pathlib import Path

import pytest

from chandlery.exchanges.kraken.archive import MalformedRow, Member, open_rows
from chandlery.exchanges.kraken.archive.parsing import parse
from tests.exchanges.kraken.archive.builders import HOUR, ROW, START, hourly_file, hours, the_member, zipped

AT = START + 3 * HOUR
PRICE = "a finite price above zero"
VOLUME = "a finite volume of at least zero"
TRADES = "a whole number of trades of at least zero"
AFTER = "a time after that of the row before"


def fault(member: Member, block_bytes: int = 8 << 20) -> MalformedRow:
    with open_rows(member, block_bytes) as reader:
        with pytest.raises(MalformedRow) as caught:
            list(reader)
        assert reader.sha256 is None
    return caught.value


@pytest.mark.parametrize(
    ("row", "column", "value", "expected"),
    [
        (f"{AT},1x,2,1,1.5,3,4", "open", "1x", PRICE),
        (f"{AT},1,2,1,one,3,4", "close", "one", PRICE),
        (f"{AT},1,2,0,1.5,3,4", "low", "0", PRICE),
        (f"{AT},1,2,-1,1.5,3,4", "low", "-1", PRICE),
        (f"{AT},1,nan,1,1.5,3,4", "high", "nan", PRICE),
        (f"{AT},NaN,2,1,1.5,3,4", "open", "NaN", PRICE),
        (f"{AT},1,inf,1,1.5,3,4", "high", "inf", PRICE),
        (f"{AT},1,1e999,1,1.5,3,4", "high", "1e999", PRICE),
        (f"{AT},-Infinity,2,1,1.5,3,4", "open", "-Infinity", PRICE),
        (f'{AT},"1",2,1,1.5,3,4', "open", '"1"', PRICE),
        (f"{AT},,2,1,1.5,3,4", "open", "", PRICE),
        (f"{AT},true,2,1,1.5,3,4", "open", "true", PRICE),
        (f"{AT},1_0,2,1,1.5,3,4", "open", "1_0", PRICE),
        (f"{AT},0x1,2,1,1.5,3,4", "open", "0x1", PRICE),
        (f"{AT},1\0,2,1,1.5,3,4", "open", "1\0", PRICE),
        (f"{AT},1,2,3,1.5,3,4", "low", "3", "a low that is at most open, close and high"),
        (f"{AT},1,2,1,2.5,3,4", "high", "2", "a high that is at least open and close"),
        (f"{AT},1,2,1,1.5,-3,4", "volume", "-3", VOLUME),
        (f"{AT},1,2,1,1.5,inf,4", "volume", "inf", VOLUME),
        (f"{AT},1,2,1,1.5,nan,4", "volume", "nan", VOLUME),
        (f"{AT},1,2,1,1.5,,4", "volume", "", VOLUME),
        (f"{AT},1,2,1,1.5,3,-4", "trades", "-4", TRADES),
        (f"{AT},1,2,1,1.5,3,4.5", "trades", "4.5", TRADES),
        (f"{AT},1,2,1,1.5,3,", "trades", "", TRADES),
        (f"{AT},1,2,1,1.5,3,99999999999999999999", "trades", "99999999999999999999", TRADES),
        (f"{AT},1,2,1,1.5,3", "the row", f"{AT},1,2,1,1.5,3", "7 columns, found 6"),
        (f"{AT},1,2,1,1.5,3,4,5", "the row", f"{AT},1,2,1,1.5,3,4,5", "7 columns, found 8"),
        (f"{AT},1,2,1,1.5,3,4,", "the row", f"{AT},1,2,1,1.5,3,4,", "7 columns, found 8"),
        ("", "the row", "", "7 columns, found an empty line"),
        (f"{AT}.0,1,2,1,1.5,3,4", "timestamp", f"{AT}.0", "unix seconds"),
        ("2024-01-01,1,2,1,1.5,3,4", "timestamp", "2024-01-01", "unix seconds"),
        (f"{AT}000,1,2,1,1.5,3,4", "timestamp", f"{AT}000", "unix seconds; these look like milliseconds or finer"),
        (f"{AT}000000000,1,2,1,1.5,3,4", "timestamp", f"{AT}000000000",
         "unix seconds; these look like milliseconds or finer"),
        ("-3600,1,2,1,1.5,3,4", "timestamp", "-3600", "unix seconds from 1970 on"),
        (f"{AT + 60},1,2,1,1.5,3,4", "timestamp", f"{AT + 60}", "a multiple of 60 minutes since the epoch"),
        (f"{START},1,2,1,1.5,3,4", "timestamp", f"{START}", AFTER),
        (f"{START + 2 * HOUR},1,2,1,1.5,3,4", "timestamp", f"{START + 2 * HOUR}", AFTER),
    ],
)  # fmt: skip
def test_a_wrong_row_is_named_by_line_column_and_value(
    tmp_path: Path, row: str, column: str, value: str, expected: str
) -> None:
    content = hours(3) + f"{row}\n".encode() + hours(3, start=AT + HOUR)
    member = hourly_file(tmp_path, content)
    # The same wherever the blocks are cut.
    for block_bytes in (8 << 20, 1, 100):
        told = fault(member, block_bytes)
        assert (told.facts["line"], told.facts["column"], told.facts["value"]) == (4, column, value)
        assert told.facts["expected"] == expected
    if value:
        assert str(told) == " ".join(f"{member.label}:4: {column} is {value!r}; expected {expected}.".split())


@pytest.mark.parametrize("bad", [1, 2, 777, 4999, 5000])
def test_the_first_wrong_row_is_found_wherever_it_stands(tmp_path: Path, bad: int) -> None:
    lines = hours(5000).splitlines(keepends=True)
    lines[bad - 1] = lines[bad - 1].replace(b",", b",-", 1)
    if bad < 4000:
        lines[4321] = b"rubbish\n"
    member = the_member(zipped(tmp_path / "x.zip", {"q1/XBTUSD_60.csv": b"".join(lines)}))
    for block_bytes in (8 << 20, 50_000):
        assert str(fault(member, block_bytes)).startswith(f"x.zip:q1/XBTUSD_60.csv:{bad}: open is '-")


def test_a_last_row_that_is_cut_off_is_told(tmp_path: Path) -> None:
    told = fault(hourly_file(tmp_path, hours(10)[:-3]))
    assert (told.facts["line"], told.facts["expected"]) == (10, "a newline at its end; the file is cut off")


def test_a_wrong_row_before_a_cut_one_is_told_first(tmp_path: Path) -> None:
    assert fault(hourly_file(tmp_path, hours(2) + b"rubbish\n17040")).facts["line"] == 3


@pytest.mark.parametrize(
    "page", ["<html>\n<body>moved</body>\n</html>\n", "<!DOCTYPE html><html></html>", "\ufeff <html>\n"]
)
def test_a_web_page_is_told_at_line_one(tmp_path: Path, page: str) -> None:
    told = fault(hourly_file(tmp_path, page))
    assert (told.facts["line"], told.facts["expected"]) == (1, "a CSV row; this is an HTML page")


def test_a_header_line_is_told(tmp_path: Path) -> None:
    told = fault(hourly_file(tmp_path, f"time,open,high,low,close,volume,trades\n{ROW}\n"))
    assert (told.facts["line"], told.facts["value"]) == (1, "time,open,high,low,close,volume,trades")
    assert told.facts["expected"] == "numbers; this looks like a header line, which archives do not have"


@pytest.mark.parametrize("length", [1025, 5_000_000])
def test_a_row_without_end_is_told_without_being_held(tmp_path: Path, length: int) -> None:
    member = the_member(zipped(tmp_path / "x.zip", {"XBTUSD_60.csv": hours(3) + b"7" * length}))
    told = fault(member)
    assert (told.facts["line"], told.facts["expected"]) == (4, "at most 1024 bytes in a row")
    assert len(str(told)) < 200


def test_semicolons_for_commas_are_a_wrong_number_of_columns(tmp_path: Path) -> None:
    told = fault(hourly_file(tmp_path, ROW.replace(",", ";") + "\n"))
    assert told.facts["expected"] == "7 columns, found 1"


def test_windows_line_ends_do_not_show_in_the_message(tmp_path: Path) -> None:
    told = fault(hourly_file(tmp_path, hours(2).replace(b"\n", b"\r\n") + f"{AT},1,2,1,1.5,3,x\r\n".encode()))
    assert (told.facts["line"], told.facts["value"]) == (3, "x")


def test_time_goes_on_over_the_border_of_blocks(tmp_path: Path) -> None:
    first, second = hours(2).splitlines(keepends=True)
    member = hourly_file(tmp_path, first + second + second)
    assert fault(member, 1).facts["line"] == 3
    assert parse(second, member.interval, START + HOUR) is None
    assert parse(second, member.interval, START) is not None


def test_a_bad_row_in_a_stored_member_is_told_like_any_other(tmp_path: Path) -> None:
    member = the_member(zipped(tmp_path / "x.zip", {"XBTUSD_60.csv": b"rubbish\n"}, zipfile.ZIP_STORED))
    assert str(fault(member)) == "x.zip:XBTUSD_60.csv:1: the row is 'rubbish'; expected 7 columns, found 1."
