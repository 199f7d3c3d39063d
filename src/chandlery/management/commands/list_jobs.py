"""The jobs so far, newest first."""

import json
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser
from rich.table import Table

from chandlery.management.base import ChandleryCommand, as_text
from chandlery.models import IngestionJob
from chandlery.reporting.as_json import instant


class Command(ChandleryCommand):
    help = "List the ingestion jobs, newest first."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--limit", type=int, default=20, metavar="N", help="how many (default: 20)")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        self.prepare_state()
        jobs = list(IngestionJob.objects.order_by("-created_at")[: max(0, options["limit"])])
        if options["json"]:
            self.stdout.write(json.dumps({"jobs": [as_json(job) for job in jobs]}, indent=2))
        elif not jobs:
            start = f"{settings.PROGRAM} ingest_kraken_unified --tier TIER1 --complete"
            self.stdout.write(f"No jobs yet. Start one: {start}")
        else:
            self.stdout.write(as_text(_table(jobs)))


def as_json(job: IngestionJob) -> dict[str, Any]:
    """One job, times ISO 8601 with Z."""
    return {
        "job_id": str(job.job_id),
        "tier": job.tier,
        "markets": job.markets,
        "intervals": job.intervals,
        "status": job.status,
        "started_at": instant(job.started_at),
        "completed_at": instant(job.completed_at),
        "total_files": job.total_files,
        "files_ingested": job.files_ingested,
        "files_skipped": job.files_skipped,
        "files_failed": job.files_failed,
        "records_ingested": job.records_ingested,
        "candles_derived": job.candles_derived,
        "error_message": job.error_message,
    }


def _table(jobs: list[IngestionJob]) -> Table:
    table = Table("Job", "What", "Status", "Started (UTC)", "Files", "Failed", "Rows")
    for name in ("Files", "Failed", "Rows"):
        next(column for column in table.columns if column.header == name).justify = "right"
    for job in jobs:
        started = f"{job.started_at:%Y-%m-%d %H:%M}" if job.started_at else ""
        done = f"{job.files_ingested + job.files_skipped}/{job.total_files}"
        what = job.tier or ", ".join(job.markets[:3]) + (" …" if len(job.markets) > 3 else "")
        table.add_row(
            str(job.job_id)[:8], what, job.status, started, done, str(job.files_failed), f"{job.records_ingested:,}"
        )
    return table
