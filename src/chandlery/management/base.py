"""What every command of ours does alike: one-line errors, exit statuses, the clock and the store from settings."""

from __future__ import annotations

import io
import os
import shlex
import shutil
import sys
from argparse import ArgumentParser
from typing import Any, NoReturn

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, connections
from rich.console import Console
from rich.table import Table

from chandlery.config.database import ensure_migrated
from chandlery.config.surroundings import clock, surroundings, tiers, tiers_file
from chandlery.errors import ChandleryError
from chandlery.pipeline.markets import ensure_markets

__all__ = [
    "ChandleryCommand",
    "Error",
    "as_text",
    "clock",
    "command_line",
    "one_line_errors",
    "surroundings",
    "tiers",
    "tiers_file",
]


class Error(CommandError):
    """Django prints the class name before the message: "Error: …"."""


class ChandleryCommand(BaseCommand):
    """A command that reports what goes wrong in one line and never with a traceback of ours."""

    requires_system_checks: list[str] = []  # start-up counts; `manage.py check` has them all
    output_transaction = False

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        one_line_errors(parser)
        return parser

    def execute(self, *args: Any, **options: Any) -> str | None:
        try:
            return super().execute(*args, **options)
        except ChandleryError as error:
            raise Error(str(error), returncode=error.exit_status) from error
        except DatabaseError as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            again = "what was recorded stands; run the same command again"
            raise Error(f"The database cannot be used: {reason}; {again}", returncode=1) from error

    def run_from_argv(self, argv: list[str]) -> None:
        try:
            super().run_from_argv(argv)
        except BrokenPipeError:
            # `… | head` closed our output; nothing is left to say, and the flush at exit must not say so.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)

    def prepare_state(self, *, dry_run: bool = False) -> None:
        """The database ready to use: migrated if it is ours to migrate, with markets and tiers in it."""
        ensure_migrated(dry_run=dry_run)
        if not dry_run:
            ensure_markets(tiers())

    def leave(self, status: int) -> None:
        """End with `status`, unless it is 0."""
        if status:
            connections.close_all()
            sys.exit(status)


def one_line_errors(parser: ArgumentParser) -> None:
    """Usage errors without the usage: the line that matters would drown in it."""

    def error(message: str) -> NoReturn:
        parser.exit(2, f"Error: {message}; see {parser.prog} --help\n")

    parser.error = error  # type: ignore[method-assign]


def command_line() -> str:
    """The command that was typed, for the shell."""
    return f"{settings.PROGRAM} {shlex.join(sys.argv[1:])}"


def as_text(table: Table) -> str:
    """A table as wide as the terminal, or as it needs to be where there is none."""
    width = shutil.get_terminal_size(fallback=(160, 24)).columns
    console = Console(file=io.StringIO(), width=width)
    with console.capture() as captured:
        console.print(table)
    return captured.get()
