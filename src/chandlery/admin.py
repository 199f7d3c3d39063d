"""The admin: look at state, edit tiers, accept gaps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest

from chandlery.candles.interval import EPOCH
from chandlery.candles.ledger import WEEK
from chandlery.models import (
    ArchiveRelease,
    Asset,
    AuditedWeeks,
    DataCoverageRange,
    FileIngestionRecord,
    FindingState,
    GapRecord,
    GapStatus,
    IngestionJob,
    Ledger,
    Market,
    Outage,
    QualityFinding,
    StoreBinding,
    TradedDays,
)
from chandlery.models.held_rows import hold
from chandlery.reporting.wording import listed, plural

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
else:
    ModelAdmin = admin.ModelAdmin  # generic for the type checker only


@admin.register(Asset)
class AssetAdmin(ModelAdmin):
    list_display = ("ticker", "category", "tier")
    list_editable = ("category", "tier")
    list_filter = ("tier", "category")
    search_fields = ("ticker",)


@admin.register(Market)
class MarketAdmin(ModelAdmin):
    list_display = ("altname", "pair", "status", "first_trade", "delisted_at")
    list_filter = ("status", "quote")
    list_select_related = ("base", "quote")
    search_fields = ("altname", "wsname")
    autocomplete_fields = ("base", "quote")


class Evidence(ModelAdmin):
    """What the pipeline found out is looked at, not edited: only a run or `rebuild_state` may change it."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(IngestionJob)
class IngestionJobAdmin(Evidence):
    list_display = ("job_id", "tier", "status", "started_at", "files_ingested", "files_failed", "records_ingested")
    list_filter = ("status",)
    date_hierarchy = "created_at"


@admin.register(ArchiveRelease)
class ArchiveReleaseAdmin(Evidence):
    list_display = ("name", "period_start", "period_end", "complete")
    exclude = ("members",)


@admin.register(FileIngestionRecord)
class FileIngestionRecordAdmin(Evidence):
    list_display = (
        "file_path",
        "status",
        "market",
        "interval_minutes",
        "records_count",
        "completed_at",
        "error_message",
    )
    list_filter = ("status", "interval_minutes")
    list_select_related = ("market",)
    search_fields = ("file_path", "error_message")


@admin.register(DataCoverageRange)
class DataCoverageRangeAdmin(Evidence):
    list_display = (
        "market",
        "interval_minutes",
        "start_date",
        "end_date",
        "source",
        "derived",
        "proven",
        "provisional",
        "record_count",
    )
    list_filter = ("source", "interval_minutes", "derived", "provisional")
    list_select_related = ("market",)
    search_fields = ("market__altname",)


@admin.register(TradedDays)
class TradedDaysAdmin(Evidence):
    list_display = ("market", "interval_minutes", "first_slot", "last_slot", "candles")
    exclude = ("packed",)
    list_select_related = ("market",)
    search_fields = ("market__altname",)


@admin.register(Ledger)
class LedgerAdmin(Evidence):
    list_display = ("market", "span", "weeks", "trades", "reaches_first", "asked_at")
    fields = ("market", "span", "weeks", "trades", "reaches_first", "asked_at")
    list_select_related = ("market",)
    search_fields = ("market__altname",)

    @admin.display(description="first to last week (UTC)")
    def span(self, row: Ledger) -> str:
        return _weeks(row)


@admin.register(AuditedWeeks)
class AuditedWeeksAdmin(Evidence):
    list_display = (
        "market",
        "interval_minutes",
        "span",
        "counted_weeks",
        "confirmed_weeks",
        "short_weeks",
    )
    fields = list_display
    list_filter = ("interval_minutes",)
    list_select_related = ("market",)
    search_fields = ("market__altname",)

    @admin.display(description="first to last week (UTC)")
    def span(self, row: AuditedWeeks) -> str:
        return _weeks(row)


def _weeks(row: Ledger | AuditedWeeks) -> str:
    if row.first_week >= row.end_week:
        return "none"
    return f"{EPOCH + row.first_week * WEEK:%F} to {EPOCH + row.end_week * WEEK:%F}"


@admin.register(StoreBinding)
class StoreBindingAdmin(Evidence):
    list_display = ("url", "store_id", "bound_at")


@admin.register(GapRecord)
class GapRecordAdmin(Evidence):
    list_display = (
        "market",
        "interval_minutes",
        "gap_start",
        "gap_end",
        "missing_candles",
        "reason",
        "status",
        "required_csv_file",
    )
    list_filter = ("status", "reason", "interval_minutes")
    list_select_related = ("market",)
    search_fields = ("market__altname",)
    date_hierarchy = "gap_start"
    actions = ("accept", "open_again")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # Actions need it; every field stays read-only.
        return bool(request.user.is_staff) and ModelAdmin.has_change_permission(self, request, obj)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return [field.name for field in GapRecord._meta.fields]

    @admin.action(description="Accept the chosen gaps: they stay open, and no request is spent on them")
    def accept(self, request: HttpRequest, queryset: QuerySet[GapRecord]) -> None:
        with transaction.atomic():
            hold(queryset)
            accepted = queryset.exclude(status=GapStatus.FILLED).update(status=GapStatus.ACCEPTED)
        self.message_user(request, f"{accepted} gaps accepted.")

    @admin.action(description="Open the chosen gaps again: take back that they were accepted")
    def open_again(self, request: HttpRequest, queryset: QuerySet[GapRecord]) -> None:
        # What can be done about each, the next run finds out.
        opened = queryset.filter(status=GapStatus.ACCEPTED).update(status=GapStatus.DETECTED)
        self.message_user(request, f"Open again: {plural(opened, 'gap')}.")


@admin.register(Outage)
class OutageAdmin(Evidence):
    list_display = ("exchange", "start", "end", "weak", "quiet_markets", "found_at")
    list_filter = ("weak",)
    date_hierarchy = "start"

    @admin.display(description="markets")
    def quiet_markets(self, row: Outage) -> str:
        return listed(row.markets, 6)


@admin.register(QualityFinding)
class QualityFindingAdmin(Evidence):
    list_display = ("market", "interval_minutes", "start", "end", "kind", "severity", "state", "found_at")
    list_filter = ("state", "kind", "severity", "interval_minutes")
    list_select_related = ("market",)
    search_fields = ("market__altname",)
    date_hierarchy = "start"
    actions = ("accept",)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # Actions need it, and `why`; every other field stays read-only.
        return bool(request.user.is_staff) and ModelAdmin.has_change_permission(self, request, obj)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return [field.name for field in QualityFinding._meta.fields if field.name != "why"]

    @admin.action(description="Accept the chosen findings: they contradict nothing any more")
    def accept(self, request: HttpRequest, queryset: QuerySet[QualityFinding]) -> None:
        with transaction.atomic():
            Market.objects.hold(queryset.values_list("market", flat=True))
            accepted = queryset.filter(state=FindingState.OPEN).update(state=FindingState.ACCEPTED)
        self.message_user(request, f"{accepted} findings accepted. Say why in each of them.")
