"""Ctrl-C, and SIGTERM: a run stops in order at the first, at once at the second, and neither is ever lost."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Thread
from types import FrameType

#: Out of where a KeyboardInterrupt cannot pass, the program is soon. Seconds.
SOON = 0.001


@contextmanager
def stop_flag() -> Iterator[Callable[[], bool]]:
    """The first Ctrl-C (or SIGTERM) asks to stop after what is in hand; the second stops at once. More change nothing:
    what is left to do is to put down how the job stands.
    """
    asked: list[int] = []

    def ask(number: int, frame: FrameType | None) -> None:
        if catcher.is_busy:
            return  # it is about to send one itself
        asked.append(number)
        if len(asked) == 2:
            raise KeyboardInterrupt
        if len(asked) > 2:
            return
        sys.stderr.write("\nStopping after what is in hand; press Ctrl-C again to stop at once.\n")

    with no_interrupt_lost(asked.pop) as catcher:
        before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield lambda: bool(asked)
        finally:
            # After the second one the process is about to end, and shall not be torn from that either.
            for number, handler in before.items() if len(asked) < 2 else ():
                signal.signal(number, handler)


@contextmanager
def no_interrupt_lost(take_back: Callable[[], object] = lambda: None) -> Iterator[Catcher]:
    """Send Ctrl-C again where its KeyboardInterrupt came to nothing; `take_back` is called before. For the main thread.

    A handler runs between any two instructions: also in a callback of a weak reference or in a `__del__`, of which
    Python shows what they raise, and goes on.
    """
    catcher = Catcher(take_back, sys.unraisablehook)
    sys.unraisablehook = catcher
    try:
        yield catcher
    finally:
        sys.unraisablehook = catcher.others


@dataclass(slots=True)
class Catcher:
    """Told what came to nothing, as `sys.unraisablehook` is; `others` hear of all that is no KeyboardInterrupt."""

    take_back: Callable[[], object]
    others: Callable[[sys.UnraisableHookArgs], object]
    #: What is raised while it works would be lost for good.
    is_busy: bool = False

    def __call__(self, told: sys.UnraisableHookArgs) -> None:
        if not issubclass(told.exc_type, KeyboardInterrupt):
            self.others(told)
            return
        self.is_busy = True
        try:
            self.take_back()
            Thread(target=self._send, daemon=True).start()
        finally:
            self.is_busy = False  # no handler runs between this and the end of the call

    def _send(self) -> None:
        while self.is_busy:
            time.sleep(SOON)
        os.kill(os.getpid(), signal.SIGINT)
