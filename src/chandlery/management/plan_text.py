"""A plan in words: for --dry-run whole, for step 2 of a run in short."""

from collections.abc import Iterable, Iterator, Sequence

from chandlery.pipeline.events import AskPlanned, DerivationPlanned, OpenPlanned, PlanLine, Planned
from chandlery.reporting.progress import about, size_text
from chandlery.reporting.wording import PLAIN_WIDTH, days, plain, plural, span, width_of, wrapped

MOST_FILES = 20
MOST_ASKS = 20
MOST_DERIVATIONS = 20
MOST_OPEN = 20
NOTHING_WRITTEN = "Nothing was written."


def render_plan(planned: Planned, width: int | None = None) -> str:
    """What a run would do, for --dry-run: what it would read, ask for and derive, what would remain open, and why."""
    columns = width or PLAIN_WIDTH
    sections: list[Iterable[str]] = [
        plan_lines(planned, columns),
        _files(planned),
        _asks(planned.asks),
        _derivations(planned.derivations),
        _open(planned.open),
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
    header = ("Interval", "Slots", "Known", "Files", "Derived", "API", "Open")
    rows = [
        (width_of(line.interval), *(f"{number:,}" for number in _numbers(line)))
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
    width, wanted, known, files, derived, api, left = row
    answered = f"{known} known, {files} from files, {derived} derived, {api} from the API"
    return f"• {width}: {wanted} slots: {answered}; {left} stay open"


def _numbers(line: PlanLine) -> tuple[int, ...]:
    return line.wanted, line.known, line.from_files, line.derived, line.from_api, line.open


def _files(planned: Planned) -> Iterator[str]:
    if not planned.files:
        yield "Files: none to read"
        return
    yield f"Files to read, {len(planned.files):,}:"
    for file in planned.files[:MOST_FILES]:
        yield f"• {plain(file.label)} ({size_text(file.size)})"
    if len(planned.files) > MOST_FILES:
        yield f"… and {len(planned.files) - MOST_FILES:,} more"


def _asks(asks: Sequence[AskPlanned]) -> Iterator[str]:
    if not asks:
        yield "Requests: none"
        return
    yield f"Requests, {len(asks):,}:"
    for ask in asks[:MOST_ASKS]:
        yield f"• {ask_text(ask)}"
    if len(asks) > MOST_ASKS:
        yield f"… and {len(asks) - MOST_ASKS:,} more"


def ask_text(ask: AskPlanned) -> str:
    series = f"{plain(ask.market)} {width_of(ask.interval)}"
    return f"{series}: {span(ask.span)} ({plural(ask.slots, 'slot')})"


def _derivations(derivations: Sequence[DerivationPlanned]) -> Iterator[str]:
    if not derivations:
        yield "Derivations: none"
        return
    yield f"Derivations, {len(derivations):,}:"
    for made in derivations[:MOST_DERIVATIONS]:
        yield f"• {derivation_text(made)}"
    if len(derivations) > MOST_DERIVATIONS:
        yield f"… and {len(derivations) - MOST_DERIVATIONS:,} more"


def derivation_text(made: DerivationPlanned) -> str:
    series = f"{plain(made.market)} {width_of(made.interval)}"
    return f"{series} from {width_of(made.finer)}: {span(made.span)} ({plural(made.slots, 'slot')})"


def _open(left: Sequence[OpenPlanned]) -> Iterator[str]:
    if not left:
        yield "Left open: nothing"
        return
    yield f"Left open, {len(left):,}:"
    for part in left[:MOST_OPEN]:
        yield f"• {open_text(part)}"
    if len(left) > MOST_OPEN:
        rest = left[MOST_OPEN:]
        yield f"… and {len(rest):,} more ({plural(sum(part.candles for part in rest), 'candle')})"


def open_text(part: OpenPlanned) -> str:
    series = f"{plain(part.market)} {width_of(part.interval)}"
    if part.range is None:
        return f"{series}: {plain(part.why)}"
    return f"{series}: {span(part.range)} ({plural(part.candles, 'candle')}): {plain(part.why)}"


def _fit(lines: Iterable[str], columns: int) -> list[str]:
    return [part for line in lines for part in wrapped(line, columns)]
