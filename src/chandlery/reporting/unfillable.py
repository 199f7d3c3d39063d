"""The files to fetch for what only an archive can answer, as values and as a CSV."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from chandlery.candles.interval import Interval
from chandlery.candles.timerange import TimeRange
from chandlery.exchanges.kraken.window import Quarter, quarters_of
from chandlery.reporting.as_csv import write_rows
from chandlery.reporting.as_json import instant
from chandlery.reporting.completeness import CompletenessReport, GapEntry
from chandlery.reporting.publication import due_text, newest_part_text

HEADER = ("required_csv_file", "member", "archive", "market", "interval_minutes", "gap_start", "gap_end", "candles")


@dataclass(frozen=True, slots=True)
class Needed:
    """One file and the `part` of one `gap` that it closes; both are None where nothing at all is known of the series.

    `quarter` is None for a file of the complete set.
    """

    file: str
    archive: str
    market: str
    interval: Interval
    part: TimeRange | None = None
    quarter: Quarter | None = None
    gap: TimeRange | None = None

    @property
    def member(self) -> str:
        """Its name inside the archive."""
        return f"{self.market}_{int(self.interval)}.csv"

    def due(self, now: datetime) -> str:
        """When its archive can be expected; empty where it must be out by `now`."""
        if self.quarter:
            return due_text(self.quarter, now)
        return newest_part_text(quarters_of(self.part)[-1], now) if self.part else ""


def needed_files(report: CompletenessReport) -> list[Needed]:
    """Every file of every gap, in the report's order; what the API can answer needs none."""
    found: list[Needed] = []
    for entry in report.series:
        if entry.range is None and entry.remedy:
            pairs = zip(entry.remedy.files, entry.remedy.archives, strict=True)
            found += [Needed(file, archive, entry.market, entry.interval) for file, archive in pairs]
        for gap in entry.gaps:
            found += _of_gap(entry.market, gap)
    return found


def _of_gap(market: str, entry: GapEntry) -> Iterator[Needed]:
    gap = entry.gap
    # The API forgets from the left: what it cannot answer stands at the gap's start.
    outside = TimeRange.maybe(gap.range.start, gap.range.start + entry.overflow * gap.interval.delta)
    if outside is None:
        return
    files, archives = entry.remedy.files, entry.remedy.archives
    quarters = quarters_of(outside)
    if archives != tuple(quarter.archive for quarter in quarters):
        for file, archive in zip(files, archives, strict=True):
            yield Needed(file, archive, market, gap.interval, outside, gap=gap.range)
        return
    for file, archive, quarter in zip(files, archives, quarters, strict=True):
        part = outside.intersection(TimeRange(quarter.start, quarter.end))
        yield Needed(file, archive, market, gap.interval, part, quarter, gap.range)


def write_unfillable(report: CompletenessReport, path: Path) -> None:
    """One row a file a gap: the part of the gap that this file closes. Raises ReportNotWritten."""
    write_rows(path, HEADER, (_row(needed) for needed in needed_files(report)))


def _row(needed: Needed) -> tuple[str | int, ...]:
    part = needed.part
    when = (instant(part.start), instant(part.end), part.slots(needed.interval)) if part else ("", "", "")
    return (needed.file, needed.member, needed.archive, needed.market, int(needed.interval), *when)
