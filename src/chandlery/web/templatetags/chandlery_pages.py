"""How pages write figures and times: as the reports do."""

from __future__ import annotations

from datetime import datetime

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from chandlery.candles.interval import Interval
from chandlery.candles.timerange import TimeRange
from chandlery.candles.verdict import Tally
from chandlery.reporting import wording
from chandlery.reporting.progress import compact as compact_text
from chandlery.reporting.progress import size_text, span_text

register = template.Library()


@register.filter
def percent(share: float) -> str:
    """Rounded down: only the whole is 100 %."""
    return wording.floored(share, 1)


@register.filter
def number(value: int) -> str:
    return f"{value:,}"


@register.filter
def compact(value: float) -> str:
    return compact_text(value)


@register.filter
def bytes_text(value: int | None) -> str:
    return "–" if value is None else size_text(value)


@register.filter
def quiet(tally: Tally) -> int:
    """Slots without a trade, by whatever evidence."""
    return tally.quiet_proven + tally.quiet_confirmed + tally.quiet_claimed


@register.filter
def width(interval: int) -> str:
    """60min"""
    return wording.width_of(Interval(interval))


@register.filter
def moment(value: datetime | None) -> SafeString | str:
    """A time that a machine can read as well."""
    if value is None:
        return "–"
    return format_html('<time datetime="{}">{}</time>', value.isoformat(), f"{value:%Y-%m-%d %H:%M}")


@register.filter
def span(within: TimeRange) -> str:
    return wording.span(within)


@register.filter
def since(value: datetime | None, now: datetime) -> str:
    """3 h 32 min ago"""
    return "" if value is None else f"{span_text(max(0.0, (now - value).total_seconds()))} ago"


@register.filter
def until(value: datetime, now: datetime) -> str:
    """in 3 h 32 min"""
    seconds = (value - now).total_seconds()
    return f"in {span_text(seconds)}" if seconds >= 1 else "now"


@register.filter
def plural(value: int, words: str) -> str:
    """`{{ 2|plural:"gap" }}`: 2 gaps. Two forms with a comma between: `series,series`."""
    noun, _, nouns = words.partition(",")
    return wording.plural(value, noun, nouns)
