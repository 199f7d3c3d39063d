"""MANIFEST.json of newer releases, read with tolerance: its schema is not documented and may change. Pure."""

import json
import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

from chandlery.exchanges.kraken.archive.errors import MalformedManifest
from chandlery.exchanges.kraken.archive.release import ReleaseFacts, recognise

#: The name of the file, whatever its case.
MANIFEST_NAME = "manifest.json"
#: A manifest that lists every file of the complete set with its hash has some 2 MB.
MANIFEST_LIMIT = 16 << 20

_COVERAGE = ("coverage", "period", "coverage_dates", "coverage_period", "date_range", "range", "dates")
_START = ("start", "from", "begin", "first", "start_date", "first_date", "from_date")
_END = ("end", "to", "last", "end_date", "last_date", "to_date")
_NAMES = ("release", "release_name", "name", "archive")
_GENERATED = ("generated", "generated_at", "created", "created_at", "generation_date", "published")
_FILES = ("files", "file_count", "files_count", "total_files")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_LONGEST_QUARTER = timedelta(days=92)


def from_manifest(content: bytes, path: str, by_name: ReleaseFacts | None) -> ReleaseFacts:
    """What the manifest at `path` says, its gaps filled from the archive's name. Raises MalformedManifest."""
    manifest = _object(content, path)
    name = _first(manifest, _NAMES)
    named = recognise(name) if isinstance(name, str) else None
    known = named or by_name
    if not isinstance(name, str) or not name.strip():
        name = by_name.name if by_name else "unnamed release"
    start, end = _coverage(manifest, path)
    if end is None:
        if known is None:
            raise MalformedManifest(path=path, why="it tells no coverage dates")
        start, end = known.period_start, known.period_end
    complete = _is_complete(manifest, name, known, start, end)
    if not complete and start is None:
        raise MalformedManifest(path=path, why="it tells no first day of coverage")
    return ReleaseFacts(
        name=name.strip()[:200],
        period_start=None if complete else start,
        period_end=end,
        complete=complete,
        generated=_generated(_first(manifest, _GENERATED)),
        files=_count(_first(manifest, _FILES)),
    )


def _object(content: bytes, path: str) -> dict[str, Any]:
    if len(content) > MANIFEST_LIMIT:
        raise MalformedManifest(path=path, why=f"it is larger than {MANIFEST_LIMIT >> 20} MiB")
    try:
        manifest = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise MalformedManifest(path=path, why=f"it is not JSON ({type(error).__name__})") from None
    if not isinstance(manifest, dict):
        raise MalformedManifest(path=path, why="it is not a JSON object")
    return {str(key).lower(): value for key, value in manifest.items()}


def _first(mapping: dict[str, Any], keys: tuple[str, ...]) -> Any:
    return next((mapping[key] for key in keys if mapping.get(key) is not None), None)


def _coverage(manifest: dict[str, Any], path: str) -> tuple[datetime | None, datetime | None]:
    """[start, end) of the coverage; a manifest's days are inclusive."""
    first, last = _coverage_days(manifest)
    start, end = _midnight(first, path), _midnight(last, path)
    if end is not None:
        end += timedelta(days=1)
    if start is not None and end is not None and end <= start:
        raise MalformedManifest(path=path, why=f"its coverage ends ({last}) before it starts ({first})")
    return start, end


def _coverage_days(manifest: dict[str, Any]) -> tuple[Any, Any]:
    nested = _first(manifest, _COVERAGE)
    if isinstance(nested, dict):
        inner = {str(key).lower(): value for key, value in nested.items()}
        return _first(inner, _START), _first(inner, _END)
    if isinstance(nested, str):
        nested = _DATE.findall(nested)
    if isinstance(nested, list) and len(nested) == 2:
        return nested[0], nested[1]
    return _first(manifest, _flat(_START)), _first(manifest, _flat(_END))


def _flat(inner: tuple[str, ...]) -> tuple[str, ...]:
    return (*(f"{outer}_{key}" for outer in _COVERAGE for key in inner), *inner)


def _midnight(day: Any, path: str) -> datetime | None:
    if day is None:
        return None
    match = _DATE.match(day) if isinstance(day, str) else None
    try:
        if match is None:
            raise ValueError
        parsed = date.fromisoformat(match[0])
        return datetime(parsed.year, parsed.month, parsed.day, tzinfo=UTC)
    except ValueError:
        raise MalformedManifest(path=path, why=f"{str(day)[:40]!r} is not a day such as 2024-03-31") from None


def _is_complete(
    manifest: dict[str, Any], name: str, known: ReleaseFacts | None, start: datetime | None, end: datetime | None
) -> bool:
    said = _first(manifest, ("complete", "full"))
    if isinstance(said, bool):
        return said
    if "full" in name.lower() or (known is not None and known.complete):
        return True
    return start is not None and end is not None and end - start > _LONGEST_QUARTER


def _generated(said: Any) -> str | None:
    """A time that sorts as text; None for what is no time."""
    if not isinstance(said, str):
        return None
    try:
        moment = datetime.fromisoformat(said)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _count(said: Any) -> int | None:
    if isinstance(said, list | dict):
        return len(said)
    return said if isinstance(said, int) and not isinstance(said, bool) and said >= 0 else None
