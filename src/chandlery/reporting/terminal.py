"""The completeness report as plain text: one layout for the terminal, a log and a mail; 80 columns are enough."""

from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console
from rich.text import Text

from chandlery.candles.interval import Interval
from chandlery.candles.timerange import TimeRange
from chandlery.candles.verdict import Tally, Verdict
from chandlery.reporting.actions import recommended_actions
from chandlery.reporting.attention import requiring_attention
from chandlery.reporting.beginnings import where_histories_begin
from chandlery.reporting.completeness import CompletenessReport, SeriesEntry, mean_completeness
from chandlery.reporting.series_table import MOST_ROWS, series_table
from chandlery.reporting.wording import (
    PLAIN_WIDTH,
    box,
    days,
    floored,
    listed,
    plural,
    rounded,
    width_of,
    widths,
    wrapped,
)

#: Names in the title, and of unclassified markets, before the rest is only counted.
MOST_NAMES = 6
#: Each verdict by its name, in few words, and in a whole sentence for the legend.
VERDICTS: dict[Verdict, tuple[str, str, str]] = {
    Verdict.TRADED: ("Traded", "a candle is stored", "a candle is stored"),
    Verdict.QUIET_PROVEN: (
        "Quiet, proven",
        "trade ids without a break",
        "the ids of the trades around the slot follow each other without a break",
    ),
    Verdict.QUIET_CONFIRMED: (
        "Quiet, confirmed",
        "archive and weekly count agree",
        "an archive has no row for the slot, and the exchange's weekly count agrees",
    ),
    Verdict.QUIET_CLAIMED: (
        "Quiet, claimed",
        "a source answered, no trade",
        "an archive or the API answered for the slot and tells of no trade",
    ),
    Verdict.SUSPECT: (
        "Suspect",
        "contradicted by a finding",
        "an open finding contradicts what is stored for the slot",
    ),
    Verdict.MISSING: ("Missing", "no source has answered", "no source has answered for the slot"),
    Verdict.UNLISTED: (
        "Unlisted",
        "outside the market's life",
        "before the market's first trade or after its last, so not expected",
    ),
}
_STYLES = (
    (r"^[╔╚║].*$", "cyan"),
    (r"^([A-Z][A-Za-z ]*|\d+min \(.*\)):$", "bold"),
    (r"^\d+\. \S+(?= \()", "bold"),
    (r"→ API Fillable: Yes", "green"),
    (r"→ API Fillable: (No|Partly)", "yellow"),
    (r"(?<=Completeness: )100%", "green"),
    (r"^Nothing to do: .*$", "green"),
)


def render_report(report: CompletenessReport, rerun: str = "", *, width: int | None = None) -> str:
    """The whole report. `rerun` is the command line to repeat; `width` the terminal's columns.

    Without a width, text is wrapped at 80 columns and command lines stay whole.
    """
    columns = width or PLAIN_WIDTH
    sections = [
        _title(report, columns),
        _overall(report, columns),
        _breakdown(report, columns),
        _legend(columns) if report.series else [],
        series_table(report, columns) if len(report.series) <= MOST_ROWS else [],
        where_histories_begin(report, columns),
        requiring_attention(report, columns),
        recommended_actions(report, rerun, columns, break_commands=width is not None),
    ]
    return "\n\n".join("\n".join(lines) for lines in sections if lines) + "\n"


def print_report(console: Console, report: CompletenessReport, rerun: str = "") -> None:
    """The report on a terminal, at its width, with a little colour."""
    text = Text(render_report(report, rerun, width=console.width))
    for pattern, style in _STYLES:
        text.highlight_regex(f"(?m){pattern}", style)
    console.print(text, soft_wrap=True, end="")


def _title(report: CompletenessReport, columns: int) -> list[str]:
    title = report.title if report.tiers else listed(report.title.split(", "), MOST_NAMES)
    spans = [entry.range for entry in report.series if entry.range]
    start, end = report.start, report.end
    dates = days(TimeRange(start, end)) if start and end else "nothing stored yet"
    lines = [f"{title} Data Completeness Report", f"Date Range: {dates}", f"Intervals: {widths(report.intervals)}"]
    notes: list[str] = []
    if len({(span.start.date(), span.end.date()) for span in spans}) > 1:
        notes = ["", *wrapped("The date range is that of all series together; each has its own.", columns, "")]
    return [*box(lines, columns), *notes]


def _overall(report: CompletenessReport, columns: int) -> list[str]:
    total, complete = len(report.assets), len(report.complete_assets)
    # Both come to 100 together; "100 %" of the assets are complete only if all are.
    share = 100 * complete // total if total else 0
    rest = 100 - share if total else 0
    markets = len({entry.market for entry in report.series})
    quoted = f" (quoted in {listed(report.quotes, MOST_NAMES)})" if report.tiers and report.quotes else ""
    # Pooled over slots, as an incremental run tells it; the figures below are means over series.
    slots = report.tally.completeness if any(entry.range for entry in report.series) else 0.0
    unknown = sum(entry.range is None for entry in report.series)
    uncounted = (
        f", beside {plural(unknown, 'series', 'series')} of which nothing is stored" if slots and unknown else ""
    )
    lines = [
        "Overall Statistics:",
        f"• Total Assets: {total:,}",
        f"• Complete Assets: {complete:,} ({share}%)",
        f"• Partial Assets: {total - complete:,} ({rest}%)",
        f"• Assets with Gaps: {len({entry.asset for entry in report.series if entry.gaps}):,}",
        f"• Total Markets: {markets:,}{quoted}",
        f"• Completeness: {floored(slots, 1)} of all slots{uncounted}",
    ]
    if report.unclassified:
        names = listed(sorted(report.unclassified), MOST_NAMES)
        lines.append(f"• Unclassified Markets: {len(report.unclassified):,}, in no table of names: {names}")
    return _fit(lines, columns)


def _breakdown(report: CompletenessReport, columns: int) -> list[str]:
    sections = [_interval(interval, report.of(interval)) for interval in report.intervals]
    lines = ["Interval Breakdown:"]
    for section in sections:
        lines += ["", *section]
    return _fit(lines, columns)


def _interval(interval: Interval, series: Sequence[SeriesEntry]) -> Iterator[str]:
    assets = {entry.asset for entry in series}
    partial = {entry.asset for entry in series if not entry.complete}
    gaps = [gap for entry in series for gap in entry.gaps]
    fillable = sum(gap.api_fillable for gap in gaps)
    # A mean of shares that are not all 1 may round to 1; what is open must show.
    completeness = mean_completeness(series)
    if partial:
        completeness = min(completeness, 0.999)
    yield f"{width_of(interval)} ({interval.label}):"
    yield f"• Average Completeness: {floored(completeness, 1)}"
    yield f"• Complete Assets: {len(assets) - len(partial):,}/{len(assets):,}"
    accepted = sum(gap.accepted for gap in gaps)
    yield f"• Total Gaps: {len(gaps):,}{f' ({accepted:,} accepted)' if accepted else ''}"
    yield f"  - API-Fillable: {fillable:,}"
    yield f"  - Require CSV: {len(gaps) - fillable:,}"
    yield f"• Average Density: {floored(sum(entry.density for entry in series), len(series))}"
    unknown = sum(entry.range is None for entry in series)
    if unknown:
        yield f"• Nothing Stored: {plural(unknown, 'market')}, first trade unknown"
    tally = sum((entry.tally for entry in series), Tally())
    yield f"• Slots: {tally.slots:,}"
    yield from _verdicts(tally)


def _verdicts(tally: Tally) -> Iterator[str]:
    for verdict, (name, why, _) in VERDICTS.items():
        slots: int = getattr(tally, verdict.value.lower())
        # Density is rounded down, so what traded is too: one figure must not be written in two ways.
        share = floored if verdict is Verdict.TRADED else rounded
        if slots:
            yield f"  - {name}: {slots:,} ({share(slots, tally.slots)}) — {why}"


def _legend(columns: int) -> list[str]:
    lines = ["What the verdicts mean:", *(f"• {name}: {meaning}" for name, _, meaning in VERDICTS.values())]
    lines.append(
        "Completeness is the share that is traded or quiet, density what is traded; both leave out what is unlisted."
    )
    return _fit(lines, columns)


def _fit(lines: Iterable[str], columns: int) -> list[str]:
    """Each line within `columns`; what is carried over stands under the text of its bullet."""
    fitted: list[str] = []
    for line in lines:
        body = line.lstrip()
        hanging = len(line) - len(body) + (2 if body[:1] in ("•", "-") else 0)
        fitted += wrapped(line, columns, " " * hanging)
    return fitted
