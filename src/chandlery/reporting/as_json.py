"""Completeness as one JSON object: times ISO 8601 with Z, ranges half-open, shares from 0 to 1."""

from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from pathlib import PurePath
from typing import Any
from uuid import UUID

from chandlery.reporting.completeness import CompletenessReport, GapEntry, SeriesEntry, mean_completeness

COUNTS = ("slots", "traded", "quiet_proven", "quiet_confirmed", "quiet_claimed", "suspect", "missing", "unlisted")
#: What is said of each series beside its gaps, in this order.
SERIES_KEYS = (
    *("market", "pair", "asset", "interval_minutes", "start", "end", "first_trade_known"),
    *COUNTS,
    *("completeness", "density"),
)

JsonObject = dict[str, object]


def report_as_json(report: CompletenessReport) -> JsonObject:
    """The report as values that `json.dumps` takes. `tier` is null where markets were named; `markets` says which."""
    return {
        "tier": report.title if report.tiers else None,
        "markets": list(dict.fromkeys(entry.market for entry in report.series)),
        "quotes": list(report.quotes),
        "intervals": [int(interval) for interval in report.intervals],
        "start": instant(report.start),
        "end": instant(report.end),
        "now": instant(report.now),
        "unclassified": list(report.unclassified),
        "series": [{**series_as_json(entry), "gaps": [_gap(gap) for gap in entry.gaps]} for entry in report.series],
        "overall": _overall(report),
    }


def series_as_json(entry: SeriesEntry) -> JsonObject:
    """One series without its gaps. Where nothing is known of it, start and end are null and it is complete to 0."""
    return {
        "market": entry.market,
        "pair": entry.pair,
        "asset": entry.asset,
        "interval_minutes": int(entry.interval),
        "start": instant(entry.range.start) if entry.range else None,
        "end": instant(entry.range.end) if entry.range else None,
        "first_trade_known": entry.first_trade_known,
        **{name: getattr(entry.tally, name) for name in COUNTS},
        "completeness": entry.completeness,
        "density": entry.density,
    }


def instant(moment: datetime | None) -> str | None:
    """2024-03-31T00:00:00Z"""
    return moment.isoformat().replace("+00:00", "Z") if moment else None


def as_plain(value: Any) -> Any:
    """Any value of ours as `json.dumps` takes it: dataclasses as objects, intervals as minutes, times with Z."""
    if is_dataclass(value) and not isinstance(value, type):
        return {held.name: as_plain(getattr(value, held.name)) for held in fields(value)}
    if isinstance(value, dict):
        return {str(as_plain(key)): as_plain(held) for key, held in value.items()}
    if isinstance(value, list | tuple):
        return [as_plain(held) for held in value]
    if isinstance(value, datetime):
        return instant(value)
    if isinstance(value, Enum):
        return value.value
    return str(value) if isinstance(value, PurePath | UUID) else value


def _gap(entry: GapEntry) -> JsonObject:
    return {
        "start": instant(entry.gap.range.start),
        "end": instant(entry.gap.range.end),
        "candles": entry.gap.candles,
        "reason": entry.gap.reason.value,
        "api_fillable": entry.api_fillable,
        "overflow_candles": entry.overflow,
        "action": entry.remedy.action,
        "required_csv_file": entry.required_csv_file,
        "status": str(entry.status),
        "error": entry.error or None,
    }


def _overall(report: CompletenessReport) -> JsonObject:
    tally, known = report.tally, any(entry.range for entry in report.series)
    gaps = sum(len(entry.gaps) for entry in report.series)
    fillable = sum(gap.api_fillable for entry in report.series for gap in entry.gaps)
    assets, complete = len(report.assets), len(report.complete_assets)
    return {
        **{name: getattr(tally, name) for name in COUNTS},
        # Pooled over slots; a series of which nothing is known has none, so see `unknown_series` too.
        "completeness": tally.completeness if known else 0.0,
        "density": tally.density if known else 0.0,
        "average_completeness": mean_completeness(report.series),
        "complete": report.complete,
        "unknown_series": sum(entry.range is None for entry in report.series),
        "assets": assets,
        "complete_assets": complete,
        "partial_assets": assets - complete,
        "gaps": gaps,
        "api_fillable": fillable,
        "require_csv": gaps - fillable,
    }
