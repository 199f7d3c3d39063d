"""A run as structured logs: one JSON object a line, appended to a file that several runs may share."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from chandlery.errors import ChandleryError, UsageError
from chandlery.pipeline.events import (
    AskDone,
    AskWaiting,
    Event,
    FileDone,
    JobEnded,
    Noticed,
    PageWalked,
    SeriesAsked,
    SourcesFound,
    WalkDone,
    WalkFailed,
)
from chandlery.reporting.as_json import as_plain, instant

#: Of a longer list as many are logged, and how many were left off: a plan may name ten thousand files.
MOST_ITEMS = 100
#: A walk may have a hundred thousand pages: one of so many is logged.
PAGES_A_LINE = 100
INFO, WARNING, ERROR = "INFO", "WARNING", "ERROR"
#: The exit status of a run that somebody has stopped.
PAUSED = 130


class LogFileNotWritable(UsageError):
    """LOG_FILE {path} cannot be written: {why}; name another file, or none"""


class LogNotWritten(ChandleryError):
    """LOG_FILE {path} cannot be written any more: {why}; what is done is kept, run the same command again to go on"""


class FileLog:
    """`{"time": "2026-11-23T20:00:00.123456Z", "level": "ERROR", "event": "FileDone", …the event's fields}`.

    Every line is one write to the end of the file, so that runs side by side never tear each other's. The file is
    opened at once: raises LogFileNotWritable before there is any work. `clock` tells the time of each line, UTC.
    """

    def __init__(self, path: Path, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._path = path
        self._clock = clock
        self._pages = 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("ab", buffering=0)
        except OSError as error:
            raise LogFileNotWritable(path=path, why=error.strerror or str(error)) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """What ended the run, where no event can tell it any more."""
        try:
            if error is not None and not isinstance(error, LogNotWritten):
                stopped = isinstance(error, KeyboardInterrupt) or getattr(error, "exit_status", 1) == PAUSED
                level = WARNING if stopped else ERROR
                self._write(level, "Stopped", {"error": str(error) or type(error).__name__})
        finally:
            self._file.close()

    def __call__(self, event: Event) -> None:
        if isinstance(event, PageWalked):
            self._pages += 1
            if self._pages % PAGES_A_LINE != 1:
                return
        facts: dict[str, Any] = {}
        for held in fields(event):
            value = getattr(event, held.name)
            facts[held.name] = as_plain(value[:MOST_ITEMS] if isinstance(value, tuple) else value)
            if isinstance(value, tuple) and len(value) > MOST_ITEMS:
                facts[f"{held.name}_left_off"] = len(value) - MOST_ITEMS
        self._write(level_of(event), type(event).__name__, facts)

    def _write(self, level: str, event: str, facts: dict[str, Any]) -> None:
        line = json.dumps({"time": instant(self._clock()), "level": level, "event": event, **facts}) + "\n"
        content = line.encode()
        try:
            written = os.write(self._file.fileno(), content)
        except OSError as error:
            raise LogNotWritten(path=self._path, why=error.strerror or str(error)) from error
        if written < len(content):
            raise LogNotWritten(path=self._path, why="the disk is full")


def level_of(event: Event) -> str:
    """ERROR for what failed, WARNING for what one should know, INFO for the rest."""
    match event:
        case SourcesFound(problems=failed) | FileDone(error=failed) | SeriesAsked(error=failed) if failed:
            return ERROR
        case JobEnded(status="FAILED") | WalkFailed():
            return ERROR
        case Noticed() | AskWaiting() | JobEnded(status="PAUSED"):
            return WARNING
        case JobEnded(failures=failed) | AskDone(failed=failed) | WalkDone(failed=failed) if failed:
            return WARNING
        case _:
            return INFO
