"""The overview: how complete everything is, what is going on, what needs attention, what the API forgets next."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import groupby

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.views.decorators.http import require_safe

from chandlery.config.surroundings import clock
from chandlery.models import FileIngestionRecord, IngestionJob, JobStatus
from chandlery.pipeline.selecting import DEFAULT_QUOTE
from chandlery.reporting.concerns import Failed, concerns
from chandlery.reporting.overview import OverviewRow
from chandlery.reporting.wording import plural
from chandlery.web import standing
from chandlery.web.pages.asked import page, quotes_asked
from chandlery.web.pages.kept import Kept, state_mark
from chandlery.web.pages.running import now_context
from chandlery.web.store import store_to_read

FEW_ROWS = 8
#: What is drawn of state looks the same to everybody.
_figures: Kept[SafeString] = Kept(
    8, lambda: (state_mark(), IngestionJob.objects.asked_intervals(), tuple(failed_work()))
)


@require_safe
@page
def overview(request: HttpRequest) -> HttpResponse:
    # What is drawn already tells nothing of a store that has gone since.
    store_to_read()
    # No slot closes within a minute.
    minute, quotes = clock()().replace(second=0, microsecond=0), quotes_asked(request.GET)
    # Looked at first: a job whose process was killed has failed, and that is what needs attention.
    now = now_context(request)
    drawn = _figures.get((minute, quotes, settings.CANDLE_STORE), lambda: _drawn(minute, quotes))
    return render(request, "chandlery/overview.html", now | {"figures": drawn})


def failed_work() -> list[Failed]:
    """The newest job, if it failed; and files that could not be read."""
    found = []
    newest = IngestionJob.objects.order_by("-created_at").first()
    if newest is not None and newest.status == JobStatus.FAILED:
        found.append(Failed(f"Job {str(newest.pk)[:8]} failed", newest.error_message, str(newest.pk)[:8]))
    files = FileIngestionRecord.objects.failed()
    first = files.first()
    if first is not None and first.job_id is not None:
        what = f"{plural(files.count(), 'file')} could not be read"
        found.append(Failed(what, first.error_message, str(first.job_id)[:8]))
    return found


def _drawn(now: datetime, quotes: tuple[str, ...]) -> SafeString:
    shown = standing.overview(quotes, now)
    tiers = [(tier, list(rows)) for tier, rows in groupby(shown.rows, key=lambda row: row.tier)]
    context = {
        "now": now,
        "tiers": tiers,
        # A short table is taken in at a glance; a long one would hide what is to be done.
        "few": len(shown.rows) <= FEW_ROWS,
        "deadlines": [(deadline, deadline.is_soon(now)) for deadline in shown.deadlines],
        "concerns": concerns(shown, failed_work(), settings.PROGRAM, quotes),
        "quotes": quotes,
        "begin": f"{settings.PROGRAM} ingest_kraken_unified --tier TIER1 --complete",
        "question": _question(tiers[0][0], shown.rows, quotes) if tiers else "",
    }
    return render_to_string("chandlery/_overview.html", context)


def _question(tier: str, rows: Sequence[OverviewRow], quotes: tuple[str, ...]) -> str:
    """The command that tells the figures of a tier."""
    intervals = ",".join(str(int(row.interval)) for row in rows if row.tier == tier)
    quoted = f" --quotes {','.join(quotes)}" if quotes != (DEFAULT_QUOTE,) else ""
    return f"{settings.PROGRAM} report_completeness --tier {tier} --intervals {intervals}{quoted} --json"
