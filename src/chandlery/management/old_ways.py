"""What the two commands of old share: they say which command does the same now."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from django.conf import settings

from chandlery.exchanges.base import Tier
from chandlery.management.base import ChandleryCommand
from chandlery.pipeline.request import Selection

MAIN = "ingest_kraken_unified"
REPORT = "report_completeness"


def new_way(command: str, selection: Sequence[str], *options: str) -> str:
    """What to type instead, for the shell."""
    return f"{settings.PROGRAM} {shlex.join([command, *selection, *options])}"


def warn_of_old_way(command: ChandleryCommand, name: str, instead: str, note: str = "") -> None:
    """One line on standard error. `note` says in what the new way differs."""
    text = f"{name} is deprecated; the same{note} by: {instead}\n"
    command.stderr.write(text, style_func=command.style.WARNING)


def as_options(selection: Selection) -> list[str]:
    """The options by which the new commands are told the same tier or markets, and intervals."""
    if selection.tiers:
        what = ["--tier", "ALL" if len(selection.tiers) == len(Tier) else selection.tiers[0]]
    else:
        what = ["--markets", ",".join(selection.markets)]
    return [*what, "--intervals", ",".join(str(int(interval)) for interval in selection.intervals)]
