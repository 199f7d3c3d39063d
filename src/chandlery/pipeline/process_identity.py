"""Which process holds something, and whether it is still alive."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from typing import Protocol

#: Seconds. The start of a process is derived from the time of boot, which moves a little when the clock is corrected.
START_TOLERANCE = 2.0


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """One process, for good: a pid is used again, a pid with its start is not."""

    host: str
    pid: int
    #: Unix seconds.
    started: float


class ProcessTable(Protocol):
    """The processes of one host."""

    @property
    def host(self) -> str: ...

    def is_alive(self, process: ProcessIdentity) -> bool:
        """Whether it still runs. Asked only of processes of this host."""


class LocalProcesses:
    """The processes of this host, as the operating system lists them."""

    @property
    def host(self) -> str:
        return socket.gethostname()

    def is_alive(self, process: ProcessIdentity) -> bool:
        return is_alive(process)


def this_process() -> ProcessIdentity:
    import psutil

    return ProcessIdentity(socket.gethostname(), os.getpid(), psutil.Process().create_time())


def is_alive(process: ProcessIdentity) -> bool:
    """Whether a process of this host still runs. A stopped one does; a zombie, not yet reaped, does not."""
    import psutil

    try:
        found = psutil.Process(process.pid)
        started, status = found.create_time(), found.status()
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        # It is there, and another user's. To take it for dead could let two write.
        return True
    return abs(started - process.started) < START_TOLERANCE and status not in (
        psutil.STATUS_ZOMBIE,
        psutil.STATUS_DEAD,
    )
