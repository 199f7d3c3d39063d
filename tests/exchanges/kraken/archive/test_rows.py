"""Reading candles from a member: what comes out, whatever it stands in and however it is cut into blocks."""

import hashlib
import subprocess
import sys
import zipfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chandlery.candles.frame import CANDLE_SCHEMA
from chandlery.exchanges.kraken.archive import (
    DamagedArchive,
    EmptyMember,
    Member,
    UnreadableFile,
    first_timestamp,
    hash_member,
    last_timestamp,
    open_rows,
)
from chandlery.exchanges.kraken.archive.rows import _blocks
from tests.candles.builders import at
from tests.exchanges.kraken.archive.builders import ROW, hourly_file, hours, split, the_member, zipped

REAL = Path(__file__).parents[4].parent / "shared" / "data" / "kraken"


def read(member: Member, block_bytes: int = 8 << 20) -> pl.DataFrame:
    with open_rows(member, block_bytes) as reader:
        frames = list(reader)
    assert reader.rows == sum(frame.height for frame in frames)
    return pl.concat(frames)


def test_a_row_becomes_a_candle(tmp_path: Path) -> None:
    candles = read(hourly_file(tmp_path, f"{ROW}\n"))
    assert candles.schema == CANDLE_SCHEMA
    assert candles.rows() == [(at("2024-01-01"), 42284.9, 42493.5, 42180.8, 42452.1, 65.23154131, 2047)]


def test_the_reader_knows_what_it_read(tmp_path: Path) -> None:
    member = hourly_file(tmp_path, hours(50))
    with open_rows(member) as reader:
        assert sum(frame.height for frame in reader) == 50
    assert reader.sha256 == hashlib.sha256(hours(50)).hexdigest()
    assert (reader.rows, reader.first, reader.last) == (50, at("2024-01-01"), at("2024-01-03 01:00"))


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_member_reads_the_same_on_disk_in_a_zip_and_in_parts(tmp_path: Path, method: int) -> None:
    plain = read(hourly_file(tmp_path / "plain", hours(3000)))
    archive = zipped(tmp_path / "x.zip", {"q1/XBTUSD_60.csv": hours(3000)}, method)
    assert read(the_member(archive)).equals(plain)
    split(archive, 7)
    in_parts = the_member(archive)
    assert read(in_parts).equals(plain)
    assert hash_member(in_parts) == hashlib.sha256(hours(3000)).hexdigest()


@pytest.mark.parametrize("block_bytes", [1, 60, 1000, 4096, 8 << 20])
def test_blocks_of_any_size_hold_the_same_rows(tmp_path: Path, block_bytes: int) -> None:
    member = the_member(zipped(tmp_path / "x.zip", {"XBTUSD_60.csv": hours(20_000)}))
    assert read(member, block_bytes).equals(read(member))


@given(
    content=st.lists(st.integers(0, 40)).map(lambda lengths: b"".join(b"x" * n + b"\n" for n in lengths)),
    tail=st.integers(0, 40),
    cuts=st.lists(st.integers(0, 900)),
    block_bytes=st.integers(1, 200),
)
def test_blocks_end_with_their_lines_however_the_pieces_fall(
    content: bytes, tail: int, cuts: list[int], block_bytes: int
) -> None:
    content += b"y" * tail
    edges = [0, *sorted(cut for cut in cuts if cut < len(content)), len(content)]
    pieces = [content[a:b] for a, b in pairwise(edges) if b > a]
    blocks = list(_blocks(pieces, block_bytes))
    assert b"".join(blocks) == content
    assert all(block.endswith(b"\n") for block in blocks[: -1 if tail else None])
    assert not tail or blocks[-1] == b"y" * tail


@pytest.mark.parametrize(
    ("row", "values"),
    [
        (f"{ROW}\r", (42284.9, 42493.5, 42180.8, 42452.1, 65.23154131, 2047)),
        ("1704067200,1,2,1,1.5,3E+1,4", (1.0, 2.0, 1.0, 1.5, 30.0, 4)),
        ("1704067200,1e-8,2E-8,1e-8,1.5e-8,1.234e-05,4", (1e-8, 2e-8, 1e-8, 1.5e-8, 1.234e-05, 4)),
        ("1704067200,.5,2.,.5,1,0,0", (0.5, 2.0, 0.5, 1.0, 0.0, 0)),
        ("1704067200, 1,+2,1,1.5,3,+4", (1.0, 2.0, 1.0, 1.5, 3.0, 4)),
        ("1704067200,1,2,1,1.5,3529536.4586280505,4", (1.0, 2.0, 1.0, 1.5, 3529536.4586280505, 4)),
    ],
)
def test_unusual_but_right_numbers_are_right(tmp_path: Path, row: str, values: tuple[float, ...]) -> None:
    assert read(hourly_file(tmp_path, f"{row}\n")).row(0)[1:] == values


def test_the_first_and_last_slot_are_known_without_the_rows_between(tmp_path: Path) -> None:
    plain = hourly_file(tmp_path, hours(3000))
    deflated = the_member(zipped(tmp_path / "x.zip", {"XBTUSD_60.csv": hours(3000)}))
    for member in (plain, deflated):
        assert (first_timestamp(member), last_timestamp(member)) == (at("2024-01-01"), at("2024-05-04 23:00"))


@pytest.mark.parametrize("content", ["", f"{ROW}", "<html></html>\n", "1704067200,1,2\n", "\n", "x,1,1,1,1,1,1\n"])
def test_a_first_or_last_row_that_is_none_has_no_time(tmp_path: Path, content: str) -> None:
    member = hourly_file(tmp_path, content)
    assert (first_timestamp(member), last_timestamp(member)) == (None, None)


def test_an_empty_file_says_so(tmp_path: Path) -> None:
    member = hourly_file(tmp_path, "")
    with pytest.raises(EmptyMember, match=r"XBTUSD_60\.csv:1: the file is empty; expected at least one row\."):
        read(member)


def damaged(tmp_path: Path, change: int, method: int = zipfile.ZIP_DEFLATED) -> Member:
    """A member whose data differs in one byte, `change` bytes after its name."""
    path = zipped(tmp_path / "x.zip", {"XBTUSD_60.csv": hours(5000)}, method)
    content = bytearray(path.read_bytes())
    content[content.find(b"XBTUSD_60.csv") + 13 + change] ^= 0x15
    path.write_bytes(content)
    return the_member(path)


@pytest.mark.parametrize("change", [0, 300, 5_000, 20_000])
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_changed_byte_is_damage_even_where_it_looks_like_a_bad_row(tmp_path: Path, change: int, method: int) -> None:
    member = damaged(tmp_path, change, method)
    for reading in (read, hash_member):
        with pytest.raises(DamagedArchive, match=r"^x\.zip:XBTUSD_60\.csv is damaged: "):
            reading(member)


def test_a_wrong_checksum_is_named(tmp_path: Path) -> None:
    member = damaged(tmp_path, 0, zipfile.ZIP_STORED)
    with pytest.raises(DamagedArchive, match=r"its checksum \(CRC-32\) is wrong"):
        hash_member(member)


def test_data_that_is_cut_off_after_its_directory_was_read_is_damage(tmp_path: Path) -> None:
    path = zipped(tmp_path / "x.zip", {"XBTUSD_60.csv": hours(5000)})
    member = the_member(path)
    path.write_bytes(path.read_bytes()[:10_000])
    with pytest.raises(DamagedArchive, match="its compressed data is cut off"):
        read(member)
    path.write_bytes(b"")
    with pytest.raises(DamagedArchive, match="it does not start where the directory says"):
        read(member)
    path.unlink()
    with pytest.raises(UnreadableFile, match=r"x\.zip:XBTUSD_60\.csv cannot be read: No such file"):
        read(member)


def test_a_member_never_yields_more_than_it_announces(tmp_path: Path) -> None:
    path = zipped(tmp_path / "x.zip", {"XBTUSD_60.csv": b"0" * 50_000_000})
    content = path.read_bytes()
    path.write_bytes(content.replace((50_000_000).to_bytes(4, "little"), (1000).to_bytes(4, "little")))
    with pytest.raises(DamagedArchive, match="it holds more than the 1000 bytes announced"):
        hash_member(the_member(path))


def test_a_loose_file_that_grows_or_shrinks_meanwhile_is_not_taken_for_whole(tmp_path: Path) -> None:
    member = hourly_file(tmp_path, hours(10))
    for now in (hours(11), hours(9)):
        hourly_file(tmp_path, now)
        with pytest.raises(DamagedArchive, match="it holds (more than|.* of) the"):
            read(member)


def test_leaving_early_closes_the_file(tmp_path: Path) -> None:
    member = hourly_file(tmp_path, hours(20_000))
    with open_rows(member, 1000) as reader:
        assert next(iter(reader)).height > 0
    assert reader.sha256 is None
    assert list(reader._pieces) == []


def test_the_memory_of_a_large_member_is_bounded(tmp_path: Path) -> None:
    n = 2_000_000
    frame = pl.DataFrame({"t": np.arange(n) * 60, "o": 1.5, "h": 1.5, "l": 1.5, "c": 1.5, "v": 12345.12345678, "n": 3})
    csv = frame.select("t", "o", "h", "l", "c", "v", "n").write_csv(include_header=False)
    path = zipped(tmp_path / "x.zip", {"XBTUSD_1.csv": csv})
    program = (
        "import sys, resource; from pathlib import Path\n"
        "from chandlery.exchanges.kraken.archive import find_sources, open_rows\n"
        "start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "member = find_sources(Path(sys.argv[1]))[0].members[0]\n"
        "with open_rows(member) as reader: rows = sum(f.height for f in reader)\n"
        "print(rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - start)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=True)
    rows, grown = map(int, done.stdout.split())
    assert rows == n
    # in KiB on Linux; the text alone has 83 MB, the frames as much again
    assert sys.platform != "linux" or grown < 130_000


@pytest.mark.skipif(not REAL.is_dir(), reason="the real files are not beside this checkout")
@pytest.mark.parametrize("name", ["XBTUSD_60.csv", "ETHUSD_60.csv", "XBTUSD_1440.csv", "XBTUSDC_1.csv"])
def test_a_real_file_reads_as_python_reads_it(name: str) -> None:
    candles = read(the_member(REAL / name), 100_000)
    lines = [line.split(",") for line in (REAL / name).read_text().splitlines()]
    seconds = candles["timestamp"].dt.epoch("s").to_list()
    rows = [(t, *values) for t, values in zip(seconds, candles.drop("timestamp").rows(), strict=True)]
    assert rows == [(int(f[0]), *map(float, f[1:6]), int(f[6])) for f in lines]
