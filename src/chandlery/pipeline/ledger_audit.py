"""Audit: hold the stored weeks against the exchange's ledger, and keep the findings of it.

    audit = LedgerAudit.of(facts, store_url, home, now, recording)
    audit.take_counts(…)       what `sum_candles` makes of `audit.counts_due()`, in as many batches as you like
    audit.judge()
    daily = …                  the daily windows of `audit.days_wanted()`, by market
    audited = audit.settle(…)  what `sum_candles` makes of `audit.pieces_due(daily)`

Begun where another ended, it reads and writes only what has changed since.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import reduce
from pathlib import Path

import numpy as np

from chandlery.candles.evidence import settled
from chandlery.candles.interval import EPOCH, Interval
from chandlery.candles.ledger import WEEK, Figures, WeekVerdict, compare, ranges_of, whole_pieces
from chandlery.candles.series import Series
from chandlery.candles.timerange import RangeSet, TimeRange
from chandlery.exchanges.kraken.window import ohlc_window
from chandlery.models import AuditedWeeks, Finding, FindingKind, FindingsChanged, Ledger, QualityFinding
from chandlery.pipeline.knowledge import MarketFacts, series_of
from chandlery.pipeline.ledger_findings import (
    LEDGER_KINDS,
    By,
    Key,
    MarketWeeks,
    Narrowing,
    Part,
    ShortWeek,
    pieces_of,
    samples_taken,
)
from chandlery.pipeline.weekly_sums import SumResult, SumTask

Recording = Callable[[], AbstractContextManager[object]]

#: Rows saved in one transaction: some five megabytes.
ROWS_AT_ONCE = 400
#: A week that has just closed can still change for a moment; the ledger is asked for it after that.
SETTLING = timedelta(hours=1)


def ledger_due(ledger: Ledger | None, now: datetime) -> bool:
    """Whether the exchange is to be asked for a market's weeks: it never was, or a week has closed since."""
    return ledger is None or (ledger.asked_at - SETTLING - EPOCH) // WEEK < (now - SETTLING - EPOCH) // WEEK


def first_week(ledger: Ledger | None) -> datetime | None:
    """The start of the first week in which a market traded, UTC; None where the ledger may begin later."""
    return ledger.first_traded if ledger is not None else None


@dataclass(frozen=True, slots=True)
class Audited:
    """What an audit came to. Weeks are counted once a series; `findings` are those on record now, by kind."""

    weeks: int
    confirmed: int
    short: tuple[ShortWeek, ...]
    findings: Counter[FindingKind]
    changed: FindingsChanged


@dataclass(slots=True)
class LedgerAudit:
    """An audit of `facts`, step by step. All of them are looked at; recorded is what comes of those that are ours to
    write (`may_write`), which nobody else writes meanwhile.
    """

    facts: Mapping[str, MarketFacts]
    store_url: str = field(repr=False)
    home: Path
    now: datetime
    recording: Recording
    ledgers: dict[str, Figures]
    audited: dict[Series, AuditedWeeks]
    may_write: Callable[[Series], bool] = lambda series: True
    #: Every short week, after `judge`.
    short: list[ShortWeek] = field(default_factory=list)
    _markets: dict[str, MarketWeeks] = field(default_factory=dict)
    _narrowing: Narrowing = field(default_factory=lambda: Narrowing({}, {}))

    @classmethod
    def of(
        cls,
        facts: Mapping[str, MarketFacts],
        store_url: str,
        home: Path,
        now: datetime,
        recording: Recording,
        may_write: Callable[[Series], bool] = lambda series: True,
    ) -> LedgerAudit:
        """What state holds of these markets' weeks, in two queries."""
        names = {one.market.pk: name for name, one in facts.items()}
        ledgers = {names[pk]: row.figures for pk, row in Ledger.objects.of_markets(names).items()}
        audited = {
            series_of(facts[names[pk]].market, Interval(minutes)): row
            for (pk, minutes), row in AuditedWeeks.objects.of_markets(names).items()
        }
        return cls(facts, store_url, home, now, recording, ledgers, audited, may_write)

    def counts_due(self) -> list[SumTask]:
        """The weeks that are fully covered, in the ledger, and not yet counted, whoever may write them."""
        tasks: list[SumTask] = []
        for series, ledger in self._series():
            row = self.audited.get(series)
            due = whole_pieces(self._answered(series, ledger), ledger.first, len(ledger)) & ledger.known
            if row is not None:
                due &= ~row.sums.over(ledger.first, len(ledger)).known
            if due.any():
                ranges = tuple(ranges_of(due, ledger.first))
                tasks.append(SumTask(series, ranges, self.store_url, self.home))
        return tasks

    def take_counts(self, results: Iterable[SumResult]) -> None:
        """Record counted weeks, and what they are against the ledger."""
        rows: list[AuditedWeeks] = []
        for result in results:
            series = result.task.series
            market = self.facts[series.market].market
            row = self.audited.get(series) or AuditedWeeks(market=market, interval_minutes=int(series.interval))
            ledger = self.ledgers[series.market]
            sums = reduce(Figures.overlaid, result.parts, row.sums).over(ledger.first, len(ledger))
            row.lay(sums, compare(ledger, sums, self._answered(series, ledger)))
            self.audited[series] = row
            rows.append(row)
            if len(rows) == ROWS_AT_ONCE:
                self._save(rows)
        self._save(rows)

    def judge(self) -> None:
        """The verdict of every counted week, by the ledger and coverage as they are now; kept where it is another."""
        rows: list[AuditedWeeks] = []
        self._markets = {}
        for series, ledger in self._series():
            row = self.audited.get(series)
            if row is None:
                continue
            sums = row.sums.over(ledger.first, len(ledger))
            verdicts = compare(ledger, sums, self._answered(series, ledger))
            same_weeks = (row.first_week, row.end_week) == (ledger.first, ledger.end)
            if self.may_write(series) and not (same_weeks and np.array_equal(verdicts, row.week_verdicts)):
                row.lay(sums, verdicts)
                rows.append(row)
                if len(rows) == ROWS_AT_ONCE:
                    self._save(rows)
            market = self._markets.setdefault(series.market, MarketWeeks(self.facts[series.market], ledger))
            market.verdicts[series.interval] = verdicts
            if (verdicts > WeekVerdict.CONFIRMED).any():
                market.sums[series.interval] = sums
        self._save(rows)
        recorded = QualityFinding.objects.on_record(
            [self.facts[name].market.pk for name in self._markets], LEDGER_KINDS
        )
        samples = samples_taken(recorded, self.facts.values())
        self.short = [week for market in self._markets.values() for week in market.short(recorded, samples)]
        self._narrowing = Narrowing(self.facts, recorded)

    def days_wanted(self) -> list[str]:
        """The markets whose daily window would narrow a short week down."""
        window = ohlc_window(Interval.M1440, self.now)
        return sorted({week.series.market for week in self.short if self._narrowing.is_left_to_days(week, window)})

    def pieces_due(self, daily: Mapping[str, Figures]) -> list[SumTask]:
        """What is to be counted to narrow short weeks down. `daily`: the exchange's daily figures, where there are."""
        self._narrowing = replace(self._narrowing, daily=daily)
        ranges: dict[tuple[Series, timedelta], set[TimeRange]] = defaultdict(set)
        for week in self.short:
            if week.part is Part.SYSTEMATIC or self._narrowing.told_by(week) is not None:
                continue
            if self._narrowing.means(week) is not By.WEEK:
                for series in (week.series, week.sibling) if week.sibling else (week.series,):
                    ranges[series, week.shortfall.width].add(week.range)
        return [
            SumTask(series, tuple(sorted(found)), self.store_url, self.home, width)
            for (series, width), found in sorted(ranges.items(), key=lambda item: item[0])
        ]

    def settle(self, pieces: Iterable[SumResult] = ()) -> Audited:
        """Bring the findings in line with what was found."""
        counted = pieces_of(pieces)
        short: dict[str, list[ShortWeek]] = defaultdict(list)
        for week in self.short:
            short[week.series.market].append(week)
        wanted: dict[Key, list[Finding]] = {}
        for name, market in self._markets.items():
            wanted |= self._narrowing.findings(market, short[name], counted)
        names = {self.facts[name].market.pk: name for name in self._markets}
        wanted = {
            (pk, minutes): findings
            for (pk, minutes), findings in wanted.items()
            if self.may_write(series_of(self.facts[names[pk]].market, Interval(minutes)))
        }
        with self.recording():
            changed = QualityFinding.objects.reconcile_all(wanted, LEDGER_KINDS, self.now)
        verdicts = [v for market in self._markets.values() for v in market.verdicts.values()]
        return Audited(
            weeks=sum(int((v != WeekVerdict.UNKNOWN).sum()) for v in verdicts),
            confirmed=sum(int((v == WeekVerdict.CONFIRMED).sum()) for v in verdicts),
            short=tuple(self.short),
            findings=Counter(finding.kind for findings in wanted.values() for finding in findings),
            changed=changed,
        )

    def _series(self) -> Iterator[tuple[Series, Figures]]:
        """Every series of a market with a ledger that somebody has spoken for or that was audited before."""
        for name, ledger in self.ledgers.items():
            for interval, known in self.facts[name].series.items():
                series = series_of(self.facts[name].market, interval)
                if len(ledger) and (known.coverage or series in self.audited):
                    yield series, ledger

    def _answered(self, series: Series, ledger: Figures) -> RangeSet:
        """Where every slot is answered for by a settled answer, or UNLISTED."""
        known = self.facts[series.market].series[series.interval]
        assert ledger.span is not None, "a ledger without a week is passed over"
        return settled(known.coverage) | known.life.unlisted(ledger.span, series.interval)

    def _save(self, rows: list[AuditedWeeks]) -> None:
        if rows:
            with self.recording():
                AuditedWeeks.objects.put(rows)
            rows.clear()
