"""Jobs: as JSON, and in words."""

from __future__ import annotations

from chandlery.models import IngestionJob
from chandlery.reporting.as_json import JsonObject, instant
from chandlery.reporting.wording import listed


def job_as_json(job: IngestionJob) -> JsonObject:
    """One job, times ISO 8601 with Z."""
    return {
        "job_id": str(job.job_id),
        "tier": job.tier,
        "markets": job.markets,
        "quotes": job.quotes,
        "intervals": job.intervals,
        "start_date": instant(job.start_date),
        "end_date": instant(job.end_date),
        "incremental": job.incremental,
        "status": job.status,
        "created_at": instant(job.created_at),
        "started_at": instant(job.started_at),
        "completed_at": instant(job.completed_at),
        "total_files": job.total_files,
        "files_ingested": job.files_ingested,
        "files_skipped": job.files_skipped,
        "files_failed": job.files_failed,
        "records_ingested": job.records_ingested,
        "requests_made": job.requests_made,
        "series_failed": job.series_failed,
        "candles_fetched": job.candles_fetched,
        "candles_revised": job.candles_revised,
        "candles_conflicting": job.candles_conflicting,
        "candles_derived": job.candles_derived,
        "trades_walked": job.trades_walked,
        "trade_budget": job.trade_budget,
        "in_hand": job.in_hand,
        "error_message": job.error_message,
    }


def what_text(job: IngestionJob, most: int = 3) -> str:
    """TIER1, TIER2; or the first of its markets."""
    return job.tier.replace(",", ", ") or listed(job.markets, most)
