"""A command in a process of its own. It goes on when the page is closed, and when the server stops."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Thread

from django.conf import settings

from chandlery.errors import ChandleryError


class NotStarted(ChandleryError):
    """The worker process could not be started: {why}"""


def start(arguments: Sequence[str], log: Path, ended: Callable[[int], None]) -> int:
    """Run `chandlery …` and write what it says to `log`; its process id.

    `ended` is told the exit status, in another thread, if this process lives to see it. Raises NotStarted.
    """
    environment = {
        **os.environ,
        "CHANDLERY_HOME": str(settings.CHANDLERY_HOME),
        "CHANDLERY_PROGRAM": settings.PROGRAM,
    }
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "chandlery", *arguments],
                cwd=settings.CHANDLERY_HOME,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                # Ctrl-C at the server is not for it.
                start_new_session=True,
            )
    except OSError as error:
        raise NotStarted(why=error.strerror or str(error)) from error
    # Somebody has to take note of its end, or it stays in the list of processes.
    Thread(target=lambda: ended(process.wait()), name=f"worker {process.pid}", daemon=True).start()
    return process.pid
