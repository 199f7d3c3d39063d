"""What a run has in hand, put down with its job, so that pages and other terminals can tell it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType
from typing import Self
from uuid import UUID

from chandlery.management.course import Course
from chandlery.models import IngestionJob, JobStatus
from chandlery.pipeline.events import Event, FilesDone, GapsFound, JobEnded, JobStarted, Planned, SourcesFound
from chandlery.reporting.in_hand import InHand

#: More often nobody looks. Seconds.
EVERY = 1.0


class OnRecord:
    """A listener: it writes when other work begins, else at most once a second. `clock` counts seconds, `time_of_day`
    is UTC.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        time_of_day: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._clock = clock
        self._time_of_day = time_of_day
        self._course = Course(clock)
        self._job: UUID | None = None
        self._between = ""
        self._what = ""
        self._written = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """The run itself clears the record with the end of its job."""

    def __call__(self, event: Event) -> None:
        self._course.follow(event)
        match event:
            case JobStarted():
                self._job, self._between = event.job_id, "looking for archives"
            case SourcesFound():
                self._between = "planning"
            case Planned():
                self._between = "beginning"
            case FilesDone():
                self._between = "looking for gaps"
            case GapsFound():
                self._between = "filling gaps"
            case JobEnded():
                return
        stage, now = self._course.stage, self._clock()
        what = stage.WHAT if stage else self._between
        if self._job is None:
            return
        if what != self._what or (stage is not None and now - self._written >= EVERY):
            self._what, self._written = what, now
            self._write(self._job, what)

    def _write(self, job: UUID, what: str) -> None:
        stage, at = self._course.stage, self._time_of_day()
        found = InHand(what, at)
        if stage is not None:
            found = InHand(what, at, stage.figures, stage.current, stage.share, stage.remaining)
        # One that counts as killed, although it was only unheard of, is at rest for whoever looks.
        IngestionJob.objects.filter(pk=job, status=JobStatus.RUNNING).update(in_hand=found.as_json())
