"""Is everything as it should be?"""

from __future__ import annotations

import json
import shutil
from typing import Any

from django.core.management.base import CommandParser

from chandlery import __version__
from chandlery.management.base import ChandleryCommand
from chandlery.management.checking import checks
from chandlery.reporting.checkup import checkup_as_json, checkup_as_text, is_well


class Command(ChandleryCommand):
    help = (
        "Look whether everything is as it should be: settings, libraries, folders, secrets, disk space, database, "
        "candle store, archives, the exchange and this machine's clock. Of each thing that is wrong it says what to "
        "do. Nothing is changed. Exit status 1 where something is wrong."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--offline", action="store_true", help="ask nothing of the exchange")
        parser.add_argument("--json", action="store_true", help="one JSON object on standard output")

    def handle(self, *args: Any, **options: Any) -> None:
        found = list(checks(offline=options["offline"]))
        if options["json"]:
            self.stdout.write(json.dumps(checkup_as_json(found, __version__), indent=2))
        else:
            self.stdout.write("\n".join(checkup_as_text(found, shutil.get_terminal_size(fallback=(160, 24)).columns)))
        self.leave(0 if is_well(found) else 1)
