"""A run on a terminal: a box, six steps, live bars with rate and time left, failures as they come."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self, assert_never
from uuid import UUID

from rich.console import Console

from chandlery.management.audit_text import audit_text, is_contradicted
from chandlery.management.course import Course
from chandlery.management.plan_text import ask_text, derivation_text, open_text, plan_lines, walk_text
from chandlery.management.screen import BAD, GOOD, HEAD, WARN, Screen
from chandlery.management.step_text import (
    AuditEvent,
    FillEvent,
    WorkEvent,
    answer_text,
    asked_text,
    asking_text,
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
    unpaid_text,
    waiting_text,
    walk_cut_short,
    walked_text,
    walking_text,
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
from chandlery.reporting.wording import box, listed, plain, plural, sentence, width_of, widths

MOST_SOURCES = 10
MOST_PROBLEMS = 20
MOST_NAMES = 6


class TerminalListener(Screen):
    """Verbosity as Django has it: 0 errors only, 1 the steps, 2 each file and series, 3 the plan in full."""

    def __init__(
        self,
        console: Console,
        verbosity: int = 1,
        clock: Callable[[], float] = time.monotonic,
        *,
        in_steps: bool = True,
    ) -> None:
        super().__init__(console, verbosity)
        self._course = Course(clock)
        self._in_steps = in_steps
        self._job: UUID | None = None
        self._files = self._unanswered = 0
        self._waited_for = ""
        self._conflicting = self._differing = 0
        self._cut_short = False
        self._told: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop_bar()

    def __call__(self, event: Event) -> None:
        before = self._course.stage
        self._course.follow(event)
        if self._course.stage is not before:
            self._stop_bar()
        self._tell(event)
        if self._course.stage is not None:
            self._draw(self._course.stage)

    def _tell(self, event: Event) -> None:
        match event:
            case JobStarted():
                self._job_started(event)
            case Resumed():
                self._say(resumed_text(self._job, event), style=HEAD)
            case Noticed():
                self._say(f"! {plain(event.text)}", style=WARN)
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
                self._files_done(event)
            case GapsFound():
                self._gaps_found(event)
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
                self._say(f"  ✓ {sentence(kept_text(event))}", style=GOOD)
            case WalkStarted():
                self._walk_started(event)
            case PageWalked():
                pass  # the bar tells it
            case WalkFailed():
                self._walk_failed(event)
            case WalkDone():
                self._walk_done(event)
            case FillStarted():
                self._fill_started(event)
            case SeriesFilled():
                self._series_filled(event)
            case FillDone():
                self._step(5, "Fill")
                self._say(f"  ✓ {filled_text(event, stopped=self._cut_short)}", style=GOOD)
            case _:
                self._look_through(event)

    def _look_through(self, event: AuditEvent) -> None:
        match event:
            case LedgerAsked():
                self._ledger_asked(event)
            case AuditStarted():
                self._look()
            case MarketAudited():
                pass  # the bar tells it
            case Audited() | CandlesAudited():
                self._audited(event)
            case _:
                assert_never(event)

    def _job_started(self, event: JobStarted) -> None:
        self._job = event.job_id
        names = listed(event.title.split(", "), MOST_NAMES)
        markets = f"Markets: {event.markets:,}"
        lines = [f"{names} Ingestion", f"Intervals: {widths(event.intervals)}", markets, f"Job: {event.job_id}"]
        if self._verbosity:
            self._print(box(lines, self._console.width), "cyan")

    def _sources(self, found: SourcesFound) -> None:
        self._step(1, "Sources")
        if not found.sources:
            looked = ", ".join(plain(str(path)) for path in found.looked_at)
            self._say(f"  No archive found{f' in {looked}' if looked else ''}", style=WARN)
        shown = len(found.sources) if self._verbosity > 1 else MOST_SOURCES
        for source in found.sources[:shown]:
            self._say(f"  ✓ {source_text(source)}")
        if len(found.sources) > shown:
            self._say(f"  … and {plural(len(found.sources) - shown, 'more source')}")
        if found.unclassified:
            names = listed(found.unclassified, MOST_NAMES)
            self._say(f"  ! In no table of names, imported as unclassified: {names}", style=WARN)
        self._told.update(found.problems)
        for problem in found.problems[:MOST_PROBLEMS]:
            self._say(f"  ✗ {plain(problem)}", at=0, style=BAD)
        if len(found.problems) > MOST_PROBLEMS:
            self._say(f"  … and {plural(len(found.problems) - MOST_PROBLEMS, 'more problem')}", at=0, style=BAD)

    def _planned(self, made: Planned) -> None:
        self._step(2, "Plan")
        for line in plan_lines(made, self._console.width - 2):
            self._say(f"  {line}" if line else "")
        for ask in made.asks:
            self._say(f"  ? {ask_text(ask)}", at=3)
        for walk in made.walks:
            self._say(f"  → {walk_text(walk)}", at=3)
        for derivation in made.derivations:
            self._say(f"  → {derivation_text(derivation)}", at=3)
        for part in made.open:
            self._say(f"  ○ {open_text(part)}", at=3)

    def _files_started(self, event: FilesStarted) -> None:
        self._files += event.files
        self._step(3, "CSV")
        self._say(f"  {plural(event.files, 'file')}, {size_text(event.size)}")

    def _file_done(self, event: FileDone) -> None:
        self._conflicting += event.conflicting
        if event.outcome == "FAILED":
            self._told.add(event.error)
            self._say(f"  ✗ {failure_text(event.label, event.error)}", at=0, style=BAD)
        elif event.outcome == "SKIPPED":
            self._say(f"  = {plain(event.label)}: its content is known", at=2)
        else:
            new = f"{plural(event.rows, 'row')}, {event.inserted:,} new, {event.replaced:,} replaced"
            self._say(f"  ✓ {plain(event.label)}: {new}", at=2)

    def _files_done(self, event: FilesDone) -> None:
        self._step(3, "CSV")
        mark, style = ("✗", BAD) if event.failed else ("✓", GOOD)
        self._say(f"  {mark} {files_text(event, self._files)}", style=style)
        if self._conflicting:
            rows = plural(self._conflicting, "row")
            self._say(
                f"  ! {rows} differ from another source; the stronger one stands, and the difference is on record",
                style=WARN,
            )

    def _gaps_found(self, event: GapsFound) -> None:
        self._step(4, "Gaps")
        text = gaps_text(event)
        nothing_stored = event.unknown and not event.gaps
        said = sentence(text) if nothing_stored else f"Found {text}"
        self._say(f"  {said}", style=WARN if event.gaps else GOOD)

    def _ask_started(self, event: AskStarted) -> None:
        self._step(5, "Fill")
        if event.skipped:
            self._say(f"  API skipped: {plain(event.skipped)}")
            return
        if event.series:
            self._say(f"  {sentence(asking_text(event))}")

    def _waiting(self, event: AskWaiting) -> None:
        """One line for as long as nothing goes on for the same reason."""
        if event.why != self._waited_for:
            self._waited_for = event.why
            self._look()
            self._say(f"  ! {waiting_text(event)}", style=WARN)

    def _series_asked(self, event: SeriesAsked) -> None:
        self._differing += event.conflicting
        if event.error:
            self._unanswered += 1
            self._told.add(event.error)
            named = self._unanswered <= MOST_PROBLEMS
            self._say(f"  ✗ {failure_text(series_text(event), event.error)}", at=0 if named else 2, style=BAD)
        else:
            self._waited_for = ""
            self._say(f"  ✓ {answer_text(event)}", at=2)

    def _ask_done(self, event: AskDone) -> None:
        self._step(5, "Fill")
        if self._unanswered > MOST_PROBLEMS and self._verbosity < 2:
            more = plural(self._unanswered - MOST_PROBLEMS, "more series", "more series")
            self._say(f"  … and {more} without an answer (--verbosity 2 names each)", at=0, style=BAD)
        mark, style = ("✗", BAD) if event.failed else ("!", WARN) if cut_short(event) else ("✓", GOOD)
        self._say(f"  {mark} {asked_text(event)}", style=style)
        self._cut_short = self._cut_short or cut_short(event)
        if self._differing:
            self._say(f"  ! {differing_text(self._differing)}", style=WARN)
            self._differing = 0

    def _look(self) -> None:
        """The ledger tells gaps, and later what came of them."""
        if self._in_steps and self._in_step < 5:
            self._step(4, "Gaps")

    def _ledger_asked(self, event: LedgerAsked) -> None:
        self._look()
        mark, style = ("✗", BAD) if event.failed else ("✓", GOOD)
        self._say(f"  {mark} {sentence(ledger_text(event))}", style=style)

    def _audited(self, event: Audited | CandlesAudited) -> None:
        self._look()
        self._say(f"  {sentence(audit_text(event))}", style=WARN if is_contradicted(event) else GOOD)
        for example in event.examples:
            self._say(f"  ! {plain(example)}", style=WARN)

    def _walk_started(self, event: WalkStarted) -> None:
        self._step(5, "Fill")
        self._say(f"  {sentence(walking_text(event))}")
        for walk in event.walks:
            self._say(f"  → {walk_text(walk)}", at=2)

    def _walk_failed(self, event: WalkFailed) -> None:
        self._told.add(event.error)
        self._say(f"  ✗ {failure_text(event.market, event.error)}", at=0, style=BAD)

    def _walk_done(self, event: WalkDone) -> None:
        self._step(5, "Fill")
        short = walk_cut_short(event)
        mark, style = ("✗", BAD) if event.failed else ("!", WARN) if short else ("✓", GOOD)
        self._say(f"  {mark} {walked_text(event)}", style=style)
        if event.unpaid:
            self._say(f"  ! {sentence(unpaid_text(event))}", style=WARN)
        if event.conflicting:
            self._say(f"  ! {differing_text(event.conflicting, 'the trades')}", style=WARN)
        self._cut_short = self._cut_short or short

    def _edge_moved(self, event: EdgeMoved) -> None:
        self._stop_bar()
        self._say("")
        for line in edge_lines(event):
            self._say(line)

    def _fill_started(self, event: FillStarted) -> None:
        self._step(5, "Fill")
        if event.skipped:
            self._say(f"  Derivation skipped: {plain(event.skipped)}")

    def _series_filled(self, event: SeriesFilled) -> None:
        name = f"{plain(event.market)} {width_of(event.interval)}"
        candles = f"{plural(event.candles, 'candle')} for {plural(event.slots, 'slot')}"
        self._say(f"  ✓ {name} from {width_of(event.finer)}: {candles}", at=2)

    def _ended(self, event: JobEnded) -> None:
        self._stop_bar()
        for label, error in event.failures:
            if error not in self._told:
                self._say(f"  ✗ {failure_text(label, error)}", at=0, style=BAD)
        if event.status == "COMPLETED":
            self._step(6, "Report")
            self._say(f"  {ended_text(event)}", style=WARN if event.failures else GOOD)
            self._say("")
        else:
            failed = event.status == "FAILED"
            self._say(ended_text(event), at=0 if failed else 1, style=BAD if failed else WARN)
