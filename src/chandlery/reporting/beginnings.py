"""Where each history begins, and whether what came before is UNLISTED or only unknown."""

from collections.abc import Iterable, Sequence

from chandlery.reporting.completeness import CompletenessReport, SeriesEntry
from chandlery.reporting.wording import moment, plain, plural, width_of, wrapped

#: Markets named under one sentence.
MOST_MARKETS = 12
_HEADING = "Where each history begins:"
_LOOSE = "a loose file does not tell what came before it; the exchange does, once it is asked"
_FIRST_STORED = f"At the first stored slot (first trade unknown: earlier dates are MISSING, not UNLISTED; {_LOOSE}):"
_FIRST_TRADE = "At the first trade (told by a complete release or by the exchange: what came before is UNLISTED):"
_MISSING_BEFORE = f"First trade unknown, so what lies before the first stored slot is MISSING, not UNLISTED ({_LOOSE}):"
_UNLISTED_BEFORE = "First trade told by a complete release or by the exchange, so what lies before it is UNLISTED:"


def where_histories_begin(report: CompletenessReport, columns: int) -> list[str]:
    """The section, or nothing where there is nothing to say."""
    stored = [entry for entry in report.series if entry.range]
    groups = _asked(stored) if report.start_was_asked else _found(stored)
    lines: list[str] = []
    for sentence, parts in groups:
        if parts:
            lines += [*wrapped(sentence, columns, ""), *_markets(parts, columns)]
    return [_HEADING, "", *lines] if lines else []


_Parts = Sequence[tuple[SeriesEntry, str]]


def _found(stored: Sequence[SeriesEntry]) -> list[tuple[str, _Parts]]:
    """No start date was asked: each series begins where its market does, as far as that is known."""
    parts = [(entry, f"from {moment(entry.range.start)}") for entry in stored if entry.range]
    return [
        (_FIRST_STORED, [(entry, text) for entry, text in parts if not entry.first_trade_known]),
        (_FIRST_TRADE, [(entry, text) for entry, text in parts if entry.first_trade_known]),
    ]


def _asked(stored: Sequence[SeriesEntry]) -> list[tuple[str, _Parts]]:
    """A start date was asked: what lies between it and the first row needs a reason."""
    unlisted = [
        (entry, f"{plural(entry.tally.unlisted, 'slot')} UNLISTED")
        for entry in stored
        if entry.first_trade_known and entry.tally.unlisted
    ]
    missing: list[tuple[SeriesEntry, str]] = []
    for entry in stored:
        first = entry.gaps[0].gap.range if entry.gaps else None
        if not entry.first_trade_known and entry.range and first and first.start == entry.range.start:
            missing.append((entry, f"MISSING up to {moment(first.end)}"))
    return [(_MISSING_BEFORE, missing), (_UNLISTED_BEFORE, unlisted)]


def _markets(parts: _Parts, columns: int) -> Iterable[str]:
    by_market: dict[str, dict[str, list[str]]] = {}
    for entry, text in parts:
        by_market.setdefault(entry.market, {}).setdefault(text, []).append(width_of(entry.interval))
    for market, texts in list(by_market.items())[:MOST_MARKETS]:
        said = "; ".join(f"{', '.join(intervals)} {text}" for text, intervals in texts.items())
        yield from wrapped(f"• {plain(market)} {said}", columns)
    if len(by_market) > MOST_MARKETS:
        yield f"… and {plural(len(by_market) - MOST_MARKETS, 'more market', 'more markets')}"
