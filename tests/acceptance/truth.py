"""What must be known of every slot after certain archives were read: worked out slot by slot from the rules.

Nothing here uses the pipeline, the store or their arithmetic of ranges. A series is an array of slots; a rule sets
some of them. Candles come from the sandbox, which knows its trades.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cache, cached_property
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import polars as pl

from chandlery.candles.frame import CANDLE_SCHEMA
from chandlery.candles.interval import Interval
from chandlery.candles.timerange import TimeRange
from chandlery.sandbox.defects import MissingDay, Revised
from chandlery.sandbox.editions import Container, Edition, Naming, Shape
from chandlery.sandbox.exchange import SandboxExchange

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Expected(StrEnum):
    """The verdicts that archives alone can bring about."""

    UNLISTED = "UNLISTED"
    TRADED = "TRADED"
    QUIET_CLAIMED = "QUIET_CLAIMED"
    MISSING = "MISSING"


@dataclass(frozen=True, slots=True)
class Ingested:
    """An archive that was read: what it held, and how it was published."""

    edition: Edition
    shape: Shape = field(default_factory=Shape)

    @property
    def is_release(self) -> bool:
        """Only a manifest or a name that Kraken gives makes a release."""
        named = self.edition.quarter is not None and self.shape.name is None
        return self.shape.manifest or (named and self.shape.container is not Container.LOOSE)

    @property
    def is_whole(self) -> bool:
        """Of a folder, only the count in a manifest tells that it is all there."""
        return self.shape.manifest or self.shape.container in (Container.ZIP, Container.SPLIT)

    @property
    def says_its_end(self) -> bool:
        return self.shape.manifest or not (self.edition.is_complete and self.shape.naming is Naming.OLD)


@dataclass(frozen=True)
class SeriesTruth:
    """`verdicts` are those of the slots from `first` on (counted in widths since the epoch)."""

    market: str
    interval: Interval
    first: int
    verdicts: npt.NDArray[np.object_]
    rows: pl.DataFrame

    def count(self, verdict: Expected) -> int:
        return int((self.verdicts == verdict).sum())

    @cached_property
    def runs(self) -> list[tuple[datetime, datetime, Expected]]:
        """Maximal runs of equal verdicts."""
        changes = np.flatnonzero(self.verdicts[1:] != self.verdicts[:-1]) + 1
        edges = [0, *changes.tolist(), len(self.verdicts)]
        return [(self.opens(start), self.opens(end), self.verdicts[start]) for start, end in pairwise(edges)]

    def opens(self, position: int) -> datetime:
        return EPOCH + (self.first + position) * timedelta(minutes=int(self.interval))


@dataclass(frozen=True, slots=True)
class _File:
    """The rows of one candle file: opens counted in widths since the epoch."""

    frame: pl.DataFrame
    slots: npt.NDArray[np.int64]
    origin: Ingested

    @property
    def first(self) -> int:
        return int(self.slots[0])

    @property
    def last(self) -> int:
        return int(self.slots[-1])


@dataclass(frozen=True)
class Truth:
    """`exchange` published `archives`, all of which were read for `intervals` by `now`."""

    exchange: SandboxExchange
    archives: tuple[Ingested, ...]
    intervals: tuple[Interval, ...]
    now: datetime
    start: datetime | None = None
    end: datetime | None = None
    derive: bool = True

    def series(self, market: str, interval: Interval) -> SeriesTruth:
        if (market, interval) not in self._known:
            self._known[market, interval] = self._series(market, interval)
        return self._known[market, interval]

    @cached_property
    def _known(self) -> dict[tuple[str, Interval], SeriesTruth]:
        return {}

    def _series(self, market: str, interval: Interval) -> SeriesTruth:
        first, last = self._wanted(market, interval)
        rows = self._rows(market, interval)
        covered = self._covered(market, interval)
        if self.derive and interval in self.intervals:
            made, answered = self._derived(market, interval, first, last)
            # A row that may have been cut off gives way to a candle that was made of settled ones.
            sure = made.filter(~pl.col("provisional"))
            cut = rows.filter("provisional").join(sure, on="timestamp", how="semi")
            rows = rows.join(cut, on="timestamp", how="anti")
            rows = pl.concat([rows, made.join(rows, on="timestamp", how="anti")]).sort("timestamp")
            covered = covered | answered
        # The rules in reverse: what is set last applies first.
        verdicts = np.full(last - first, Expected.MISSING, dtype=object)
        for verdict, slots in (
            (Expected.QUIET_CLAIMED, covered),
            (Expected.TRADED, set(_slots(rows, interval).tolist())),
            (Expected.UNLISTED, self._unlisted(market, interval, first, last)),
        ):
            verdicts[[slot - first for slot in slots if first <= slot < last]] = verdict
        return SeriesTruth(market, interval, first, verdicts, rows)

    def _unlisted(self, market: str, interval: Interval, first: int, last: int) -> set[int]:
        """Slots that were over when the market first traded."""
        first_trade = self._first_trade(market)
        return set(range(first, min(last, _slot_of(first_trade, interval)))) if first_trade is not None else set()

    # ------------------------------------------------------------------------------------------------ what was asked

    def _wanted(self, market: str, interval: Interval) -> tuple[int, int]:
        """The slots asked for: without a start, from the first trade on, or from the first stored slot."""
        start = self.start or self._known_from(market)
        assert start is not None, f"nothing is known of {market}"
        end = min(self.end or self.now, self.now)
        return _slot_of(start, interval), _slot_of(end, interval)

    def _first_trade(self, market: str) -> datetime | None:
        """Known where a complete release holds the market."""
        complete = [a for a in self.archives if a.is_release and a.edition.is_complete]
        return self.exchange.first_trade(market) if any(self._holds(a, market) for a in complete) else None

    def _known_from(self, market: str) -> datetime | None:
        """Since when the market is known to have been listed, to the finest slot that was read."""
        first_trade = self._first_trade(market)
        files = [(i, self._file(a, market, i)) for a in self.archives for i in self._read]
        opens = [(EPOCH + file.first * _width(i), i) for i, file in files if file is not None]
        if first_trade is not None:
            finest = min(i for i, file in files if file is not None)
            return EPOCH + _slot_of(first_trade, finest) * _width(finest)
        if not opens:
            return None
        start, interval = min(opens, key=lambda one: (one[0], -one[1]))
        for later, finer in sorted(opens, key=lambda one: -one[1]):
            if finer < interval and start <= later < start + _width(interval):
                start, interval = later, finer
        return start

    @property
    def _read(self) -> tuple[Interval, ...]:
        """The intervals of which files are read: those asked for, and what they are derived from."""
        held = {i for a in self.archives for i in a.edition.intervals}
        absent = [i for i in self.intervals if not all(i in a.edition.intervals for a in self.archives)]
        sources = {finer for i in absent for finer in held if finer < i and i % finer == 0} if self.derive else set()
        return tuple(i for i in Interval if i in held and (i in self.intervals or i in sources))

    # ------------------------------------------------------------------------------------------------- what files say

    def _holds(self, archive: Ingested, market: str) -> bool:
        return any(self._file(archive, market, i) is not None for i in archive.edition.intervals)

    def _file(self, archive: Ingested, market: str, interval: Interval) -> _File | None:
        key = (archive, market, interval)
        if key not in self._files:
            self._files[key] = self._make_file(archive, market, interval)
        return self._files[key]

    @cached_property
    def _files(self) -> dict[tuple[Ingested, str, Interval], _File | None]:
        return {}

    def _make_file(self, archive: Ingested, market: str, interval: Interval) -> _File | None:
        edition = archive.edition
        if interval not in edition.intervals or market not in (edition.markets or self.exchange.names):
            return None
        told = self.exchange
        for defect in edition.defects:
            if isinstance(defect, Revised):
                told = told.revised(defect.within, defect.market)
        start = edition.start or told.market(market).listed.replace(hour=0, minute=0)
        first = -((EPOCH - start) // _width(interval))
        frame = told.candles(market, interval, TimeRange(EPOCH + first * _width(interval), edition.end))
        cut = EPOCH + _slot_of(edition.end, interval) * _width(interval)
        if cut < edition.end:
            # The archive ends in the middle of a slot: of its trades, those that had been made by then.
            minutes = told.candles(market, Interval.M1, TimeRange(cut, edition.end))
            frame = pl.concat([frame.filter(pl.col("timestamp") < cut), _folded(minutes, interval)])
        for defect in edition.defects:
            of_this = defect.market in (None, market) and defect.interval in (None, interval)
            if isinstance(defect, MissingDay) and of_this:
                frame = frame.filter(pl.col("timestamp").dt.date() != defect.day)
        return _File(frame, _slots(frame, interval), archive) if frame.height else None

    def _period_end(self, archive: Ingested) -> datetime:
        """A complete release that says no period ends where its last slot at the finest interval ends."""
        if archive.says_its_end:
            return archive.edition.end
        ends = []
        for market in self.exchange.names:
            held = [(i, self._file(archive, market, i)) for i in sorted(archive.edition.intervals)]
            finest = next(((i, file) for i, file in held if file is not None), None)
            if finest is not None:
                ends.append(EPOCH + (finest[1].last + 1) * _width(finest[0]))
        return max(ends)

    def _covered(self, market: str, interval: Interval) -> set[int]:
        """Slots for which a file of this interval, or a whole release, has spoken."""
        covered: set[int] = set()
        for archive in self.archives:
            covered |= self._claimed(archive, market, interval)
        return covered

    def _settled(self, market: str, interval: Interval) -> set[int]:
        """As `_covered`, without what only the last row of a loose file speaks for: it may have been cut off."""
        settled: set[int] = set()
        for archive in self.archives:
            claimed = self._claimed(archive, market, interval)
            file = self._file(archive, market, interval)
            settled |= claimed - {file.last} if file is not None and _may_be_cut(file, interval) else claimed
        return settled

    def _claimed(self, archive: Ingested, market: str, interval: Interval) -> set[int]:
        file = self._file(archive, market, interval)
        if not archive.is_release:
            return set(range(file.first, file.last + 1)) if file is not None else set()
        says_nothing = file is None and (not archive.is_whole or self._holds(archive, market))
        if interval not in archive.edition.intervals or says_nothing:
            return set()
        start = archive.edition.start
        if file is None:
            # Absent from the whole release: quiet since it is known to have been listed.
            known = self._known_from(market)
            start = max(start or known, known) if known is not None else self._period_end(archive)
        elif start is None:
            start = self._first_trade(market)
        assert start is not None, "a complete release that holds a market tells its first trade"
        end = (self._period_end(archive) - EPOCH) // _width(interval)
        return set(range(_slot_of(start, interval), end))

    # ------------------------------------------------------------------------------------------------ which row wins

    def _rank(self, archive: Ingested) -> tuple[object, ...]:
        """Later period, then complete, then the later date of making; a loose file is below every release."""
        if not archive.is_release:
            return (EPOCH, False, EPOCH)
        made = archive.edition.generated_at if archive.shape.manifest else EPOCH
        return (self._period_end(archive), archive.edition.is_complete, made)

    def _release_text(self, archive: Ingested) -> str:
        if not archive.is_release:
            return ""
        kind = "whole" if archive.edition.is_complete else "quarterly"
        return f"{self._period_end(archive):%Y-%m-%dT%H:%MZ} {kind}"

    def _rows(self, market: str, interval: Interval) -> pl.DataFrame:
        """The best row of every slot that any file of this interval holds."""
        best: list[pl.DataFrame] = []
        for archive in self.archives:
            file = self._file(archive, market, interval)
            if file is not None:
                best.append(self._ranked(file, interval))
        if not best:
            return pl.DataFrame(schema=_ROW_SCHEMA)
        # A row that may have been cut off loses to any other; of two loose ones that with more trades wins.
        order = ["timestamp", "provisional", "rank", "trades"]
        sorted_rows = pl.concat(best).sort(order, descending=[False, True, False, False])
        return sorted_rows.unique("timestamp", keep="last", maintain_order=True).select(_ROW_SCHEMA.keys())

    def _ranked(self, file: _File, interval: Interval) -> pl.DataFrame:
        ranks = sorted({self._rank(archive) for archive in self.archives})
        last = pl.col("timestamp") == pl.col("timestamp").max()
        return file.frame.with_columns(
            derived=pl.lit(False),
            provisional=last & _may_be_cut(file, interval),
            release=pl.lit(self._release_text(file.origin)),
            rank=pl.lit(ranks.index(self._rank(file.origin))),
        )

    # -------------------------------------------------------------------------------------------------- what is made

    def _derived(self, market: str, interval: Interval, first: int, last: int) -> tuple[pl.DataFrame, set[int]]:
        """Open slots of which some finer interval knows every slot: their candles, and which they are.

        First from what finer files settle, then, where nobody else has spoken, from what they may have cut off.
        """
        made = [pl.DataFrame(schema=_ROW_SCHEMA)]
        answered: set[int] = set()
        listed = set(range(first, last)) - self._unlisted(market, interval, first, last)
        for provisional in (False, True):
            spoken = self._covered(market, interval) if provisional else self._settled(market, interval)
            for finer in sorted((i for i in Interval if i < interval and interval % i == 0), reverse=True):
                parts = interval // finer
                known = self._covered(market, finer) if provisional else self._settled(market, finer)
                # Before the first trade there is nothing to know.
                known |= self._unlisted(market, finer, first * parts, last * parts)
                asked = listed - spoken - answered
                whole = {s for s in asked if all(p in known for p in range(s * parts, (s + 1) * parts))}
                answered |= whole
                opens = pl.Series([EPOCH + s * _width(interval) for s in whole], dtype=pl.Datetime("us", "UTC"))
                part = _folded(self._rows(market, finer), interval).filter(pl.col("timestamp").is_in(opens.implode()))
                origin = {"derived": True, "provisional": provisional, "release": ""}
                made.append(part.with_columns(**{k: pl.lit(v) for k, v in origin.items()}).select(_ROW_SCHEMA.keys()))
        return pl.concat(made), answered


#: What the truth says of a stored candle: `release` is how its text begins.
_ROW_SCHEMA = {**CANDLE_SCHEMA, "derived": pl.Boolean, "provisional": pl.Boolean, "release": pl.String}


def _may_be_cut(file: _File, interval: Interval) -> bool:
    """Whether the last row may have been cut off in its slot: of a loose file, unless it ends a quarter."""
    end = EPOCH + (file.last + 1) * _width(interval)
    ends_quarter = (end.month, end.day, end.hour, end.minute) in {(month, 1, 0, 0) for month in (1, 4, 7, 10)}
    return not file.origin.is_release and not ends_quarter


def _width(interval: Interval) -> timedelta:
    return timedelta(minutes=int(interval))


def _slot_of(moment: datetime, interval: Interval) -> int:
    return (moment - EPOCH) // _width(interval)


def _slots(frame: pl.DataFrame, interval: Interval) -> npt.NDArray[np.int64]:
    return frame["timestamp"].dt.epoch("s").to_numpy() // (int(interval) * 60)


def _folded(frame: pl.DataFrame, interval: Interval) -> pl.DataFrame:
    """One candle of `interval` for the candles of each of its slots."""
    opens = (pl.col("timestamp").dt.epoch("s") // (int(interval) * 60) * (int(interval) * 60) * 1_000_000).cast(
        pl.Datetime("us", "UTC")
    )
    return (
        frame.sort("timestamp")
        .group_by(opens.alias("timestamp"), maintain_order=True)
        .agg(
            pl.col("open").first(),
            pl.col("high").max(),
            pl.col("low").min(),
            pl.col("close").last(),
            ((pl.col("volume") * 1e8).sum().round() / 1e8),
            pl.col("trades").sum(),
        )
        .select(CANDLE_SCHEMA.keys())
    )


@cache
def truth_of(truth: Truth) -> Truth:
    """The one of equal truths that was asked for first, with all that has been worked out of it since."""
    return truth
