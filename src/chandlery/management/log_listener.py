"""A run in a log: one plain line a step, one a failure, and at most one for every tenth of the way."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import IO, Self, assert_never
from uuid import UUID

from chandlery.management.audit_text import audit_text, is_contradicted
from chandlery.management.course import Asking, Course, Reading, Stage, Walking
from chandlery.management.plan_text import (
    api_text,
    ask_text,
    derivation_text,
    files_left_text,
    open_text,
    trades_text,
    walk_text,
)
from chandlery.management.step_text import (
    FillEvent,
    WorkEvent,
    answer_text,
    asked_text,
    asking_text,
    brought_something,
    cut_short,
    differing_text,
    edge_lines,
    ended_text,
    failure_text,
    files_text,
    filled_text,
    gaps_text,
    kept_text,
    ledger_text,
    resumed_text,
    series_text,
    source_text,
    step_title,
    unpaid_text,
    waiting_text,
    walk_cut_short,
    walked_text,
    walking_text,
    wanted_text,
)
from chandlery.pipeline.events import (
    AskDone,
    AskStarted,
    AskWaiting,
    Audited,
    AuditStarted,
    CandlesAudited,
    EdgeMoved,
    Event,
    FileDone,
    FilesDone,
    FilesStarted,
    FillDone,
    FillStarted,
    GapsFound,
    JobEnded,
    JobStarted,
    LedgerAsked,
    MarketAudited,
    Noticed,
    PagesKept,
    PageWalked,
    Planned,
    Resumed,
    SeriesAsked,
    SeriesFilled,
    SourcesFound,
    WalkDone,
    WalkFailed,
    WalkStarted,
)
from chandlery.reporting.progress import size_text
from chandlery.reporting.wording import days, plain, plural, width_of, widths

TENTHS = 10
#: Failures of one kind that are named before the rest is only counted.
MOST_PROBLEMS = 20


class LogListener:
    """Writes to any stream, in lines, without a code of any terminal. Verbosity 0 tells errors only.

    Of an `incremental` run it tells failures, warnings and what is new, and nothing at all where there is none of
    these: cron then sends no mail. Its steps take a verbosity of 2.
    """

    def __init__(
        self,
        stream: IO[str],
        verbosity: int = 1,
        clock: Callable[[], float] = time.monotonic,
        *,
        incremental: bool = False,
        in_steps: bool = True,
    ) -> None:
        self._stream = stream
        self._verbosity = verbosity
        self._incremental = incremental
        self._course = Course(clock)
        self._files = self._told = self._unanswered = self._differing = 0
        self._cut_short = False
        self._looking = f"{step_title(4, 'Gaps')}: " if in_steps else ""
        self._job: UUID | None = None
        self._waited_for = ""
        self._edge: EdgeMoved | None = None
        self._errors: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.flush()

    def __call__(self, event: Event) -> None:
        before = self._course.stage
        self._course.follow(event)
        if self._course.stage is not before:
            self._told = 0
        self._event(event)
        match self._course.stage:
            case Reading() as reading:
                self._way(step_title(3, "CSV"), reading)
            case Asking() | Walking() as stage:
                self._way(step_title(5, "Fill"), stage)

    def _way(self, title: str, stage: Stage) -> None:
        """At most one line for every tenth of the way."""
        if tenth := self._next_tenth(stage.share):
            self._say(f"{title}: {tenth * TENTHS}%, {stage.text}")

    def _event(self, event: Event) -> None:
        match event:
            case JobStarted():
                self._job = event.job_id
                markets = plural(event.markets, "market")
                self._say(f"Job {event.job_id}: {plain(event.title)}, {markets}, {widths(event.intervals)}")
            case Resumed():
                self._say(resumed_text(self._job, event))
            case Noticed():
                self._tell(f"WARNING {plain(event.text)}")
            case SourcesFound():
                self._sources(event)
            case Planned():
                self._planned(event)
            case EdgeMoved():
                self._edge_moved(event)
            case JobEnded():
                self._ended(event)
            case _:
                self._work(event)

    def _work(self, event: WorkEvent) -> None:
        match event:
            case FilesStarted():
                self._files_started(event)
            case FileDone():
                self._file_done(event)
            case FilesDone():
                self._say(f"{step_title(3, 'CSV')}: {files_text(event, self._files)}")
            case GapsFound():
                self._say(f"{step_title(4, 'Gaps')}: {gaps_text(event)}")
                # What is looked at from here on is what was filled.
                self._looking = f"{step_title(5, 'Fill')}: "
            case AskStarted():
                self._ask_started(event)
            case AskWaiting():
                self._waiting(event)
            case SeriesAsked():
                self._series_asked(event)
            case AskDone():
                self._ask_done(event)
            case _:
                self._fill(event)

    def _fill(self, event: FillEvent) -> None:
        match event:
            case PagesKept():
                self._say(kept_text(event))
            case LedgerAsked():
                self._say(f"{self._looking}{ledger_text(event)}")
            case Audited() | CandlesAudited():
                self._audited(event)
            case AuditStarted() | MarketAudited():
                pass  # it takes seconds, and its end tells more
            case WalkStarted():
                self._walk_started(event)
            case PageWalked():
                pass  # every tenth of the way is told
            case WalkFailed():
                self._errors.add(event.error)
                self._say(f"FAILED {failure_text(event.market, event.error)}", at=0)
            case WalkDone():
                self._walk_done(event)
            case FillStarted():
                self._fill_started(event)
            case SeriesFilled():
                self._series_filled(event)
            case FillDone():
                self._say(f"{step_title(5, 'Fill')}: {filled_text(event, stopped=self._cut_short)}")
            case _:
                assert_never(event)

    def _sources(self, found: SourcesFound) -> None:
        files, wanted = (sum(getattr(source, name) for source in found.sources) for name in ("files", "wanted"))
        text = f"{plural(len(found.sources), 'source')}, {wanted_text(files, wanted)}"
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
        size = size_text(sum(file.size for file in made.files))
        parts = [f"{plural(len(made.files), 'file')} to read ({size})" if made.files else "no files to read"]
        parts.append(f"{made.unchanged:,} unchanged")
        if made.files_serve:
            parts.append(f"from CSV {days(made.files_serve)}")
        parts.append(f"from the API {api_text(made)}")
        if made.walks or made.undated:
            parts.append(f"from trades {trades_text(made)}")
        parts.append(f"{plural(len(made.derivations), 'series', 'series')} to derive")
        parts.append(f"{plural(len(made.open), 'range')} left open")
        self._say(f"{step_title(2, 'Plan')}: {'; '.join(parts)}")
        if made.files_left:
            self._say(f"  {files_left_text(made)}")
        for ask in made.asks:
            self._say(f"  ask: {ask_text(ask)}", at=3)
        for walk in made.walks:
            self._say(f"  walk: {walk_text(walk)}", at=3)
        for derivation in made.derivations:
            self._say(f"  {derivation_text(derivation)}", at=3)
        for part in made.open:
            self._say(f"  open: {open_text(part)}", at=3)

    def _files_started(self, event: FilesStarted) -> None:
        self._files += event.files

    def _file_done(self, event: FileDone) -> None:
        if event.outcome == "FAILED":
            self._errors.add(event.error)
            self._say(f"FAILED {failure_text(event.label, event.error)}", at=0)
        else:
            self._say(f"  {event.outcome} {plain(event.label)}: {plural(event.rows, 'row')}", at=2)

    def _next_tenth(self, share: float) -> int:
        """The tenth of the way that has just been reached; 0 where none has, or the end."""
        tenth = int(share * TENTHS)
        if not self._told < tenth < TENTHS:
            return 0
        self._told = tenth
        return tenth

    def _ask_started(self, event: AskStarted) -> None:
        if event.skipped:
            self._say(f"{step_title(5, 'Fill')}: API skipped, {plain(event.skipped)}")
        elif event.series:
            self._say(f"{step_title(5, 'Fill')}: {asking_text(event)}")

    def _waiting(self, event: AskWaiting) -> None:
        """One line for as long as nothing goes on for the same reason."""
        if event.why != self._waited_for:
            self._waited_for = event.why
            self._say(f"{self._looking}{waiting_text(event)}")

    def _series_asked(self, event: SeriesAsked) -> None:
        self._differing += event.conflicting
        if event.error:
            self._unanswered += 1
            self._errors.add(event.error)
            named = self._unanswered <= MOST_PROBLEMS
            self._say(f"FAILED {failure_text(series_text(event), event.error)}", at=0 if named else 2)
        else:
            self._waited_for = ""
            self._say(f"  {answer_text(event)}", at=2)

    def _ask_done(self, event: AskDone) -> None:
        if self._unanswered > MOST_PROBLEMS and self._level < 2:
            more = plural(self._unanswered - MOST_PROBLEMS, "more series", "more series")
            self._say(f"FAILED {more} (--verbosity {3 if self._incremental else 2} names each)", at=0)
        self._say(f"{step_title(5, 'Fill')}: {asked_text(event)}")
        self._cut_short = self._cut_short or cut_short(event)
        if self._differing:
            self._say(f"{step_title(5, 'Fill')}: {differing_text(self._differing)}")
            self._differing = 0

    def _audited(self, event: Audited | CandlesAudited) -> None:
        # That something stored is contradicted, cron shall hear too.
        tell = self._tell if is_contradicted(event) else self._say
        tell(f"{self._looking}{audit_text(event)}")
        for example in event.examples:
            tell(f"  {'CONTRADICTED ' if isinstance(event, Audited) else ''}{plain(example)}")

    def _walk_started(self, event: WalkStarted) -> None:
        self._say(f"{step_title(5, 'Fill')}: {walking_text(event)}")
        for walk in event.walks:
            self._say(f"  walk: {walk_text(walk)}", at=2)

    def _walk_done(self, event: WalkDone) -> None:
        self._say(f"{step_title(5, 'Fill')}: {walked_text(event)}")
        if event.unpaid:
            self._say(f"{step_title(5, 'Fill')}: {unpaid_text(event)}")
        if event.conflicting:
            self._say(f"{step_title(5, 'Fill')}: {differing_text(event.conflicting, 'the trades')}")
        self._cut_short = self._cut_short or walk_cut_short(event)

    def _edge_moved(self, event: EdgeMoved) -> None:
        # Whether there is anything to say is known at the end, with the failures.
        self._edge = event
        if not self._incremental:
            self._tell_edge(event)

    def _tell_edge(self, event: EdgeMoved) -> None:
        for line in edge_lines(event):
            self._tell(line)

    def _fill_started(self, event: FillStarted) -> None:
        if event.skipped:
            self._say(f"{step_title(5, 'Fill')}: derivation skipped, {plain(event.skipped)}")

    def _series_filled(self, event: SeriesFilled) -> None:
        series = f"{plain(event.market)} {width_of(event.interval)} from {width_of(event.finer)}"
        self._say(f"  {series}: {plural(event.candles, 'candle')} for {plural(event.slots, 'slot')}", at=2)

    def _ended(self, event: JobEnded) -> None:
        for label, error in event.failures:
            if error not in self._errors:
                self._say(f"FAILED {failure_text(label, error)}", at=0)
        failed = bool(self._errors or event.failures)
        if self._incremental and self._edge and (failed or brought_something(self._edge)):
            self._tell_edge(self._edge)
        self._say(ended_text(event), at=0 if event.status == "FAILED" else 1)

    @property
    def _level(self) -> int:
        """The verbosity of steps: that of an incremental run is one less."""
        return max(0, self._verbosity - 1) if self._incremental else self._verbosity

    def _say(self, line: str, at: int = 1) -> None:
        """A line of a step, where its verbosity is at least `at`."""
        if self._level >= at:
            self._write(line)

    def _tell(self, line: str) -> None:
        """A line that an incremental run has to say too."""
        if self._verbosity:
            self._write(line)

    def _write(self, line: str) -> None:
        # A log in ASCII must not end the run because a file name is not.
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        self._stream.write(line.encode(encoding, "backslashreplace").decode(encoding) + "\n")
        self._stream.flush()
