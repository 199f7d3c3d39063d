"""What a step has found, in one sentence each: shared by the terminal and the log."""

import re
from collections.abc import Iterator
from datetime import datetime
from uuid import UUID

from chandlery.pipeline.events import (
    AskDone,
    AskStarted,
    AskWaiting,
    Audited,
    AuditStarted,
    CandlesAudited,
    EdgeMoved,
    FileDone,
    FilesDone,
    FilesStarted,
    FillDone,
    FillStarted,
    GapsFound,
    JobEnded,
    LedgerAsked,
    MarketAudited,
    PagesKept,
    PageWalked,
    Resumed,
    SeriesAsked,
    SeriesFilled,
    SourceFound,
    WalkDone,
    WalkFailed,
    WalkStarted,
)
from chandlery.reporting.completeness import CompletenessReport
from chandlery.reporting.progress import about, compact, span_text
from chandlery.reporting.wording import floored, plain, plural, width_of

#: What is told of looking through what is stored, in step 4 and again in step 5.
AuditEvent = LedgerAsked | Audited | AuditStarted | MarketAudited | CandlesAudited
#: What is told of trades and derivation, late in step 5.
FillEvent = (
    AuditEvent | PagesKept | WalkStarted | PageWalked | WalkFailed | WalkDone | FillStarted | SeriesFilled | FillDone
)
#: What is told from step 3 to step 5, while the work goes on.
WorkEvent = (
    FilesStarted | FileDone | FilesDone | GapsFound | AskStarted | AskWaiting | SeriesAsked | AskDone | FillEvent
)
STEPS = 6
_KINDS = {"FOLDER": "folder", "ZIP": "ZIP", "SPLIT": "split ZIP", "LOOSE": "loose files"}


def step_title(number: int, name: str) -> str:
    return f"Step {number}/{STEPS}: {name}"


def source_text(source: SourceFound) -> str:
    """Kraken_OHLCVT_2024Q1.zip (ZIP): release of 2024-01-01 to 2024-03-31; 48 files, 20 of them of the chosen …"""
    release = ""
    if source.release:
        # Most releases are called as their file is: once is enough.
        name = "" if source.release in source.path.name else f" {plain(source.release)}"
        release = f"{'complete release' if source.complete else 'release of'}{name} {source.period}; "
    kind = _KINDS.get(source.kind, plain(source.kind))
    return f"{plain(str(source.path))} ({kind}): {release}{wanted_text(source.files, source.wanted)}"


def wanted_text(files: int, wanted: int) -> str:
    """48 files, 20 of them of the chosen markets"""
    return f"{plural(files, 'file')}, {wanted:,} of them of the chosen markets"


def gaps_text(found: GapsFound) -> str:
    unknown = f"nothing stored yet of {plural(found.unknown, 'series', 'series')}" if found.unknown else ""
    if not found.gaps:
        return unknown or "no gaps"
    kinds = [f"{found.derivable:,} derivable", f"{found.api_fillable:,} API-fillable"]
    kinds += [f"{found.partly:,} partly"] if found.partly else []
    kinds += [f"{found.from_trades:,} from trades"] if found.from_trades else []
    kinds.append(f"{found.require_csv:,} {'requires' if found.require_csv == 1 else 'require'} CSV")
    text = f"{plural(found.gaps, 'gap')} ({plural(found.candles, 'candle')}): {', '.join(kinds)}"
    return f"{text}; {unknown}" if unknown else text


def files_text(done: FilesDone, begun: int) -> str:
    """What came of the `begun` files."""
    if not (done.ingested or done.skipped or done.failed):
        return "stopped before the first file" if begun else "no files to read"
    rate = f" ({compact(done.rows / done.seconds)} rows/s)" if done.seconds > 0 and done.rows else ""
    files = f"{done.ingested:,} ingested, {done.skipped:,} skipped, {done.failed:,} failed"
    return f"{files}; {plural(done.rows, 'row')} in {done.seconds:.1f} s{rate}"


def asking_text(started: AskStarted) -> str:
    time = f", {about(started.seconds)}" if started.seconds else ""
    return f"asking Kraken's API for {plural(started.series, 'series', 'series')}{time}"


def waiting_text(waiting: AskWaiting) -> str:
    """Kraken is in maintenance; asking again in 30 s. Only the reason where there is no wait."""
    why = plain(waiting.why)
    return f"{why}; asking again in {span_text(waiting.seconds)}" if waiting.seconds else why


def series_text(asked: SeriesAsked) -> str:
    return f"{plain(asked.market)} {width_of(asked.interval)}"


def answer_text(asked: SeriesAsked) -> str:
    """XBTUSD 60min: 24 new, 1 revised"""
    revised = f", {asked.revised:,} revised" if asked.revised else ""
    return f"{series_text(asked)}: {asked.inserted:,} new{revised}"


def asked_text(done: AskDone) -> str:
    if not (done.series or done.failed or done.of):
        return "nothing to ask the API for"
    failed = f", {done.failed:,} without an answer" if done.failed else ""
    revised = f", {done.revised:,} revised" if done.revised else ""
    requests = f"{plural(done.requests, 'request')} in {done.seconds:,.1f} s"
    series = plural(done.series, "series", "series")
    if cut_short(done):
        series = f"{done.series:,} of {plural(done.of, 'series', 'series')}"
    return f"{series} asked of the API{failed}: {plural(done.candles, 'new candle')}{revised}; {requests}"


def cut_short(done: AskDone) -> bool:
    """Whether something ended the asking before its end."""
    return done.series < done.of


def ledger_text(asked: LedgerAsked) -> str:
    """ledger: weekly figures of 3 markets, the first trade of 2 markets; 5 requests in 1.2 s"""
    parts = [f"weekly figures of {plural(asked.markets, 'market')}"] if asked.markets else []
    parts += [f"daily figures of {plural(asked.daily, 'market')}"] if asked.daily else []
    parts += [f"the first trade of {plural(asked.dated, 'market')}"] if asked.dated else []
    parts += [f"{asked.failed:,} without an answer"] if asked.failed else []
    requests = f"{plural(asked.requests, 'request')} in {asked.seconds:,.1f} s"
    return f"ledger: {', '.join(parts) or 'no answer'}; {requests}"


def kept_text(kept: PagesKept) -> str:
    pages, are = plural(kept.pages, "page"), "is" if kept.pages == 1 else "are"
    return f"{pages} of trades that an interrupted run had fetched {are} in the store now"


def walking_text(started: WalkStarted) -> str:
    """walking over the trades of 3 markets: about 1,205 requests (1.20M trades), about 21 minutes"""
    text = f"walking over the trades of {plural(len(started.walks), 'market')}"
    if started.requests is None:
        price = "nobody knows yet how many requests it takes"
    else:
        trades = sum(walk.trades or 0.0 for walk in started.walks)
        price = f"about {plural(started.requests, 'request')} ({compact(trades)} trades), {about(started.seconds)}"
    over = started.budget is not None and (started.requests is None or started.requests > started.budget)
    return f"{text}: {price}{f'; no more than {started.budget:,} this time' if over else ''}"


def walked_text(done: WalkDone) -> str:
    """3 markets walked: 1,203,456 trades on 1,210 pages, 134,000 new candles; 1,212 requests in 1,250.0 s"""
    markets = plural(done.markets, "market")
    if done.markets < done.of:
        markets = f"{done.markets:,} of {plural(done.of, 'market')}"
    failed = f", {done.failed:,} failed" if done.failed else ""
    what = f"{plural(done.trades, 'trade')} on {plural(done.pages, 'page')}, {plural(done.candles, 'new candle')}"
    changed = f", {done.replaced:,} replaced" if done.replaced else ""
    changed += f", {done.removed:,} removed" if done.removed else ""
    requests = f"{plural(done.requests, 'request')} in {done.seconds:,.1f} s"
    return f"{markets} walked{failed}: {what}{changed}; {requests}"


def unpaid_text(done: WalkDone) -> str:
    markets = plural(done.unpaid, "market")
    return f"the trade budget is spent; what is left of {markets} is walked by the next run, or with --trade-budget N"


def walk_cut_short(done: WalkDone) -> bool:
    """Whether something ended the walks before their end."""
    return done.markets < done.of or bool(done.unpaid)


def differing_text(candles: int, of: str = "the API") -> str:
    """Of answers that disagree with an archive."""
    return (
        f"{plural(candles, 'candle')} of {of} differ from another source; the stronger one stands, and the job "
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
    # Several markets; a tier is one thing.
    remains, is_now = ("remain", "are now") if ", " in title else ("remains", "is now")
    yield (
        f"{title} {remains} {after} complete"
        if before == after
        else f"{title} {is_now} {after} complete (was {before})"
    )


def brought_something(moved: EdgeMoved) -> bool:
    """Whether there is anything new to tell: a share also moves where slots have closed in which nobody traded."""
    return bool(moved.revised) or any(candles for _, candles in moved.candles)


def _minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def filled_text(done: FillDone, *, stopped: bool) -> str:
    """`stopped`: what is there to derive was not looked for."""
    if not done.series:
        return "nothing derived" if stopped else "nothing to derive"
    # A derived slot without a candle is quiet in the finer series too.
    quiet = f", {done.slots - done.candles:,} of them quiet" if done.slots > done.candles else ""
    series, candles = plural(done.series, "series", "series"), plural(done.candles, "candle")
    return f"{series} derived: {candles} for {plural(done.slots, 'slot')}{quiet}"


def failure_text(label: str, error: str) -> str:
    """One line; most errors name their file or market themselves."""
    label, error = plain(label), plain(error)
    series = re.fullmatch(r"(\S+) (\d+)min", label)
    # "OHLC of XBTUSD at 60 minutes"
    named = series is not None and f" {series[1]} at {series[2]} minutes" in error
    return error if named or label in error else f"{label}: {error}"


def ended_text(ended: JobEnded) -> str:
    failed = f", {plural(ended.files_failed, 'file')} failed" if ended.files_failed else ""
    others = len(ended.failures) - ended.files_failed
    failed += f", {plural(others, 'API failure')}" if others > 0 else ""
    why = f": {plain(ended.error)}" if ended.error else ""
    return f"Job {ended.job_id} {ended.status}{failed}{why}"


def incomplete_text(report: CompletenessReport) -> str:
    """--complete: 5 gaps remain, 2 more are accepted (status 3)"""
    gaps = sum(len(entry.left) for entry in report.series)
    unknown = sum(entry.range is None for entry in report.series)
    left = [f"{plural(gaps, 'gap')} {'remains' if gaps == 1 else 'remain'}"] if gaps or not unknown else []
    left += [f"nothing is stored of {plural(unknown, 'series', 'series')}"] if unknown else []
    accepted = report.accepted
    left += [f"{accepted:,} more {'is' if accepted == 1 else 'are'} accepted"] if accepted else []
    return f"--complete: {', '.join(left)} (status 3)"
