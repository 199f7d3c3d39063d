"""What a step has found, in one sentence each: shared by the terminal and the log."""

from collections.abc import Iterator
from datetime import datetime
from uuid import UUID

from chandlery.pipeline.events import (
    AskDone,
    AskStarted,
    AskWaiting,
    EdgeMoved,
    FileDone,
    FilesDone,
    FilesStarted,
    FillDone,
    FillStarted,
    GapsFound,
    JobEnded,
    Resumed,
    SeriesAsked,
    SeriesFilled,
    SourceFound,
)
from chandlery.reporting.progress import about, compact
from chandlery.reporting.wording import floored, plain, plural, width_of

#: What is told from step 3 to step 5, while the work goes on.
WorkEvent = (
    FilesStarted
    | FileDone
    | FilesDone
    | GapsFound
    | AskStarted
    | AskWaiting
    | SeriesAsked
    | AskDone
    | FillStarted
    | SeriesFilled
    | FillDone
)
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


def asking_text(started: AskStarted) -> str:
    time = f", {about(started.seconds)}" if started.seconds else ""
    return f"asking Kraken's API for {plural(started.series, 'series', 'series')}{time}"


def waiting_text(waiting: AskWaiting) -> str:
    """waiting 30 s: Kraken is in maintenance; only the reason where there is no wait."""
    why = plain(waiting.why)
    return f"waiting {waiting.seconds:,.0f} s: {why}" if waiting.seconds else why


def series_text(asked: SeriesAsked) -> str:
    return f"{plain(asked.market)} {width_of(asked.interval)}"


def answer_text(asked: SeriesAsked) -> str:
    """XBTUSD 60min: 24 new, 1 revised"""
    revised = f", {asked.revised:,} revised" if asked.revised else ""
    return f"{series_text(asked)}: {asked.inserted:,} new{revised}"


def asked_text(done: AskDone) -> str:
    if not done.series and not done.failed:
        return "nothing to ask the API for"
    failed = f", {done.failed:,} without an answer" if done.failed else ""
    revised = f", {done.revised:,} revised" if done.revised else ""
    requests = f"{plural(done.requests, 'request')} in {done.seconds:,.1f} s"
    series = plural(done.series, "series", "series")
    return f"{series} asked of the API{failed}: {plural(done.candles, 'new candle')}{revised}; {requests}"


def differing_text(candles: int) -> str:
    """Of answers that disagree with an archive."""
    return (
        f"{plural(candles, 'candle')} of the API differ from another source; the stronger one stands, and the job "
        "counts them"
    )


def resumed_text(job_id: UUID | None, resumed: Resumed) -> str:
    """Resuming job 1a2b3c4d (PAUSED 2026-11-23 22:30 UTC): files 25/40, 1,234,567 records so far"""
    name = f" {str(job_id)[:8]}" if job_id else ""
    when = f" {_minute(resumed.at)}" if resumed.at else ""
    parts = [
        f"files {resumed.files_done:,}/{resumed.files_total:,}",
        plural(resumed.records, "record"),
        *([f"{plural(resumed.candles_fetched, 'candle')} from the API"] if resumed.candles_fetched else []),
        *([f"{resumed.candles_derived:,} derived"] if resumed.candles_derived else []),
    ]
    return f"Resuming job{name} ({plain(resumed.status)}{when}): {', '.join(parts)} so far"


def edge_lines(moved: EdgeMoved) -> Iterator[str]:
    """What an incremental run has brought, and how complete the selection is now."""
    yield f"Last data point: {_minute(moved.last_point) if moved.last_point else 'none'}"
    fetched = moved.fetched
    yield f"Range fetched: {f'{fetched.start:%Y-%m-%d %H:%M} to {_minute(fetched.end)}' if fetched else 'none'}"
    new = ", ".join(f"{width_of(interval)} {candles:,}" for interval, candles in moved.candles if candles)
    yield f"New candles: {new or 'none'}"
    if moved.revised:
        yield f"Revised: {moved.revised:,}"
    before, after = floored(moved.completeness_before, 1), floored(moved.completeness_after, 1)
    title = plain(moved.title)
    yield f"{title} remains {after} complete" if before == after else f"{title} is now {after} complete (was {before})"


def brought_something(moved: EdgeMoved) -> bool:
    """Whether there is anything new to tell."""
    shares = (floored(share, 1) for share in (moved.completeness_before, moved.completeness_after))
    return bool(moved.revised) or any(candles for _, candles in moved.candles) or len(set(shares)) > 1


def _minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


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
    others = len(ended.failures) - ended.files_failed
    failed += f", {plural(others, 'API failure')}" if others > 0 else ""
    why = f": {plain(ended.error)}" if ended.error else ""
    return f"Job {ended.job_id} {ended.status}{failed}{why}"
