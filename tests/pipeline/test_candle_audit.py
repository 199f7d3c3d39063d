"""The audit of stored candles against state: what is looked at again, and what is on record then."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
from django.db import transaction

from chandlery.candles.evidence import Source
from chandlery.candles.interval import EPOCH, Interval
from chandlery.candles.ledger import WEEK, Figures, WeekVerdict
from chandlery.candles.timerange import RangeSet, TimeRange
from chandlery.models import (
    AuditedWeeks,
    CandleAudit,
    DataCoverageRange,
    FindingKind,
    FindingState,
    Market,
    Outage,
    QualityFinding,
)
from chandlery.pipeline import steps
from chandlery.pipeline.audit_plan import AuditPlan, plan_audit
from chandlery.pipeline.audit_task import AuditResult, audit_market
from chandlery.pipeline.binding import checked_store
from chandlery.pipeline.candle_audit import AuditedCandles, settle
from chandlery.pipeline.candle_audit_step import look_through, told
from chandlery.pipeline.events import AuditStarted, CandlesAudited, Event, MarketAudited
from chandlery.pipeline.knowledge import MarketFacts, know
from chandlery.pipeline.request import Selection, Surroundings
from chandlery.sandbox.archives import write_archive
from chandlery.sandbox.defects import Defect, MissingDay, MissingSlots, Spike
from chandlery.sandbox.editions import Edition
from chandlery.sandbox.exchange import SandboxExchange
from chandlery.stores.base import CandleStore
from tests.acceptance.in_process import InlineExecutor, Runs, forgotten
from tests.acceptance.walked import market
from tests.candles.builders import at, between
from tests.factories import DataCoverageRangeFactory

pytestmark = pytest.mark.django_db

HOURS, DAYS = BOTH = Interval.M60, Interval.M1440
#: Busy enough to be missed, and over three bases.
CAST = tuple(
    replace(market(name, "2024-01-20 10:07", share), depth=3.0, decimals=4)
    for name, share in (("XBTUSD", 0.95), ("ETHUSD", 0.93), ("XBTEUR", 0.92), ("SOLUSD", 0.9))
)
EXCHANGE = SandboxExchange(cast=CAST, outages=())
NAMES = tuple(sorted(EXCHANGE.names))
NOW = at("2024-09-01")
LOST_DAY = between("2024-02-14", "2024-02-15")
NIGHT = between("2024-02-20 21:00", "2024-02-21 03:00")
#: Far from all of these.
SPRING = between("2024-03-20", "2024-03-25")

LACKS_A_DAY = MissingDay(date(2024, 2, 14), "XBTUSD", DAYS)
HAS_A_SPIKE = Spike(at("2024-03-05 12:00"), 3.0, "SOLUSD")
#: An exchange that stood still for a night, whose archive has lost more than that.
STOOD_STILL = replace(EXCHANGE, outages=(NIGHT,))
DEFECTS = (LACKS_A_DAY, HAS_A_SPIKE, MissingDay(date(2024, 3, 12), "ETHUSD"))


def silent(*names: str, within: TimeRange = NIGHT) -> tuple[Defect, ...]:
    """An archive that lacks this time of these markets."""
    return tuple(MissingSlots(within, name) for name in names)


@dataclass
class Shelf:
    """Archives, each written once."""

    folder: Path
    written: dict[object, Path] = field(default_factory=dict)

    def archive(
        self,
        *defects: Defect,
        markets: tuple[str, ...] | None = None,
        intervals: tuple[Interval, ...] = (HOURS,),
        exchange: SandboxExchange = EXCHANGE,
        quarter: str = "",
    ) -> Path:
        """A complete release of the first quarter, or one `quarter`."""
        key = (defects, markets, intervals, exchange.outages, quarter)
        if key not in self.written:
            facts = {"markets": markets, "intervals": intervals, "defects": defects}
            edition = Edition.quarterly(quarter, **facts) if quarter else Edition.complete("2024Q1", **facts)
            self.written[key] = write_archive(exchange, edition, self.folder / str(len(self.written))).path
        return self.written[key]


@dataclass
class World:
    """A lake, and the archives that it is made of."""

    home: Path
    shelf: Shelf
    end: str = "2024-04-01"

    @property
    def runs(self) -> Runs:
        return Runs(self.home, Selection((HOURS, DAYS), markets=NAMES, end=at(self.end)), NOW)

    def ingest(self, *archives: Path) -> list[Event]:
        """Without a fill: what an audit finds stays as it is."""
        return self.runs.told(*archives, auto_gap_fill=False)

    @property
    def around(self) -> Surroundings:
        return Surroundings(f"parquet:{self.runs.lake.name}", self.home, lambda: NOW)

    @property
    def store(self) -> CandleStore:
        return checked_store(self.around.store_url, self.home)

    def know(self, markets: Iterable[Market]) -> Mapping[str, MarketFacts]:
        return know(markets, self.store, NOW)

    def plan(self, *names: str, anew: bool = False) -> AuditPlan:
        """An audit of these markets, or of all of them."""
        return plan_audit(markets_named(*names), self.know, self.around.store_url, self.home, anew=anew)

    def settle(self, planned: AuditPlan, results: Iterable[AuditResult]) -> AuditedCandles:
        return settle(planned, list(results), self.store, self.know, NOW, transaction.atomic)

    def audit(self, *, anew: bool = False) -> AuditedCandles:
        planned = self.plan(anew=anew)
        return self.settle(planned, map(audit_market, planned.tasks))

    def look_through(self, should_stop: Callable[[], bool]) -> Iterator[Event]:
        """The step, one market after the other."""
        return look_through(
            markets_named(), self.know, self.store, self.around, InlineExecutor(), 1, transaction.atomic, should_stop
        )


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    return Shelf(tmp_path_factory.mktemp("archives"))


@pytest.fixture
def world(tmp_path: Path, shelf: Shelf) -> World:
    return World(tmp_path, shelf)


def markets_named(*names: str) -> list[Market]:
    """All of them, where none is named."""
    return list(Market.objects.filter(altname__in=names or NAMES).select_related("base", "quote").order_by("altname"))


def outdate(name: str, *ranges: TimeRange) -> None:
    """As whoever writes candles of it."""
    CandleAudit.objects.outdate(Market.objects.get(altname=name), RangeSet(ranges))


def due() -> set[str]:
    """Markets of which anything is to be audited."""
    return {row.market.altname for row in CandleAudit.objects.select_related("market") if row.is_due}


def planned_for(planned: AuditPlan) -> list[str]:
    return [task.market for task in planned.tasks]


Row = tuple[str, int, str, TimeRange, str]


def findings() -> list[Row]:
    """(market, minutes, kind, range, state) of all."""
    rows = QualityFinding.objects.select_related("market").order_by("market__altname", "interval_minutes", "start")
    return [(row.market.altname, row.interval_minutes, row.kind, row.range, row.state) for row in rows]


def open_findings() -> list[tuple[str, int, str]]:
    return [(name, minutes, kind) for name, minutes, kind, _, state in findings() if state == FindingState.OPEN]


def record() -> list[object]:
    """All that audits have on record of what is so now, but for keys and times."""
    told = ("market__altname", "interval_minutes", "start", "kind", "end", "severity", "derivable", "state", "evidence")
    rows = QualityFinding.objects.exclude(state=FindingState.RESOLVED).order_by(*told[:4])
    outages = Outage.objects.order_by("start").values_list("start", "end", "markets", "weak", "evidence")
    return [*rows.values_list(*told), *outages]


# ----------------------------------------------------------------------------------------------------- what is planned


def test_of_a_new_market_all_is_looked_at(world: World) -> None:
    events = world.ingest(world.shelf.archive(HAS_A_SPIKE))

    assert [event.markets for event in events if isinstance(event, AuditStarted)] == [4]
    assert due() == set()
    assert ("SOLUSD", 60, "PRICE_SPIKE") in open_findings()


def test_where_nothing_has_changed_nothing_is_looked_at(world: World) -> None:
    world.ingest(world.shelf.archive(LACKS_A_DAY, intervals=BOTH))

    assert world.plan().tasks == ()


def test_where_nothing_has_changed_the_step_says_nothing(world: World) -> None:
    world.ingest(world.shelf.archive())

    assert list(world.look_through(lambda: False)) == []


def test_only_the_market_that_changed_is_looked_at(world: World) -> None:
    world.ingest(world.shelf.archive())
    outdate("ETHUSD", LOST_DAY)

    assert planned_for(world.plan()) == ["ETHUSD"]


def test_intervals_are_held_against_each_other_on_the_days_around_a_change(world: World) -> None:
    world.ingest(world.shelf.archive())
    outdate("ETHUSD", between("2024-02-14 09:00", "2024-02-14 10:00"))

    [task] = world.plan().tasks

    assert task.days == RangeSet([between("2024-02-13", "2024-02-16")])


def test_rows_are_judged_as_far_as_what_changed_tells_what_is_usual(world: World) -> None:
    world.ingest(world.shelf.archive())
    outdate("ETHUSD", LOST_DAY)

    [task] = world.plan().tasks

    rows = task.series[HOURS].rows.span
    assert rows is not None
    assert rows.contains(between("2024-02-06", "2024-02-23"))
    assert not rows.overlaps(between("2024-03-01", "2024-04-01"))


def test_what_is_not_stored_of_a_market_is_not_audited(world: World) -> None:
    world.ingest(world.shelf.archive())

    [task, *_] = world.plan(anew=True).tasks

    assert set(task.series) == {HOURS}


def test_anew_all_markets_asked_for_are_looked_at_changed_or_not(world: World) -> None:
    world.ingest(world.shelf.archive())

    assert planned_for(world.plan("XBTUSD", "SOLUSD", anew=True)) == ["SOLUSD", "XBTUSD"]


def test_for_no_market_nothing_is_planned(world: World) -> None:
    assert plan_audit([], world.know, world.around.store_url, world.home).tasks == ()


# ------------------------------------------------------------------------------------------------------------- outages


def test_a_silence_of_all_markets_is_one_outage_and_no_finding(world: World) -> None:
    world.ingest(world.shelf.archive(*silent(*NAMES)))

    [outage] = Outage.objects.all()
    assert (outage.range, tuple(outage.markets), outage.weak) == (NIGHT, NAMES, False)
    assert findings() == []


def test_an_outage_is_looked_at_again_when_one_of_its_witnesses_changes(world: World) -> None:
    world.ingest(world.shelf.archive(*silent(*NAMES)))
    outdate("ETHUSD", NIGHT)

    planned = world.plan("ETHUSD")

    assert [outage.range for outage in planned.outages] == [NIGHT]
    assert planned_for(planned) == list(NAMES)


def test_of_its_other_markets_no_more_than_the_outage_is_looked_at(world: World) -> None:
    world.ingest(world.shelf.archive(*silent(*NAMES)))
    outdate("ETHUSD", NIGHT, SPRING)

    days = {task.market: task.days for task in world.plan().tasks}

    assert days["SOLUSD"] == RangeSet([NIGHT]).widened(timedelta(days=1)).aligned_outwards(DAYS)
    assert days["ETHUSD"].covers(SPRING)


def test_an_outage_long_before_what_changed_is_left_alone(world: World) -> None:
    world.ingest(world.shelf.archive(*silent(*NAMES)))
    outdate("ETHUSD", SPRING)

    planned = world.plan()

    assert (planned.outages, planned_for(planned)) == ((), ["ETHUSD"])


def test_looked_at_again_an_outage_that_is_as_it_was_keeps_its_row(world: World) -> None:
    world.ingest(world.shelf.archive(*silent(*NAMES)))
    before = list(Outage.objects.values())
    outdate("ETHUSD", NIGHT)

    assert world.audit().outages_changed == 0
    assert list(Outage.objects.values()) == before


def test_what_lies_near_an_outage_that_is_not_looked_at_again_is_still_explained_by_it(world: World) -> None:
    world.ingest(world.shelf.archive(*silent(*NAMES)))
    before = record()
    # Far enough away for the outage to stay as it is, near enough for the silence to be judged anew.
    outdate("ETHUSD", between("2024-02-24", "2024-02-25"))

    planned = world.plan()
    audited = world.settle(planned, map(audit_market, planned.tasks))

    assert planned.outages == ()
    assert (audited.changed.opened, record()) == (0, before)


def test_a_silence_on_record_is_judged_anew_when_a_witness_changes(world: World) -> None:
    world.ingest(world.shelf.archive(*silent("XBTUSD")))
    assert ("XBTUSD", 60, "IMPROBABLE_SILENCE") in open_findings()
    outdate("ETHUSD", NIGHT)

    assert planned_for(world.plan("ETHUSD")) == ["ETHUSD", "XBTUSD"]


def test_fresh_archives_that_bring_what_was_lost_leave_no_outage(world: World) -> None:
    """Three of four markets traded: what the fourth lacks is lost."""
    lame = world.shelf.archive(*silent(*NAMES))
    world.ingest(lame)
    [outage] = Outage.objects.all()
    assert outage.range == NIGHT

    world.ingest(lame, world.shelf.archive(*silent("XBTUSD")))

    assert list(Outage.objects.all()) == []
    assert findings() == [("XBTUSD", 60, "IMPROBABLE_SILENCE", NIGHT, FindingState.OPEN)]


def test_an_outage_becomes_as_short_as_what_a_fresh_archive_leaves_of_it(world: World) -> None:
    lame = world.shelf.archive(*silent(*NAMES))
    world.ingest(lame)
    number = Outage.objects.get().pk
    rest = between("2024-02-20 21:00", "2024-02-21 00:00")

    world.ingest(lame, world.shelf.archive(*silent(*NAMES, within=rest)))

    outage = Outage.objects.get()
    assert (outage.pk, outage.range) == (number, rest)


# ------------------------------------------------------------------------------------------------------------ findings


def test_a_finding_is_resolved_when_a_fresh_archive_brings_what_was_lost(world: World) -> None:
    lame = world.shelf.archive(*silent("XBTUSD"))
    world.ingest(lame)
    assert open_findings() == [("XBTUSD", 60, "IMPROBABLE_SILENCE")]

    world.ingest(lame, world.shelf.archive())

    assert findings() == [("XBTUSD", 60, "IMPROBABLE_SILENCE", NIGHT, FindingState.RESOLVED)]


def test_a_finding_that_trades_have_answered_meanwhile_is_looked_at_again_and_resolved(world: World) -> None:
    world.ingest(world.shelf.archive(LACKS_A_DAY, intervals=BOTH))
    assert open_findings() == [("XBTUSD", 1440, "INTERVALS_SHORT")]
    DataCoverageRangeFactory.create(
        market=Market.objects.get(altname="XBTUSD"),
        interval_minutes=1440,
        start_date=LOST_DAY.start,
        end_date=LOST_DAY.end,
        source=Source.TRADES,
        proven=True,
    )

    world.audit()

    assert findings() == [("XBTUSD", 1440, "INTERVALS_SHORT", LOST_DAY, FindingState.RESOLVED)]


def test_findings_far_from_what_changed_stay_as_they_are(world: World) -> None:
    world.ingest(world.shelf.archive(LACKS_A_DAY, HAS_A_SPIKE, intervals=BOTH))
    before = list(QualityFinding.objects.values())
    outdate("XBTUSD", SPRING)
    outdate("SOLUSD", SPRING)

    world.audit()

    assert list(QualityFinding.objects.values()) == before


def test_audited_anew_nothing_changes(world: World) -> None:
    world.ingest(world.shelf.archive(*DEFECTS, intervals=BOTH, exchange=STOOD_STILL))
    before = record()

    audited = world.audit(anew=True)

    assert (audited.changed.opened, audited.changed.updated, audited.changed.resolved) == (0, 0, 0)
    assert (audited.outages_changed, record()) == (0, before)


# ------------------------------------------------------------------------------------------------- written meanwhile


HalfWay = tuple[World, AuditPlan, list[AuditResult]]


@pytest.fixture
def half_way(world: World) -> HalfWay:
    """An audit of everything, of a lake that was never audited, before it is settled."""
    world.ingest(world.shelf.archive(LACKS_A_DAY, HAS_A_SPIKE, intervals=BOTH))
    QualityFinding.objects.all().delete()
    CandleAudit.objects.update(whole=True, audited_at=None)
    planned = world.plan()
    return world, planned, [audit_market(task) for task in planned.tasks]


def test_a_market_that_is_written_meanwhile_is_left(half_way: HalfWay) -> None:
    world, planned, results = half_way
    outdate("XBTUSD", LOST_DAY)

    audited = world.settle(planned, results)

    assert (audited.left, audited.markets, audited.series) == (("XBTUSD",), 3, 6)


def test_a_market_that_is_written_meanwhile_stays_due(half_way: HalfWay) -> None:
    world, planned, results = half_way
    outdate("XBTUSD", LOST_DAY)

    world.settle(planned, results)

    assert due() == {"XBTUSD"}


def test_of_a_market_that_is_written_meanwhile_nothing_is_recorded(
    half_way: HalfWay,
) -> None:
    world, planned, results = half_way
    outdate("XBTUSD", LOST_DAY)

    world.settle(planned, results)

    assert {name for name, _, _ in open_findings()} == {"SOLUSD"}


def test_the_next_audit_makes_up_for_what_was_left(half_way: HalfWay) -> None:
    world, planned, results = half_way
    outdate("XBTUSD", LOST_DAY)
    world.settle(planned, results)

    audited = world.audit()

    assert (audited.left, due()) == ((), set())
    assert ("XBTUSD", 1440, "INTERVALS_SHORT") in open_findings()


# ------------------------------------------------------------------------------------------------------------- stopped


def stopped_after(world: World, markets: int) -> list[Event]:
    """The step, stopped when so many markets were looked at."""
    events: list[Event] = []

    def should_stop() -> bool:
        return sum(isinstance(event, MarketAudited) for event in events) >= markets

    # One by one: what was told so far decides when it stops.
    for event in world.look_through(should_stop):
        events += [event]
    return events


def test_a_run_that_is_stopped_records_what_is_done(half_way: HalfWay) -> None:
    world, _, _ = half_way

    events = stopped_after(world, 1)

    # The second was in hand.
    assert [event.market for event in events if isinstance(event, MarketAudited)] == ["ETHUSD", "SOLUSD"]
    assert {name for name, _, _ in open_findings()} == {"SOLUSD"}


def test_of_a_run_that_is_stopped_the_rest_stays_due(half_way: HalfWay) -> None:
    world, _, _ = half_way

    stopped_after(world, 1)

    assert due() == {"XBTEUR", "XBTUSD"}


def test_a_run_that_is_stopped_tells_what_came_of_it(half_way: HalfWay) -> None:
    world, _, _ = half_way

    *_, last = stopped_after(world, 1)

    assert isinstance(last, CandlesAudited)
    assert (last.markets, last.series, last.opened, last.left) == (2, 4, 2, ())


def test_what_a_stopped_run_left_is_made_up_for_by_the_next(
    half_way: HalfWay,
) -> None:
    world, planned, results = half_way
    with forgotten():
        world.settle(planned, results)
        at_once = record()

    stopped_after(world, 1)
    world.audit()

    assert (due(), record()) == (set(), at_once)


# -------------------------------------------------------------------------------------------------------- in two steps


def recorded_at_once(world: World, *archives: Path) -> list[object]:
    """What one run over these archives has on record; it is forgotten, and its lake is gone."""
    with forgotten():
        world.ingest(*archives)
        found = record()
    shutil.rmtree(world.runs.lake)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("first", [("ETHUSD",), ("SOLUSD", "XBTEUR", "XBTUSD")], ids="+".join)
def test_markets_that_come_one_after_the_other_are_judged_as_if_all_came_at_once(
    world: World, first: tuple[str, ...]
) -> None:
    rest = tuple(name for name in NAMES if name not in first)
    early, late = (
        world.shelf.archive(
            *(one for one in DEFECTS if one.market in names), markets=names, intervals=BOTH, exchange=STOOD_STILL
        )
        for names in (first, rest)
    )
    at_once = recorded_at_once(world, early, late)

    world.ingest(early)
    world.ingest(early, late)

    assert [outage.markets for outage in Outage.objects.all()] == [list(NAMES)]
    assert record() == at_once


@pytest.mark.slow
def test_quarters_that_come_one_after_the_other_are_judged_as_if_both_came_at_once(world: World) -> None:
    world.end = "2024-07-01"
    between_both = between("2024-03-31 21:00", "2024-04-01 03:00")
    exchange = replace(EXCHANGE, outages=(between_both,))
    lost = silent("ETHUSD", within=between("2024-04-02", "2024-04-03"))
    first = world.shelf.archive(HAS_A_SPIKE, intervals=BOTH, exchange=exchange, quarter="2024Q1")
    second = world.shelf.archive(*lost, intervals=BOTH, exchange=exchange, quarter="2024Q2")
    at_once = recorded_at_once(world, first, second)

    world.ingest(first)
    world.ingest(first, second)

    assert [outage.range for outage in Outage.objects.all()] == [between_both]
    assert record() == at_once


# ------------------------------------------------------------------------------------------------------- what is told


def test_the_step_tells_how_many_then_each_market_then_what_came_of_it(half_way: HalfWay) -> None:
    world, _, _ = half_way

    first, *markets, last = world.look_through(lambda: False)

    assert first == AuditStarted(4)
    assert markets == [MarketAudited(name) for name in NAMES]
    assert isinstance(last, CandlesAudited)
    assert (last.markets, last.series) == (4, 8)


def test_suspect_findings_are_the_first_examples(half_way: HalfWay) -> None:
    world, planned, results = half_way

    event = told(world.settle(planned, results))

    assert event.opened == len(findings())
    assert event.suspect == sum(FindingKind(kind) is FindingKind.INTERVALS_SHORT for _, _, kind in open_findings())
    assert event.examples[0].startswith("XBTUSD 1440min, 2024-02-14: another interval counts more trades")
    assert event.examples[1].startswith("SOLUSD ")


# ------------------------------------------------------------------------------------------- what is on record already


def half_a_year(world: World) -> None:
    """One day of XBTUSD is lost at 1440 minutes; its hours are there."""
    world.end = "2024-07-01"
    first = world.shelf.archive(LACKS_A_DAY, intervals=BOTH, quarter="2024Q1")
    world.ingest(first, world.shelf.archive(intervals=BOTH, quarter="2024Q2"))


def test_a_day_that_is_named_already_is_no_silence_when_something_weeks_away_changes(world: World) -> None:
    half_a_year(world)
    before = findings()
    assert [row[:3] for row in before] == [("XBTUSD", 1440, "INTERVALS_SHORT")]
    outdate("XBTUSD", between("2024-03-20", "2024-03-21"))

    world.audit()

    assert findings() == before


def test_hours_that_traded_are_not_silent_because_a_day_is(world: World) -> None:
    half_a_year(world)
    QualityFinding.objects.all().delete()
    hours = DataCoverageRange.objects.filter(market__altname="XBTUSD", interval_minutes=60)
    hours.filter(start_date__lt=at("2024-02-14")).update(start_date=at("2024-02-14 12:00"))

    world.audit(anew=True)

    assert [row for row in findings() if row[1] == 60] == []


def test_an_outage_whose_audit_was_stopped_is_looked_at_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    lame, fresh = (world.shelf.archive(*silent(*names)) for names in (NAMES, ("XBTEUR", "XBTUSD")))
    with forgotten():
        world.ingest(lame)
        world.ingest(lame, fresh)
        at_once = record()
    shutil.rmtree(world.runs.lake)
    world.ingest(lame)
    with monkeypatch.context() as patched:
        # Stored, and not looked through yet.
        patched.setattr(steps, "audit_candles", lambda run: iter(()))
        world.ingest(lame, fresh)
    assert due() == {"ETHUSD", "SOLUSD"}

    stopped_after(world, 1)
    world.audit()

    assert at_once
    assert record() == at_once


def test_a_spike_in_a_confirmed_week_is_not_looked_at_again_in_every_run(world: World) -> None:
    world.ingest(world.shelf.archive(HAS_A_SPIKE))
    row = AuditedWeeks(market=Market.objects.get(altname="SOLUSD"), interval_minutes=60)
    confirmed = np.full(8, WeekVerdict.CONFIRMED, dtype=np.uint8)
    row.lay(Figures((at("2024-01-25") - EPOCH) // WEEK, np.full(8, 100), np.full(8, 1.0)), confirmed)
    row.save()

    world.audit()

    assert open_findings() == [("SOLUSD", 60, "PRICE_SPIKE")]
    assert planned_for(world.plan()) == []


def test_nothing_is_said_of_an_outage_whose_markets_were_all_left(world: World) -> None:
    world.ingest(world.shelf.archive(*silent(*NAMES)))
    Outage.objects.all().delete()
    planned = world.plan(anew=True)
    results = [audit_market(task) for task in planned.tasks]
    for name in NAMES:
        outdate(name, NIGHT)

    audited = world.settle(planned, results)

    assert audited.left == NAMES
    assert (audited.outages_changed, list(Outage.objects.all())) == (0, [])
