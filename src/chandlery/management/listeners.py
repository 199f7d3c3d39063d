"""Listeners: how a run is told, on a terminal with bars, in a log one line a step."""

from __future__ import annotations

from types import TracebackType
from typing import IO, Any, Protocol, Self, cast

from rich.console import Console

from chandlery.management.log_listener import LogListener
from chandlery.management.plan_text import render_plan
from chandlery.management.terminal_listener import TerminalListener
from chandlery.pipeline.events import Event

__all__ = ["Listener", "LogListener", "TerminalListener", "listener_for", "render_plan"]


class Listener(Protocol):
    """Told every event of a run. Leave it as a context, so that a bar never outlives the run, whatever ends it."""

    def __call__(self, event: Event, /) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...


def listener_for(stream: Any, verbosity: int = 1, quiet: bool = False) -> Listener:
    """The terminal's listener where `stream` is one that can draw, else the log's. `quiet`: errors only.

    `stream` may be a command's `self.stdout`: bars are drawn past it, on the stream that it wraps, because it would end
    every piece of them with a new line.
    """
    bare = cast("IO[str]", getattr(stream, "_out", stream))
    level = 0 if quiet else verbosity
    console = Console(file=bare)
    if console.is_terminal and not console.is_dumb_terminal:
        return TerminalListener(console, level)
    return LogListener(bare, level)
