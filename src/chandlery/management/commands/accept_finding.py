"""A finding that is known and stays: it contradicts nothing any more."""

from __future__ import annotations

from argparse import ArgumentTypeError
from typing import Any

from django.core.management.base import CommandParser

from chandlery.management.base import ChandleryCommand
from chandlery.pipeline.accept import accept_findings, require_reason
from chandlery.pipeline.findings import entry_of
from chandlery.reporting.findings import finding_text


class Command(ChandleryCommand):
    help = (
        "Accept findings: their slots count again as what they are, traded or quiet, and no audit opens anything of "
        "their kind inside of them."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("id", nargs="+", type=_number, metavar="ID", help="its number, as audit_candles shows it")
        parser.add_argument("--why", required=True, metavar="TEXT", help="why it is as it should be; kept with it")

    def handle(self, *args: Any, **options: Any) -> None:
        require_reason(options["why"])
        self.prepare_state()
        for row in accept_findings(options["id"], options["why"]):
            self.stdout.write(f"Accepted #{row.pk}: {finding_text(entry_of(row))}")


def _number(value: str) -> int:
    if not value.isdecimal() or not 0 < int(value) < 2**63:
        raise ArgumentTypeError(f"{value!r} is no number of a finding; audit_candles lists them")
    return int(value)
