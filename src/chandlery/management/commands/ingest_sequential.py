"""The first of the three old steps: archives into the store, one tier at a time. No request is made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser

from chandlery.errors import UsageError
from chandlery.management.arguments import intervals_named, sources_of, tiers_named
from chandlery.management.base import ChandleryCommand
from chandlery.management.ingestion import ingest
from chandlery.management.old_ways import MAIN, as_options, new_way, warn_of_old_way
from chandlery.pipeline.request import IngestRequest, Selection

#: What the main command can do beside, and this one never could.
NOT_ASKED = {"dry_run": False, "json": False, "report_csv": None, "export_unfillable": None}


class NoTier(UsageError):
    """Say which tier: --tier TIER1 (or TIER2, TIER3, TIER4, ALL)"""


class NoArchives(UsageError):
    """There is nothing to read: the archive folder {folder} is not there; name another with --data-dir PATH"""


class Command(ChandleryCommand):
    help = (
        "Deprecated, use ingest_kraken_unified: read the archives of a folder into the store for the markets of a "
        "tier in US dollars, derive what can be derived, and report; no request is made. Exit status: 0 done, "
        "1 a file or the job failed, 2 wrong usage, 130 paused by Ctrl-C."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        default = ",".join(str(i) for i in settings.DEFAULT_INTERVALS)
        add("--tier", metavar="TIER", help="TIER1 … TIER4, or ALL")
        add(
            "--intervals",
            nargs="+",
            metavar="MINUTES",
            help=f"candle widths in minutes (default: {default})",
        )
        add("--data-dir", metavar="PATH", help="where the archives are (default: the setting ARCHIVE_DIR)")
        add("--stop-on-error", action="store_true", help="stop at the first file that cannot be read")
        add("-y", "--yes", action="store_true", help="do not ask before starting")

    def handle(self, *args: Any, **options: Any) -> None:
        request = _request(options)
        instead = new_way(MAIN, as_options(request.selection), *_other_options(options))
        warn_of_old_way(self, "ingest_sequential", instead)
        self.leave(ingest(self, request, {**options, **NOT_ASKED}, rerun=instead))


def _request(options: dict[str, Any]) -> IngestRequest:
    if not options["tier"]:
        raise NoTier
    selection = Selection(
        intervals=intervals_named("--intervals", options["intervals"]), tiers=tiers_named([options["tier"]])
    )
    sources = sources_of([options["data_dir"]] if options["data_dir"] else [])
    if not sources:
        raise NoArchives(folder=settings.ARCHIVE_DIR)
    return IngestRequest(
        selection, sources, stop_on_error=options["stop_on_error"], api_backfill=False, workers=settings.WORKERS
    )


def _other_options(options: dict[str, Any]) -> list[str]:
    """How the main command is told the rest of what was asked."""
    source = ["--source", str(Path(options["data_dir"]))] if options["data_dir"] else []
    flags = [f"--{name.replace('_', '-')}" for name in ("stop_on_error", "yes") if options[name]]
    return [*source, "--no-api-backfill", *flags]
