"""An event loop that runs a step at a time, and that no signal breaks."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self, TypeVar

T = TypeVar("T")

_STOPS = (signal.SIGINT, signal.SIGTERM)


class EventLoop:
    """Use it as a context; `run` runs a coroutine to its end.

    An exception out of a signal's handler, KeyboardInterrupt, would stop the loop between any two of its instructions,
    and what is left of it cannot even be closed in order. So signals that come while it runs are handled after the
    step; steps look at `is_called`, and end soon once it is True.
    """

    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        self._came: list[tuple[int, FrameType | None]] = []

    @property
    def is_called(self) -> bool:
        """Whether a signal waits for the end of this step."""
        return bool(self._came)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._signals_deferred():
            self._runner.close()

    def run(self, step: Coroutine[Any, Any, T]) -> T:
        with self._signals_deferred():
            return self._runner.run(step)

    @contextmanager
    def _signals_deferred(self) -> Iterator[None]:
        handlers = _handlers()
        for number in handlers:
            signal.signal(number, self._note)
        try:
            yield
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
            came, self._came = self._came, []
            for called, frame in came:
                handlers[called](called, frame)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._came.append((number, frame))


def _handlers() -> dict[int, Any]:
    """Those in Python; only the main thread runs and may change them."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    found = {number: signal.getsignal(number) for number in _STOPS}
    return {number: handler for number, handler in found.items() if callable(handler)}
