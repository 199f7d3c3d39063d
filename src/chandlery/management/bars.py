"""The live bars of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from rich.console import Console, ConsoleRenderable, RichCast
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from chandlery.management.road import Road
from chandlery.pipeline.events import PageWalked, WalkStarted
from chandlery.reporting.progress import Pace, compact, duration
from chandlery.reporting.wording import plain, plural

#: Columns that the bar itself takes.
BAR = 24


class FileBar:
    """Files by their bytes: how many are through, rows a second, time left, and below what is being read."""

    def __init__(self, console: Console, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._started = clock()
        self._live = _TwoLines(console)
        self._task = self._live.add_task("", total=0, figures="")
        self._files = self._files_done = self._size = self._size_done = self._rows = 0

    def start(self) -> None:
        self._live.start()

    def stop(self) -> None:
        self._live.stop()

    def expect(self, files: int, size: int, current: tuple[str, ...]) -> None:
        """So much more is to be read, `current` first."""
        self._files += files
        self._size += size
        self._live.below = ", ".join(_name(label) for label in current)
        self._show()

    def advance(self, size: int, rows: int, current: tuple[str, ...]) -> None:
        """One file is through; `current` are being read."""
        self._files_done += 1
        self._size_done += size
        self._rows += rows
        self._live.below = ", ".join(_name(label) for label in current)
        self._show()

    def _show(self) -> None:
        pace = Pace(self._size_done, self._size, self._rows, self._clock() - self._started)
        figures = (
            f"{self._files_done:,}/{self._files:,} files  {compact(pace.rate)} rows/s  ETA {duration(pace.remaining)}"
        )
        # A bar of files without a byte is as long as their number.
        done, total = (self._size_done, self._size) if self._size else (self._files_done, self._files)
        self._live.update(self._task, completed=done, total=total, figures=figures)


class SeriesBar:
    """Series to derive, and the candles filled so far."""

    def __init__(self, console: Console, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._started = clock()
        self._live = _TwoLines(console)
        self._task = self._live.add_task("", total=0, figures="")
        self._series = self._done = self._candles = 0

    def start(self) -> None:
        self._live.start()

    def stop(self) -> None:
        self._live.stop()

    def expect(self, series: int) -> None:
        self._series += series
        self._show()

    def advance(self, candles: int, name: str) -> None:
        self._done += 1
        self._candles += candles
        self._live.below = plain(name)
        self._show()

    def _show(self) -> None:
        pace = Pace(self._done, self._series, self._candles, self._clock() - self._started)
        figures = (
            f"{self._done:,}/{self._series:,} series  {compact(self._candles)} candles  ETA {duration(pace.remaining)}"
        )
        self._live.update(self._task, completed=self._done, total=self._series, figures=figures)


class AuditBar:
    """Markets whose candles are looked through."""

    def __init__(self, console: Console, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._started = clock()
        self._live = _TwoLines(console)
        self._task = self._live.add_task("", total=0, figures="")
        self._markets = self._done = 0

    def start(self) -> None:
        self._live.start()

    def stop(self) -> None:
        self._live.stop()

    def expect(self, markets: int) -> None:
        self._markets += markets
        self._show()

    def advance(self, market: str) -> None:
        self._done += 1
        self._live.below = plain(market)
        self._show()

    def _show(self) -> None:
        left = Pace(self._done, self._markets, 0, self._clock() - self._started).remaining
        figures = f"audit: {self._done:,}/{plural(self._markets, 'market')}  ETA {duration(left)}"
        self._live.update(self._task, completed=self._done, total=self._markets, figures=figures)


class AskBar:
    """Series that the API is asked for: how many are through, new candles, time left, and below those being asked."""

    def __init__(self, console: Console, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._started = clock()
        self._live = _TwoLines(console)
        self._task = self._live.add_task("", total=0, figures="")
        self._series = self._done = self._candles = 0
        self._seconds = 0.0

    def start(self) -> None:
        self._live.start()

    def stop(self) -> None:
        self._live.stop()

    def expect(self, series: int, seconds: float) -> None:
        """So many more, in so much time as the rate limit has it."""
        self._series += series
        self._seconds += seconds
        self._show()

    def advance(self, candles: int, current: tuple[str, ...]) -> None:
        """One has its answer, or will have none; `current` are being asked for."""
        self._done += 1
        self._candles += candles
        self._live.below = ", ".join(plain(name) for name in current)
        self._show()

    def _show(self) -> None:
        pace = Pace(self._done, self._series, self._candles, self._clock() - self._started)
        # Before the first answer the rate limit tells more than the pace.
        left = pace.remaining if self._done else self._seconds or None
        figures = f"{self._done:,}/{self._series:,} series  {compact(self._candles)} candles  ETA {duration(left)}"
        self._live.update(self._task, completed=self._done, total=self._series, figures=figures)


class WalkBar:
    """Trades being walked: pages of those expected, trades, time left, and below how far each market is."""

    def __init__(self, console: Console, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._started = clock()
        self._live = _TwoLines(console)
        self._task = self._live.add_task("", total=0, figures="")
        self._road = Road()
        self._reached: dict[str, str] = {}

    def start(self) -> None:
        self._live.start()

    def stop(self) -> None:
        self._live.stop()

    def expect(self, started: WalkStarted) -> None:
        self._road.expect(started)
        self._show()

    def advance(self, page: PageWalked) -> None:
        """One more page is there."""
        self._road.advance(page)
        self._reached[page.market] = f"{plain(page.market)} {page.reached:%Y-%m-%d %H:%M}"
        self._live.below = ", ".join(self._reached[name] for name in page.current if name in self._reached)
        self._show()

    def _show(self) -> None:
        road = self._road
        left = duration(road.remaining(self._clock() - self._started))
        figures = f"{plural(road.pages, 'page')}  {compact(road.trades)} trades  ETA {left}"
        self._live.update(self._task, completed=road.pages, total=max(road.total, 1), figures=figures)


def _name(label: str) -> str:
    """The file alone: /data/Kraken_OHLCVT.zip:XBTUSD_60.csv is XBTUSD_60.csv."""
    return plain(label.replace(":", "/").rsplit("/", 1)[-1])


class _TwoLines(Progress):
    """A bar with its figures, and a line below; gone once it stops, for a sentence then says what came of it."""

    def __init__(self, console: Console) -> None:
        self.below = ""
        self._terminal = console  # rich draws once before it knows its own
        columns = (BarColumn(BAR), TextColumn("{task.fields[figures]}", markup=False))
        super().__init__(TextColumn(" "), *columns, console=console, transient=True)

    def get_renderables(self) -> Iterable[ConsoleRenderable | RichCast | str]:
        yield self.make_tasks_table(self.tasks)
        room = max(10, self._terminal.width - 4)
        below = self.below if len(self.below) <= room else self.below[: room - 1] + "…"
        yield Text(f"  {below}", "dim", no_wrap=True, overflow="ellipsis")
