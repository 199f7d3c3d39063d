"""How commands put out a report: on the terminal, as JSON, into files."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console

from chandlery.errors import UsageError
from chandlery.reporting.as_csv import write_report_csv
from chandlery.reporting.as_json import report_as_json
from chandlery.reporting.completeness import CompletenessReport
from chandlery.reporting.terminal import print_report as print_coloured
from chandlery.reporting.terminal import render_report
from chandlery.reporting.unfillable import write_unfillable


class Writes(Protocol):
    def write(self, text: str, /) -> Any: ...

    def isatty(self) -> bool: ...


class CannotWrite(UsageError):
    """{option} {path}: no file can be there; name a path in an existing folder"""


def add_outputs(parser: ArgumentParser) -> None:
    """--json --report-csv --export-unfillable."""
    parser.add_argument(
        "--json",
        action="store_true",
        help="print the report as one JSON object on standard output, all else on standard error",
    )
    parser.add_argument("--report-csv", metavar="PATH", help="write the report as CSV, one row a series")
    parser.add_argument(
        "--export-unfillable",
        metavar="PATH",
        help="write the list of files to download for gaps that only an archive closes",
    )


def check_outputs(options: dict[str, Any]) -> None:
    """Before any work: a path that cannot be written is wrong usage. Raises CannotWrite."""
    for option in ("report_csv", "export_unfillable"):
        path = options[option]
        if path and (not Path(path).absolute().parent.is_dir() or Path(path).is_dir()):
            raise CannotWrite(option="--" + option.replace("_", "-"), path=path)


def print_report(made: CompletenessReport, options: dict[str, Any], out: Writes, rerun: str) -> None:
    if options["json"]:
        out.write(json.dumps(report_as_json(made), indent=2) + "\n")
    elif out.isatty():
        print_coloured(Console(), made, rerun)
    else:
        out.write(render_report(made, rerun=rerun))


def write_files(made: CompletenessReport, options: dict[str, Any], out: Writes) -> None:
    """The files that were asked for, each named on `out`."""
    if options["report_csv"]:
        write_report_csv(made, Path(options["report_csv"]))
        out.write(f"Report as CSV: {options['report_csv']}\n")
    if options["export_unfillable"]:
        write_unfillable(made, Path(options["export_unfillable"]))
        out.write(f"Files to download: {options['export_unfillable']}\n")
