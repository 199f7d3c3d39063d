"""Listeners: how a run is told, on a terminal with bars, in a log one line a step, in a file one object a line."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Protocol, Self, cast

from rich.console import Console

from chandlery.management.file_log import FileLog
from chandlery.management.log_listener import LogListener
from chandlery.management.plan_text import render_plan
from chandlery.management.terminal_listener import TerminalListener
from chandlery.pipeline.events import Event

__all__ = ["FileLog", "Listener", "LogListener", "TerminalListener", "Together", "listener_for", "render_plan"]


class Listener(Protocol):
    """Told every event of a run. Leave it as a context, so that a bar never outlives the run, whatever ends it."""

    def __call__(self, event: Event, /) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...


class Together:
    """Several listeners that are told the same, in order."""

    def __init__(self, *listeners: Listener) -> None:
        self.listeners = listeners
        self._entered = ExitStack()

    def __enter__(self) -> Self:
        for listener in self.listeners:
            self._entered.enter_context(listener)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._entered.__exit__(kind, error, trace)

    def __call__(self, event: Event) -> None:
        for listener in self.listeners:
            listener(event)


def listener_for(
    stream: Any,
    verbosity: int = 1,
    quiet: bool = False,
    *,
    incremental: bool = False,
    in_steps: bool = True,
    log_file: Path | None = None,
) -> Listener:
    """The terminal's listener where `stream` is one that can draw, else the log's. `quiet`: errors only.

    `incremental`: where nobody watches, a run without news says nothing. `in_steps`: what is told is a step of a run,
    and says which. `log_file`: everything is told there as well; raises LogFileNotWritable. `stream` may be a
    command's `self.stdout`: bars are drawn past it, on the stream that it wraps, because it would end every piece of
    them with a new line.
    """
    shown = _shown(stream, 0 if quiet else verbosity, incremental=incremental, in_steps=in_steps)
    return Together(FileLog(log_file), shown) if log_file is not None else shown


def _shown(stream: Any, verbosity: int, *, incremental: bool, in_steps: bool) -> Listener:
    bare = cast("IO[str]", getattr(stream, "_out", stream))
    console = Console(file=bare)
    if console.is_terminal and not console.is_dumb_terminal:
        return TerminalListener(console, verbosity, in_steps=in_steps)
    return LogListener(bare, verbosity, incremental=incremental, in_steps=in_steps)
