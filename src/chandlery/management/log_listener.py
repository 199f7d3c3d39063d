"""A run in a log: one plain line a step, one a failure, and at most one for every tenth of the bytes read."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import IO, Self, assert_never

from chandlery.management.plan_text import derivation_text, open_text
from chandlery.management.step_text import (
    ended_text,
    failure_text,
    files_text,
    filled_text,
    gaps_text,
    source_text,
    step_title,
)
from chandlery.pipeline.events import (
    Event,
    FileDone,
    FilesDone,
    FilesStarted,
    FillDone,
    FillStarted,
    GapsFound,
    JobEnded,
    JobStarted,
    Planned,
    SeriesFilled,
    SourcesFound,
)
from chandlery.reporting.progress import Pace, compact, duration, size_text
from chandlery.reporting.wording import days, plain, plural, width_of, widths

TENTHS = 10


class LogListener:
    """Writes to any stream, in lines, without a code of any terminal. Verbosity 0 tells errors only."""

    def __init__(self, stream: IO[str], verbosity: int = 1, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._verbosity = verbosity
        self._clock = clock
        self._started = clock()
        self._files = self._size = self._files_done = self._size_done = self._rows = self._told = 0
        self._errors: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.flush()

    def __call__(self, event: Event) -> None:
        match event:
            case JobStarted():
                markets = plural(event.markets, "market")
                self._say(f"Job {event.job_id}: {plain(event.title)}, {markets}, {widths(event.intervals)}")
            case SourcesFound():
                self._sources(event)
            case Planned():
                self._planned(event)
            case FilesStarted():
                self._files_started(event)
            case FileDone():
                self._file_done(event)
            case FilesDone():
                self._say(f"{step_title(3, 'CSV')}: {files_text(event)}")
            case GapsFound():
                self._say(f"{step_title(4, 'Gaps')}: {gaps_text(event)}")
            case FillStarted():
                self._fill_started(event)
            case SeriesFilled():
                self._series_filled(event)
            case FillDone():
                self._say(f"{step_title(5, 'Fill')}: {filled_text(event)}")
            case JobEnded():
                self._ended(event)
            case _:
                assert_never(event)

    def _sources(self, found: SourcesFound) -> None:
        files, wanted = (sum(getattr(source, name) for source in found.sources) for name in ("files", "wanted"))
        text = f"{plural(len(found.sources), 'source')}, {plural(files, 'file')}, {wanted:,} of the chosen markets"
        if not found.sources:
            looked = ", ".join(plain(str(path)) for path in found.looked_at)
            text = f"no archive found{f' in {looked}' if looked else ''}"
        if found.unclassified:
            text += f"; {plural(len(found.unclassified), 'unclassified market')}: "
            text += ", ".join(plain(name) for name in found.unclassified)
        self._say(f"{step_title(1, 'Sources')}: {text}")
        for source in found.sources:
            self._say(f"  {source_text(source)}", at=2)
        self._errors.update(found.problems)
        for problem in found.problems:
            self._say(f"PROBLEM {plain(problem)}", at=0)

    def _planned(self, made: Planned) -> None:
        parts = [f"{plural(len(made.files), 'file')} to read ({size_text(sum(file.size for file in made.files))})"]
        parts.append(f"{made.unchanged:,} unchanged")
        if made.files_serve:
            parts.append(f"from CSV {days(made.files_serve)}")
        parts.append(f"left to the API {days(made.api_serves)}" if made.api_serves else "from the API nothing")
        parts.append(f"{plural(len(made.derivations), 'series', 'series')} to derive")
        parts.append(f"{plural(len(made.open), 'range')} left open")
        self._say(f"{step_title(2, 'Plan')}: {'; '.join(parts)}")
        for derivation in made.derivations:
            self._say(f"  {derivation_text(derivation)}", at=3)
        for part in made.open:
            self._say(f"  open: {open_text(part)}", at=3)

    def _files_started(self, event: FilesStarted) -> None:
        if not self._files:
            self._started = self._clock()
        self._files += event.files
        self._size += event.size

    def _file_done(self, event: FileDone) -> None:
        self._files_done += 1
        self._size_done += event.size
        self._rows += event.rows
        if event.outcome == "FAILED":
            self._errors.add(event.error)
            self._say(f"FAILED {failure_text(event.label, event.error)}", at=0)
        else:
            self._say(f"  {event.outcome} {plain(event.label)}: {plural(event.rows, 'row')}", at=2)
        pace = Pace(self._size_done, self._size, self._rows, self._clock() - self._started)
        tenth = int(pace.share * TENTHS)
        if self._told < tenth < TENTHS:
            self._told = tenth
            files = f"{self._files_done:,} of {plural(self._files, 'file')}"
            rate = f"{compact(pace.rate)} rows/s, ETA {duration(pace.remaining)}"
            self._say(f"{step_title(3, 'CSV')}: {tenth * TENTHS}%, {files}, {rate}")

    def _fill_started(self, event: FillStarted) -> None:
        if event.skipped:
            self._say(f"{step_title(5, 'Fill')}: skipped, {plain(event.skipped)}")

    def _series_filled(self, event: SeriesFilled) -> None:
        series = f"{plain(event.market)} {width_of(event.interval)} from {width_of(event.finer)}"
        self._say(f"  {series}: {plural(event.candles, 'candle')} for {plural(event.slots, 'slot')}", at=2)

    def _ended(self, event: JobEnded) -> None:
        for label, error in event.failures:
            if error not in self._errors:
                self._say(f"FAILED {failure_text(label, error)}", at=0)
        self._say(ended_text(event), at=0 if event.status == "FAILED" else 1)

    def _say(self, line: str, at: int = 1) -> None:
        """One line, where the verbosity is at least `at`."""
        if self._verbosity < at:
            return
        # A log in ASCII must not end the run because a file name is not.
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        self._stream.write(line.encode(encoding, "backslashreplace").decode(encoding) + "\n")
        self._stream.flush()
