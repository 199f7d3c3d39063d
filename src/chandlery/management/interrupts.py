"""Ctrl-C, and SIGTERM: a run stops in order at the first, at once at the second, and neither is ever lost."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Timer
from types import FrameType

#: Where a KeyboardInterrupt cannot pass on, the program is soon out of. Seconds.
SOON = 0.01


@contextmanager
def stop_flag() -> Iterator[Callable[[], bool]]:
    """The first Ctrl-C (or SIGTERM) asks to stop after what is in hand; the second stops at once. More change nothing:
    what is left to do is to put down how the job stands.
    """
    asked: list[int] = []

    def ask(number: int, frame: FrameType | None) -> None:
        asked.append(number)
        if len(asked) == 2:
            raise KeyboardInterrupt
        if len(asked) > 2:
            return
        sys.stderr.write("\nStopping after what is in hand; press Ctrl-C again to stop at once.\n")

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with no_interrupt_lost(asked.pop):
            yield lambda: bool(asked)
    finally:
        # After the second one the process is about to end, and shall not be torn from that either.
        for number, handler in before.items() if len(asked) < 2 else ():
            signal.signal(number, handler)


@contextmanager
def no_interrupt_lost(take_back: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Send Ctrl-C again where its KeyboardInterrupt came to nothing; `take_back` is called before.

    A handler runs between any two instructions: also in a callback of a weak reference or in a `__del__`, of which
    Python shows what they raise, and goes on. For the main thread.
    """
    others = sys.unraisablehook

    def hook(told: sys.UnraisableHookArgs, /) -> None:
        if not issubclass(told.exc_type, KeyboardInterrupt):
            others(told)
            return
        take_back()
        again = Timer(SOON, os.kill, (os.getpid(), signal.SIGINT))
        again.daemon = True
        again.start()

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = others
