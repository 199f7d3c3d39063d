"""What to do next, as numbered steps: which files to download from where, and the command to run then."""

import shlex
from collections import Counter
from collections.abc import Iterator, Sequence

from chandlery.exchanges.kraken.window import WINDOW_SLOTS
from chandlery.reporting.completeness import CompletenessReport
from chandlery.reporting.publication import DOWNLOADS
from chandlery.reporting.unfillable import Needed, needed_files
from chandlery.reporting.wording import plain, plural, wrapped

MOST_FILES = 10
MOST_ARCHIVES = 6
_FORBIDS = frozenset({"--no-api-backfill", "--no-auto-gap-fill"})
DONE = "Nothing to do: every expected slot has an answer."
ALL_ACCEPTED = "Nothing to do: what is open has been accepted as it is."
NOTHING_ASKED = "Nothing to do: no market matches the selection."


def recommended_actions(report: CompletenessReport, rerun: str, columns: int, *, break_commands: bool) -> list[str]:
    """The section. `break_commands`: a command wider than `columns` is broken so that it can still be pasted."""
    if report.complete or not report.series:
        return ["Recommended Actions:", "", DONE if report.series else NOTHING_ASKED]
    if report.has_all_it_should:
        return ["Recommended Actions:", "", ALL_ACCEPTED]
    report = report.without_accepted
    files = needed_files(report)
    steps = []
    if first := _to_ask(report):
        steps.append(
            [first + (":" if rerun else "."), *_command(asking(rerun), columns, break_commands=break_commands)]
        )
    downloads = _downloads(report, files)
    if downloads:
        steps.append(downloads)
        if rerun:
            again = _command(rerun, columns, break_commands=break_commands)
            steps.append(["Re-run ingestion after CSV download:", *again])
    if walks := _to_walk(report):
        again = _command(completing(rerun), columns, break_commands=break_commands)
        steps.append(
            [(f"Or: {walks[:1].lower()}{walks[1:]}" if downloads else walks) + (":" if rerun else "."), *again]
        )
    lines = ["Recommended Actions:", ""]
    for number, (first, *others) in enumerate(steps, 1):
        lines += [*wrapped(f"{number}. {first}", columns, "   "), *others]
    return lines


def asking(rerun: str) -> str:
    """The command without the options that forbid it to ask the API."""
    try:
        words = shlex.split(rerun)
    except ValueError:
        return rerun
    return rerun if _FORBIDS.isdisjoint(words) else shlex.join(word for word in words if word not in _FORBIDS)


def completing(rerun: str) -> str:
    """The command, asking for all that can be had."""
    try:
        words = _without_budget([word for word in shlex.split(rerun) if word not in _FORBIDS])
    except ValueError:
        return rerun
    if not words or "--resume" in words or "ingest_kraken_unified" not in words:
        return rerun
    return shlex.join(words if "--complete" in words else [*words, "--complete"])


def _without_budget(words: list[str]) -> list[str]:
    """With --complete as many requests are spent as it takes."""
    kept: list[str] = []
    for word in words:
        if kept and kept[-1] == "--trade-budget":
            kept.pop()
        elif not word.startswith("--trade-budget="):
            kept.append(word)
    return kept


def _to_walk(report: CompletenessReport) -> str:
    """What can be rebuilt from trades; empty where there is nothing."""
    gaps = sum(gap.remedy.trades for entry in report.series for gap in entry.gaps)
    if not gaps:
        return ""
    return f"Let ingestion rebuild {plural(gaps, 'gap')} from trades, which takes requests and time but no download"


def _to_ask(report: CompletenessReport) -> str:
    """What the API still answers for; empty where there is nothing."""
    gaps = [gap for entry in report.series for gap in entry.gaps]
    inside, across = sum(gap.api_fillable for gap in gaps), sum(gap.partly_fillable for gap in gaps)
    parts = [plural(inside, "gap")] if inside else []
    parts += [f"the newest part of {plural(across, 'gap' if not inside else 'more gap')}"] if across else []
    said = [f"still answers for {' and '.join(parts)}"] if parts else []
    if empty := sum(entry.range is None and entry.remedy is not None and entry.remedy.api for entry in report.series):
        series = plural(empty, "series", "series")
        said.append(f"tells the newest {WINDOW_SLOTS} candles of {series} of which nothing is stored")
    return f"Run ingestion: Kraken's API {' and '.join(said)}" if said else ""


def _command(command: str, columns: int, *, break_commands: bool) -> list[str]:
    lines = _broken(command, columns - 3) if break_commands else [command]
    return [f"   {line}" for line in lines if line]


def _downloads(report: CompletenessReport, files: Sequence[Needed]) -> list[str]:
    if not files:
        return []
    first = {needed.file: needed for needed in files}
    gaps = len({(needed.market, needed.interval, needed.gap) for needed in files})
    lines = [
        f"Download {plural(len(first), 'CSV file')} for {'the unfillable gap' if gaps == 1 else 'unfillable gaps'}:",
        f"   Kraken's archives: {DOWNLOADS}",
    ]
    for needed in list(first.values())[:MOST_FILES]:
        lines.append(f"   • {plain(needed.member)} in {needed.archive}")
        due = needed.due(report.now)
        if due:
            lines.append(f"     {due}")
    if len(first) > MOST_FILES:
        lines.append(f"   … and {len(first) - MOST_FILES:,} more: --export-unfillable FILE lists them all")
        lines += _archives(list(first.values()))
    return lines


def _archives(files: Sequence[Needed]) -> Iterator[str]:
    """Whoever needs many files fetches archives."""
    counts = Counter(needed.archive for needed in files)
    yield f"   All {len(files):,} are in {plural(len(counts), 'archive')}:"
    for archive, number in counts.most_common(MOST_ARCHIVES):
        yield f"   • {archive}: {plural(number, 'file')}"
    if len(counts) > MOST_ARCHIVES:
        yield f"   … and {plural(len(counts) - MOST_ARCHIVES, 'more archive')}"


def _broken(command: str, columns: int) -> list[str]:
    """A command in lines that a shell joins again, broken before options; as it is where that cannot be done safely."""
    try:
        words = shlex.split(command)
    except ValueError:
        return [command]
    if len(command) <= columns or shlex.join(words) != command:
        return [command]
    lines = [""]
    for word in words:
        quoted = shlex.quote(word)
        starts_option = word.startswith("-") and len(lines[-1]) + len(quoted) + 20 > columns
        if lines[-1] and (starts_option or len(lines[-1]) + len(quoted) + 3 > columns):
            lines[-1] += " \\"
            lines.append("  " + quoted)
        else:
            lines[-1] += f" {quoted}" if lines[-1] else quoted
    return lines
