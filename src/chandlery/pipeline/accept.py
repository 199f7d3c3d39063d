"""Accept: what is known and stays as it is. A finding contradicts nothing any more; no request is spent on a gap."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import transaction

from chandlery.errors import ChandleryError, UsageError
from chandlery.models import FindingState, GapRecord, GapStatus, Market, QualityFinding


class NoSuchFinding(UsageError):
    """There is no finding {id}; audit_candles lists them with their numbers"""


class FindingIsGone(UsageError):
    """Finding {id} is RESOLVED since {since:%Y-%m-%d %H:%M} UTC: its cause is gone, there is nothing to accept"""


class NoReason(UsageError):
    """--why is empty; say in a few words why it is as it should be"""


class NoSuchGap(UsageError):
    """There is no gap {id} on record"""


class GapIsFilled(ChandleryError):
    """Gap {id} is FILLED since {since:%Y-%m-%d %H:%M} UTC: there is nothing to accept"""


class GapIsAsked(ChandleryError):
    """Gap {id} is being filled at this moment; accept it once that has ended"""


def require_reason(why: str) -> None:
    """Raises NoReason."""
    if not why.strip():
        raise NoReason


def accept_findings(numbers: Iterable[int], why: str) -> list[QualityFinding]:
    """All of them, or none. Raises NoReason, NoSuchFinding, FindingIsGone."""
    require_reason(why)
    with transaction.atomic():
        rows = [_finding(number) for number in numbers]
        Market.objects.hold({row.market_id for row in rows})
        for row in rows:
            if not row.accept(why.strip()):
                raise FindingIsGone(id=row.pk, since=row.resolved_at)
    return rows


def accept_gap(number: int) -> GapRecord:
    """It stays open, and no request is spent on it. Raises NoSuchGap, GapIsFilled, GapIsAsked."""
    with transaction.atomic():
        # A run that is under way may be closing it, or merging it into another: what it leaves is what is judged.
        rows = GapRecord.objects.select_related("market").select_for_update(of=("self",))
        row = rows.filter(pk=number).first()
        if row is None:
            raise NoSuchGap(id=number)
        if row.status == GapStatus.FILLED:
            raise GapIsFilled(id=number, since=row.filled_at)
        if row.status == GapStatus.BACKFILLING:
            raise GapIsAsked(id=number)
        row.accept()
    return row


def _finding(number: int) -> QualityFinding:
    """One that can be accepted. Raises NoSuchFinding, FindingIsGone."""
    row = QualityFinding.objects.select_related("market").filter(pk=number).first()
    if row is None:
        raise NoSuchFinding(id=number)
    if row.state == FindingState.RESOLVED:
        raise FindingIsGone(id=number, since=row.resolved_at)
    return row
