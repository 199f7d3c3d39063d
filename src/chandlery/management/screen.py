"""What a run on a terminal speaks with: headings, lines, and one live bar at a time."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from chandlery.management.bars import Bar
from chandlery.management.course import Stage
from chandlery.management.step_text import step_title
from chandlery.reporting.wording import wrapped

GOOD, BAD, WARN, HEAD = "green", "bold red", "yellow", "bold"


class Screen:
    """Lines of a verbosity that is asked for, wrapped; a bar goes before a line is written."""

    def __init__(self, console: Console, verbosity: int) -> None:
        self._console = console
        self._verbosity = verbosity
        self._bar: Bar | None = None
        self._in_step = 0

    def _step(self, number: int, name: str) -> None:
        """The heading of a step, once."""
        if self._in_step != number:
            self._in_step = number
            self._say("")
            self._say(step_title(number, name), style=HEAD)

    def _draw(self, stage: Stage) -> None:
        """The live bar shows this; where nothing shall be shown, there is none."""
        if not self._verbosity:
            return
        if self._bar is None:
            self._bar = Bar(self._console)
            self._bar.show(stage)
            self._bar.start()
        else:
            self._bar.show(stage)

    def _stop_bar(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _say(self, text: str, at: int = 1, style: str = "") -> None:
        """A line, where the verbosity is at least `at`; what it carries over stands under its text."""
        if self._verbosity >= at:
            self._print(wrapped(text, self._console.width, " " * 4), style)

    def _print(self, lines: Sequence[str], style: str) -> None:
        # As Text, never as markup: [names] of files are not ours to obey.
        self._console.print(Text("\n".join(lines), style), soft_wrap=True)
