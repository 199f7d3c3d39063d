"""What audits have to say, in words for the terminal and the log."""

from __future__ import annotations

from chandlery.pipeline.events import Audited, CandlesAudited
from chandlery.reporting.wording import listed, plural

MOST_LEFT = 3


def is_contradicted(audited: Audited | CandlesAudited) -> bool:
    """Whether something that is stored was found to be wrong."""
    return bool(audited.short if isinstance(audited, Audited) else audited.suspect)


def audit_text(audited: Audited | CandlesAudited) -> str:
    """audit: 1,234 weeks of 8 series compared with the ledger: 1,230 confirmed, 4 contradicted"""
    return _of_weeks(audited) if isinstance(audited, Audited) else _of_candles(audited)


def _of_weeks(audited: Audited) -> str:
    parts = [f"{audited.confirmed:,} confirmed"]
    parts += [f"{audited.short:,} contradicted"] if audited.short else []
    parts += [f"{audited.differing:,} differ a little"] if audited.differing else []
    parts += [f"{plural(audited.resolved, 'finding')} resolved"] if audited.resolved else []
    weeks = f"{plural(audited.weeks, 'week')} of {plural(audited.series, 'series', 'series')}"
    return f"audit: {weeks} compared with the ledger: {', '.join(parts)}"


def _of_candles(audited: CandlesAudited) -> str:
    """audit: candles of 8 series looked through: 2 findings, 1 of them SUSPECT; 1 resolved; 1 outage"""
    parts: list[str] = []
    if audited.opened:
        suspect = f", {audited.suspect:,} of them SUSPECT" if audited.suspect else ""
        parts.append(f"{plural(audited.opened, 'finding')}{suspect}")
    parts += [f"{plural(audited.resolved, 'finding')} resolved"] if audited.resolved else []
    parts += [f"{plural(audited.outages, 'outage')} of the exchange noted"] if audited.outages else []
    if audited.left:
        parts.append(f"{listed(audited.left, MOST_LEFT)} left to the run that is writing there")
    looked = f"candles of {plural(audited.series, 'series', 'series')} looked through"
    return f"audit: {looked}: {'; '.join(parts) if parts else 'nothing amiss'}"
