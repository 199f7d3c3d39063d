"""Gaps in words: what a backfill finds, and what has become of it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from chandlery.candles.gap import Reason
from chandlery.reporting.completeness import CompletenessReport, GapEntry, SeriesEntry
from chandlery.reporting.gap_groups import FoundGap, GapGroups, Outcome, Way
from chandlery.reporting.publication import DOWNLOADS
from chandlery.reporting.wording import listed, plain, plural, span, width_of, widths, wrapped

MOST_GAPS = 20
MOST_NAMES = 6
_ALL_LISTED = "report_completeness --json lists all"
_PUBLISHED = f"Kraken's archives: {DOWNLOADS}"
#: What a group of gaps means for the user, beside its name.
_MEANING = {
    Way.API: "the API still tells them",
    Way.DERIVED: "stored, or told by the API",
    Way.ACROSS: "the older part requires CSV",
    Way.FILES: "only archives tell them",
}


def found_lines(groups: GapGroups, columns: int, *, only_fillable: bool = False) -> list[str]:
    """The gaps by what closes them; with `only_fillable` without those that need a file."""
    older = sum(len(entry.gaps) for entry in groups.report.series) - len(groups.gaps)
    none = "no new gaps" if older else "no gaps"
    if not any(entry.range for entry in groups.report.series):
        none = "nothing stored yet"
    counted = _counted(groups.gaps) or none
    aside = f"; {plural(older, 'older gap')} left aside" if older else ""
    lines = [f"{_title(groups.report)}: {counted}{aside}"]
    for way in Way:
        gaps = groups.of(way)
        if gaps and not (only_fillable and way is Way.FILES):
            lines += [
                "",
                f"{way.value}: {_counted(gaps)}; {_MEANING[way]}",
                *_shortened(map(_found, gaps), gaps),
            ]
    if groups.begun:
        series = plural(len(groups.begun), "series", "series")
        lines += ["", f"Nothing stored yet: {series}; the API tells the newest 720 candles of each"]
        lines += _shortened(map(_name, groups.begun))
    if groups.unknown and not only_fillable:
        series = plural(len(groups.unknown), "series", "series")
        lines += [
            "",
            f"Nothing known: {series}; only an archive tells them",
            *_shortened(map(_nothing, groups.unknown)),
        ]
    ways = (Way.ACROSS,) if only_fillable else (Way.ACROSS, Way.FILES)
    if any(groups.of(way) for way in ways) or (groups.unknown and not only_fillable):
        lines += ["", _PUBLISHED]
    return _fit(lines, columns)


def unfillable_lines(groups: GapGroups, columns: int) -> list[str]:
    """The parts of gaps that only a file closes, and which one that is."""
    parts = [replace(gap, entry=part, left=(part,)) for gap in groups.gaps for part in gap.left]
    unknown = (*groups.begun, *groups.unknown)
    counted = _counted(parts) or "no gap"
    lines = [f"{_title(groups.report)}: {counted} {'requires' if len(parts) <= 1 else 'require'} CSV"]
    lines += _shortened(map(_staying, parts), parts)
    if unknown:
        lines += ["", f"Nothing stored yet: {plural(len(unknown), 'series', 'series')}"]
        lines += _shortened(map(_nothing, unknown))
    if parts or unknown:
        lines += ["", _PUBLISHED]
    return _fit(lines, columns)


def outcome_lines(outcome: Outcome, before: GapGroups, columns: int, *, only_fillable: bool = False) -> list[str]:
    """What was filled, what stays, and why."""
    filled = [plural(outcome.closed, "gap")] if outcome.closed or not outcome.shrunk else []
    if outcome.shrunk:
        filled.append(f"part of {plural(outcome.shrunk, 'gap' if not outcome.closed else 'more gap')}")
    of = f"{outcome.candles:,} of {plural(before.candles, 'candle')}"
    lines = [f"Filled: {' and '.join(filled)} ({of})"] if before.gaps else []
    if outcome.begun:
        lines.append(f"Begun: {plural(outcome.begun, 'series', 'series')} of which nothing was stored")
    stays = outcome.stays.gaps
    shown = [gap for gap in stays if not only_fillable or gap.entry.api_fillable or gap.entry.partly_fillable]
    if stays or not outcome.stays.unknown:
        lines.append(f"Still open: {_counted(stays) or 'nothing'}")
    lines += _shortened(map(_staying, shown), shown)
    if len(stays) > len(shown):
        lines.append(f"• {plural(len(stays) - len(shown), 'gap')} that only an archive closes (--only-fillable)")
    if outcome.stays.unknown:
        lines.append(f"Nothing known: {plural(len(outcome.stays.unknown), 'series', 'series')}")
        lines += _shortened(map(_nothing, outcome.stays.unknown))
    return _fit(lines, columns)


def _title(report: CompletenessReport) -> str:
    names = report.title if report.tiers else listed(report.title.split(", "), MOST_NAMES)
    return f"Gaps of {names} ({widths(report.intervals)})"


def _counted(gaps: Sequence[FoundGap]) -> str:
    """3 gaps (1,234 candles); empty where there are none."""
    return f"{plural(len(gaps), 'gap')} ({plural(sum(gap.candles for gap in gaps), 'candle')})" if gaps else ""


def _shortened(texts: Iterable[str], gaps: Sequence[FoundGap] = ()) -> Iterator[str]:
    """A bullet each, the first only where they are many."""
    left = 0
    for number, text in enumerate(texts):
        if number < MOST_GAPS:
            yield f"• {text}"
        else:
            left += 1
    if left:
        candles = f" ({plural(sum(gap.candles for gap in gaps[MOST_GAPS:]), 'candle')})" if gaps else ""
        yield f"… and {left:,} more{candles}; {_ALL_LISTED}"


def _found(gap: FoundGap) -> str:
    if not gap.left:
        return _gap(gap)
    files = "; ".join(_file(part) for part in gap.left)
    if gap.way is Way.ACROSS:
        files = f"{gap.candles - gap.left_candles:,} can be filled, {gap.left_candles:,} need {files}"
    return f"{_gap(gap)}: {files}{_unasked(gap)}"


def _staying(gap: FoundGap) -> str:
    """A gap that stays, with what was tried and what would close it."""
    entry = gap.entry
    why = [f"asked without success: {plain(entry.error)}"] if entry.status == "FAILED" and entry.error else []
    if entry.api_fillable or entry.partly_fillable:
        newer = "" if entry.api_fillable else "the newer part of "
        why.append(f"the API still tells {newer}it")
    why += [_file(part) for part in gap.left]
    return f"{_gap(gap)}: {'; '.join(why)}{_unasked(gap)}"


def _file(part: GapEntry) -> str:
    """XBTUSD_60.csv in Kraken_OHLCVT_2024Q2.zip, and when that is due, if it is not out yet."""
    return plain(part.remedy.download or part.remedy.action)


def _unasked(gap: FoundGap) -> str:
    return "" if gap.listed else "; the API is not asked, for Kraken does not list the market"


def _gap(gap: FoundGap) -> str:
    entry: GapEntry = gap.entry
    notes = [plural(gap.candles, "candle")]
    if entry.gap.reason is Reason.SUSPECT:
        notes.append("contradicted by a finding")
    if entry.accepted:
        notes.append("accepted")
    return f"{plain(gap.market)} {width_of(entry.gap.interval)}: {span(entry.gap.range)} ({', '.join(notes)})"


def _name(entry: SeriesEntry) -> str:
    return f"{plain(entry.market)} {width_of(entry.interval)}"


def _nothing(entry: SeriesEntry) -> str:
    return f"{_name(entry)}: {plain(entry.remedy.download)}" if entry.remedy else _name(entry)


def _fit(lines: Iterable[str], columns: int) -> list[str]:
    return [part for line in lines for part in wrapped(line, columns)]
