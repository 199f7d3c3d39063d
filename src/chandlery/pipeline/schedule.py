"""Hand tasks to an executor, a bounded number at a time, never two of one key at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from chandlery.candles.interval import Interval
from chandlery.candles.series import Series
from chandlery.models import FileIngestionRecord, FileStatus
from chandlery.pipeline.on_hand import FileOnHand

MEANWHILE_SECONDS = 5.0

Task = TypeVar("Task")
Result = TypeVar("Result")


@dataclass(slots=True)
class Schedule(Generic[Task, Result]):
    """Tasks in the order given, never two of one key at once: those whose key is busy wait until its result is taken.

    No more than `width` at once: whoever stops a run waits for these. The next begin before the caller is handed the
    results that made room for them.
    """

    executor: Executor
    work: Callable[[Task], Result]
    key: Callable[[Task], Hashable]
    width: int
    #: Called now and then while results are waited for.
    meanwhile: Callable[[], None] = lambda: None
    _running: dict[Future[Result], Task] = field(default_factory=dict)
    _taken: list[Task] = field(default_factory=list)

    @property
    def in_hand(self) -> list[Task]:
        return list(self._running.values())

    def results(self, tasks: Iterable[Task], should_stop: Callable[[], bool]) -> Iterator[tuple[Task, Result]]:
        """Each task with its result, as they come. Once `should_stop`, those in hand are finished and no more begun."""
        waiting = list(tasks)
        while waiting or self._running:
            if should_stop():
                waiting.clear()
            self._begin(waiting)
            finished, _ = wait(self._running, timeout=MEANWHILE_SECONDS, return_when=FIRST_COMPLETED)
            self.meanwhile()
            done = [(self._running.pop(future), future.result()) for future in finished]
            self._taken = [task for task, _ in done]
            self._begin(waiting)
            yield from done
            self._taken = []

    def _begin(self, waiting: list[Task]) -> None:
        busy = {self.key(task) for task in (*self._running.values(), *self._taken)}
        position = 0
        while position < len(waiting) and len(self._running) < self.width:
            key = self.key(waiting[position])
            if key in busy:
                position += 1
                continue
            task = waiting.pop(position)
            busy.add(key)
            self._running[self.executor.submit(self.work, task)] = task


def known_hashes(files: Iterable[FileOnHand]) -> dict[tuple[Series, int], dict[str, str]]:
    """For each series and size of these files: the content hashes that are in the store, with the rank they stand with.

    Only where a size is known can a content be: others are read once, not hashed first.
    """
    sizes = {(file.series, file.member.size) for file in files}
    known: dict[tuple[Series, int], dict[str, str]] = defaultdict(dict)
    rows = FileIngestionRecord.objects.filter(status=FileStatus.COMPLETED, interval_minutes__isnull=False).values_list(
        "market__exchange", "market__altname", "interval_minutes", "file_size_bytes", "file_hash", "rank"
    )
    for exchange, altname, minutes, size, sha256, rank in rows.iterator():
        key = (Series(exchange, altname, Interval(minutes or 0)), size)
        if key in sizes:
            known[key][sha256] = max(rank, known[key].get(sha256, ""))
    return known
