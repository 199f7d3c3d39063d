"""One run in progress: what it was asked, what it stands in, and what it knows by now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import polars as pl
from django.db import transaction

from chandlery.candles.evidence import Coverage, Source, answered, stale_ranges
from chandlery.candles.interval import Interval
from chandlery.candles.ledger import Figures
from chandlery.candles.series import Series
from chandlery.candles.timerange import RangeSet, TimeRange
from chandlery.candles.verdict import Life, Tally, judge
from chandlery.errors import ChandleryError
from chandlery.exchanges.kraken.walk import Walk
from chandlery.exchanges.kraken.window import PROVISIONAL_SLOTS
from chandlery.models import ArchiveRelease, GapRecord, IngestionJob, Ledger, Market, QualityFinding
from chandlery.pipeline.discover import Found
from chandlery.pipeline.edge import Edge
from chandlery.pipeline.events import WalkStarted
from chandlery.pipeline.knowledge import MarketFacts, know, series_of
from chandlery.pipeline.lease import Held
from chandlery.pipeline.on_hand import FileOnHand, first_slots, foretold
from chandlery.pipeline.plan import Derivation, Plan, Wanted, plan, renewals, without
from chandlery.pipeline.pricing import by_candles, by_ledger
from chandlery.pipeline.request import IngestRequest, Surroundings
from chandlery.pipeline.walks import Trail
from chandlery.stores.base import CandleStore

#: What failures of the API as a whole are listed under.
API = "Kraken's API"
#: Candles so near to a range tell the pace of trading in it.
NEARBY = timedelta(days=7)
#: The widths that are looked at for it, in this order: few rows, but not too few.
NEARBY_WIDTHS = tuple(map(Interval, (60, 240, 30, 15, 720, 1440, 5, 1)))


class StoppedOnError(ChandleryError):
    """Stopped at the first error, as --stop-on-error asks: {error}"""


@dataclass(slots=True)
class Run:
    """What the steps of a run share."""

    request: IngestRequest
    surroundings: Surroundings
    executor: Executor
    should_stop: Callable[[], bool]
    store: CandleStore
    markets: list[Market]
    found: Found
    #: Up to when slots are wanted: the time when it began, so that a run that takes a while ends complete.
    until: datetime
    releases: dict[str, ArchiveRelease] = field(default_factory=dict)
    files: list[FileOnHand] = field(default_factory=list)
    facts: dict[str, MarketFacts] = field(default_factory=dict)
    done: set[str] = field(default_factory=set)
    asked: set[Series] = field(default_factory=set)
    failures: list[tuple[str, str]] = field(default_factory=list)
    #: Why the API as a whole did not answer; empty where it did.
    gave_up: str = ""
    #: Why the API did not answer, for series whose gaps stay open because of it.
    unanswered: dict[Series, str] = field(default_factory=dict)
    #: New candles of this run by interval, from files, answers and derivations.
    fresh: Counter[Interval] = field(default_factory=Counter)
    revised: int = 0
    #: Why something was not derived that could have been: another run holds what it is made from.
    left: str = ""
    #: By how much our clock is ahead of the exchange's, once it was asked.
    ahead: timedelta | None = None
    #: Requests that may still be spent on trades; None: any number.
    trade_budget_left: int | None = 0
    #: Asked before trades are walked.
    may_walk: Callable[[WalkStarted], bool] = lambda started: True
    #: Minutes whose trades this run has walked over, or tried to, by market.
    walked: dict[str, RangeSet] = field(default_factory=dict)
    #: Where walks stand that were interrupted, by market.
    journals: dict[str, Walk] = field(default_factory=dict)
    #: The exchange's own weekly figures, by market.
    ledgers: dict[str, Ledger] = field(default_factory=dict)
    #: What walks cost by candles stored nearby: they are read once.
    prices: dict[tuple[str, TimeRange], float | None] = field(default_factory=dict)
    #: Daily ones of some, and whose were asked for.
    daily: dict[str, Figures] = field(default_factory=dict)
    days_asked: set[str] = field(default_factory=set)
    #: Slots that are to be answered anew, for a finding says so.
    contradicted: dict[Series, RangeSet] = field(default_factory=dict)
    #: Those of them for which finer candles are stored that tell what is right.
    derivable: dict[Series, RangeSet] = field(default_factory=dict)
    #: Slots of gaps that a person has accepted: no request is spent on them.
    accepted: dict[Series, RangeSet] = field(default_factory=dict)
    #: Series of which this run has stored or changed candles.
    changed: set[Series] = field(default_factory=set)
    #: How often it has, and how often it had when the stored weeks were audited last.
    changes: int = 0
    audited: int = -1
    #: How far each series was known when the run began.
    known_until: dict[Series, datetime] = field(default_factory=dict)
    job: IngestionJob = field(default_factory=IngestionJob)
    lease: Held | None = None

    @property
    def wanted(self) -> dict[Series, Wanted]:
        """Every series asked for, as far as its market's history is known by now, or files yet to be read foretell
        it. Of an incremental run, what comes after what was known when it began.
        """
        now = self.until
        unread = [file for file in self.files if not file.unchanged and file.member.signature not in self.done]
        starts = first_slots(unread)
        trades = first_slots(file for file in unread if file.period is not None and file.period.complete)
        # Where nothing else is known: a quarter's file begins with its quarter, or when its market was listed.
        quarters: dict[str, datetime] = {}
        for file in unread:
            if file.period is not None and file.period.start is not None:
                held = quarters.get(file.series.market, file.period.start)
                quarters[file.series.market] = min(held, file.period.start)
        selection = self.request.selection
        lives = {
            name: Life(foretold(facts.market.first_trade, trades.get(name, {})), facts.market.delisted_at)
            for name, facts in self.facts.items()
        }
        wanted = {
            Series(facts.market.exchange, name, interval): Wanted(
                selection.wanted(interval, foretold(facts.start, starts.get(name, {})) or quarters.get(name), now),
                lives[name],
                from_first=selection.start is None and lives[name].first_trade is None,
            )
            for name, facts in self.facts.items()
            for interval in selection.intervals
        }
        if not self.request.incremental:
            return wanted
        return {series: self._since_known(series, want) for series, want in wanted.items()}

    @property
    def ranges(self) -> dict[Series, TimeRange | None]:
        """What was asked for of every series, by what is stored: as the report has it."""
        now = self.until
        return {
            Series(facts.market.exchange, name, interval): self.request.selection.wanted(interval, facts.start, now)
            for name, facts in self.facts.items()
            for interval in self.request.selection.intervals
        }

    @property
    def known_ranges(self) -> dict[Series, TimeRange | None]:
        """The same, up to where each series was known when the run began; whole where nothing was."""
        return {
            series: _cut(within, until, series.interval) if (until := self.known_until.get(series)) else within
            for series, within in self.ranges.items()
        }

    @property
    def coverage(self) -> dict[Series, Coverage]:
        return {
            Series(facts.market.exchange, name, interval): known.coverage
            for name, facts in self.facts.items()
            for interval, known in facts.series.items()
        }

    @property
    def trusted(self) -> dict[Series, Coverage]:
        """The coverage without what a finding contradicts: it is to be answered anew. Of the same time finer series
        are trusted where they tell what is right, or the exchange's count confirms them. What trades were walked for
        stands, proven or not.
        """
        coverage = self.coverage
        for series, doubted in self.contradicted.items():
            for interval in (series.interval, *series.interval.finer()):
                one, left = replace(series, interval=interval), doubted
                if one != series:
                    confirmed = self.facts[series.market].series[interval].confirmed
                    left = doubted - self.derivable[series] - confirmed
                held = coverage.get(one)
                if held and left:
                    kept = {k: ranges if k.source is Source.TRADES else ranges - left for k, ranges in held.items()}
                    coverage[one] = {kind: ranges for kind, ranges in kept.items() if ranges}
        return coverage

    def doubted(self, series: Series) -> RangeSet:
        """Slots whose candles are contradicted, and that trades have not answered."""
        found = self.contradicted.get(series, RangeSet())
        if not found:
            return found
        held = self.facts[series.market].series[series.interval].coverage
        return found - RangeSet.union(ranges for kind, ranges in held.items() if kind.source is Source.TRADES)

    @property
    def edge(self) -> Edge | None:
        """Whom the exchange can still be asked about; None where nobody shall be asked."""
        if not (self.request.api_backfill and self.request.auto_gap_fill):
            return None
        return Edge(self.until, self.listed, frozenset(self.asked))

    @property
    def trail(self) -> Trail | None:
        """Whose trades can still be walked; None where nobody shall be asked for trades, or for what they cost."""
        if not (self.request.api_backfill and self.request.auto_gap_fill) or self.request.trade_budget == 0:
            return None
        walked = {}
        for name, facts in self.facts.items():
            minutes = facts.series[Interval.M1].coverage
            done = RangeSet.union(ranges for kind, ranges in minutes.items() if kind.source is Source.TRADES)
            walked[name] = done | self.walked.get(name, RangeSet())
        standing = {name: walk.reached for name, walk in self.journals.items() if walk.next_cursor is not None}
        lives = {name: facts.market.life for name, facts in self.facts.items()}
        until = Interval.M1.floor(self.until)
        return Trail(until, self.listed, self.price, self.trade_budget_left, walked, standing, lives)

    @property
    def listed(self) -> frozenset[str]:
        return frozenset(name for name, facts in self.facts.items() if facts.market.is_listed)

    def series_of(self, market: str, interval: Interval) -> Series:
        return series_of(self.facts[market].market, interval)

    def price(self, market: str, within: TimeRange) -> float | None:
        """How many trades are to be expected: by the ledger, or by the candles stored nearby."""
        ledger = self.ledgers.get(market)
        expected = by_ledger(ledger.figures, within) if ledger is not None else None
        if expected is not None:
            return expected
        if (market, within) not in self.prices:
            self.prices[market, within] = by_candles(self._nearby(market, within), within)
        return self.prices[market, within]

    def _nearby(self, market: str, within: TimeRange) -> Iterator[tuple[TimeRange, pl.DataFrame]]:
        """What is stored of the week before and the week after, at the first width that has any of it."""
        sides = (TimeRange(within.start - NEARBY, within.start), TimeRange(within.end, within.end + NEARBY))
        facts = self.facts[market]
        for interval in NEARBY_WIDTHS:
            traded = facts.series[interval].traded
            found = [side for side in sides if traded.count(side)]
            if found:
                series = Series(facts.market.exchange, market, interval)
                yield from ((side, self.store.read(series, side)) for side in found)
                return

    def completeness(self, *, as_known: bool = False) -> float:
        """Of everything that was asked for, from 0 to 1; 0 where nothing is known of it. `as_known`: up to the newest
        slot that was known of any of it when the run began, as a report at that time had it.
        """
        until = max(self.known_until.values(), default=None)
        tallies = [
            judge(self.facts[series.market].series[series.interval], within).tally
            for series, wanted in self.ranges.items()
            if (within := _cut(wanted, until, series.interval) if as_known else wanted) is not None
        ]
        return sum(tallies, Tally()).completeness if tallies else 0.0

    def look(self) -> None:
        """Read anew what state knows."""
        self.facts = know(self.markets, self.store, self.until)
        self.prices.clear()
        self.contradicted, self.derivable = {}, {}
        names = {market.pk: market for market in self.markets}
        self.accepted = {
            series_of(names[pk], Interval(minutes)): ranges
            for (pk, minutes), ranges in GapRecord.objects.accepted(names).items()
        }
        for (pk, minutes), doubts in QualityFinding.objects.filled_anew(names).items():
            series = series_of(names[pk], Interval(minutes))
            self.contradicted[series] = RangeSet(doubt.range for doubt in doubts)
            by_finer = RangeSet(doubt.range for doubt in doubts if doubt.derivable)
            deeper = RangeSet(doubt.range for doubt in doubts if not doubt.derivable)
            self.derivable[series] = by_finer - deeper

    def plan(self) -> Plan:
        return plan(
            self.wanted,
            self.trusted,
            self.files,
            derive=self.request.auto_gap_fill,
            done=self.done,
            edge=self.edge,
            trail=self.trail,
            accepted=self.accepted,
        )

    def derivations(self, interval: Interval) -> list[Derivation]:
        """What of the series asked for is to be made from finer ones that are stored."""
        wanted = {series: want for series, want in self.wanted.items() if series.interval == interval}
        if not wanted or not self.request.auto_gap_fill:
            return []
        # Nothing is expected of files any more: all that were needed have been read.
        return list(plan(wanted, self.trusted, ()).derivations)

    def renewals(self, interval: Interval, just_made: Sequence[Derivation] = ()) -> list[Derivation]:
        """What was derived, asked for or not, and is to be made again: of candles that are settled by now, or that this
        run has changed. Not what was `just_made`.
        """
        stale = {
            series: found
            for series, held in self.coverage.items()
            if series.interval == interval and (found := stale_ranges(held))
        }
        lives = {series: self.facts[series.market].market.life for series in stale}
        again = (
            replace(made, parts=parts)
            for made in (renewals(stale, lives, self.coverage) if stale else ())
            if (parts := tuple(p for p in made.parts if made.source in self.changed or not p[1].provisional))
        )
        ranges: dict[Series, RangeSet] = {}
        for made in just_made:
            ranges[made.series] = ranges.get(made.series, RangeSet()) | made.ranges
        return [left for made in again for left in without([made], ranges.get(made.series, RangeSet()))]

    def hold(self, series: Collection[Series], *, leave_held: bool = False) -> bool:
        """Make sure that nobody else writes these; whether some were not held before, so that what is known of them was
        looked up anew. Raises SeriesHeld, or, with `leave_held`, leaves to others what they hold.
        """
        if self.lease is None or self.holds(series):
            return False
        if leave_held:
            if not self.lease.extend_by_free(self._keys(series)):
                return False
        else:
            self.lease.extend(self._keys(series))
        self.look()
        return True

    def let_go(self, series: Collection[Series]) -> None:
        """What was held for a moment only."""
        if self.lease is not None and series:
            self.lease.let_go(self._keys(series))

    def holds(self, series: Collection[Series]) -> bool:
        return self.lease is None or self.lease.covers(self._keys(series))

    def _keys(self, series: Collection[Series]) -> list[tuple[Market, int]]:
        return [(self.facts[one.market].market, int(one.interval)) for one in series]

    def beat(self) -> None:
        """Say that the run is alive. Raises LeaseLost."""
        if self.lease is not None:
            self.lease.beat()

    def date(self, market: Market, first_trade: datetime) -> None:
        """The exchange has told the first trade of a market."""
        found = Interval.M1.floor(first_trade)
        if market.first_trade != found:
            market.first_trade = found
            with self.recording():
                market.save(update_fields=["first_trade"])

    def remember_ledgers(self) -> None:
        """Read anew what state holds of the exchange's weekly figures."""
        names = {market.pk: market.altname for market in self.markets}
        self.ledgers = {names[pk]: row for pk, row in Ledger.objects.of_markets(names).items()}

    def give_up(self, error: ChandleryError) -> None:
        """The API as a whole does not answer: nothing more is asked of it in this run."""
        if not self.gave_up:
            self.gave_up = str(error)
            self.failures.append((API, self.gave_up))

    def note_change(self, series: Series) -> None:
        """Candles of it are new, or other than before."""
        self.changed.add(series)
        self.changes += 1

    def stop_on_error(self) -> None:
        """Raises StoppedOnError where something failed and that is to end the run."""
        if self.request.stop_on_error and self.failures:
            raise StoppedOnError(error=self.failures[-1][1])

    @contextmanager
    def recording(self) -> Iterator[None]:
        """One transaction, in which nobody else has taken over. Raises LeaseLost."""
        with transaction.atomic():
            if self.lease is not None:
                self.lease.check()
            yield

    def remember_edge(self) -> None:
        """Note how far each series is known, once, before anything is done."""
        for series, held in self.coverage.items():
            span = answered(held).span
            if span is not None:
                self.known_until[series] = span.end

    def _since_known(self, series: Series, want: Wanted) -> Wanted:
        """From the slots that may still change on; all of it where nothing is known."""
        until = self.known_until.get(series)
        if until is None or want.range is None:
            return want
        width = series.interval.delta
        start = max(want.range.start, min(until, want.range.end) - PROVISIONAL_SLOTS * width)
        return replace(want, range=TimeRange(min(start, want.range.end - width), want.range.end), from_first=False)


def _cut(wanted: TimeRange | None, until: datetime | None, interval: Interval) -> TimeRange | None:
    """The slots of `wanted` that had closed by `until`."""
    if wanted is None or until is None:
        return None
    return TimeRange.maybe(wanted.start, min(wanted.end, interval.floor(until)))
