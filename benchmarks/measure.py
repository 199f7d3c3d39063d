"""Time and memory of a command and all its processes."""

import ctypes
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

#: Between two looks at memory. A look walks the page tables of every process, so a run that is watched is slower.
PERIOD_SECONDS = 0.05
_PR_SET_CHILD_SUBREAPER = 36
#: Children that are not waited for.
_LASTING: set[int] = set()


@dataclass(frozen=True, slots=True)
class Measured:
    """Wall and CPU time (of all processes together) in seconds, and the peak over time of the memory of all processes
    together, in bytes.

    `pss` counts a page that several processes share once; `rss` counts it for each.
    """

    seconds: float
    cpu: float
    pss: int
    rss: int
    output: str


class CommandFailed(Exception):
    """A measured command must succeed."""


def measure(command: Sequence[str], environment: Mapping[str, str], folder: Path, *, memory: bool = False) -> Measured:
    """Run a command to its end, and look at its memory only if asked: that takes time. Raises CommandFailed."""
    _adopt_orphans()
    before = _cpu_of_children()
    started = time.perf_counter()
    with subprocess.Popen(
        command,
        env={**os.environ, **environment},
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        peaks = [0, 0]
        watcher = threading.Thread(target=_watch, args=(process.pid, peaks), daemon=True)
        if memory:
            watcher.start()
        output, _ = process.communicate()
        seconds = time.perf_counter() - started
        if memory:
            watcher.join()
    if process.returncode != 0:
        raise CommandFailed(f"{' '.join(command)} ended with {process.returncode}:\n{output}")
    return Measured(seconds, _cpu_of_children() - before, peaks[0], peaks[1], output)


def _adopt_orphans() -> None:
    """What a command leaves behind (a fork server ends after it) becomes ours to wait for: its CPU time counts."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _cpu_of_children() -> float:
    """Seconds of all descendants that have ended by now, after those have that nobody else waits for."""
    for child in psutil.Process().children():
        if child.pid not in _LASTING:
            with suppress(ChildProcessError):
                os.waitpid(child.pid, 0)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@contextmanager
def lasting(pid: int) -> Iterator[None]:
    """A child that goes on while others are measured."""
    _LASTING.add(pid)
    try:
        yield
    finally:
        _LASTING.discard(pid)


def _watch(pid: int, peaks: list[int]) -> None:
    """Look at the process and its descendants until it is gone."""
    with suppress(psutil.NoSuchProcess):
        parent = psutil.Process(pid)
        while parent.is_running() and parent.status() != psutil.STATUS_ZOMBIE:
            pss = rss = 0
            for process in (parent, *parent.children(recursive=True)):
                with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                    memory = process.memory_full_info()
                    pss += memory.pss
                    rss += memory.rss
            peaks[0], peaks[1] = max(peaks[0], pss), max(peaks[1], rss)
            time.sleep(PERIOD_SECONDS)
