"""What to do next, as numbered steps: which files to download from where, and the command to run then."""

import shlex
from collections import Counter
from collections.abc import Iterator, Sequence

from chandlery.exchanges.kraken.window import quarters_of
from chandlery.reporting.completeness import CompletenessReport
from chandlery.reporting.unfillable import Needed, due_text, needed_files
from chandlery.reporting.wording import plain, plural, wrapped

MOST_FILES = 10
MOST_ARCHIVES = 6
DONE = "Nothing to do: every expected slot has an answer."
NOTHING_ASKED = "Nothing to do: no market matches the selection."


def recommended_actions(report: CompletenessReport, rerun: str, columns: int, *, break_commands: bool) -> list[str]:
    """The section. `break_commands`: a command wider than `columns` is broken so that it can still be pasted."""
    if report.complete or not report.series:
        return ["Recommended Actions:", "", DONE if report.series else NOTHING_ASKED]
    files = needed_files(report)
    steps = [step for step in (_api_window(report), _downloads(report, files)) if step]
    if steps and rerun:
        command = _broken(rerun, columns - 3) if break_commands else [rerun]
        steps.append(["Re-run ingestion after CSV download:", *(f"   {line}" for line in command)])
    lines = ["Recommended Actions:", ""]
    for number, (first, *others) in enumerate(steps, 1):
        lines += [*wrapped(f"{number}. {first}", columns, "   "), *others]
    return lines


def _api_window(report: CompletenessReport) -> list[str]:
    gaps = [gap.gap.range for entry in report.series for gap in entry.gaps if gap.api_fillable]
    if not gaps:
        return []
    verb, they = ("lies", "it closes") if len(gaps) == 1 else ("lie", "they close")
    where = "inside Kraken's API window; this version reads archives only"
    lines = [f"{plural(len(gaps), 'gap')} {verb} {where}: {they} when the quarter's archive is ingested."]
    counts = sorted(Counter(quarter for gap in gaps for quarter in quarters_of(gap)).items())
    for quarter, number in counts[:MOST_ARCHIVES]:
        due = due_text(quarter, report.now)
        lines.append(f"   • {quarter.archive}: {plural(number, 'gap')}")
        lines += [f"     {due}"] if due else []
    if len(counts) > MOST_ARCHIVES:
        lines.append(f"   … and {plural(len(counts) - MOST_ARCHIVES, 'more archive')}, up to {counts[-1][0].archive}")
    return lines


def _downloads(report: CompletenessReport, files: Sequence[Needed]) -> list[str]:
    if not files:
        return []
    first = {needed.file: needed for needed in files}
    lines = [f"Download {plural(len(first), 'CSV file')} for unfillable gaps:"]
    for needed in list(first.values())[:MOST_FILES]:
        lines.append(f"   • {plain(needed.file)} (in {needed.archive})")
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
