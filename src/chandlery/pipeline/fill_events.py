"""What step 5 of a run tells: requests, the ledger, walks over trades, derivation. `events` has them all."""

from dataclasses import dataclass
from datetime import datetime

from chandlery.candles.interval import Interval
from chandlery.candles.timerange import TimeRange


@dataclass(frozen=True, slots=True)
class WalkPlanned:
    """The trades of a market are to be walked over `slots` minutes: those of `parts`, in order. `trades` and `requests`
    are what is to be expected; None where nothing tells yet.
    """

    market: str
    slots: int
    parts: tuple[TimeRange, ...]
    trades: float | None = None
    requests: int | None = None

    @property
    def span(self) -> TimeRange:
        return TimeRange(self.parts[0].start, self.parts[-1].end)


@dataclass(frozen=True, slots=True)
class AskStarted:
    """The API is asked for so many series, one request each; `seconds` as the rate limit has it. `skipped` says why
    none is, where that is so.
    """

    series: int
    seconds: float = 0.0
    skipped: str = ""


@dataclass(frozen=True, slots=True)
class AskWaiting:
    """Nothing goes on for `seconds`, and why: maintenance, a limit that was hit."""

    why: str
    seconds: float


@dataclass(frozen=True, slots=True)
class SeriesAsked:
    """One series has its answer, or `error` says why not. `covered` is what was answered for."""

    market: str
    interval: Interval
    covered: TimeRange | None = None
    inserted: int = 0
    #: Candles that were stored and have changed since.
    revised: int = 0
    #: Candles of the answer that differ from a stronger source, which stands.
    conflicting: int = 0
    error: str = ""
    #: The series being asked for now.
    current: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AskDone:
    """`requests` counts every attempt."""

    series: int
    failed: int
    candles: int
    revised: int
    requests: int
    seconds: float
    #: So many were to be asked for.
    of: int = 0


@dataclass(frozen=True, slots=True)
class LedgerAsked:
    """The weekly figures of so many markets came, and `failed` did not; `daily` were asked for their days as well.

    `dated` markets had their first trade found. `requests` counts every attempt.
    """

    markets: int
    failed: int = 0
    daily: int = 0
    dated: int = 0
    requests: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Audited:
    """Stored candles were added up and compared with the exchange's own weekly figures.

    `weeks` were compared, summed over series; `confirmed` are equal, `short` contradicted, `differing` a finding only.
    """

    series: int
    weeks: int
    confirmed: int
    short: int
    differing: int
    #: Up to a few of the contradicted, in words.
    examples: tuple[str, ...] = ()
    #: Findings whose cause is gone.
    resolved: int = 0


@dataclass(frozen=True, slots=True)
class AuditStarted:
    """The stored candles of so many markets are about to be looked through."""

    markets: int


@dataclass(frozen=True, slots=True)
class MarketAudited:
    market: str


@dataclass(frozen=True, slots=True)
class CandlesAudited:
    """Stored candles were held against each other, against their own pace and against other markets.

    `opened`, `resolved`: findings; `suspect` of those opened contradict what is stored. `outages`: came, changed or
    went. `left`: markets that another run has written meanwhile, so that they are still due.
    """

    markets: int
    series: int
    opened: int
    suspect: int
    resolved: int
    outages: int
    #: Up to a few of the findings, in words; the suspect ones first.
    examples: tuple[str, ...] = ()
    left: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PagesKept:
    """Pages of trades that an interrupted run had fetched are in the store now: nobody asks for them again."""

    pages: int


@dataclass(frozen=True, slots=True)
class WalkStarted:
    """Trades are walked, markets side by side. `requests` is None where nobody knows how many it will take."""

    walks: tuple[WalkPlanned, ...]
    requests: int | None
    seconds: float
    budget: int | None = None


@dataclass(frozen=True, slots=True)
class PageWalked:
    """One page of trades of `market` is there: all of `part` before `reached` is known."""

    market: str
    part: TimeRange
    trades: int
    reached: datetime
    #: The markets being walked now.
    current: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WalkFailed:
    """The walk over a market's trades came to no end, and why. What was fetched is kept."""

    market: str
    error: str


@dataclass(frozen=True, slots=True)
class WalkDone:
    """What came of all walks. `unpaid` ended for want of requests; `removed` candles were proven never to have been."""

    markets: int
    failed: int
    pages: int
    trades: int
    candles: int
    requests: int
    seconds: float
    replaced: int = 0
    conflicting: int = 0
    removed: int = 0
    breaks: int = 0
    unpaid: int = 0
    of: int = 0


@dataclass(frozen=True, slots=True)
class FillStarted:
    """Step 5 begins: so many series to derive. `skipped` says why nothing is filled, where that is so."""

    series: int
    skipped: str = ""


@dataclass(frozen=True, slots=True)
class SeriesFilled:
    market: str
    interval: Interval
    finer: Interval
    candles: int
    slots: int


@dataclass(frozen=True, slots=True)
class FillDone:
    series: int
    candles: int
    slots: int
