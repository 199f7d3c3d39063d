"""What answers look like, for the description of the API. Times are ISO 8601 with Z, ranges half-open."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ninja import Schema
from pydantic import Field


class Wrong(Schema):
    """What was wrong, in one line."""

    error: str


Answers = dict[int, type[Schema]]


def read(shape: type[Schema]) -> Answers:
    """What reading is answered with."""
    return {200: shape, **dict.fromkeys((400, 401, 404, 422, 503), Wrong)}


def done(shape: type[Schema], status: int = 200) -> Answers:
    """What setting something going is answered with."""
    return {status: shape, **dict.fromkeys((400, 401, 403, 404, 409, 422, 503), Wrong)}


class Counts(Schema):
    """Slots by verdict."""

    slots: int
    traded: int
    quiet_proven: int
    quiet_confirmed: int
    quiet_claimed: int
    suspect: int
    missing: int
    unlisted: int


class Gap(Schema):
    """A run of open slots, and what would close it."""

    start: datetime
    end: datetime
    candles: int
    reason: str
    api_fillable: bool
    overflow_candles: int
    action: str
    required_csv_file: str
    status: str
    error: str | None


class SeriesCounts(Counts):
    """One market at one interval; start and end are null where nothing is known of it."""

    market: str
    pair: str
    asset: str
    interval_minutes: int
    start: datetime | None
    end: datetime | None
    first_trade_known: bool
    completeness: float = Field(ge=0, le=1)
    density: float = Field(ge=0, le=1)
    gaps: list[Gap]


class Overall(Counts):
    """All series together."""

    completeness: float
    density: float
    average_completeness: float
    complete: bool
    unknown_series: int
    assets: int
    complete_assets: int
    partial_assets: int
    gaps: int
    api_fillable: int
    require_csv: int


class Report(Schema):
    """As `report_completeness --json` prints it."""

    tier: str | None
    markets: list[str]
    quotes: list[str]
    intervals: list[int]
    start: datetime | None
    end: datetime | None
    now: datetime
    unclassified: list[str]
    series: list[SeriesCounts]
    overall: Overall


class TierInterval(Counts):
    """A tier at one interval. `unknown`: markets of which nothing is stored."""

    interval_minutes: int
    markets: int
    complete: int
    unknown: int
    completeness: float
    density: float
    gaps: int
    newest: datetime | None


class Tier(Schema):
    tier: str
    assets: int
    markets: int
    intervals: list[TierInterval]


class Tiers(Schema):
    now: datetime
    quotes: list[str]
    tiers: list[Tier]


class Paged(Schema):
    """`count`: all there are; `next`: the offset that goes on, null at the end."""

    count: int
    next: int | None


class AssetShape(Schema):
    ticker: str
    category: str
    tier: str | None


class Assets(Paged):
    assets: list[AssetShape]


class MarketShape(Schema):
    market: str
    name: str
    pair: str
    base: str | None
    quote: str | None
    tier: str | None
    status: str
    listed: bool
    first_trade: datetime | None
    delisted_at: datetime | None


class Markets(Paged):
    markets: list[MarketShape]


class CoverageShape(Schema):
    """A range for which a source has spoken."""

    market: str
    interval_minutes: int
    start: datetime
    end: datetime
    source: str
    derived: bool
    proven: bool
    provisional: bool
    candles: int


class Coverage(Paged):
    coverage: list[CoverageShape]


class GapOnRecord(Schema):
    id: int
    market: str
    interval_minutes: int
    start: datetime
    end: datetime
    candles: int
    reason: str
    api_fillable: bool
    overflow_candles: int
    status: str
    detected_at: datetime
    backfill_attempted_at: datetime | None
    filled_at: datetime | None
    required_csv_file: str
    error: str | None


class Gaps(Paged):
    gaps: list[GapOnRecord]


class FindingShape(Schema):
    id: int
    market: str
    interval_minutes: int
    start: datetime
    end: datetime
    kind: str
    severity: str
    evidence: dict[str, Any]
    state: str
    why: str
    found_at: datetime | None
    resolved_at: datetime | None


class Findings(Paged):
    findings: list[FindingShape]


class OutageShape(Schema):
    start: datetime
    end: datetime
    markets: list[str]
    weak: bool


class Outages(Schema):
    outages: list[OutageShape]


class InHandShape(Schema):
    what: str
    figures: str
    current: str
    share: float | None
    seconds_left: float | None
    at: datetime


class JobShape(Schema):
    job_id: str
    tier: str
    markets: list[str]
    quotes: list[str]
    intervals: list[int]
    start_date: datetime | None
    end_date: datetime | None
    incremental: bool
    status: str
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    total_files: int
    files_ingested: int
    files_skipped: int
    files_failed: int
    records_ingested: int
    requests_made: int
    series_failed: int
    candles_fetched: int
    candles_revised: int
    candles_conflicting: int
    candles_derived: int
    trades_walked: int
    trade_budget: int | None
    in_hand: InHandShape | None
    error_message: str


class Jobs(Paged):
    jobs: list[JobShape]


class Failure(Schema):
    what: str
    error: str


class Holder(Schema):
    host: str
    process: int
    since: datetime
    heard_of: datetime


class JobWhole(JobShape):
    """As `show_job --json` prints it."""

    sources: list[str]
    options: list[str]
    failures: list[Failure]
    gaps: int
    candles_missing: int
    held_by: Holder | None
    resume: str | None


class FileShape(Schema):
    path: str
    name: str
    release: str | None
    job_id: str | None
    market: str | None
    interval_minutes: int | None
    status: str
    size_bytes: int
    sha256: str | None
    records: int
    conflicting_records: int
    start: datetime | None
    end: datetime | None
    started_at: datetime | None
    completed_at: datetime | None
    error: str | None


class Files(Paged):
    files: list[FileShape]


class Candle(Schema):
    """Prices are null where nothing is stored, and nothing is known."""

    timestamp: datetime
    open: float | None
    high: float | None
    low: float | None
    close: float | None
    volume: float | None
    trades: int | None
    filled: bool | None = None
    verdict: str | None = None


class Candles(Schema):
    """Candles whose slot opens in [start, end). `next`: the start that goes on, null at the end."""

    market: str
    interval_minutes: int
    start: datetime | None
    end: datetime | None
    next: datetime | None
    candles: list[Candle]
