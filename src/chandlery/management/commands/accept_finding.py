"""A finding that is known and stays: it contradicts nothing any more."""

from __future__ import annotations

from argparse import ArgumentTypeError
from typing import Any

from django.core.management.base import CommandParser
from django.db import transaction

from chandlery.errors import UsageError
from chandlery.management.base import ChandleryCommand
from chandlery.models import FindingState, Market, QualityFinding
from chandlery.pipeline.findings import entry_of
from chandlery.reporting.findings import finding_text


class NoSuchFinding(UsageError):
    """There is no finding {id}; audit_candles lists them with their numbers"""


class FindingIsGone(UsageError):
    """Finding {id} is RESOLVED since {since:%Y-%m-%d %H:%M} UTC: its cause is gone, there is nothing to accept"""


class NoReason(UsageError):
    """--why is empty; say in a few words why it is as it should be"""


class Command(ChandleryCommand):
    help = (
        "Accept findings: their slots count again as what they are, traded or quiet, and no audit opens anything of "
        "their kind inside of them."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("id", nargs="+", type=_number, metavar="ID", help="its number, as audit_candles shows it")
        parser.add_argument("--why", required=True, metavar="TEXT", help="why it is as it should be; kept with it")

    def handle(self, *args: Any, **options: Any) -> None:
        why = options["why"].strip()
        if not why:
            raise NoReason
        self.prepare_state()
        with transaction.atomic():
            rows = [_finding(number) for number in options["id"]]
            Market.objects.hold({row.market_id for row in rows})
            for row in rows:
                if not row.accept(why):
                    raise FindingIsGone(id=row.pk, since=row.resolved_at)
        for row in rows:
            self.stdout.write(f"Accepted #{row.pk}: {finding_text(entry_of(row))}")


def _finding(number: int) -> QualityFinding:
    """One that can be accepted. Raises NoSuchFinding, FindingIsGone."""
    row = QualityFinding.objects.select_related("market").filter(pk=number).first()
    if row is None:
        raise NoSuchFinding(id=number)
    if row.state == FindingState.RESOLVED:
        raise FindingIsGone(id=number, since=row.resolved_at)
    return row


def _number(value: str) -> int:
    if not value.isdecimal() or not 0 < int(value) < 2**63:
        raise ArgumentTypeError(f"{value!r} is no number of a finding; audit_candles lists them")
    return int(value)
