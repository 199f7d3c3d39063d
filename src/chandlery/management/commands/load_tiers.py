"""Bring the tiers of a TOML file into the database."""

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from chandlery.exchanges.kraken.tiers import load_tiers
from chandlery.management.base import ChandleryCommand, tiers_file
from chandlery.pipeline.markets import apply_tiers


class Command(ChandleryCommand):
    help = "Set category and tier of every asset as a TOML file says (the setting TIERS_FILE, else the shipped one)."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--file", metavar="PATH", help="a TOML file of the shape of the shipped tiers.toml")

    def handle(self, *args: Any, **options: Any) -> None:
        table = load_tiers(Path(options["file"]) if options["file"] else tiers_file())
        self.prepare_state()
        self.stdout.write(f"{apply_tiers(table)} assets changed.")
