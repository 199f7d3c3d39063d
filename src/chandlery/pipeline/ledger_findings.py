"""What is to be on record of weeks that disagree with the exchange's ledger: which slots are to blame, and for what.

A short week is put down to the slots that a confirmed series of the same market tells of, else to the days that the
exchange's daily window tells of, else it is blamed as a whole. What trades have answered is not to blame any more.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import Enum, IntEnum
from itertools import chain

import numpy as np

from chandlery.candles.interval import EPOCH, Interval
from chandlery.candles.ledger import (
    DAY,
    WEEK,
    Figures,
    Flags,
    Shortfall,
    Verdicts,
    WeekVerdict,
    blamed,
    compared_weeks,
    is_systematic,
    numbers_of,
    ranges_of,
    shortfalls,
    whole_pieces,
)
from chandlery.candles.series import Series
from chandlery.candles.timerange import RangeSet, TimeRange
from chandlery.models import Finding, FindingKind, QualityFinding
from chandlery.pipeline.knowledge import MarketFacts, proven_by_trades, series_of
from chandlery.pipeline.weekly_sums import SumResult

#: What the audit against the ledger finds, and takes back.
LEDGER_KINDS = frozenset(kind for kind in FindingKind if kind.value.startswith("LEDGER_"))
#: One finding for a run of weeks that are all alike.
_ALIKE = {
    FindingKind.LEDGER_NEARLY: WeekVerdict.NEARLY,
    FindingKind.LEDGER_EXCESS: WeekVerdict.EXCESS,
    FindingKind.LEDGER_VOLUME: WeekVerdict.VOLUME,
}

Key = tuple[int, int]
"""Primary key of the market, interval in minutes."""

Recorded = Mapping[Key, list[QualityFinding]]
"""The findings of LEDGER_KINDS that are not RESOLVED."""

Pieces = Mapping[tuple[Series, timedelta, int], Figures]
"""What was counted of a series in pieces of a width, in a week."""


class Part(Enum):
    """What a short week is among those of its market."""

    #: One of few: it is narrowed down and mended.
    SINGLE = "single"
    #: One of many: the one that is walked to see what the cause is.
    SAMPLE = "sample"
    #: One of many: nothing more is asked for its sake.
    SYSTEMATIC = "systematic"


class By(IntEnum):
    """What a short week was narrowed down by; the greater tells more."""

    WEEK = 0
    DAYS = 1
    SLOTS = 2


@dataclass(frozen=True, slots=True)
class ShortWeek:
    """A week of a series in which the ledger counts more trades than are stored."""

    series: Series
    shortfall: Shortfall
    part: Part

    @property
    def range(self) -> TimeRange:
        return self.shortfall.range

    @property
    def sibling(self) -> Series | None:
        """The series that tells which slots are wrong."""
        interval = self.shortfall.sibling
        return None if interval is None else replace(self.series, interval=interval)


@dataclass(frozen=True, slots=True)
class MarketWeeks:
    """A verdict for each week of a market's ledger, by interval. `sums` are there where not all is well."""

    facts: MarketFacts
    ledger: Figures
    verdicts: dict[Interval, Verdicts] = field(default_factory=dict)
    sums: dict[Interval, Figures] = field(default_factory=dict)

    def key(self, interval: Interval) -> Key:
        return self.facts.market.pk, int(interval)

    def short(self, recorded: Recorded, samples: Mapping[int, set[int]]) -> list[ShortWeek]:
        """Its short weeks. `samples`: by market, weeks that were walked to see what the cause of many is."""
        found = shortfalls(self.ledger, self.sums, self.verdicts)
        # What finer candles can mend costs no request, whatever its cause.
        walks = {s.week: s.ledger for s in found if s.needs_trades}
        taken = samples.get(self.facts.market.pk, set())
        many = is_systematic(len(walks.keys() | taken), compared_weeks(self.verdicts.values()))
        sample = self._sample(recorded, walks, taken) if many else None

        def part(shortfall: Shortfall) -> Part:
            if not many or not shortfall.needs_trades:
                return Part.SINGLE
            return Part.SAMPLE if shortfall.week == sample else Part.SYSTEMATIC

        return [ShortWeek(series_of(self.facts.market, s.interval), s, part(s)) for s in found]

    def _sample(self, recorded: Recorded, walks: Mapping[int, int], taken: set[int]) -> int | None:
        """The one week to walk: that which was begun with, else the one with the fewest trades; None where one was
        walked already, and is in order now.
        """
        rows = (row for interval in self.verdicts for row in recorded.get(self.key(interval), []))
        begun = {_week_of(row) for row in rows if row.evidence.get("sample")} & walks.keys()
        if taken and not begun:
            return None
        return min(begun or walks, key=lambda week: (walks[week], week), default=None)


def samples_taken(recorded: Recorded, facts: Iterable[MarketFacts]) -> dict[int, set[int]]:
    """For each market with systematic findings: the weeks that stand for them and were walked."""
    markets = {pk for (pk, _), rows in recorded.items() if any(r.kind == FindingKind.LEDGER_SYSTEMATIC for r in rows)}
    if not markets:
        return {}
    by_pk = {one.market.pk: one for one in facts}
    taken: dict[int, set[int]] = defaultdict(set)
    open_ones = (row for (pk, _), rows in recorded.items() if pk in markets for row in rows if "sample" in row.evidence)
    for row in chain(open_ones, QualityFinding.objects.samples_resolved(markets)):
        known = by_pk[row.market_id].series[Interval(row.interval_minutes)]
        if proven_by_trades(known.coverage).covers(row.range):
            taken[row.market_id].add(_week_of(row))
    return taken


def pieces_of(results: Iterable[SumResult]) -> Pieces:
    """Counted weeks, each found by its series, the width of its pieces and its number."""
    found: dict[tuple[Series, timedelta, int], Figures] = {}
    for result in results:
        for one, part in zip(result.task.ranges, result.parts, strict=True):
            found[result.task.series, part.width, numbers_of(one, WEEK)[0]] = part
    return found


@dataclass(frozen=True, slots=True)
class Narrowing:
    """How short weeks become findings: by what is on record, and by the exchange's `daily` figures of some markets."""

    facts: Mapping[str, MarketFacts]
    recorded: Recorded
    daily: Mapping[str, Figures] = field(default_factory=dict)

    def means(self, week: ShortWeek) -> By:
        """The best there is to narrow it down by."""
        if week.shortfall.sibling is not None:
            return By.SLOTS
        daily = self.daily.get(week.series.market)
        if daily is None:
            return By.WEEK
        first, end = numbers_of(week.range, DAY)
        return By.DAYS if daily.over(first, end - first).known.all() else By.WEEK

    def told_by(self, week: ShortWeek) -> By | None:
        """What it was narrowed down by, with the figures as they are now, where nothing can tell more by now."""
        by = max((By[row.evidence["by"]] for row in self._rows(week)), default=None)
        return by if by is not None and by >= self.means(week) else None

    def is_left_to_days(self, week: ShortWeek, window: TimeRange) -> bool:
        """Whether the daily `window` can tell more of it than is known."""
        if week.part is Part.SYSTEMATIC or week.sibling is not None or not window.contains(week.range):
            return False
        rows = self._rows(week)
        if any(row.evidence["by"] != By.WEEK.name for row in rows):
            return False
        return not rows or any(row.kind == FindingKind.LEDGER_SHORT for row in rows)

    def findings(self, market: MarketWeeks, short: Iterable[ShortWeek], pieces: Pieces) -> dict[Key, list[Finding]]:
        """What is to be on record of each of a market's series of which there is, or was, something to say."""
        narrowed: dict[Interval, list[Finding]] = defaultdict(list)
        systematic: dict[Interval, list[int]] = defaultdict(list)
        sample: set[FindingKind] = set()
        for week in short:
            if week.part is Part.SYSTEMATIC:
                systematic[week.series.interval].append(week.shortfall.week - market.ledger.first)
                continue
            made = self._narrowed(week, pieces)
            narrowed[week.series.interval] += made
            if week.part is Part.SAMPLE:
                sample |= {finding.kind for finding in made}
        # Where the one that was walked holds all that the exchange lists, and is still short, so would the others be.
        walked_in_vain = sample == {FindingKind.LEDGER_DISAGREES}
        many = FindingKind.LEDGER_DISAGREES if walked_in_vain else FindingKind.LEDGER_SYSTEMATIC
        found: dict[Key, list[Finding]] = {}
        for interval, verdicts in market.verdicts.items():
            rows = self.recorded.get(market.key(interval), [])
            if rows or interval in market.sums:
                flags = {kind: verdicts == verdict for kind, verdict in _ALIKE.items()}
                flags[many] = np.zeros(len(verdicts), np.bool_)
                flags[many][systematic[interval]] = True
                kept = list(_kept(rows, market.ledger, verdicts == WeekVerdict.UNKNOWN, flags))
                alike = (one for kind, held in flags.items() for one in _alike(kind, held, market, interval))
                found[market.key(interval)] = [*narrowed[interval], *kept, *alike]
        return found

    def _rows(self, week: ShortWeek) -> list[QualityFinding]:
        """What was narrowed down of the week, with the figures as they are now."""
        told = _figures(week.shortfall).items()
        key = (self.facts[week.series.market].market.pk, int(week.series.interval))
        return [row for row in self.recorded.get(key, []) if told <= row.evidence.items()]

    def _narrowed(self, week: ShortWeek, pieces: Pieces) -> list[Finding]:
        """The slots that a short week is put down to, less those that trades have answered."""
        known, by = self.facts[week.series.market].series[week.series.interval], self.told_by(week)
        if by is not None:
            found = RangeSet(row.range for row in self._rows(week))
        else:
            found, by = self._blamed(week, pieces)
        listed = found - known.life.unlisted(week.range, week.series.interval)
        left = listed - proven_by_trades(known.coverage)
        kind = FindingKind.LEDGER_SHORT if left or not listed else FindingKind.LEDGER_DISAGREES
        evidence: dict[str, object] = {**_figures(week.shortfall), "by": by.name}
        if week.part is Part.SAMPLE:
            evidence["sample"] = True
        return [Finding(kind, one, evidence) for one in left or found]

    def _blamed(self, week: ShortWeek, pieces: Pieces) -> tuple[RangeSet, By]:
        by, width, number = self.means(week), week.shortfall.width, week.shortfall.week
        held, due = pieces.get((week.series, width, number)), self.daily.get(week.series.market)
        if week.sibling is not None:
            due = pieces.get((week.sibling, width, number))
        if by is By.WEEK or held is None or due is None:
            return RangeSet([week.range]), By.WEEK
        return blamed(due, held, week.range, exactly=by is By.SLOTS) or RangeSet([week.range]), by


def _figures(shortfall: Shortfall) -> dict[str, object]:
    """By which a short week is known again."""
    return {
        "week": f"{shortfall.range.start:%F}",
        "ledger_trades": shortfall.ledger,
        "stored_trades": shortfall.stored,
    }


def _week_of(row: QualityFinding) -> int:
    return (row.start - EPOCH) // WEEK


def _kept(
    rows: Iterable[QualityFinding], ledger: Figures, unknown: Flags, flags: dict[FindingKind, Flags]
) -> Iterator[Finding]:
    """Of weeks that cannot be judged now: what was narrowed down, as it is; runs of weeks are added to `flags`."""
    for row in rows:
        kind, week = FindingKind(row.kind), _week_of(row) - ledger.first
        if "by" not in row.evidence:
            was = whole_pieces(RangeSet([row.range]), ledger.first, len(unknown)) & unknown
            flags[kind] = flags.get(kind, np.zeros(len(unknown), np.bool_)) | was
        elif not 0 <= week < len(unknown) or unknown[week]:
            yield Finding(kind, row.range, row.evidence)


def _alike(kind: FindingKind, flags: Flags, market: MarketWeeks, interval: Interval) -> Iterator[Finding]:
    """A finding for each run of weeks."""
    if not flags.any():
        return
    ledger = market.ledger
    held = market.sums.get(interval, Figures.unknown(ledger.first, len(ledger)))
    for run in ranges_of(flags, ledger.first):
        first, end = (number - ledger.first for number in numbers_of(run, WEEK))
        evidence: dict[str, object] = {"weeks": end - first}
        for name, figures in (("ledger", ledger), ("stored", held)):
            known = figures.known[first:end]
            evidence[f"{name}_trades"] = int(figures.trades[first:end][known].sum())
            if kind is FindingKind.LEDGER_VOLUME:
                evidence[f"{name}_volume"] = float(figures.volume[first:end][known].sum())
        yield Finding(kind, run, evidence)
