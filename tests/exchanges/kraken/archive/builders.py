"""Small archives for tests: rows, ZIPs, parts and the one member of a file."""

import zipfile
from pathlib import Path

from chandlery.exchanges.kraken.archive import ArchiveSource, Member, find_sources

HOUR = 3600
#: 2024-01-01 00:00 UTC.
START = 1_704_067_200
ROW = "1704067200,42284.9,42493.5,42180.8,42452.1,65.23154131,2047"


def hours(count: int, start: int = START) -> bytes:
    """So many hourly rows, each with values of its own."""
    return "".join(
        f"{start + i * HOUR},{100 + i}.5,{102 + i}.25,{99 + i},{101 + i}.125,0.0{i + 1},{i + 1}\n" for i in range(count)
    ).encode()


def zipped(path: Path, files: dict[str, bytes | str], method: int = zipfile.ZIP_DEFLATED) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, (2024, 1, 1, 0, 0, 0)), content, method)
    return path


def unpacked(folder: Path, files: dict[str, bytes | str]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def split(archive: Path, parts: int) -> list[Path]:
    """Cut a ZIP into `x.zip.part00`, `x.zip.part01`, … and remove the whole."""
    content = archive.read_bytes()
    length = -(-len(content) // parts)
    made = []
    for number in range(parts):
        made.append(archive.with_name(f"{archive.name}.part{number:02d}"))
        made[-1].write_bytes(content[number * length : (number + 1) * length])
    archive.unlink()
    return made


def the_source(path: Path) -> ArchiveSource:
    (source,) = find_sources(path)
    return source


def the_member(path: Path) -> Member:
    (member,) = the_source(path).members
    return member


def hourly_file(folder: Path, content: bytes | str) -> Member:
    """A loose `XBTUSD_60.csv` that holds `content`."""
    return the_member(unpacked(folder, {"XBTUSD_60.csv": content}) / "XBTUSD_60.csv")
