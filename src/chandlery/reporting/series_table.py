"""One row a series, for reports small enough to read it."""

from collections.abc import Sequence

from chandlery.reporting.completeness import CompletenessReport, SeriesEntry
from chandlery.reporting.wording import days, floored, plain, width_of

MOST_ROWS = 12
_NAMES = ("Market", "Interval", "From", "To")
_FIGURES = ("Slots", "Traded", "Quiet", "Missing", "Completeness", "Density")


def series_table(report: CompletenessReport, columns: int) -> list[str]:
    """The table on one line a series where `columns` allow it, else with the dates on a line of their own."""
    rows = [_row(entry) for entry in report.series]
    if not rows:
        return []
    table = _aligned([(*_NAMES, *_FIGURES), *rows], left=len(_NAMES))
    if max(map(len, table)) <= columns:
        return ["Series:", "", *table]
    narrow = _aligned([(*_NAMES[:2], *_FIGURES), *((*row[:2], *row[4:]) for row in rows)], left=2)
    lines = ["Series:", "", narrow[0]]
    for line, entry in zip(narrow[1:], report.series, strict=True):
        lines += [line, f"  {days(entry.range) if entry.range else 'nothing stored, first trade unknown'}"]
    return lines


def _row(entry: SeriesEntry) -> tuple[str, ...]:
    name = (plain(entry.market), width_of(entry.interval))
    if entry.range is None:
        return (*name, "-", "-", "-", "-", "-", "-", "0%", "-")
    tally = entry.tally
    first, _, last = days(entry.range).partition(" to ")
    quiet = tally.quiet_proven + tally.quiet_confirmed + tally.quiet_claimed
    # A slot that is contradicted is as open as one without an answer.
    counts = (f"{number:,}" for number in (tally.slots, tally.traded, quiet, tally.missing + tally.suspect))
    if not tally.expected:
        return (*name, first, last or first, *counts, "unlisted", "-")
    shares = (floored(tally.answered, tally.expected), floored(tally.traded, tally.expected))
    return (*name, first, last or first, *counts, *shares)


def _aligned(rows: Sequence[Sequence[str]], left: int) -> list[str]:
    """Columns two apart, the first `left` of them to the left."""
    sizes = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(size) if i < left else cell.rjust(size)
            for i, (cell, size) in enumerate(zip(row, sizes, strict=True))
        ).rstrip()
        for row in rows
    ]
