"""Completeness as CSV: one row a series. Files appear whole or not at all."""

import csv
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO

from chandlery.errors import ChandleryError
from chandlery.reporting.as_json import SERIES_KEYS, series_as_json
from chandlery.reporting.completeness import CompletenessReport


class ReportNotWritten(ChandleryError):
    """{path} cannot be written: {why}."""


def write_report_csv(report: CompletenessReport, path: Path) -> None:
    """The figures of every series, named as in JSON, with the number of its gaps. Raises ReportNotWritten."""
    rows = ([*map(series_as_json(entry).get, SERIES_KEYS), len(entry.gaps)] for entry in report.series)
    write_rows(path, (*SERIES_KEYS, "gaps"), rows)


def write_rows(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A CSV of these rows in place of `path`: it is complete before it gets its name. Raises ReportNotWritten."""
    target = path.resolve()
    try:
        if target.exists() and not target.is_file():
            # A pipe or a terminal (/dev/stdout) has no name to take over.
            with target.open("w", encoding="utf-8", newline="") as stream:
                _write(stream, header, rows)
            return
        unfinished = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            with unfinished.open("w", encoding="utf-8", newline="") as stream:
                _write(stream, header, rows)
                stream.flush()
                os.fsync(stream.fileno())
            unfinished.replace(target)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        raise ReportNotWritten(path=path, why=error.strerror or str(error)) from error


def _write(stream: IO[str], header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
