"""What we know about what we have: the Django app's models."""

from chandlery.models.archive import ArchiveRelease, FileIngestionRecord, FileStatus
from chandlery.models.asset import Asset, Market
from chandlery.models.binding import StoreBinding
from chandlery.models.coverage import DataCoverageRange, TradedDays
from chandlery.models.finding import (
    CONTRADICTING,
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

__all__ = [
    "CONTRADICTING",
    "OPEN",
    "ArchiveRelease",
    "Asset",
    "AuditedWeeks",
    "DataCoverageRange",
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
    "QualityFinding",
    "Severity",
    "StoreBinding",
    "TradedDays",
]
