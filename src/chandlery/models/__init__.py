"""What we know about what we have: the Django app's models."""

from chandlery.models.archive import ArchiveRelease, FileIngestionRecord, FileStatus
from chandlery.models.asset import Asset, Market
from chandlery.models.binding import StoreBinding
from chandlery.models.coverage import DataCoverageRange, TradedDays
from chandlery.models.gap import OPEN, GapRecord, GapStatus
from chandlery.models.job import IngestionJob, JobStatus
from chandlery.models.lease import Lease, LeasedSeries

__all__ = [
    "OPEN",
    "ArchiveRelease",
    "Asset",
    "DataCoverageRange",
    "FileIngestionRecord",
    "FileStatus",
    "GapRecord",
    "GapStatus",
    "IngestionJob",
    "JobStatus",
    "Lease",
    "LeasedSeries",
    "Market",
    "StoreBinding",
    "TradedDays",
]
