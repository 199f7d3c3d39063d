"""The markets that are not complete: what is open, and what would close it."""

from collections.abc import Iterator, Sequence
from heapq import nlargest

from chandlery.candles.gap import Reason
from chandlery.reporting.completeness import CompletenessReport, GapEntry, SeriesEntry
from chandlery.reporting.wording import floored, plain, plural, sentence, span, width_of, wrapped

MOST_MARKETS = 25
MOST_GAPS = 5
#: Of each series, once not even all markets are shown.
MOST_GAPS_OF_MANY = 1
_ALL_LISTED = "report_completeness --json lists all"


def requiring_attention(report: CompletenessReport, columns: int) -> list[str]:
    """The section; one line where every market is complete."""
    by_market: dict[str, list[SeriesEntry]] = {}
    for entry in report.series:
        if not entry.complete:
            by_market.setdefault(entry.market, []).append(entry)
    if not by_market:
        return ["Assets Requiring Attention: none"] if report.series else []
    markets, most_gaps = list(by_market.items()), MOST_GAPS
    if len(markets) > MOST_MARKETS:
        markets = nlargest(MOST_MARKETS, markets, key=lambda item: _minutes_open(item[1]))
        most_gaps = MOST_GAPS_OF_MANY
    lines = ["Assets Requiring Attention:"]
    for number, (market, entries) in enumerate(markets, 1):
        lines += ["", f"{number}. {plain(market)} ({plain(entries[0].pair) or 'unclassified'})"]
        lines += [
            line for entry in entries for text in _series(entry, most_gaps) for line in wrapped(text, columns, " " * 5)
        ]
    if len(by_market) > len(markets):
        text = f"… and {plural(len(by_market) - len(markets), 'more market')}, with less open ({_ALL_LISTED})"
        lines += ["", *wrapped(text, columns)]
    return lines


def _minutes_open(entries: Sequence[SeriesEntry]) -> int:
    """How much time is open in the market; a series of which nothing is known has no length."""
    return sum((entry.tally.missing + entry.tally.suspect) * int(entry.interval) for entry in entries)


def _series(entry: SeriesEntry, most_gaps: int) -> Iterator[str]:
    if entry.range is None:
        yield f"   {width_of(entry.interval)}: nothing stored, first trade unknown"
        if entry.remedy:
            yield f"   → Action: {_sentence(entry.remedy.action)}"
        return
    tally = entry.tally
    complete, density = floored(tally.answered, tally.expected), floored(tally.traded, tally.expected)
    yield f"   {width_of(entry.interval)}: {complete} complete (density {density})"
    largest = nlargest(most_gaps, entry.gaps, key=lambda gap: gap.gap.candles)
    for gap in sorted(largest, key=lambda gap: gap.gap.range):
        yield from _gap(gap)
    if len(entry.gaps) > most_gaps:
        yield f"   … and {plural(len(entry.gaps) - most_gaps, 'more gap')}, none larger ({_ALL_LISTED})"


def _gap(entry: GapEntry) -> Iterator[str]:
    gap = entry.gap
    notes = [plural(gap.candles, "candle")]
    if gap.reason is Reason.SUSPECT:
        notes.append("contradicted by a finding")
    if entry.accepted:
        notes.append("accepted")
    yield f"   Gap: {span(gap.range)} ({', '.join(notes)})"
    yield f"   → API Fillable: {_fillable(entry)}"
    if entry.status == "FAILED":
        yield f"   → Asked without success: {plain(entry.error) or 'the API gave no answer'}"
    yield f"   → Action: {_sentence(entry.remedy.action)}"


def _fillable(entry: GapEntry) -> str:
    if entry.api_fillable:
        return "Yes"
    candles = entry.gap.candles
    return f"Partly ({candles - entry.overflow:,} of {plural(candles, 'candle')})" if entry.partly_fillable else "No"


def _sentence(text: str) -> str:
    return plain(sentence(text))
