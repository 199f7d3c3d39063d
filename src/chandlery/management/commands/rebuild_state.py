"""Read the store and the files anew: the repair when state and store do not speak of the same candles."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser

from chandlery.errors import ChandleryError, UsageError
from chandlery.management.arguments import add_workers, sources_of
from chandlery.management.base import ChandleryCommand, surroundings, tiers
from chandlery.management.interrupts import stop_flag
from chandlery.management.listeners import Listener, listener_for
from chandlery.models import IngestionJob
from chandlery.pipeline.discover import discover
from chandlery.pipeline.events import JobEnded
from chandlery.pipeline.job import Interrupted, run_job
from chandlery.pipeline.lease import everything_held
from chandlery.pipeline.rebuild import forget, index_store, refill_requests
from chandlery.pipeline.workers import worker_pool
from chandlery.stores import open_store


class NotFinished(ChandleryError):
    """State is not rebuilt: some archives have not been read anew; run {program} rebuild_state again"""

    exit_status = 130


class Command(ChandleryCommand):
    help = (
        "Forget what the database says of files, coverage and gaps, count the candles that CANDLE_STORE holds, "
        "and read the archives anew. Candles, archives, jobs and tiers stay as they are."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--source",
            action="append",
            default=[],
            metavar="PATH",
            help="where the archives are; repeatable (default: the sources of earlier jobs, and ARCHIVE_DIR)",
        )
        add_workers(parser)
        parser.add_argument("-y", "--yes", action="store_true", help="accepted for symmetry; nothing is asked")

    def handle(self, *args: Any, **options: Any) -> None:
        self.prepare_state()
        around = surroundings()
        sources = _sources(options["source"])
        # Nothing is forgotten for the sake of a store or a source that is none.
        store = open_store(around.store_url, around.home)
        store.identity()
        discover(Path(item) for item in options["source"])
        # Nobody may write while state is forgotten; the runs that read the files anew hold what they need themselves.
        with everything_held("rebuild_state", around.time_of_day):
            series = forget(around)
            counted = index_store(around, tiers())
        there = tuple(path for path in sources if _is_there(path))
        for path in sources:
            if path not in there:
                self.stderr.write(f"Not there any more: {path}; what only it answered stays open.")
        self.stdout.write(f"Counted {counted.candles:,} candles in {counted.series} series of {store.url}.")
        failed = 0
        try:
            with (
                worker_pool(options["workers"]) as executor,
                _listener(self, options) as listen,
                stop_flag() as should_stop,
            ):
                for request in refill_requests(series | counted.found, there, options["workers"]):
                    for event in run_job(request, around, executor, tiers(), should_stop):
                        listen(event)
                        if isinstance(event, JobEnded):
                            failed += len(event.failures)
                    if should_stop():
                        raise NotFinished(program=settings.PROGRAM)
        except Interrupted as error:
            raise NotFinished(program=settings.PROGRAM) from error
        self.stdout.write(f"State rebuilt. See: {settings.PROGRAM} report_completeness --tier ALL")
        self.leave(1 if failed else 0)


def _listener(command: ChandleryCommand, options: dict[str, Any]) -> Listener:
    return listener_for(command.stdout, options["verbosity"], log_file=settings.LOG_FILE)


def _is_there(path: Path) -> bool:
    try:
        discover([path])
    except UsageError:
        return False
    return True


def _sources(named: list[str]) -> list[Path]:
    if named:
        return [Path(item) for item in named]
    recorded = IngestionJob.objects.exclude(sources=None).order_by("created_at").values_list("sources", flat=True)
    earlier = [Path(path) for paths in recorded for path in paths or ()]
    return list(dict.fromkeys([*earlier, *sources_of([])]))
