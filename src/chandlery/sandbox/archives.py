"""Archives on disk, in every shape in which Kraken has published them, with the defects one asks for.

Overwrites an archive of the same name and leaves everything else in the folder alone.
"""

import json
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path, PurePosixPath

from chandlery.sandbox.defects import Revised, require_effect
from chandlery.sandbox.editions import Container, Edition, Shape, archive_name, release_of
from chandlery.sandbox.exchange import SandboxExchange
from chandlery.sandbox.market import first_minute_from, minute_of
from chandlery.sandbox.members import MembersOrder, WrittenMember, write_members
from chandlery.sandbox.zipping import DEFLATED, STORED, Packed, PartsFile, Sink, ZipWriter

MANIFEST = "MANIFEST.json"
#: What macOS puts beside each file it packs: an AppleDouble header with no entries.
_APPLE_DOUBLE = b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        \x00\x00"
_COPY = 1 << 20


@dataclass(frozen=True, slots=True)
class WrittenArchive:
    """What was written, and how to name it to a reader.

    `path` is the ZIP, the folder, or for a split ZIP its name without `.part00`; `files` are the files on disk.
    """

    path: Path
    files: tuple[Path, ...]
    members: int
    pairs: int
    rows: int


def write_archive(
    exchange: SandboxExchange, edition: Edition, out: Path, shape: Shape | None = None, executor: Executor | None = None
) -> WrittenArchive:
    """Write `edition` of `exchange` into the folder `out`. With an executor the markets are written side by side.

    Raises UnknownMarket, DefectOfNothing, NoSuchRow.
    """
    shape = shape or Shape()
    names = exchange.names if edition.markets is None else exchange.only(*edition.markets).names
    require_effect(edition.defects, names, edition.intervals)
    for defect in edition.defects:
        if isinstance(defect, Revised):
            exchange = exchange.revised(defect.within, defect.market)
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".sandbox-", dir=out) as folder:
        orders = [_order(exchange, edition, shape, name, Path(folder)) for name in names]
        done = executor.map(write_members, orders) if executor else map(write_members, orders)
        members = tuple(member for market in done for member in market)
        manifest = _manifest(exchange, edition, members) if shape.manifest else None
        path = _path(edition, shape, out)
        if shape.container in (Container.ZIP, Container.SPLIT):
            files = _pack(path, edition, shape, members, manifest)
        else:
            files = _lay_out(path, shape, members, manifest)
    return WrittenArchive(path, files, len(members), _pairs(members), sum(member.rows for member in members))


def _order(exchange: SandboxExchange, edition: Edition, shape: Shape, name: str, folder: Path) -> MembersOrder:
    book = exchange.book(name)
    # Whole days, so that the first slot of every interval is in: nothing traded before the listing.
    start = minute_of(book.market.listed) // 1440 * 1440 if edition.start is None else first_minute_from(edition.start)
    deflated = shape.container in (Container.ZIP, Container.SPLIT)
    intervals = tuple(sorted(set(edition.intervals)))
    end = minute_of(edition.end)
    return MembersOrder(book, intervals, start, end, folder, deflated, shape.scientific, edition.defects)


def _path(edition: Edition, shape: Shape, out: Path) -> Path:
    if shape.container is Container.LOOSE:
        return out
    name = archive_name(edition, shape)
    return out / (name if shape.container is Container.FOLDER else f"{name}.zip")


def _manifest(exchange: SandboxExchange, edition: Edition, members: tuple[WrittenMember, ...]) -> bytes:
    return json.dumps(
        {
            "release": release_of(edition),
            "coverage": {
                "start": _first_day(exchange, edition, members),
                "end": (edition.end - timedelta(microseconds=1)).date().isoformat(),
            },
            "generated": edition.generated_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "files": len(members),
            "pairs": _pairs(members),
            "rows": sum(member.rows for member in members),
            "intervals": [int(interval) for interval in sorted(set(edition.intervals))],
        },
        indent=2,
    ).encode()


def _first_day(exchange: SandboxExchange, edition: Edition, members: tuple[WrittenMember, ...]) -> str:
    start: datetime = edition.start or min(
        (exchange.market(altname).listed for altname in _altnames(members)), default=edition.end
    )
    return start.date().isoformat()


def _altnames(members: Iterable[WrittenMember]) -> set[str]:
    return {member.name.rpartition("_")[0] for member in members}


def _pairs(members: Iterable[WrittenMember]) -> int:
    return len(_altnames(members))


def _pack(
    path: Path, edition: Edition, shape: Shape, members: tuple[WrittenMember, ...], manifest: bytes | None
) -> tuple[Path, ...]:
    with ExitStack() as stack:
        sink: Sink
        if shape.container is Container.SPLIT:
            for stale in path.parent.glob(f"{path.name}.part*"):
                stale.unlink()
            sink = parts = stack.enter_context(PartsFile(path, shape.part_bytes))
            files = parts.paths
        else:
            sink = stack.enter_context(path.open("wb"))
            files = [path]
        zipped = ZipWriter(sink, edition.generated_at, zip64=shape.zip64)
        if shape.nested is not None:
            _store(zipped, f"{shape.nested}/", b"")
        for name, content in _extras(shape, members, manifest):
            _store(zipped, name, content)
        for member in members:
            name = _inner(shape, member.name)
            zipped.add(Packed(name, DEFLATED, member.crc, member.size, member.packed_size), _pieces(member.path))
        zipped.close()
    return tuple(files)


def _lay_out(path: Path, shape: Shape, members: tuple[WrittenMember, ...], manifest: bytes | None) -> tuple[Path, ...]:
    files: list[Path] = []
    for member in members:
        files.append(path / _inner(shape, member.name))
        files[-1].parent.mkdir(parents=True, exist_ok=True)
        member.path.replace(files[-1])
    for name, content in _extras(shape, members, manifest):
        files.append(path / name)
        files[-1].parent.mkdir(parents=True, exist_ok=True)
        files[-1].write_bytes(content)
    return tuple(files)


def _extras(shape: Shape, members: tuple[WrittenMember, ...], manifest: bytes | None) -> Iterator[tuple[str, bytes]]:
    """Every file that holds no candles."""
    if manifest is not None:
        yield _inner(shape, MANIFEST), manifest
    if shape.macosx:
        for member in members:
            inner = PurePosixPath("__MACOSX", _inner(shape, member.name))
            yield str(inner.with_name(f"._{inner.name}")), _APPLE_DOUBLE


def _inner(shape: Shape, name: str) -> str:
    return name if shape.nested is None else f"{shape.nested}/{name}"


def _store(zipped: ZipWriter, name: str, content: bytes) -> None:
    zipped.add(Packed(name, STORED, zlib.crc32(content), len(content), len(content)), [content])


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(_COPY):
            yield piece
