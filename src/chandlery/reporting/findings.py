"""Findings and outages: as values, in words, as JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from chandlery.candles.interval import Interval
from chandlery.candles.timerange import TimeRange
from chandlery.reporting.as_json import JsonObject, instant
from chandlery.reporting.wording import listed, plain, plural, span, width_of, wrapped

MOST_WITNESSES = 3
MOST_MARKETS = 6


@dataclass(frozen=True, slots=True)
class FindingEntry:
    """One finding as on record. `label` says in words what `kind` means; `evidence` has the figures."""

    id: int
    market: str
    interval: Interval
    range: TimeRange
    kind: str
    label: str
    severity: str
    state: str
    evidence: Mapping[str, Any] = field(default_factory=dict)
    why: str = ""
    found_at: datetime | None = None
    resolved_at: datetime | None = None
    is_suspect: bool = False


@dataclass(frozen=True, slots=True)
class OutageEntry:
    """A time in which busy markets were all but quiet at once."""

    range: TimeRange
    markets: tuple[str, ...]
    weak: bool


def findings_as_json(findings: Iterable[FindingEntry], outages: Iterable[OutageEntry]) -> dict[str, Any]:
    """{"findings": [...], "outages": [...]}; times ISO 8601 with Z."""
    return {"findings": [finding_as_json(one) for one in findings], "outages": [outage_as_json(one) for one in outages]}


def finding_as_json(one: FindingEntry) -> JsonObject:
    return {
        "id": one.id,
        "market": one.market,
        "interval_minutes": int(one.interval),
        "start": instant(one.range.start),
        "end": instant(one.range.end),
        "kind": one.kind,
        "severity": one.severity,
        "evidence": dict(one.evidence),
        "state": one.state,
        "why": one.why,
        "found_at": instant(one.found_at),
        "resolved_at": instant(one.resolved_at),
    }


def outage_as_json(one: OutageEntry) -> JsonObject:
    return {
        "start": instant(one.range.start),
        "end": instant(one.range.end),
        "markets": list(one.markets),
        "weak": one.weak,
    }


def findings_as_text(findings: Sequence[FindingEntry], outages: Sequence[OutageEntry], columns: int) -> list[str]:
    """The readable report: what contradicts what is stored first, then the rest, then outages."""
    lines: list[str] = []
    for title, chosen in (
        ("SUSPECT: what is stored is contradicted", [one for one in findings if one.is_suspect]),
        ("Worth knowing", [one for one in findings if not one.is_suspect]),
    ):
        if chosen:
            lines += [f"{title} ({len(chosen):,}):", ""]
            for one in chosen:
                lines += wrapped(f"  #{one.id}  {finding_text(one)}{_state(one)}", columns, " " * 6)
            lines.append("")
    if outages:
        lines += [f"Outages of the exchange ({len(outages):,}), in which silence is explained:", ""]
        lines += [line for one in outages for line in wrapped(f"  {outage_text(one)}", columns, " " * 6)]
        lines.append("")
    return lines or ["No finding is on record, and no outage.", ""]


def finding_text(one: FindingEntry) -> str:
    """XBTUSD 1440min, 2024-03-31: another interval counts more trades (0 here, 6,623 at 720min)"""
    figures = _figures(one)
    what = f"{plain(one.market)} {width_of(one.interval)}, {span(one.range)}: {one.label}"
    return f"{what} ({figures})" if figures else what


def outage_text(one: OutageEntry) -> str:
    """2024-02-10 21:30 to 2024-02-11 02:40: XBTUSD, ETHUSD, XBTEUR"""
    weak = "; weak: only one or two busy markets to witness it" if one.weak else ""
    return f"{span(one.range)}: {plain(listed(one.markets, MOST_MARKETS))}{weak}"


def _state(one: FindingEntry) -> str:
    if one.state == "OPEN":
        return ""
    return f" [{one.state}{f': {plain(one.why)}' if one.why else ''}]"


def _figures(one: FindingEntry) -> str:
    words = _WORDS.get(one.kind)
    return words(one.evidence) if words is not None else ""


def _counts(told: Mapping[str, Any]) -> str:
    return f"{told['trades']:,} here, {told['other_trades']:,} at {told['other_interval_minutes']}min"


def _volumes(told: Mapping[str, Any]) -> str:
    here, there = _number(told["volume"]), _number(told["other_volume"])
    return f"{here} here, {there} at {told['other_interval_minutes']}min"


def _prices(told: Mapping[str, Any]) -> str:
    names = [name for name in ("open", "high", "low", "close") if name in told]
    pairs = ", ".join(f"{name} {_number(told[name])} here, {_number(told[f'other_{name}'])}" for name in names)
    return f"{pairs} at {told['other_interval_minutes']}min" if pairs else ""


def _silence(told: Mapping[str, Any]) -> str:
    due = f"{told['due']:,.0f} trades were due"
    witnesses = told.get("witnesses", ())[:MOST_WITNESSES]
    seen = [f"{plain(w['market'])} had {w['seen']:,} of {w['due']:,.0f}" for w in witnesses]
    return "; ".join([due, *seen])


def _dropped(told: Mapping[str, Any]) -> str:
    widths = ", ".join(f"{minutes}min" for minutes in told["contradicted_at"])
    return f"as {widths} do, though finer candles have trades there"


def _bad(told: Mapping[str, Any]) -> str:
    return f"{told['column']} is {plain(str(told['value']))}, expected: {told['expected']}"


def _spike(told: Mapping[str, Any]) -> str:
    return f"{_number(told['price'])}, {told['factor']:.3g} times its neighbours"


def _frozen(told: Mapping[str, Any]) -> str:
    return f"{plural(told['candles'], 'candle')} at {_number(told['price'])}; {plain(listed(told['moved'], 3))} moved"


def _ledger(told: Mapping[str, Any]) -> str:
    return f"{told['stored_trades']:,} here, {told['ledger_trades']:,} by the exchange's own count"


def _ledger_volume(told: Mapping[str, Any]) -> str:
    here, there = _number(told["stored_volume"]), _number(told["ledger_volume"])
    return f"{here} here, {there} by the exchange's own count"


def _differing(told: Mapping[str, Any]) -> str:
    if "removed" in told:
        return f"{plural(told['removed'], 'minute')} without a trade had a candle"
    return f"{plural(told['differing'], 'minute')} differed" if "differing" in told else ""


def _break(told: Mapping[str, Any]) -> str:
    return f"{plural(told['missing'], 'trade')} between ids {told['id_before']} and {told['id_after']}"


def _amounts(told: Mapping[str, Any]) -> str:
    first = f"volume {_number(told['volume'])}, {plural(told['trades'], 'trade')}"
    return f"{plural(told['candles'], 'candle')}; {first}"


def _number(figure: float | str) -> str:
    """All of its digits that mean something; what JSON has no word for came as one."""
    return plain(figure) if isinstance(figure, str) else f"{figure:.12g}"


_WORDS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "INTERVALS_SHORT": _counts,
    "INTERVALS_EXCESS": _counts,
    "INTERVALS_VOLUME": _volumes,
    "INTERVALS_PRICES": _prices,
    "IMPROBABLE_SILENCE": _silence,
    "UNWITNESSED_SILENCE": _silence,
    "LAST_SLOT_DROPPED": _dropped,
    "BAD_ROW": _bad,
    "NO_TRADES": _amounts,
    "NO_VOLUME": _amounts,
    "TRADES_DIFFER": _differing,
    "ID_BREAK": _break,
    "LEDGER_VOLUME": _ledger_volume,
    "PRICE_SPIKE": _spike,
    "FROZEN_PRICE": _frozen,
    "LEDGER_SHORT": _ledger,
    "LEDGER_SYSTEMATIC": _ledger,
    "LEDGER_EXCESS": _ledger,
    "LEDGER_NEARLY": _ledger,
    "LEDGER_DISAGREES": _ledger,
}
