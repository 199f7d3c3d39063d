"""The audit against the ledger: what it confirms, what it blames, and that it does nothing twice."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import numpy as np
import polars as pl
import pytest
from django.db import transaction
from pytest_django import DjangoAssertNumQueries

from chandlery.candles.evidence import Evidence, Origin, Source
from chandlery.candles.interval import EPOCH, Interval
from chandlery.candles.ledger import DAY, WEEK, Figures
from chandlery.candles.resample import resample
from chandlery.candles.series import Series
from chandlery.candles.timerange import RangeSet, TimeRange
from chandlery.candles.verdict import judge
from chandlery.models import (
    AuditedWeeks,
    DataCoverageRange,
    FindingKind,
    FindingState,
    Ledger,
    Market,
    QualityFinding,
)
from chandlery.pipeline.answers import Stored
from chandlery.pipeline.ask import Asked
from chandlery.pipeline.edge import Ask
from chandlery.pipeline.knowledge import MarketFacts, know
from chandlery.pipeline.ledger_audit import Audited, LedgerAudit, first_week, ledger_due
from chandlery.pipeline.ledger_findings import Part
from chandlery.pipeline.record import record_answers, record_asked
from chandlery.pipeline.weekly_sums import SumTask, sum_candles
from chandlery.stores import open_store
from chandlery.stores.base import CandleStore, Written
from tests.candles.builders import at, candles_at
from tests.databases import HOLDING
from tests.factories import IngestionJobFactory, MarketFactory

pytestmark = pytest.mark.django_db

#: A Thursday.
START = at("2024-01-04")
FIRST = 2818
NOW = at("2024-06-01")
CSV, PROVEN = Evidence(Source.CSV), Evidence(Source.TRADES, proven=True)
SHORT, SYSTEMATIC = FindingKind.LEDGER_SHORT, FindingKind.LEDGER_SYSTEMATIC
DISAGREES = FindingKind.LEDGER_DISAGREES
URL = "parquet:candles"


def week(number: int, count: int = 1) -> TimeRange:
    return TimeRange(START + number * WEEK, START + (number + count) * WEEK)


def day(number: int) -> TimeRange:
    """Counted from START on."""
    return TimeRange(START + number * DAY, START + (number + 1) * DAY)


def minutes_of(weeks: int, seed: int = 1) -> pl.DataFrame:
    """Candles of about every tenth minute, with some trades each, over so many weeks."""
    chance = Random(seed)
    chosen = sorted(chance.sample(range(weeks * 10_080), weeks * 1_000))
    frame = candles_at(*(START + timedelta(minutes=minute) for minute in chosen))
    trades = [chance.randrange(1, 6) for _ in chosen]
    return frame.with_columns(pl.Series("trades", trades), pl.Series("volume", [count * 0.125 for count in trades]))


def counted(minutes: pl.DataFrame, width: timedelta, within: TimeRange) -> Figures:
    """What the exchange itself counts."""
    first, count = (within.start - EPOCH) // width, within.length // width
    trades, volume = np.zeros(count, dtype=np.int64), np.zeros(count)
    for opens, made, moved in minutes.select("timestamp", "trades", "volume").iter_rows():
        trades[(opens - EPOCH) // width - first] += made
        volume[(opens - EPOCH) // width - first] += moved
    return Figures(first, trades, volume, width)


@dataclass
class World:
    """One market, what truly happened, and the state that tells of it. `read` are the tasks of the last audit."""

    home: Path
    market: Market
    truth: pl.DataFrame
    weeks: int
    read: list[SumTask] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    @property
    def store(self) -> CandleStore:
        return open_store(URL, self.home)

    @property
    def facts(self) -> dict[str, MarketFacts]:
        return know([self.market], self.store, NOW)

    @property
    def span(self) -> TimeRange:
        return week(0, self.weeks)

    def told(self, *, less: int = 0) -> None:
        """The exchange tells its weeks; `less`: of the first, so many trades more than there were."""
        figures = counted(self.truth, WEEK, self.span)
        figures.trades[0] += less
        Ledger.objects.put(self.market, figures, reaches_first=True, asked_at=NOW)

    def keep(
        self,
        interval: Interval,
        *lost: TimeRange,
        kind: Evidence = CSV,
        within: TimeRange | None = None,
        extra: Iterable[datetime] = (),
    ) -> None:
        """Store and record the true candles of a range at a width, but those of the minutes that are `lost`."""
        within = within or self.span
        minutes = pl.concat([self.truth, candles_at(*extra)]).sort("timestamp")
        held = minutes.filter(pl.col("timestamp").is_between(within.start, within.end, closed="left"))
        for one in lost:
            held = held.filter(~pl.col("timestamp").is_between(one.start, one.end, closed="left"))
        candles = resample(held, interval) if interval > Interval.M1 else held
        series = Series(self.market.exchange, self.market.altname, interval)
        written = self.store.write(series, candles, Origin(kind.source, kind.derived))
        opens = [moment.replace(tzinfo=UTC) for moment in candles["timestamp"].to_list()] or [None]
        with transaction.atomic():
            answers = {kind: RangeSet([within])}
            record_answers(self.market, interval, answers, written, self.store, NOW, opens[0], opens[-1])

    def audit(self, *, daily: bool = False, counts: int | None = None) -> Audited:
        """One audit from beginning to end; `daily`: the exchange tells its days when asked."""
        self.read = []
        audit = LedgerAudit.of(self.facts, URL, self.home, NOW, transaction.atomic)
        audit.take_counts(map(sum_candles, self._noted(audit.counts_due()[:counts])))
        audit.judge()
        self.asked = audit.days_wanted()
        days = {name: counted(self.truth, DAY, self.span) for name in self.asked} if daily else {}
        return audit.settle(map(sum_candles, self._noted(audit.pieces_due(days))))

    def _noted(self, tasks: list[SumTask]) -> list[SumTask]:
        self.read += tasks
        return tasks


def world_of(tmp_path: Path, weeks: int = 5, name: str = "XBTUSD") -> World:
    open_store(URL, tmp_path).create()
    market = MarketFactory.create(base__ticker=name[:3], altname=name, first_trade=START)
    world = World(tmp_path, market, minutes_of(weeks, seed=len(name)), weeks)
    world.told()
    return world


@pytest.fixture
def world(tmp_path: Path) -> World:
    return world_of(tmp_path)


def findings() -> dict[tuple[int, FindingKind], RangeSet]:
    """What is OPEN: the ranges by width and kind."""
    found: dict[tuple[int, FindingKind], RangeSet] = {}
    for row in QualityFinding.objects.filter(state=FindingState.OPEN):
        key = (row.interval_minutes, FindingKind(row.kind))
        found[key] = found.get(key, RangeSet()) | RangeSet([row.range])
    return found


def state() -> list[Mapping[str, object]]:
    return [*AuditedWeeks.objects.values(), *QualityFinding.objects.values()]


def test_a_whole_history_is_confirmed_at_every_width(world: World) -> None:
    for interval in Interval:
        world.keep(interval)
    audited = world.audit()
    assert (audited.weeks, audited.confirmed, audited.short) == (40, 40, ())
    facts = world.facts["XBTUSD"]
    assert all(known.confirmed == RangeSet([world.span]) for known in facts.series.values())
    tally = judge(facts.series[Interval.M1], world.span).tally
    assert (tally.quiet_claimed, tally.quiet_confirmed) == (0, 5 * 10_080 - 5_000)
    assert not findings()


def test_a_second_audit_reads_no_candle_and_writes_no_row(
    world: World, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for interval in (Interval.M1, Interval.M60, Interval.M1440):
        world.keep(interval, day(9))
    first, before = world.audit(daily=True), state()
    # Four for what is known, four of the audit, and the bounds of its transaction.
    with django_assert_num_queries(10 + HOLDING):
        again = world.audit(daily=True)
    assert (world.read, world.asked, again.short) == ([], [], first.short)
    assert state() == before


def test_the_number_of_queries_does_not_grow_with_the_markets(
    tmp_path: Path, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    worlds = [world_of(tmp_path, 1, name) for name in ("XBTUSD", "ETHUSD", "ADAUSD")]
    for world in worlds:
        world.keep(Interval.M60)
        world.audit()
    for some in (worlds[:1], worlds):
        with django_assert_num_queries(9):
            facts = know([world.market for world in some], some[0].store, NOW)
            audit = LedgerAudit.of(facts, URL, tmp_path, NOW, transaction.atomic)
            assert not audit.counts_due()
            audit.judge()
            audited = audit.settle()
        assert audited.confirmed == len(some)


def test_only_weeks_that_are_fully_covered_are_counted(world: World) -> None:
    world.keep(Interval.M60, within=TimeRange(START + timedelta(hours=1), week(0, 3).end - timedelta(hours=1)))
    audited = world.audit()
    assert [task.ranges for task in world.read] == [(week(1),)]
    assert (audited.weeks, audited.confirmed) == (1, 1)


def test_what_came_before_the_first_trade_need_not_be_covered(world: World) -> None:
    listed = START + timedelta(days=2, hours=5, minutes=17)
    world.truth = world.truth.filter(pl.col("timestamp") >= listed)
    Ledger.objects.all().delete()
    world.told()
    Market.objects.update(first_trade=listed)
    world.market.refresh_from_db()
    world.keep(Interval.M60, within=TimeRange(START + timedelta(days=2, hours=5), week(0).end))
    assert world.audit().confirmed == 1


def test_a_market_without_a_ledger_is_not_counted(world: World) -> None:
    Ledger.objects.all().delete()
    world.keep(Interval.M60)
    assert world.audit().weeks == 0
    assert world.read == []


def test_weeks_that_changed_are_counted_anew_and_no_others(world: World) -> None:
    world.keep(Interval.M60)
    world.audit()
    world.keep(Interval.M60, within=week(3))
    assert world.facts["XBTUSD"].series[Interval.M60].confirmed == RangeSet([week(0, 3), week(4)])
    assert world.audit().confirmed == 5
    assert [task.ranges for task in world.read] == [(week(3),)]


@pytest.mark.parametrize(("changed", "left"), [(None, 5), (week(4), 4)])
def test_an_answer_of_the_api_outdates_the_weeks_it_changed(world: World, changed: TimeRange | None, left: int) -> None:
    world.keep(Interval.M60)
    world.audit()
    series = Series("kraken", "XBTUSD", Interval.M60)
    span = week(2, 3)
    answers = {Evidence(Source.API): RangeSet([span])}
    last = span.end - timedelta(hours=1)
    asked = Asked(Ask(series, RangeSet([span])), answers, Stored(Written(unchanged=500), changed), span.start, last)
    record_asked(asked, IngestionJobFactory.create(), world.facts["XBTUSD"], world.store, NOW)
    assert AuditedWeeks.objects.get().confirmed_weeks == left


def test_a_week_that_the_ledger_counts_otherwise_by_now_is_judged_without_reading(world: World) -> None:
    world.keep(Interval.M60)
    world.audit()
    world.told(less=2)
    audited = world.audit()
    assert world.read == []
    assert [(short.range, short.shortfall.stored - short.shortfall.ledger) for short in audited.short] == [
        (week(0), -2)
    ]


def test_a_day_lost_at_every_width_is_blamed_by_the_daily_figures(world: World) -> None:
    for interval in Interval:
        world.keep(interval, day(9))
    audited = world.audit(daily=True)
    assert world.asked == ["XBTUSD"]
    assert findings() == {(int(interval), SHORT): RangeSet([day(9)]) for interval in Interval}
    assert {short.part for short in audited.short} == {Part.SINGLE}
    facts = world.facts["XBTUSD"]
    assert all(known.suspected == RangeSet([day(9)]) for known in facts.series.values())
    assert judge(facts.series[Interval.M1440], world.span).tally.suspect == 1


def test_a_slot_lost_at_one_width_is_blamed_by_a_finer_series(world: World) -> None:
    lost = TimeRange(day(9).start + timedelta(hours=8), day(9).start + timedelta(hours=12))
    for interval in (Interval.M15, Interval.M60):
        world.keep(interval)
    world.keep(Interval.M240, lost)
    [short] = world.audit().short
    assert (world.asked, short.sibling) == ([], Series("kraken", "XBTUSD", Interval.M15))
    assert findings() == {(240, SHORT): RangeSet([lost])}


def test_minutes_that_are_lost_are_blamed_by_a_coarser_series(world: World) -> None:
    minutes = TimeRange(day(9).start + timedelta(minutes=30), day(9).start + timedelta(minutes=90))
    world.keep(Interval.M1, minutes)
    world.keep(Interval.M60)
    world.audit()
    assert findings() == {(1, SHORT): RangeSet([TimeRange(day(9).start, day(9).start + timedelta(hours=2))])}


def test_without_anything_finer_the_whole_week_is_blamed(world: World) -> None:
    world.keep(Interval.M60, day(9))
    world.audit()
    assert findings() == {(60, SHORT): RangeSet([week(1)])}


def test_days_are_asked_for_again_until_they_were_told(world: World) -> None:
    world.keep(Interval.M60, day(9))
    world.audit()
    world.audit(daily=True)
    assert findings() == {(60, SHORT): RangeSet([day(9)])}
    world.audit(daily=True)
    assert (world.asked, world.read) == ([], [])


def test_days_beyond_the_window_are_not_asked_for(tmp_path: Path, world: World) -> None:
    world.keep(Interval.M60, day(9))
    late = START + timedelta(days=7 + 721)
    audit = LedgerAudit.of(world.facts, URL, tmp_path, late, transaction.atomic)
    audit.take_counts(map(sum_candles, audit.counts_due()))
    audit.judge()
    assert len(audit.short) == 1
    assert audit.days_wanted() == []


def test_what_was_lost_and_is_mended_is_resolved(world: World) -> None:
    world.keep(Interval.M60, day(9))
    world.audit(daily=True)
    world.keep(Interval.M60, kind=PROVEN, within=day(9))
    assert world.facts["XBTUSD"].series[Interval.M60].suspected == RangeSet()
    assert world.audit().confirmed == 5
    assert [task.ranges for task in world.read] == [(week(1),)]
    assert [(row.state, row.resolved_at) for row in QualityFinding.objects.all()] == [(FindingState.RESOLVED, NOW)]


def test_what_trades_have_proven_and_the_ledger_still_counts_more_of_contradicts_nothing(world: World) -> None:
    world.told(less=7)
    world.keep(Interval.M60)
    world.audit()
    assert findings() == {(60, SHORT): RangeSet([week(0)])}
    world.keep(Interval.M60, kind=PROVEN, within=week(0))
    world.audit(daily=True)
    assert findings() == {(60, DISAGREES): RangeSet([week(0)])}
    assert not world.facts["XBTUSD"].series[Interval.M60].suspected
    before = state()
    world.audit(daily=True)
    assert (world.asked, world.read, state()) == ([], [], before)


def test_a_week_walked_in_part_is_left_to_be_walked_in_the_rest(world: World) -> None:
    world.keep(Interval.M60, day(9))
    world.audit()
    world.keep(Interval.M60, day(9), kind=PROVEN, within=TimeRange(day(7).start, day(9).end))
    world.audit()
    assert findings() == {(60, SHORT): RangeSet([TimeRange(day(10).start, week(1).end)])}


def test_a_day_that_was_walked_is_not_blamed_for_another_that_is_still_short(world: World) -> None:
    world.keep(Interval.M60, day(9), day(11))
    world.audit(daily=True)
    assert findings() == {(60, SHORT): RangeSet([day(9), day(11)])}
    world.keep(Interval.M60, kind=PROVEN, within=day(9))
    world.audit(daily=True)
    assert findings() == {(60, SHORT): RangeSet([day(11)])}


def test_findings_of_a_week_that_cannot_be_judged_now_stay(world: World) -> None:
    world.keep(Interval.M60, day(9))
    world.audit(daily=True)
    before = list(QualityFinding.objects.values())
    coverage = DataCoverageRange.objects.get()
    coverage.end_date = day(10).start
    coverage.save()
    assert world.audit().short == ()
    assert list(QualityFinding.objects.values()) == before


def test_more_trades_and_other_volumes_are_findings_that_contradict_nothing(world: World) -> None:
    quiet = next(
        minute
        for minute in (day(9).start + timedelta(minutes=n) for n in range(1440))
        if minute not in world.truth["timestamp"].to_list()
    )
    world.truth = world.truth.with_columns(
        pl.when(pl.col("timestamp") < week(0).end).then(pl.col("volume") * 1.01).otherwise(pl.col("volume"))
    )
    world.keep(Interval.M60, extra=[quiet])
    world.audit()
    assert findings() == {
        (60, FindingKind.LEDGER_VOLUME): RangeSet([week(0)]),
        (60, FindingKind.LEDGER_EXCESS): RangeSet([week(1)]),
    }
    assert not world.facts["XBTUSD"].series[Interval.M60].suspected


def test_weeks_alike_in_a_row_are_one_finding(world: World) -> None:
    quarter = Figures(FIRST, counted(world.truth, WEEK, world.span).trades - 1, np.ones(5))
    Ledger.objects.put(world.market, quarter, reaches_first=True, asked_at=NOW)
    world.keep(Interval.M60)
    world.audit()
    row = QualityFinding.objects.get()
    assert (row.kind, row.range, row.evidence["weeks"]) == (FindingKind.LEDGER_EXCESS, world.span, 5)
    assert row.evidence["stored_trades"] - row.evidence["ledger_trades"] == 5


#: A day lost in each of four weeks, the last of which has the fewest trades.
LOST = [day(2), day(9), day(16), day(23)]


@pytest.fixture
def losing(world: World) -> World:
    world.truth = world.truth.filter((pl.col("timestamp") < week(3).start) | (pl.col("trades") > 2))
    world.told()
    return world


def test_where_many_weeks_fall_short_one_is_walked_and_no_more(losing: World) -> None:
    losing.keep(Interval.M60, *LOST)
    audited = losing.audit(daily=True)
    assert [short.part for short in audited.short] == [Part.SYSTEMATIC] * 3 + [Part.SAMPLE]
    assert findings() == {(60, SHORT): RangeSet([day(23)]), (60, SYSTEMATIC): RangeSet([week(0, 3)])}
    assert losing.facts["XBTUSD"].series[Interval.M60].suspected == RangeSet([week(0, 3), day(23)])
    before = state()
    losing.audit(daily=True)
    assert (losing.asked, losing.read, state()) == ([], [], before)


def test_once_the_one_is_mended_no_other_takes_its_place(losing: World) -> None:
    losing.keep(Interval.M60, *LOST)
    losing.audit(daily=True)
    losing.keep(Interval.M60, kind=PROVEN, within=day(23))
    for _ in range(2):
        losing.audit(daily=True)
        assert findings() == {(60, SYSTEMATIC): RangeSet([week(0, 3)])}


def test_where_the_one_was_walked_in_vain_the_ledger_disagrees_with_all(losing: World) -> None:
    losing.keep(Interval.M60, *LOST)
    losing.audit(daily=True)
    losing.keep(Interval.M60, *LOST, kind=PROVEN, within=day(23))
    for _ in range(2):
        losing.audit(daily=True)
        assert findings() == {(60, DISAGREES): RangeSet([week(0, 3), day(23)])}
        assert not losing.facts["XBTUSD"].series[Interval.M60].suspected


def test_many_weeks_that_finer_candles_can_mend_are_not_systematic(losing: World) -> None:
    losing.keep(Interval.M60)
    losing.keep(Interval.M1440, *LOST)
    assert {short.part for short in losing.audit().short} == {Part.SINGLE}
    assert findings() == {(1440, SHORT): RangeSet(LOST)}


def test_an_audit_that_was_cut_short_goes_on_where_it_was(world: World) -> None:
    world.keep(Interval.M60)
    world.keep(Interval.M1440)
    assert world.audit(counts=1).weeks == 5
    assert world.audit().weeks == 10
    assert [task.series.interval for task in world.read] == [Interval.M1440]


def test_the_ledger_is_due_once_a_week(world: World) -> None:
    ledger = Ledger(market=world.market, asked_at=at("2024-01-04 03:00"))
    assert ledger_due(None, NOW)
    assert not ledger_due(ledger, at("2024-01-10 23:59"))
    assert not ledger_due(ledger, at("2024-01-11 00:30"))
    assert ledger_due(ledger, at("2024-01-11 01:00"))


def test_a_ledger_asked_just_as_a_week_closed_is_due_again_when_it_has_settled(world: World) -> None:
    ledger = Ledger(market=world.market, asked_at=at("2024-01-11 00:10"))
    assert ledger_due(ledger, at("2024-01-11 01:10"))


def test_the_first_week_is_that_with_the_first_trades(world: World) -> None:
    assert first_week(Ledger.objects.get()) == START
    assert first_week(None) is None


def test_candles_are_added_up_in_steps_as_at_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.keep(Interval.M1)
    series = Series("kraken", "XBTUSD", Interval.M1)
    task = SumTask(series, (week(0, 2), week(3, 2)), URL, world.home)
    whole = sum_candles(task).parts
    monkeypatch.setattr("chandlery.pipeline.weekly_sums.STEP_SLOTS", 10_000)
    for part, again in zip(whole, sum_candles(task).parts, strict=True):
        truth = counted(world.truth, WEEK, world.span).over(part.first, len(part))
        assert part.trades.tolist() == again.trades.tolist() == truth.trades.tolist()
        assert part.volume.tolist() == again.volume.tolist() == truth.volume.tolist()


def test_a_series_without_a_candle_adds_up_to_nothing(world: World) -> None:
    task = SumTask(Series("kraken", "XBTUSD", Interval.M5), (week(0, 2),), URL, world.home)
    assert sum_candles(task).parts[0].trades.tolist() == [0, 0]
