#!/usr/bin/env python3
"""Write docs/reference from the code: commands from their `--help`, settings from their table."""

import json
import os
import subprocess
import sys
from pathlib import Path

import django
from django.core.management import load_command_class

from chandlery.config.options import OPTIONS

CHECKOUT = Path(__file__).resolve().parents[1]
PROGRAM = "manage.py"
COMMANDS = (
    "ingest_kraken_unified",
    "report_completeness",
    "list_jobs",
    "show_job",
    "sync_markets",
    "serve",
    "export_candles",
    "audit_candles",
    "accept_finding",
    "compare_candles",
    "copy_candles",
    "rebuild_state",
    "doctor",
    "load_tiers",
    "backfill_kraken_gaps",
    "ingest_sequential",
    "demo",
)
#: Django's own, the same for every command.
HIDDEN = ("--version", "--settings", "--pythonpath", "--traceback", "--no-color", "--force-color", "--skip-checks")


def commands() -> str:
    """The page of commands."""
    parts = ["# Commands", "", "Made from `--help` by `scripts/make_reference.py`; a test keeps it true.", ""]
    for name, text in _helps().items():
        parts += [f"## {name}", "", "```", text, "```", ""]
    return "\n".join(parts)


def settings() -> str:
    """The page of settings."""
    parts = [
        "# Settings",
        "",
        "Made from `chandlery.config.options` by `scripts/make_reference.py`; a test keeps it true.",
        "",
        "Given by the environment, else by the files `.env` and `settings.env` in the home folder.",
        "",
        "| name | meaning | default |",
        "|---|---|---|",
    ]
    for option in OPTIONS:
        default = f"`{option.default}`" if option.default else option.default_in_words
        parts.append(f"| `{option.name}` | {option.meaning} | {default} |")
    return "\n".join([*parts, ""])


def pages() -> dict[Path, str]:
    """Every page of the reference, by where it belongs."""
    folder = CHECKOUT / "docs" / "reference"
    return {folder / "commands.md": commands(), folder / "settings.md": settings()}


def _helps() -> dict[str, str]:
    """By command, as on a terminal of 100 columns, in a home that says nothing of this machine."""
    environment = {**os.environ, "COLUMNS": "100", "CHANDLERY_HOME": "/home/you/chandlery", "WORKERS": "2"}
    shown = subprocess.run(
        [sys.executable, __file__, "--helps"], env=environment, capture_output=True, text=True, check=True
    ).stdout
    helps: dict[str, str] = json.loads(shown)
    return {name: "\n".join(_without_hidden(text.rstrip().splitlines())) for name, text in helps.items()}


def _print_helps() -> None:
    """Of every command, in one process: settings are read once, from the environment it was started with."""
    os.environ |= {"DJANGO_SETTINGS_MODULE": "chandlery.config.settings", "CHANDLERY_PROGRAM": PROGRAM}
    django.setup()
    parsers = {name: load_command_class("chandlery", name).create_parser(PROGRAM, name) for name in COMMANDS}
    json.dump({name: parser.format_help() for name, parser in parsers.items()}, sys.stdout)


def _without_hidden(lines: list[str]) -> list[str]:
    kept: list[str] = []
    hiding = in_options = False
    for line in lines:
        in_options = in_options or line.startswith("options:")
        if in_options and line.startswith("  -"):
            hiding = line.strip().startswith(HIDDEN)
        if not hiding:
            kept.append(line)
    return [line.rstrip() for line in kept]


if __name__ == "__main__":
    if sys.argv[1:] == ["--helps"]:
        _print_helps()
        sys.exit()
    for path, text in pages().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        sys.stdout.write(f"{path.relative_to(CHECKOUT)}\n")
