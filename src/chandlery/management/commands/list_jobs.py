"""The jobs so far, newest first."""

import json
from shutil import get_terminal_size
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser
from rich.table import Table

from chandlery.management.base import ChandleryCommand, as_text, clock
from chandlery.models import IngestionJob
from chandlery.pipeline.lease import settle_dead
from chandlery.reporting.jobs import job_as_json, what_text
from chandlery.reporting.progress import compact
from chandlery.reporting.wording import plural

#: Fewer columns, and the table stands closer.
WIDE = 100
_COLUMNS = ("Job", "What", "Status", "Started (UTC)", "Files", "Failed", "Rows", "API")
_FIGURES = frozenset({"Files", "Failed", "Rows", "API"})
_GIVE_WAY = frozenset({"What", "Failed"})


class Command(ChandleryCommand):
    help = (
        "List the ingestion jobs, newest first: files done of all, failures (files and series), rows of files, and new "
        "candles from the API. A job whose process was killed shows as FAILED."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--limit", type=int, default=20, metavar="N", help="how many (default: 20)")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        self.prepare_state()
        settle_dead(clock()())
        jobs = list(IngestionJob.objects.order_by("-created_at")[: max(0, options["limit"])])
        if options["json"]:
            self.stdout.write(json.dumps({"jobs": [job_as_json(job) for job in jobs]}, indent=2))
        elif not jobs:
            start = f"{settings.PROGRAM} ingest_kraken_unified --tier TIER1 --complete"
            self.stdout.write(f"No jobs yet. Start one: {start}")
        else:
            self.stdout.write(as_text(_table(jobs)))
            if more := IngestionJob.objects.count() - len(jobs):
                self.stdout.write(f"… and {more:,} more: --limit {len(jobs) + more}")


def _table(jobs: list[IngestionJob]) -> Table:
    narrow = get_terminal_size(fallback=(WIDE, 24)).columns < WIDE
    table = Table(box=None, pad_edge=False, padding=(0, 1 if narrow else 2, 0, 0))
    rows = [_row(job) for job in jobs]
    for place, name in enumerate(_COLUMNS):
        # At 80 columns some give way, word by word.
        gives_way = name in _GIVE_WAY
        longest = max(len(word) for row in rows for word in row[place].split() or [""]) if gives_way else None
        table.add_column(
            name,
            justify="right" if name in _FIGURES else "left",
            no_wrap=not gives_way,
            overflow="fold",
            min_width=longest,
        )
    for row in rows:
        table.add_row(*row)
    return table


def _row(job: IngestionJob) -> tuple[str, ...]:
    what = what_text(job, 1) + (", incremental" if job.incremental else "")
    started = f"{job.started_at:%Y-%m-%d %H:%M}" if job.started_at else ""
    done = f"{job.files_ingested + job.files_skipped}/{job.total_files}"
    failed = [plural(job.files_failed, "file")] if job.files_failed else []
    failed += [plural(job.series_failed, "series", "series")] if job.series_failed else []
    figures = (compact(job.records_ingested), compact(job.candles_fetched))
    return str(job.job_id)[:8], what, job.status, started, done, ", ".join(failed) or "0", *figures
