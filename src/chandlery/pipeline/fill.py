"""Fill: make coarse candles from finer ones that are stored. A plain function of values, for any executor."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from chandlery.candles.evidence import Evidence, Origin
from chandlery.candles.interval import Interval
from chandlery.candles.resample import resample
from chandlery.candles.series import Series
from chandlery.candles.timerange import RangeSet, TimeRange
from chandlery.pipeline.plan import Derivation
from chandlery.stores import open_store
from chandlery.stores.base import Written

#: Finer candles read at a time: a bound on memory, whatever the length.
STEP_SLOTS = 200_000


@dataclass(frozen=True, slots=True)
class DeriveTask:
    """Slots of a series to make from a finer one. What is stored of `doubted` slots is known to be wrong, and goes."""

    derivation: Derivation
    store_url: str = field(repr=False)
    home: Path
    doubted: RangeSet = field(default_factory=RangeSet)


@dataclass(frozen=True, slots=True)
class DeriveResult:
    """`first` and `last` are opens of derived candles: None where every slot was quiet."""

    task: DeriveTask
    written: Written
    candles: int
    first: datetime | None
    last: datetime | None

    @property
    def answers(self) -> dict[Evidence, RangeSet]:
        found: dict[Evidence, RangeSet] = {}
        for ranges, kind in self.task.derivation.parts:
            found[kind] = found.get(kind, RangeSet()) | ranges
        return found


def derive_series(task: DeriveTask) -> DeriveResult:
    """Read the finer candles of the planned slots, resample, write; durable when it returns."""
    store = open_store(task.store_url, task.home)
    series = task.derivation.series
    finer = Series(series.exchange, series.market, task.derivation.finer)
    candles, first, last = 0, None, None
    cleared = Written()
    pieces = [(r, kind) for ranges, kind in task.derivation.parts for r in ranges]
    if task.doubted:
        # Nothing of equal strength would take its place. Should a run die here: its slots stay doubted.
        with store.writer(series) as writer:
            for doubted in task.doubted:
                writer.clear(doubted)
            cleared = writer.commit()
    with store.writer(series) as writer:
        for piece, kind in sorted(pieces, key=lambda item: item[0]):
            if kind.proven:
                writer.clear(piece)
            origin = Origin(kind.source, derived=True, provisional=kind.provisional)
            for step in steps(piece, finer.interval, series.interval):
                made = resample(store.read(finer, step), series.interval)
                if made.height:
                    writer.append(made, origin)
                    candles += made.height
                    first = first or made["timestamp"][0].replace(tzinfo=UTC)
                    last = made["timestamp"][-1].replace(tzinfo=UTC)
        written = writer.commit()
    written = replace(written, days=(*cleared.days, *written.days))
    return DeriveResult(task, written, candles, first, last)


def steps(piece: TimeRange, finer: Interval, to: Interval) -> Iterator[TimeRange]:
    """`piece` cut on the grid of `to`, so that no part holds more than STEP_SLOTS finer slots."""
    width = max(1, STEP_SLOTS * int(finer) // int(to)) * to.delta
    start = piece.start
    while start < piece.end:
        end = min(start + width, piece.end)
        yield TimeRange(start, end)
        start = end
