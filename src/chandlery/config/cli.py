"""The way in: `chandlery …` for people without a checkout, `manage.py …` for people with one."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from shutil import get_terminal_size

from chandlery import __doc__ as purpose
from chandlery import __version__
from chandlery.errors import ChandleryError, UsageError
from chandlery.management.interrupts import no_interrupt_lost

INTERRUPTED = 130
DOCTOR = "doctor"
#: Commands that hand work to processes.
READ_FILES = frozenset({"backfill_kraken_gaps", "ingest_kraken_unified", "ingest_sequential", "rebuild_state"})


class UnknownCommand(UsageError):
    """There is no command {command}{meant} {program} --help"""


def main(arguments: Sequence[str] | None = None, *, program: str = "chandlery") -> int:
    """Run one command; its exit status. `program` is what a person types before the command."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chandlery.config.settings")
    os.environ["CHANDLERY_PROGRAM"] = program
    try:
        if arguments in ([], ["-h"], ["--help"], ["help"]):
            sys.stdout.write(_help(program))
        elif arguments == ["--version"]:
            sys.stdout.write(f"chandlery {__version__}\n")
        else:
            with no_interrupt_lost():
                _run(arguments, program)
    except ChandleryError as error:
        if arguments and arguments[0] == DOCTOR:
            return _unwell(error, as_json="--json" in arguments)
        return _fail(str(error), error.exit_status)
    except KeyboardInterrupt:
        return _fail("interrupted", INTERRUPTED)
    finally:
        # What was to be done is done: a late Ctrl-C would only show how the interpreter tidies up.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    return 0


def _run(arguments: list[str], program: str) -> None:
    if arguments[0] in READ_FILES and not {"-h", "--help"} & set(arguments):
        from chandlery.pipeline.workers import start_fork_server

        # Django takes as long to get ready as the workers do: side by side.
        start_fork_server()
    import django
    from django.core.management import execute_from_command_line, get_commands

    django.setup()  # before it, only Django's own commands are known
    command = arguments[0]
    if command != "help" and command not in (known := get_commands()):
        ours = sorted(name for name, app in known.items() if app == "chandlery")
        near = [name for name in ours if name.startswith(command)] or get_close_matches(command, ours)
        raise UnknownCommand(
            command=command, meant=f"; did you mean {near[0]}? See" if near else "; see", program=program
        )
    execute_from_command_line([program.rpartition(" ")[2], *arguments])


def _fail(message: str, status: int) -> int:
    sys.stderr.write(f"Error: {message}\n")
    return status


def _unwell(error: ChandleryError, *, as_json: bool) -> int:
    """What the doctor says of settings with which nothing can even begin."""
    from chandlery.reporting.checkup import checkup_as_json, checkup_as_text, of_error

    checks = [of_error("settings", error)]
    if as_json:
        sys.stdout.write(f"{json.dumps(checkup_as_json(checks, __version__), indent=2)}\n")
    else:
        sys.stdout.write("".join(f"{line}\n" for line in checkup_as_text(checks, get_terminal_size((160, 24)).columns)))
    return 1


def _help(program: str) -> str:
    """What there is to type, and where things are kept."""
    import django
    from django.conf import settings
    from django.core.management import get_commands, load_command_class

    from chandlery.config.options import OPTIONS

    django.setup()
    ours = sorted(name for name, app in get_commands().items() if app == "chandlery")
    commands = {name: _first_sentence(load_command_class("chandlery", name).help) for name in ours}
    width = max(map(len, [*commands, *(option.name for option in OPTIONS)])) + 2
    return "\n".join(
        [
            f"{purpose} Version {__version__}.",
            "",
            f"Usage: {program} COMMAND [options]",
            f"       {program} COMMAND --help",
            "",
            "Commands:",
            *(f"  {name:{width}}{said}" for name, said in commands.items()),
            "",
            f"Data and settings live in one folder: {settings.CHANDLERY_HOME}",
            "",
            "Settings, by the environment or by the file settings.env in that folder:",
            *(
                f"  {option.name:{width}}{option.meaning}\n{'':{width + 2}}Default: {option.default_shown}"
                for option in OPTIONS
            ),
            "",
            f"Django's own commands (createsuperuser, runserver, …): {program} help --commands",
            "",
        ]
    )


def _first_sentence(text: str) -> str:
    return text.partition(". ")[0].partition(": ")[0].rstrip(".")
