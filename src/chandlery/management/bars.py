"""The live bar of a run."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console, ConsoleRenderable, RichCast
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from chandlery.management.course import Stage

#: Columns that the bar itself takes.
BAR = 24
#: The bar's own units: a share in thousandths.
WHOLE = 1000


class Bar(Progress):
    """A stage's share with its figures, and a line below that says what is in hand; gone once it stops, for a sentence
    then says what came of it.
    """

    def __init__(self, console: Console) -> None:
        self._below = ""
        self._terminal = console  # rich draws once before it knows its own
        columns = (BarColumn(BAR), TextColumn("{task.fields[figures]}", markup=False))
        super().__init__(TextColumn(" "), *columns, console=console, transient=True)
        self._task = self.add_task("", total=WHOLE, figures="")

    def show(self, stage: Stage) -> None:
        self._below = stage.current
        self.update(self._task, completed=round(stage.share * WHOLE), figures=stage.text)

    def get_renderables(self) -> Iterable[ConsoleRenderable | RichCast | str]:
        yield self.make_tasks_table(self.tasks)
        room = max(10, self._terminal.width - 4)
        below = self._below if len(self._below) <= room else self._below[: room - 1] + "…"
        yield Text(f"  {below}", "dim", no_wrap=True, overflow="ellipsis")
