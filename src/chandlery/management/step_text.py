"""What a step has found, in one sentence each: shared by the terminal and the log."""

from chandlery.pipeline.events import FilesDone, FillDone, GapsFound, JobEnded, SourceFound
from chandlery.reporting.progress import compact
from chandlery.reporting.wording import plain, plural

STEPS = 6
_KINDS = {"FOLDER": "folder", "ZIP": "ZIP", "SPLIT": "split ZIP", "LOOSE": "loose files"}


def step_title(number: int, name: str) -> str:
    return f"Step {number}/{STEPS}: {name}"


def source_text(source: SourceFound) -> str:
    """Kraken_OHLCVT_2024Q1.zip (ZIP): release of 2024-01-01 to 2024-03-31; 10,000 files, 8 of the chosen markets"""
    release = ""
    if source.release:
        # Most releases are called as their file is: once is enough.
        name = "" if source.release in source.path.name else f" {plain(source.release)}"
        release = f"{'complete release' if source.complete else 'release of'}{name} {source.period}; "
    kind = _KINDS.get(source.kind, plain(source.kind))
    files = f"{plural(source.files, 'file')}, {source.wanted:,} of the chosen markets"
    return f"{plain(str(source.path))} ({kind}): {release}{files}"


def gaps_text(found: GapsFound) -> str:
    if not found.gaps:
        return "no gaps"
    kinds = (
        f"{found.derivable:,} derivable, {found.api_fillable:,} API-fillable, {found.require_csv:,} "
        f"{'requires' if found.require_csv == 1 else 'require'} CSV"
    )
    return f"{plural(found.gaps, 'gap')} ({plural(found.candles, 'candle')}): {kinds}"


def files_text(done: FilesDone) -> str:
    rate = f" ({compact(done.rows / done.seconds)} rows/s)" if done.seconds > 0 and done.rows else ""
    files = f"{done.ingested:,} ingested, {done.skipped:,} skipped, {done.failed:,} failed"
    return f"{files}; {plural(done.rows, 'row')} in {done.seconds:.1f} s{rate}"


def filled_text(done: FillDone) -> str:
    if not done.series:
        return "nothing to derive"
    # A derived slot without a candle is quiet in the finer series too.
    quiet = f", {done.slots - done.candles:,} of them quiet" if done.slots > done.candles else ""
    series, candles = plural(done.series, "series", "series"), plural(done.candles, "candle")
    return f"{series} derived: {candles} for {plural(done.slots, 'slot')}{quiet}"


def failure_text(label: str, error: str) -> str:
    """One line; most errors name their file themselves."""
    label, error = plain(label), plain(error)
    return error if label in error else f"{label}: {error}"


def ended_text(ended: JobEnded) -> str:
    failed = f", {plural(ended.files_failed, 'file')} failed" if ended.files_failed else ""
    why = f": {plain(ended.error)}" if ended.error else ""
    return f"Job {ended.job_id} {ended.status}{failed}{why}"
