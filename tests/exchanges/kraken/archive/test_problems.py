"""Archives that cannot be read, wholly or in part: one clear line each, and the rest is found all the same."""

import zipfile
from pathlib import Path

import pytest

from chandlery.candles.interval import Interval
from chandlery.exchanges.kraken.archive import find_sources
from tests.exchanges.kraken.archive.builders import hours, split, the_source, unpacked, zipped

FILES: dict[str, bytes | str] = {"XBTUSD_60.csv": hours(5), "ETHUSD_60.csv": hours(3)}


def locked(path: Path, *names: str) -> Path:
    """Set the flag that says a member is encrypted, in its local header and in the directory."""
    content = bytearray(path.read_bytes())
    for name in names:
        for signature, flags, header in ((b"PK\x03\x04", 6, 30), (b"PK\x01\x02", 8, 46)):
            at = content.find(name.encode())
            while at >= 0:
                start = at - header
                if content[start : start + 4] == signature:
                    content[start + flags] |= 1
                at = content.find(name.encode(), at + 1)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "it is empty"),
        (b"\n <!DOCTYPE html><html>moved</html>", "it is an HTML page; download the archive again"),
        (b"PK\x03\x04 and then nothing", "it is cut off or damaged (File is not a zip file); download it again"),
        (b"1704067200,1,1,1,1,1,1\n", "it does not start like one; download it again"),
    ],
)
def test_a_file_that_is_no_zip_is_a_source_with_a_problem(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "Kraken_OHLCVT_Q1_2024.zip"
    path.write_bytes(content)
    source = the_source(path)
    assert (source.members, source.release) == ((), None)
    assert [str(problem) for problem in source.problems] == [f"{path} is not a readable ZIP: {why}."]


def test_a_truncated_zip_leaves_the_others_alone(tmp_path: Path) -> None:
    cut = zipped(tmp_path / "Kraken_OHLCVT_Q1_2024.zip", FILES)
    cut.write_bytes(cut.read_bytes()[:-40])
    zipped(tmp_path / "Kraken_OHLCVT_Q2_2024.zip", FILES)
    first, second = find_sources(tmp_path)
    assert "it is cut off or damaged" in str(first.problems[0])
    assert (len(second.members), second.problems) == (2, ())


@pytest.mark.parametrize("gone", [0, 1])
def test_a_missing_part_is_named(tmp_path: Path, gone: int) -> None:
    archive = zipped(tmp_path / "Kraken_OHLCVT_Full_2026Q2.zip", FILES)
    split(archive, 4)[gone].unlink()
    source = the_source(archive)
    expected = f"{archive} cannot be read: {archive.name}.part0{gone} is missing; put it beside the other parts."
    assert [str(problem) for problem in source.problems] == [expected]


def test_a_missing_last_part_shows_as_a_cut_archive(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "Kraken_OHLCVT_Full_2026Q2.zip", FILES)
    split(archive, 4)[3].unlink()
    assert "it is cut off or damaged" in str(the_source(archive).problems[0])


@pytest.mark.parametrize(
    "name", ["../XBTUSD_1.csv", "/etc/XBTUSD_1.csv", "a/../../XBTUSD_1.csv", "C:\\XBTUSD_1.csv", "..\\XBTUSD_1.csv"]
)
def test_a_name_that_climbs_out_is_a_problem_of_that_member_alone(tmp_path: Path, name: str) -> None:
    source = the_source(zipped(tmp_path / "x.zip", FILES | {name: hours(1)}))
    assert [member.basename for member in source.members] == ["ETHUSD_60.csv", "XBTUSD_60.csv"]
    assert [str(p) for p in source.problems] == [
        f"x.zip:{name} has a name that leads out of the archive; it is not read."
    ]
    assert source.rejected == {("XBTUSD", Interval.M1)}


def test_a_name_with_terminal_codes_is_shown_escaped(tmp_path: Path) -> None:
    source = the_source(zipped(tmp_path / "x.zip", FILES | {"\x1b[2J_60.csv": hours(1)}))
    assert str(source.problems[0]).startswith("x.zip:\\x1b[2J_60.csv has a name")


def test_a_protected_zip_is_one_problem(tmp_path: Path) -> None:
    path = locked(zipped(tmp_path / "Kraken_OHLCVT_Q1_2024.zip", FILES), *FILES)
    source = the_source(path)
    expected = f"{path} is protected by a password; unpack it and name the folder instead."
    assert [str(problem) for problem in source.problems] == [expected]
    assert (source.members, source.release) == ((), None)


def test_a_protected_member_leaves_the_others_alone(tmp_path: Path) -> None:
    path = locked(zipped(tmp_path / "Kraken_OHLCVT_Q1_2024.zip", FILES), "ETHUSD_60.csv")
    source = the_source(path)
    assert [member.altname for member in source.members] == ["XBTUSD"]
    assert source.rejected == {("ETHUSD", Interval.M60)}
    assert str(source.problems[0]).startswith("Kraken_OHLCVT_Q1_2024.zip:ETHUSD_60.csv is protected by a password")


def test_an_unknown_compression_is_a_problem_of_that_member(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("XBTUSD_60.csv", hours(2), zipfile.ZIP_BZIP2)
        archive.writestr("ETHUSD_60.csv", hours(2), zipfile.ZIP_DEFLATED)
    source = the_source(tmp_path / "x.zip")
    assert [member.altname for member in source.members] == ["ETHUSD"]
    assert str(source.problems[0]) == (
        "x.zip:XBTUSD_60.csv is compressed by method 12; only stored (0) and deflated (8) members can be read."
    )


def test_two_different_files_of_one_series_are_both_named_and_neither_is_read(tmp_path: Path) -> None:
    twice = FILES | {"old/XBTUSD_60.csv": hours(4)}
    for source in (
        the_source(zipped(tmp_path / "x.zip", twice)),
        the_source(unpacked(tmp_path / "Kraken_OHLCVT", twice)),
    ):
        assert [member.altname for member in source.members] == ["ETHUSD"]
        assert source.rejected == {("XBTUSD", Interval.M60)}
        (problem,) = source.problems
        assert "XBTUSD_60.csv and " in str(problem)
        assert "old/XBTUSD_60.csv both claim to be XBTUSD 60min; neither is read." in str(problem)


def test_two_equal_files_of_one_series_are_one(tmp_path: Path) -> None:
    source = the_source(zipped(tmp_path / "x.zip", FILES | {"old/XBTUSD_60.csv": FILES["XBTUSD_60.csv"]}))
    assert [member.name for member in source.members] == ["ETHUSD_60.csv", "XBTUSD_60.csv"]
    assert source.problems == ()


def test_a_link_to_nowhere_is_a_problem_and_the_rest_goes_on(tmp_path: Path) -> None:
    unpacked(tmp_path, FILES)
    (tmp_path / "XMRUSD_60.csv").symlink_to(tmp_path / "gone.csv")
    source = the_source(tmp_path)
    assert len(source.members) == 2
    assert [str(p) for p in source.problems] == [f"{tmp_path}/XMRUSD_60.csv cannot be read: No such file or directory."]
