"""How far a run has come with what it has in hand: the bar, the log and the job's own record tell it alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar, TypeVar

from chandlery.pipeline.events import (
    AskDone,
    AskStarted,
    Audited,
    AuditStarted,
    CandlesAudited,
    Event,
    FileDone,
    FilesDone,
    FilesStarted,
    FillDone,
    FillStarted,
    LedgerAsked,
    MarketAudited,
    PageWalked,
    SeriesAsked,
    SeriesFilled,
    WalkDone,
    WalkStarted,
)
from chandlery.reporting.progress import Pace, compact, duration
from chandlery.reporting.wording import plain, plural, width_of


@dataclass(slots=True)
class Stage:
    """Work of one kind: after `seconds`, `done` of `total` units, what came of it, and what is in hand now."""

    WHAT: ClassVar[str]

    seconds: float = 0.0
    done: int = 0
    total: int = 0
    came: int = 0
    current: str = ""

    @property
    def pace(self) -> Pace:
        return Pace(self.done, self.total, self.came, self.seconds)

    @property
    def share(self) -> float:
        """From 0 to 1; 0 where nobody knows yet how much there is."""
        return self.pace.share if self.total else 0.0

    @property
    def remaining(self) -> float | None:
        """Seconds; None where nothing tells."""
        return self.pace.remaining

    @property
    def figures(self) -> str:
        """3 of 9 series, 152 candles"""
        return f"{self.done:,} of {plural(self.total, 'series', 'series')}, {compact(self.came)} candles"

    @property
    def text(self) -> str:
        """3 of 9 series, 152 candles, ETA 0:12"""
        return f"{self.figures}, ETA {duration(self.remaining)}"


@dataclass(slots=True)
class Reading(Stage):
    """Files, by their bytes; what came of it are rows."""

    WHAT = "reading files"

    size: int = 0
    size_done: int = 0

    def expect(self, event: FilesStarted) -> None:
        self.total += event.files
        self.size += event.size
        self._now(event.current)

    def advance(self, event: FileDone) -> None:
        self.done += 1
        self.size_done += event.size
        self.came += event.rows
        self._now(event.current)

    @property
    def pace(self) -> Pace:
        # Files without a byte are as long as their number.
        done, total = (self.size_done, self.size) if self.size else (self.done, self.total)
        return Pace(done, total, self.came, self.seconds)

    @property
    def figures(self) -> str:
        return f"{self.done:,} of {plural(self.total, 'file')}, {compact(self.pace.rate)} rows/s"

    def _now(self, labels: tuple[str, ...]) -> None:
        self.current = ", ".join(map(_name, labels))


@dataclass(slots=True)
class Asking(Stage):
    """Series that the API is asked for; before the first answer the rate limit tells more than the pace."""

    WHAT = "asking the exchange"

    expected: float = 0.0

    def expect(self, event: AskStarted) -> None:
        self.total += event.series
        self.expected += event.seconds

    def advance(self, event: SeriesAsked) -> None:
        self.done += 1
        self.came += event.inserted
        self.current = ", ".join(plain(name) for name in event.current)

    @property
    def remaining(self) -> float | None:
        return self.pace.remaining if self.done else self.expected or None


@dataclass(slots=True)
class LookingThrough(Stage):
    """Markets whose stored candles are audited."""

    WHAT = "looking through what is stored"

    def expect(self, event: AuditStarted) -> None:
        self.total += event.markets

    def advance(self, event: MarketAudited) -> None:
        self.done += 1
        self.current = plain(event.market)

    @property
    def figures(self) -> str:
        return f"audit: {self.done:,} of {plural(self.total, 'market')}"


@dataclass(slots=True)
class Deriving(Stage):
    """Series that are derived from finer ones."""

    WHAT = "deriving"

    def expect(self, event: FillStarted) -> None:
        self.total += event.series

    def advance(self, event: SeriesFilled) -> None:
        self.done += 1
        self.came += event.candles
        self.current = f"{plain(event.market)} {width_of(event.interval)}"


@dataclass(slots=True)
class Walking(Stage):
    """Pages of trades, of those that are expected, market by market."""

    WHAT = "walking over trades"

    #: What the walks were expected to take. Seconds.
    expected: float = 0.0
    _requests: dict[str, int | None] = field(default_factory=dict)
    _pages: dict[str, int] = field(default_factory=dict)
    _reached: dict[str, str] = field(default_factory=dict)

    def expect(self, event: WalkStarted) -> None:
        self.expected += event.seconds
        self._requests |= {walk.market: walk.requests for walk in event.walks}
        self._add_up()

    def advance(self, event: PageWalked) -> None:
        self.done += 1
        self.came += event.trades
        self._pages[event.market] = self._pages.get(event.market, 0) + 1
        self._reached[event.market] = f"{plain(event.market)} {event.reached:%Y-%m-%d %H:%M}"
        self.current = ", ".join(self._reached[name] for name in event.current if name in self._reached)
        self._add_up()

    @property
    def share(self) -> float:
        return self.done / self.total if self.total else 0.0

    @property
    def remaining(self) -> float | None:
        """As long as the longest walk takes at the pace of its own market, or all of them at the pace of all together;
        None while there is no pace, or no price.
        """
        if None in self._requests.values():
            return None
        if not self.done or self.seconds <= 0:
            return self.expected or None
        together = (self.total - self.done) * self.seconds / self.done
        alone = (
            (requests - pages) * self.seconds / pages
            for name, requests in self._requests.items()
            if requests and (pages := self._pages.get(name, 0)) and requests > pages
        )
        are_some_waiting = any(name not in self._pages for name in self._requests)
        return max(together if are_some_waiting else 0.0, *alone, 0.0)

    @property
    def figures(self) -> str:
        return f"{plural(self.done, 'page')}, {compact(self.came)} trades"

    def _add_up(self) -> None:
        """Walks that took more than was expected are as long as they are."""
        self.total = sum(max(expected or 0, self._pages.get(name, 0)) for name, expected in self._requests.items())


Kind = TypeVar("Kind", Reading, Asking, LookingThrough, Walking, Deriving)


class Course:
    """Told every event of a run, it has the stage that is under way: None between two of them."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._began = 0.0
        self.stage: Reading | Asking | LookingThrough | Walking | Deriving | None = None

    def follow(self, event: Event) -> None:
        now = self._clock()
        before = self.stage
        self._follow(event)
        if self.stage is not before:
            self._began = now
        if self.stage is not None:
            self.stage.seconds = now - self._began

    def _follow(self, event: Event) -> None:
        match event:
            case FilesStarted():
                self._begun(Reading).expect(event)
            case AskStarted() if event.series and not event.skipped:
                self._begun(Asking).expect(event)
            case AuditStarted():
                self._begun(LookingThrough).expect(event)
            case WalkStarted():
                self._begun(Walking).expect(event)
            case FillStarted() if not event.skipped:
                self._begun(Deriving).expect(event)
            case FilesDone() | AskDone() | LedgerAsked() | Audited() | CandlesAudited() | WalkDone() | FillDone():
                self.stage = None
            case _:
                self._advance(event)

    def _advance(self, event: Event) -> None:
        match self.stage, event:
            case Reading(), FileDone():
                self.stage.advance(event)
            case Asking(), SeriesAsked():
                self.stage.advance(event)
            case LookingThrough(), MarketAudited():
                self.stage.advance(event)
            case Walking(), PageWalked():
                self.stage.advance(event)
            case Deriving(), SeriesFilled():
                self.stage.advance(event)

    def _begun(self, kind: type[Kind]) -> Kind:
        """The stage of this kind that is under way, or a new one."""
        if isinstance(self.stage, kind):
            return self.stage
        self.stage = begun = kind()
        return begun


def _name(label: str) -> str:
    """The file alone: /data/Kraken_OHLCVT.zip:XBTUSD_60.csv is XBTUSD_60.csv."""
    return plain(label.replace(":", "/").rsplit("/", 1)[-1])
