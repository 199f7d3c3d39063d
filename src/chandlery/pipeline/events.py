"""What a run tells while it goes on. The terminal, the log and, later, the page are listeners."""

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from uuid import UUID

from chandlery.candles.interval import Interval
from chandlery.candles.timerange import TimeRange
from chandlery.pipeline.fill_events import (
    AskDone,
    AskStarted,
    AskWaiting,
    Audited,
    AuditStarted,
    CandlesAudited,
    FillDone,
    FillStarted,
    LedgerAsked,
    MarketAudited,
    PagesKept,
    PageWalked,
    SeriesAsked,
    SeriesFilled,
    WalkDone,
    WalkFailed,
    WalkPlanned,
    WalkStarted,
)

__all__ = [
    "AskDone",
    "AskPlanned",
    "AskStarted",
    "AskWaiting",
    "AuditStarted",
    "Audited",
    "CandlesAudited",
    "DerivationPlanned",
    "EdgeMoved",
    "Event",
    "FileDone",
    "FilePlanned",
    "FilesDone",
    "FilesStarted",
    "FillDone",
    "FillStarted",
    "GapsFound",
    "JobEnded",
    "JobStarted",
    "LedgerAsked",
    "MarketAudited",
    "Noticed",
    "OpenPlanned",
    "PageWalked",
    "PagesKept",
    "PlanLine",
    "Planned",
    "Resumed",
    "SeriesAsked",
    "SeriesFilled",
    "SourceFound",
    "SourcesFound",
    "WalkDone",
    "WalkFailed",
    "WalkPlanned",
    "WalkStarted",
]


@dataclass(frozen=True, slots=True)
class JobStarted:
    job_id: UUID
    title: str
    intervals: tuple[Interval, ...]
    markets: int
    at: datetime


@dataclass(frozen=True, slots=True)
class SourceFound:
    """One archive, folder or loose file. `period` reads "2024-01-01 to 2024-03-31", or is empty."""

    path: Path
    kind: str
    release: str
    period: str
    files: int
    wanted: int
    complete: bool = False


@dataclass(frozen=True, slots=True)
class SourcesFound:
    """Step 1 is done."""

    sources: tuple[SourceFound, ...]
    problems: tuple[str, ...]
    #: Markets of files that are in no table and split in no single way.
    unclassified: tuple[str, ...]
    #: What the places looked at were.
    looked_at: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class PlanLine:
    """One interval of the plan: how many slots of the wanted range who serves; slots are summed over markets."""

    interval: Interval
    wanted: int
    known: int
    from_files: int
    from_api: int
    derived: int
    open: int
    from_trades: int = 0


@dataclass(frozen=True, slots=True)
class DerivationPlanned:
    market: str
    interval: Interval
    finer: Interval
    slots: int
    span: TimeRange


@dataclass(frozen=True, slots=True)
class AskPlanned:
    """One request: `slots` of a series that the API's window still holds, within `span`."""

    market: str
    interval: Interval
    slots: int
    span: TimeRange


@dataclass(frozen=True, slots=True)
class OpenPlanned:
    """What the plan leaves open, and what would close it."""

    market: str
    interval: Interval
    #: None where nothing at all is known of the series.
    range: TimeRange | None
    candles: int
    why: str


@dataclass(frozen=True, slots=True)
class FilePlanned:
    label: str
    size: int


@dataclass(frozen=True, slots=True)
class Planned:
    """Step 2 is done. `files` are to be read, `unchanged` are known without reading."""

    files: tuple[FilePlanned, ...]
    unchanged: int
    lines: tuple[PlanLine, ...]
    derivations: tuple[DerivationPlanned, ...]
    open: tuple[OpenPlanned, ...]
    #: The dates files will serve, summed up: None where there are none.
    files_serve: TimeRange | None = None
    #: One request each; `ask_seconds` is what the exchange's rate limit makes of them.
    asks: tuple[AskPlanned, ...] = ()
    ask_seconds: float = 0.0
    #: Requests that only read the newest candles again, which can still change.
    rereads: int = 0
    #: The dates the API will serve, summed up.
    api_serves: TimeRange | None = None
    #: Files that an incremental run leaves to the next full one, although they hold what is open.
    files_left: int = 0
    #: Walks over trades; `walk_requests` is None where it is not known yet what one of them takes.
    walks: tuple[WalkPlanned, ...] = ()
    walk_requests: int | None = 0
    walk_seconds: float | None = 0.0
    #: Markets whose first trade is not known yet: it is asked for, and what then lies open since is walked too.
    undated: int = 0
    #: Requests that may be spent on walks; None: any number.
    trade_budget: int | None = None


@dataclass(frozen=True, slots=True)
class FilesStarted:
    """Step 3 begins: so many files and bytes (uncompressed); `current` are the first to be read."""

    files: int
    size: int
    current: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FileDone:
    """One file is through. `outcome`: COMPLETED, SKIPPED (content known) or FAILED (then `error` says why)."""

    label: str
    size: int
    outcome: str
    rows: int = 0
    inserted: int = 0
    replaced: int = 0
    conflicting: int = 0
    error: str = ""
    #: The files being read now.
    current: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FilesDone:
    ingested: int
    skipped: int
    failed: int
    rows: int
    seconds: float


@dataclass(frozen=True, slots=True)
class GapsFound:
    """Step 4 is done: open gaps of the selection, before filling."""

    gaps: int
    candles: int
    derivable: int
    api_fillable: int
    require_csv: int
    #: Of which the API tells a part.
    partly: int = 0
    #: Series of which nothing at all is known.
    unknown: int = 0
    #: Of which the trades are going to be walked.
    from_trades: int = 0


@dataclass(frozen=True, slots=True)
class Resumed:
    """A job goes on: what it was, and how far it had come. Told right after JobStarted."""

    status: str
    files_done: int
    files_total: int
    records: int
    candles_fetched: int
    candles_derived: int
    #: When it stopped, or was last heard of.
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Noticed:
    """Something to know that stops nothing: a clock that is off, a job whose process had died."""

    text: str


@dataclass(frozen=True, slots=True)
class EdgeMoved:
    """An incremental run is through: from the last data point that was known, how far it came, and what is new.

    `candles` are new ones by interval, those derived included; completeness is from 0 to 1, of the whole selection.
    """

    last_point: datetime | None
    fetched: TimeRange | None
    candles: tuple[tuple[Interval, int], ...]
    revised: int
    title: str
    completeness_before: float
    completeness_after: float


@dataclass(frozen=True, slots=True)
class JobEnded:
    """`status` is COMPLETED, FAILED or PAUSED. `failures` are files and series, each with its line."""

    job_id: UUID
    status: str
    files_failed: int
    at: datetime
    error: str = ""
    failures: tuple[tuple[str, str], ...] = field(default=())
    #: Up to when slots were wanted: a report of then shows what came of it.
    until: datetime | None = None


Event = (
    JobStarted
    | Resumed
    | Noticed
    | SourcesFound
    | Planned
    | FilesStarted
    | FileDone
    | FilesDone
    | GapsFound
    | AskStarted
    | AskWaiting
    | SeriesAsked
    | AskDone
    | PagesKept
    | LedgerAsked
    | Audited
    | AuditStarted
    | MarketAudited
    | CandlesAudited
    | WalkStarted
    | PageWalked
    | WalkFailed
    | WalkDone
    | FillStarted
    | SeriesFilled
    | FillDone
    | EdgeMoved
    | JobEnded
)
