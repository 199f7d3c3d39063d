"""Which sources stand at a path: every shape in which Kraken's archives come, and whatever lies beside them."""

import os
import pickle
from pathlib import Path

import pytest

from chandlery.candles.interval import Interval
from chandlery.exchanges.kraken.archive import Container, SourceKind, find_sources
from chandlery.exchanges.kraken.archive.errors import NotACandleFile, SourceNotFound, UnknownSource
from tests.candles.builders import at
from tests.exchanges.kraken.archive.builders import hours, split, the_source, unpacked, zipped

FILES: dict[str, bytes | str] = {
    "XBTUSD_60.csv": hours(5),
    "XBTUSD_1440.csv": hours(1),
    "ETHUSD_60.csv": hours(3),
}
SERIES = [("ETHUSD", Interval.M60), ("XBTUSD", Interval.M1440), ("XBTUSD", Interval.M60)]
MANIFEST = '{"release": "Kraken_OHLCVT_2024Q1", "coverage": {"start": "2024-01-01", "end": "2024-03-31"}, "files": 3}'


def nested(files: dict[str, bytes | str]) -> dict[str, bytes | str]:
    junk: dict[str, bytes | str] = {
        "__MACOSX/._XBTUSD_60.csv": b"x",
        "master_q1/._ETHUSD_60.csv": b"x",
        ".DS_Store": b"",
    }
    return {f"master_q1/{name}": content for name, content in files.items()} | junk


def test_a_zip_with_a_recognised_name_is_a_release(tmp_path: Path) -> None:
    source = the_source(zipped(tmp_path / "Kraken_OHLCVT_Q1_2024.zip", FILES))
    assert source.kind is SourceKind.ZIP
    assert source.release is not None
    assert (source.release.period_start, source.release.period_end) == (at("2024-01-01"), at("2024-04-01"))
    assert [member.series for member in source.members] == SERIES
    assert [member.size for member in source.members] == [len(FILES[m.basename]) for m in source.members]
    assert not source.problems


def test_a_nested_zip_is_read_the_same_and_its_junk_left_aside(tmp_path: Path) -> None:
    source = the_source(zipped(tmp_path / "Kraken_OHLCVT_Q1_2024.zip", nested(FILES)))
    assert [member.series for member in source.members] == SERIES
    assert source.members[2].label == "Kraken_OHLCVT_Q1_2024.zip:master_q1/XBTUSD_60.csv"
    assert (source.ignored, source.problems) == (0, ())


def test_any_other_zip_holds_loose_files(tmp_path: Path) -> None:
    source = the_source(zipped(tmp_path / "mine.zip", FILES))
    assert source.release is None
    assert [member.series for member in source.members] == SERIES


def test_a_manifest_makes_a_release_of_any_zip(tmp_path: Path) -> None:
    source = the_source(zipped(tmp_path / "mine.zip", FILES | {"q1/MANIFEST.json": MANIFEST}))
    assert source.release is not None
    assert (source.release.name, source.release.period_end) == ("Kraken_OHLCVT_2024Q1", at("2024-04-01"))


def test_a_malformed_manifest_is_a_problem_and_the_name_decides(tmp_path: Path) -> None:
    source = the_source(zipped(tmp_path / "Kraken_OHLCVT_2024Q1.zip", FILES | {"MANIFEST.json": "nonsense"}))
    assert source.release is not None
    assert source.release.period_end == at("2024-04-01")
    (problem,) = source.problems
    assert str(problem).startswith("Kraken_OHLCVT_2024Q1.zip:MANIFEST.json is no manifest to go by")


def test_files_that_a_manifest_names_and_that_are_not_there_leave_no_release(tmp_path: Path) -> None:
    partly = {"XBTUSD_60.csv": FILES["XBTUSD_60.csv"], "MANIFEST.json": MANIFEST}
    source = the_source(unpacked(tmp_path / "Kraken_OHLCVT_2024Q1", partly))
    assert source.release is None
    assert len(source.members) == 1
    assert "holds 2 of the 3 files its manifest names" in str(source.problems[0])


def test_split_parts_are_one_archive_by_any_part_by_their_base_and_in_a_folder(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "Kraken_OHLCVT_Full_2026Q2.zip", nested(FILES))
    whole = the_source(archive)
    parts = split(archive, 5)
    for path in (parts[0], parts[3], archive, tmp_path):
        source = the_source(path)
        assert source.kind is SourceKind.SPLIT
        assert source.path == archive
        assert [member.series for member in source.members] == SERIES
        assert all(member.container is Container.SPLIT for member in source.members)
        assert (source.release, source.signature) == (whole.release, whole.signature)
        assert source.release is not None
        assert source.release.complete


def test_the_same_release_has_one_fingerprint_as_folder_zip_and_parts(tmp_path: Path) -> None:
    name = "Kraken_OHLCVT_2024Q1"
    flat = the_source(zipped(tmp_path / "flat" / f"{name}.zip", FILES))
    deep = the_source(zipped(tmp_path / "deep" / f"{name}.zip", nested(FILES)))
    folder = the_source(unpacked(tmp_path / "folder" / name, nested(FILES)))
    in_parts = zipped(tmp_path / "parts" / f"{name}.zip", FILES)
    split(in_parts, 3)
    releases = {source.release for source in (flat, deep, folder, the_source(in_parts))}
    assert len(releases) == 1
    assert None not in releases


def test_a_release_folder_is_recognised_by_name_or_manifest(tmp_path: Path) -> None:
    by_name = the_source(unpacked(tmp_path / "Kraken_OHLCVT_Q1_2024", nested(FILES)))
    by_manifest = the_source(unpacked(tmp_path / "any", FILES | {"MANIFEST.json": MANIFEST}))
    for source in (by_name, by_manifest):
        assert source.kind is SourceKind.FOLDER
        assert [member.series for member in source.members] == SERIES
        assert source.release is not None
        assert source.release.period_end == at("2024-04-01")
    assert by_name.members[2].name == "master_q1/XBTUSD_60.csv"
    assert by_name.members[2].label == f"{tmp_path}/Kraken_OHLCVT_Q1_2024/master_q1/XBTUSD_60.csv"


def test_a_manifest_in_an_inner_folder_speaks_for_it_and_its_outer_name_for_a_broken_one(tmp_path: Path) -> None:
    outer = tmp_path / "Kraken_OHLCVT_2024Q1"
    inner = unpacked(outer / "master_q1", FILES | {"MANIFEST.json": "{"})
    source = the_source(outer)
    assert source.path == inner
    assert source.release is not None
    assert source.release.name == "Kraken_OHLCVT_2024Q1"
    assert len(source.problems) == 1


def test_a_folder_may_hold_everything_at_once(tmp_path: Path) -> None:
    zipped(tmp_path / "Kraken_OHLCVT_Q1_2024.zip", FILES)
    split(zipped(tmp_path / "deeper" / "Kraken_OHLCVT_Full_2026Q2.zip", FILES), 2)
    unpacked(tmp_path / "Kraken_OHLCVT_2025Q1", FILES)
    unpacked(tmp_path, {"XMRUSD_60.csv": hours(2), "SHA256SUMS.txt": "", ".hidden_60.csv": "x"})
    unpacked(tmp_path / "deeper" / "still", {"XMRUSD_60.csv": hours(2, start=0)})
    unpacked(tmp_path / "__MACOSX", {"XMRUSD_60.csv": "x"})
    unpacked(tmp_path / ".git", {"XMRUSD_60.csv": "x"})
    found = {(s.path.name, s.kind, s.release is not None, len(s.members)) for s in find_sources(tmp_path)}
    assert found == {
        ("Kraken_OHLCVT_Q1_2024.zip", SourceKind.ZIP, True, 3),
        ("Kraken_OHLCVT_Full_2026Q2.zip", SourceKind.SPLIT, True, 3),
        ("Kraken_OHLCVT_2025Q1", SourceKind.FOLDER, True, 3),
        (tmp_path.name, SourceKind.LOOSE, False, 1),
        ("still", SourceKind.LOOSE, False, 1),
    }


def test_the_same_series_in_two_folders_of_loose_files_is_two_files(tmp_path: Path) -> None:
    unpacked(tmp_path, {"2023/XBTUSD_60.csv": hours(2, start=0), "2024/XBTUSD_60.csv": hours(2)})
    sources = find_sources(tmp_path)
    assert [member.series for source in sources for member in source.members] == [("XBTUSD", Interval.M60)] * 2
    assert not any(source.problems for source in sources)


def test_one_csv_file_is_a_loose_file_known_by_place_size_and_time(tmp_path: Path) -> None:
    path = unpacked(tmp_path, {"XBTUSD_60.csv": hours(2)}) / "XBTUSD_60.csv"
    source = the_source(path)
    assert (source.kind, source.release, source.path) == (SourceKind.LOOSE, None, path)
    before = source.members[0].signature
    assert the_source(path).members[0].signature == before
    assert the_source(tmp_path).members[0].signature == before
    os.utime(path, ns=(1, 1))
    assert the_source(path).members[0].signature != before


def test_names_are_told_apart_by_the_rule(tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {
        "AAPLxUSD_1.csv": b"", "1INCHEUR_5.CSV": b"", "A.B_C_15.csv": b"",
        "XBTUSD_10080.csv": b"", "XBTUSD_60 (1).csv": b"", "XBTUSD_060.csv": b"", "XBTUSD.csv": b"", "readme.txt": b"",
    }  # fmt: skip
    source = the_source(zipped(tmp_path / "x.zip", files))
    kept = {("AAPLxUSD", Interval.M1), ("1INCHEUR", Interval.M5), ("A.B_C", Interval.M15)}
    assert {member.series for member in source.members} == kept
    assert source.ignored == 5
    assert set(source.ignored_names) == set(list(files)[3:])


def test_a_zip_signature_follows_its_directory(tmp_path: Path) -> None:
    one = the_source(zipped(tmp_path / "a" / "x.zip", FILES))
    same = the_source(zipped(tmp_path / "b" / "x.zip", FILES))
    other = the_source(zipped(tmp_path / "c" / "x.zip", FILES | {"ETHUSD_60.csv": hours(3, start=0)}))
    assert one.signature == same.signature != other.signature
    assert [m.signature for m in one.members] == [m.signature for m in same.members]
    assert len({m.signature for source in (one, other) for m in source.members}) == 6


def test_members_and_sources_travel_to_other_processes(tmp_path: Path) -> None:
    source = the_source(zipped(tmp_path / "Kraken_OHLCVT_Q1_2024.zip", FILES))
    assert pickle.loads(pickle.dumps(source)) == source


def test_a_directory_of_ten_thousand_members_is_read_whole(tmp_path: Path) -> None:
    names = (f"A{i}USD_{int(interval)}.csv" for i in range(1250) for interval in Interval)
    path = zipped(tmp_path / "Kraken_OHLCVT_Full_2026Q2.zip", dict.fromkeys(names, b""), method=0)
    source = the_source(path)
    assert len({member.series for member in source.members}) == len(source.members) == 10_000


def test_a_link_to_a_folder_is_followed_once(tmp_path: Path) -> None:
    unpacked(tmp_path / "elsewhere", FILES)
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path / "root")
    (source,) = find_sources(tmp_path / "root")
    assert len(source.members) == 3


def test_an_empty_folder_holds_nothing(tmp_path: Path) -> None:
    assert find_sources(tmp_path) == ()


def test_a_path_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    for name in ("nowhere", "Kraken_OHLCVT_Full_2026Q2.zip", "x.zip.part00"):
        with pytest.raises(SourceNotFound, match=f"There is nothing at .*{name}; name a folder") as caught:
            find_sources(tmp_path / name)
        assert caught.value.exit_status == 2


def test_a_file_that_is_no_source_is_a_usage_error(tmp_path: Path) -> None:
    unpacked(tmp_path, {"notes.txt": "", "XBTUSD_10080.csv": ""})
    with pytest.raises(UnknownSource, match=r"notes\.txt is not a source"):
        find_sources(tmp_path / "notes.txt")
    with pytest.raises(NotACandleFile, match=r"XBTUSD_10080\.csv is not named like an archive file"):
        find_sources(tmp_path / "XBTUSD_10080.csv")
