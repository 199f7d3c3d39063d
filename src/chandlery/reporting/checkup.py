"""A checkup: what was looked at, what is wrong, and what to do about it. Judged here, looked at elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import Any

from chandlery.errors import ChandleryError
from chandlery.reporting.wording import plain, plural, wrapped

#: Less than this is soon full: a quarter of all markets takes some hundred megabytes.
ENOUGH_SPACE = 1_000_000_000
GIGABYTE = 1_000_000_000
#: So far apart, clocks may differ: candles are taken as settled by ours.
CLOCKS_APART = timedelta(seconds=60)
OLDEST_PYTHON = (3, 11)

OTHERS_READ = 0o044
OTHERS_ANYTHING = 0o077


class State(Enum):
    """What came of looking at one thing. A NOTE is worth knowing, and nothing is wrong with it."""

    OK = "ok"
    NOTE = "note"
    WRONG = "wrong"


MARKS = {State.OK: "✓", State.NOTE: "!", State.WRONG: "✗"}


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at: what it is like, and where it is not as it should be, what to do."""

    name: str
    state: State
    said: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class DatabaseFacts:
    """A database as it was found. `pending`: migrations that are due; `journal`: of an SQLite file."""

    name: str
    is_sqlite: bool
    is_there: bool = True
    version: str = ""
    pending: int = 0
    journal: str = ""


@dataclass(frozen=True, slots=True)
class Library:
    """An installed library, or one that is missing; `wanted` as in a requirement: >=5.2,<5.3."""

    name: str
    version: str | None
    wanted: str = ""

    @property
    def fits(self) -> bool:
        if self.version is None:
            return False
        found = _numbers(self.version)
        for sign, bound in re.findall(r"(>=|<=|==|>|<)\s*([\d.]+)", self.wanted):
            width = max(len(found), len(_numbers(bound)))
            ours, theirs = (part + (0,) * (width - len(part)) for part in (found, _numbers(bound)))
            is_held = {
                ">=": ours >= theirs,
                "<=": ours <= theirs,
                "==": ours == theirs,
                ">": ours > theirs,
                "<": ours < theirs,
            }
            if not is_held[sign]:
                return False
        return True


def is_well(checks: Iterable[Check]) -> bool:
    return all(check.state is not State.WRONG for check in checks)


def of_error(name: str, error: ChandleryError, remedy: str = "") -> Check:
    """Errors say what is wrong, and most of them, after a semicolon, what to do; `remedy` is for the others."""
    said, _, told = str(error).removesuffix(".").partition("; ")
    return Check(name, State.WRONG, said, told or remedy)


def of_denial(name: str, error: OSError) -> Check:
    """What the system does not let us look at."""
    remedy = "mend it, or name another in its place"
    if isinstance(error, PermissionError):
        remedy = "let the user who runs this look at it: chown, chmod"
    return Check(name, State.WRONG, f"{error.filename} cannot be looked at: {error.strerror}", remedy)


def judge_settings(home: Path, misspelt: Mapping[str, tuple[str, str]], fixed_clock: datetime | None) -> Check:
    """`misspelt`: what settings files name that is no setting: the file, and what may have been meant."""
    if misspelt:
        name, (file, meant) = next(iter(misspelt.items()))
        return Check("settings", State.WRONG, f"{file} sets {name}, which is no setting", f"write {meant}")
    if fixed_clock is not None:
        said = f"CLOCK is set: every run works as if it were {fixed_clock:%Y-%m-%d %H:%M} UTC"
        return Check("settings", State.NOTE, said, "leave CLOCK out, but for trying things out")
    return Check("settings", State.OK, f"home is {home}")


def judge_database(facts: DatabaseFacts) -> Check:
    if not facts.is_there:
        return Check("database", State.OK, f"{facts.name} is not there yet; the first command makes it")
    if facts.is_sqlite and facts.journal != "wal":
        said = f"{facts.name} is in journal mode {facts.journal}, not WAL: reports would wait for runs"
        return Check("database", State.WRONG, said, "keep it on a disk of this machine, by DATABASE_URL")
    kind = f"SQLite {facts.version}, WAL" if facts.is_sqlite else f"PostgreSQL {facts.version}"
    due = f"; the next command applies {plural(facts.pending, 'migration')}" if facts.pending else ""
    return Check("database", State.OK, f"{facts.name} ({kind}){due}")


def judge_python(version: Sequence[int], libraries: Sequence[Library]) -> Check:
    shown = ".".join(map(str, version[:3]))
    if tuple(version[:2]) < OLDEST_PYTHON:
        return Check("python", State.WRONG, f"this is Python {shown}", "install Python 3.11 or newer")
    for library in libraries:
        if not library.fits:
            found = f"is {library.version}" if library.version else "is not installed"
            remedy = f"pip install '{library.name}{library.wanted}'"
            return Check("python", State.WRONG, f"{library.name} {found}, {library.wanted or 'any'} is needed", remedy)
    known = ", ".join(f"{library.name} {library.version}" for library in libraries)
    return Check("python", State.OK, f"Python {shown}; {known}")


def judge_space(free: Mapping[Path, int]) -> Check:
    """`free`: bytes that are left, by folder."""
    folder, least = min(free.items(), key=lambda item: item[1])
    if least < ENOUGH_SPACE:
        said = f"only {least / GIGABYTE:.1f} GB are left for {folder}"
        return Check("disk space", State.WRONG, said, "make room, or move it: CANDLE_STORE, CHANDLERY_HOME")
    return Check("disk space", State.OK, f"{least / GIGABYTE:,.0f} GB are left for {folder}")


def judge_folders(not_writable: Sequence[Path], looked_at: int) -> Check:
    if not_writable:
        said = f"{not_writable[0]} is no folder that can be written to"
        return Check("folders", State.WRONG, said, "make it one, and its owner the user who runs this: chown, chmod")
    return Check("folders", State.OK, f"{plural(looked_at, 'folder')} can be written to")


def judge_secrets(modes: Mapping[Path, int]) -> Check:
    """`modes`: the permissions of files that hold secrets."""
    for path, mode in modes.items():
        if mode & OTHERS_ANYTHING:
            who = "others" if mode & OTHERS_READ else "more than its owner"
            return Check(
                "secrets", State.WRONG, f"{path} is open to {who} (mode {mode & 0o777:o})", f"chmod 600 {path}"
            )
    if not modes:
        return Check("secrets", State.OK, "no file holds one yet")
    return Check("secrets", State.OK, f"{', '.join(path.name for path in modes)}: for their owner alone")


def judge_archives(folder: Path, *, is_folder: bool, entries: int) -> Check:
    if not is_folder:
        remedy = f"mkdir -p {folder}, and put Kraken's archives there as they are; or name others by --source"
        return Check("archives", State.NOTE, f"there is no folder {folder}", remedy)
    if not entries:
        remedy = "put Kraken's archives there as they are: without them history is rebuilt from trades alone"
        return Check("archives", State.NOTE, f"{folder} is empty", remedy)
    return Check("archives", State.OK, f"{folder} holds {plural(entries, 'file or folder', 'files and folders')}")


def judge_exchange(url: str, status: str, *, is_open: bool) -> Check:
    if not is_open:
        return Check("exchange", State.WRONG, f"{url} answers: {status}", "wait: nothing is to be had of it now")
    return Check("exchange", State.OK, f"{url} answers: {status}")


def judge_clock(ahead: timedelta) -> Check:
    """`ahead`: by how much our clock is ahead of the exchange's."""
    seconds = round(abs(ahead).total_seconds())
    if abs(ahead) > CLOCKS_APART:
        side = "ahead of" if ahead > timedelta() else "behind"
        said = f"this machine's clock is {plural(seconds, 'second')} {side} the exchange's"
        return Check("clock", State.WRONG, said, "set it by NTP: timedatectl set-ntp true")
    return Check("clock", State.OK, f"{plural(seconds, 'second')} from the exchange's")


def checkup_as_json(checks: Sequence[Check], version: str) -> dict[str, Any]:
    """{"ok", "version", "checks": [{"name", "state", "said", "remedy"}]}"""
    return {
        "ok": is_well(checks),
        "version": version,
        "checks": [
            {"name": check.name, "state": check.state.value, "said": check.said, "remedy": check.remedy}
            for check in checks
        ],
    }


def checkup_as_text(checks: Sequence[Check], columns: int) -> list[str]:
    """A line for each, its remedy below it."""
    width = max(len(check.name) for check in checks)
    lines: list[str] = []
    for check in checks:
        lines += wrapped(f"{MARKS[check.state]} {check.name:{width}}  {plain(check.said)}", columns, " " * (width + 4))
        if check.remedy:
            lines += wrapped(f"  {'':{width}}  → {plain(check.remedy)}", columns, " " * (width + 6))
    wrong = sum(check.state is State.WRONG for check in checks)
    return [*lines, "", f"{plural(wrong, 'thing is', 'things are')} wrong." if wrong else "All is well."]


def _numbers(version: str) -> tuple[int, ...]:
    """5.2.19 of 5.2.19rc1."""
    match = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(map(int, match[0].split("."))) if match else ()
