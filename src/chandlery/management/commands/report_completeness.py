"""What do I have, and what is open? From state alone, at any time."""

from typing import Any

from django.core.management.base import CommandParser

from chandlery.management.arguments import add_selection, selection_of
from chandlery.management.base import ChandleryCommand, command_line, surroundings
from chandlery.management.rendering import add_outputs, check_outputs, print_report, write_files
from chandlery.pipeline.binding import checked_store
from chandlery.pipeline.markets import select
from chandlery.pipeline.report import report


class Command(ChandleryCommand):
    help = "Report how complete the chosen series are: every slot has a verdict, every gap what would close it."

    def add_arguments(self, parser: CommandParser) -> None:
        add_selection(parser)
        add_outputs(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        selection = selection_of(options)
        check_outputs(options)
        self.prepare_state()
        around = surroundings()
        store = checked_store(around.store_url, around.home)
        made = report(selection, select(selection), store, around.clock())
        rerun = command_line().replace("report_completeness", "ingest_kraken_unified", 1)
        print_report(made, options, self.stdout, rerun)
        write_files(made, options, self.stderr)
