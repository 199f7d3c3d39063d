"""A plan in words: for --dry-run whole, for step 2 of a run in short."""

from collections.abc import Iterable, Iterator, Sequence

from chandlery.candles.timerange import RangeSet
from chandlery.pipeline.events import (
    AskPlanned,
    DerivationPlanned,
    FilePlanned,
    OpenPlanned,
    PlanLine,
    Planned,
    WalkPlanned,
)
from chandlery.reporting.progress import about, compact, size_text
from chandlery.reporting.wording import PLAIN_WIDTH, days, plain, plural, span, width_of, wrapped

MOST_FILES = 20
MOST_ASKS = 20
MOST_WALKS = 20
MOST_PARTS = 3
MOST_DERIVATIONS = 20
MOST_OPEN = 20
NOTHING_WRITTEN = "Nothing was written."


def render_plan(planned: Planned, width: int | None = None) -> str:
    """What a run would do, for --dry-run: what it would read, ask for and derive, what would remain open, and why."""
    columns, left = width or PLAIN_WIDTH, planned.open
    sections: list[Iterable[str]] = [
        plan_lines(planned, columns),
        _listed("Files to read", [_file_text(f) for f in planned.files], MOST_FILES, "Files: none to read"),
        _listed("Requests", [ask_text(ask) for ask in planned.asks], MOST_ASKS),
        *([_listed("Walks over trades", [walk_text(w) for w in planned.walks], MOST_WALKS)] if planned.walks else []),
        _listed("Derivations", [derivation_text(made) for made in planned.derivations], MOST_DERIVATIONS),
        _listed("Left open", [open_text(p) for p in left], MOST_OPEN, "Left open: nothing", _left_off(left)),
    ]
    body = ["\n".join(_fit(lines, columns)) for lines in sections]
    return "\n\n".join(["Plan:", *body, NOTHING_WRITTEN]) + "\n"


def plan_lines(planned: Planned, columns: int) -> list[str]:
    """The plan in short: files, dates, and a table of slots by who serves them."""
    size = size_text(sum(file.size for file in planned.files))
    known = f"; {planned.unchanged:,} unchanged, not read again" if planned.unchanged else ""
    serve = days(planned.files_serve) if planned.files_serve else "not known before they are read"
    if not planned.files:
        serve = "nothing new"
    left = [f"• {files_left_text(planned)}"] if planned.files_left else []
    derived = len({(made.market, made.interval) for made in planned.derivations})
    return [
        f"• Files to read: {f'{len(planned.files):,} ({size})' if planned.files else 'none'}{known}",
        *left,
        f"• From CSV: {serve}",
        f"• From the API: {api_text(planned)}",
        *([f"• From trades: {trades_text(planned)}"] if planned.walks or planned.undated else []),
        f"• Derived from finer intervals: {plural(derived, 'series', 'series')}",
        "",
        *slot_table(planned.lines, columns),
    ]


def api_text(planned: Planned) -> str:
    """40 requests (5 of them to read the newest candles again), about 1 minute (2026-10-24 to 2026-11-23)"""
    if not planned.asks:
        return "nothing"
    time = f", {about(planned.ask_seconds)}" if planned.ask_seconds else ""
    dates = f" ({days(planned.api_serves)})" if planned.api_serves else ""
    return f"{plural(len(planned.asks), 'request')}{_again(planned)}{time}{dates}"


def trades_text(planned: Planned) -> str:
    """2 markets, 132 requests, about 2 minutes (2026-08-01 to 2026-11-23); at most 3,600 requests this time"""
    if planned.undated:
        since = plural(planned.undated, "market")
        text = f"all that is open since the first trade of {since}, which the exchange is asked for first"
        return f"{text}; how many requests that takes is told before they are made{_limit(planned)}"
    markets = plural(len(planned.walks), "market")
    whole = RangeSet(part for walk in planned.walks for part in walk.parts).span
    dates = f" ({days(whole)})" if whole else ""
    if planned.walk_requests is None:
        price = "how many requests it takes is known once the exchange's weekly figures are"
        return f"{markets}{dates}; {price}{_limit(planned)}"
    requests = f"about {plural(planned.walk_requests, 'request')}, {about(planned.walk_seconds or 0.0)}"
    return f"{markets}, {requests}{dates}{_limit(planned)}"


def _limit(planned: Planned) -> str:
    budget = planned.trade_budget
    is_known = planned.walk_requests is not None and not planned.undated
    if budget is None or (is_known and (planned.walk_requests or 0) <= budget):
        return ""
    return f"; no more than {budget:,} this time (--trade-budget)"


def walk_text(walk: WalkPlanned) -> str:
    """XBTUSD: 2026-08-01 00:00 to 2026-11-23 22:30 UTC (165,030 minutes, about 1.20M trades, 1,205 requests)"""
    price = ", price not known yet"
    if walk.requests is not None and walk.trades is not None:
        price = f", about {compact(walk.trades)} trades, {plural(walk.requests, 'request')}"
    parts = [span(part) for part in walk.parts[:MOST_PARTS]]
    parts += [f"{len(walk.parts) - MOST_PARTS:,} more"] if len(walk.parts) > MOST_PARTS else []
    return f"{plain(walk.market)}: {' and '.join(parts)} ({plural(walk.slots, 'minute')}{price})"


def _again(planned: Planned) -> str:
    """How many requests are for nothing that is open."""
    if not planned.rereads:
        return ""
    number = "" if len(planned.asks) == 1 else f"{planned.rereads:,} of them "
    return f" ({number}to read the newest candles again)"


def files_left_text(planned: Planned) -> str:
    """What an incremental run does not read."""
    number = planned.files_left
    verb, them = ("is", "it") if number == 1 else ("are", "them")
    files = f"{plural(number, 'file')} in the archives {verb} newer than what is known"
    return f"{files}; a run without --incremental reads {them}"


def slot_table(lines: Sequence[PlanLine], columns: int) -> list[str]:
    """Slots by interval: wanted, and who serves them. `Open` is what stays open.

    A table, or a sentence an interval where `columns` are too few for it.
    """
    walked = any(line.from_trades for line in lines)
    header = ("Interval", "Slots", "Known", "Files", "Derived", "API", *(["Trades"] if walked else []), "Open")
    rows = [
        (width_of(line.interval), *(f"{number:,}" for number in _numbers(line, walked=walked)))
        for line in sorted(lines, key=lambda line: line.interval)
    ]
    table = [header, *rows]
    sizes = [max(map(len, column)) for column in zip(*table, strict=True)]
    if sum(sizes) + 2 * len(sizes) - 2 > columns:
        return [_sentence(row) for row in rows]
    return [
        "  ".join(
            cell.rjust(size) if i else cell.ljust(size) for i, (cell, size) in enumerate(zip(row, sizes, strict=True))
        )
        for row in table
    ]


def _sentence(row: Sequence[str]) -> str:
    width, wanted, known, files, derived, api, *trades, left = row
    answered = f"{known} known, {files} from files, {derived} derived, {api} from the API"
    answered += f", {trades[0]} from trades" if trades else ""
    return f"• {width}: {wanted} slots: {answered}; {left} stay open"


def _numbers(line: PlanLine, *, walked: bool) -> tuple[int, ...]:
    trades = (line.from_trades,) if walked else ()
    return (line.wanted, line.known, line.from_files, line.derived, line.from_api, *trades, line.open)


def _listed(what: str, lines: Sequence[str], most: int, none: str = "", rest: str = "") -> Iterator[str]:
    """A heading with the number, then the first of them; `none` where there is nothing to list."""
    if not lines:
        yield none or f"{what}: none"
        return
    yield f"{what}, {len(lines):,}:"
    yield from (f"• {line}" for line in lines[:most])
    if len(lines) > most:
        yield f"… and {len(lines) - most:,} more{rest}"


def _file_text(file: FilePlanned) -> str:
    return f"{plain(file.label)} ({size_text(file.size)})"


def _left_off(left: Sequence[OpenPlanned]) -> str:
    return f" ({plural(sum(part.candles for part in left[MOST_OPEN:]), 'candle')})"


def ask_text(ask: AskPlanned) -> str:
    series = f"{plain(ask.market)} {width_of(ask.interval)}"
    return f"{series}: {span(ask.span)} ({plural(ask.slots, 'slot')})"


def derivation_text(made: DerivationPlanned) -> str:
    series = f"{plain(made.market)} {width_of(made.interval)}"
    return f"{series} from {width_of(made.finer)}: {span(made.span)} ({plural(made.slots, 'slot')})"


def open_text(part: OpenPlanned) -> str:
    series = f"{plain(part.market)} {width_of(part.interval)}"
    if part.range is None:
        return f"{series}: {plain(part.why)}"
    return f"{series}: {span(part.range)} ({plural(part.candles, 'candle')}): {plain(part.why)}"


def _fit(lines: Iterable[str], columns: int) -> list[str]:
    return [part for line in lines for part in wrapped(line, columns)]
