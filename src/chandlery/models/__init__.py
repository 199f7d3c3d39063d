"""What we know about what we have: the Django app's models."""

from chandlery.models.archive import ArchiveRelease, FileIngestionRecord, FileStatus
from chandlery.models.asset import Asset, Market
from chandlery.models.binding import StoreBinding
from chandlery.models.candle_audit import CandleAudit
from chandlery.models.coverage import DataCoverageRange, TradedDays
from chandlery.models.exchange import Exchange
from chandlery.models.finding import (
    CONTRADICTING,
    FILLED_ANEW,
    Doubt,
    Finding,
    FindingKind,
    FindingsChanged,
    FindingState,
    QualityFinding,
    Severity,
)
from chandlery.models.gap import OPEN, GapRecord, GapStatus
from chandlery.models.job import IngestionJob, JobStatus
from chandlery.models.lease import Lease, LeasedSeries
from chandlery.models.ledger import AuditedWeeks, Ledger
from chandlery.models.outage import Outage

__all__ = [
    "CONTRADICTING",
    "FILLED_ANEW",
    "OPEN",
    "ArchiveRelease",
    "Asset",
    "AuditedWeeks",
    "CandleAudit",
    "DataCoverageRange",
    "Doubt",
    "Exchange",
    "FileIngestionRecord",
    "FileStatus",
    "Finding",
    "FindingKind",
    "FindingState",
    "FindingsChanged",
    "GapRecord",
    "GapStatus",
    "IngestionJob",
    "JobStatus",
    "Lease",
    "LeasedSeries",
    "Ledger",
    "Market",
    "Outage",
    "QualityFinding",
    "Severity",
    "StoreBinding",
    "TradedDays",
]
