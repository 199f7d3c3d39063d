"""A market's candles as a page draws them: how wide they are at which zoom, and what is told beside them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from chandlery.candles.evidence import Coverage, Evidence, Source
from chandlery.candles.interval import Interval
from chandlery.candles.timerange import RangeSet, TimeRange
from chandlery.candles.verdict import Verdict
from chandlery.reporting.as_json import JsonObject
from chandlery.reporting.findings import FindingEntry, OutageEntry, finding_text

#: Points that one answer holds at most, quiet ones included.
MOST_POINTS = 3_000
#: Candles that are in view at once; on each side as many more are sent, for whoever moves on.
IN_VIEW = 800
#: So many candles make one point at most: each of them is read, with its verdict.
MOST_BUNDLED = 10
_LANES = {Source.TRADES: "Trades", Source.CSV: "Archives", Source.API: "API", Source.STREAM: "Live feed"}


@dataclass(frozen=True, slots=True)
class Zoom:
    """Candles of `interval`, so many of them to a point."""

    interval: Interval
    bundle: int = 1

    @property
    def step(self) -> timedelta:
        return self.interval.delta * self.bundle


def zoom_for(view: TimeRange, stored: Sequence[Interval]) -> Zoom:
    """The finest of the stored widths of which a view holds no more than IN_VIEW; the widest is bundled where it holds
    more of that.
    """
    fitting = [interval for interval in sorted(stored) if view.length <= interval.delta * IN_VIEW]
    if fitting:
        return Zoom(fitting[0])
    widest = max(stored, default=Interval.M1440)
    return Zoom(widest, min(MOST_BUNDLED, -(-view.length // (widest.delta * IN_VIEW))))


def in_history(view: TimeRange, history: TimeRange) -> TimeRange:
    """The view, moved to where there is history, and no longer than that."""
    length = min(view.length, history.length)
    start = min(max(view.start, history.start), history.end - length)
    return TimeRange(start, start + length)


def in_view(view: TimeRange, zoom: Zoom, history: TimeRange) -> TimeRange:
    """The middle of a view within history, of IN_VIEW points at most; where it reaches an end of history, that end."""
    more = view.length - zoom.step * IN_VIEW
    if more <= timedelta(0):
        return view
    if view.end == history.end:
        return TimeRange(view.start + more, view.end)
    if view.start == history.start:
        return TimeRange(view.start, view.end - more)
    return TimeRange(view.start + more / 2, view.end - more / 2)


def sent_around(view: TimeRange, zoom: Zoom, history: TimeRange) -> TimeRange:
    """The view with as much again on both sides, as far as there is any history; whole points."""
    start, end = max(view.start - view.length, history.start), min(view.end + view.length, history.end)
    floored = zoom.interval.floor(start)
    first = floored - (floored - zoom.interval.floor(history.start)) % zoom.step
    points = min(-(-(max(end, first + zoom.step) - first) // zoom.step), MOST_POINTS)
    return TimeRange(first, first + points * zoom.step)


def bundled(candles: pl.DataFrame, zoom: Zoom, start: datetime) -> pl.DataFrame:
    """Candles, `zoom.bundle` to one, counted from `start`."""
    if zoom.bundle == 1:
        return candles
    step = int(zoom.step / timedelta(microseconds=1))
    offset = pl.col("timestamp") - pl.lit(start)
    place = offset.dt.total_microseconds() // step * step
    grouped = candles.group_by(place.alias("place"), maintain_order=True).agg(
        pl.col("open").first(),
        pl.col("high").max(),
        pl.col("low").min(),
        pl.col("close").last(),
        pl.col("volume").sum(),
        pl.col("trades").sum(),
    )
    opens = pl.lit(start) + pl.duration(microseconds=pl.col("place"))
    return grouped.with_columns(opens.cast(candles.schema["timestamp"]).alias("timestamp"))


@dataclass(frozen=True, slots=True)
class Chart:
    """What is drawn of `within`, and the `view` that is seen first. `runs`: every verdict but TRADED; `coverage`: who
    has answered for what.
    """

    market: str
    zoom: Zoom
    view: TimeRange
    within: TimeRange
    history: TimeRange
    stored: tuple[Interval, ...]
    candles: pl.DataFrame
    runs: tuple[tuple[TimeRange, Verdict], ...]
    coverage: Coverage
    outages: tuple[OutageEntry, ...] = ()
    findings: tuple[FindingEntry, ...] = ()

    def as_json(self) -> JsonObject:
        """Times in seconds since the epoch; candles as columns."""
        seconds = self.candles["timestamp"].dt.epoch("s").to_list()
        columns = {name: self.candles[name].to_list() for name in ("open", "high", "low", "close", "volume", "trades")}
        return {
            "market": self.market,
            "interval": int(self.zoom.interval),
            "step": int(self.zoom.step.total_seconds()),
            **_span(self.within),
            "view": _span(self.view),
            "history": _span(self.history),
            "stored": [int(interval) for interval in self.stored],
            "candles": {"time": seconds, **columns},
            "runs": [[*_edges(part), verdict.value] for part, verdict in self.runs],
            "lanes": [{"name": name, "runs": [_edges(one) for one in ranges]} for name, ranges in self._lanes()],
            "outages": [_edges(outage.range) for outage in self.outages],
            "findings": [[*_edges(one.range), finding_text(one), one.is_suspect] for one in self.findings],
        }

    def _lanes(self) -> Iterable[tuple[str, RangeSet]]:
        within = RangeSet([self.within])
        for kind in sorted(self.coverage, key=lambda kind: kind.rank, reverse=True):
            ranges = self.coverage[kind] & within
            if ranges:
                yield lane_name(kind), ranges


def lane_name(kind: Evidence) -> str:
    """Trades, proven; Archives; API, derived, provisional."""
    words = [_LANES[kind.source]]
    words += ["proven"] if kind.proven else []
    words += ["derived"] if kind.derived else []
    words += ["provisional"] if kind.provisional else []
    return ", ".join(words)


def _edges(within: TimeRange) -> list[int]:
    return [int(within.start.timestamp()), int(within.end.timestamp())]


def _span(within: TimeRange) -> dict[str, int]:
    start, end = _edges(within)
    return {"start": start, "end": end}
