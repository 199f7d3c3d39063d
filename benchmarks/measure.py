"""Time and memory of a command and all its processes."""

import os
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

#: Between two looks at memory. A look walks the page tables of every process, so a run that is watched is slower.
PERIOD_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Measured:
    """Wall time in seconds, and the peak over time of the memory of all processes together, in bytes.

    `pss` counts a page that several processes share once; `rss` counts it for each.
    """

    seconds: float
    pss: int
    rss: int
    output: str


class CommandFailed(Exception):
    """A measured command must succeed."""


def measure(command: Sequence[str], environment: Mapping[str, str], folder: Path, *, memory: bool = False) -> Measured:
    """Run a command to its end, and look at its memory only if asked: that takes time. Raises CommandFailed."""
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
    return Measured(seconds, peaks[0], peaks[1], output)


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
