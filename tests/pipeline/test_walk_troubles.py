"""Walks in trouble: a clock that is off, trades that never go on, another run, a kill, requests that fail."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, timedelta
from pathlib import Path

import polars as pl
import pytest

from chandlery.candles.evidence import Source
from chandlery.candles.interval import Interval
from chandlery.candles.series import Series
from chandlery.candles.timerange import TimeRange
from chandlery.exchanges.kraken.api.trades import parse_trades
from chandlery.exchanges.kraken.walk import Walk, cursor_at
from chandlery.management.course import Walking
from chandlery.models import DataCoverageRange, FindingKind, IngestionJob, JobStatus, Market, QualityFinding
from chandlery.pipeline.events import Event, GapsFound, JobEnded, PagesKept, PageWalked, WalkDone, WalkStarted
from chandlery.pipeline.journal import Journal
from chandlery.pipeline.request import Selection
from chandlery.sandbox.archives import write_archive
from chandlery.sandbox.editions import Edition
from chandlery.sandbox.exchange import SandboxExchange
from tests.acceptance.in_process import lake_rows
from tests.acceptance.odd_world import TROUBLE, OddWorld, odd_world
from tests.acceptance.walked import market
from tests.candles.builders import at
from tests.sandbox.asked import ask

pytestmark = pytest.mark.django_db

EXCHANGE = SandboxExchange(
    cast=(market("XBTUSD", "2024-03-12 10:07", 0.3), market("ETHUSD", "2024-03-12 10:07", 0.3)), outages=()
)
#: The minutes since the archive's end are to be walked: some 8,000 trades, 9 pages a market.
NOW = at("2024-04-10 06:17")
HOLE = TimeRange(at("2024-04-01"), NOW)
MINUTES = Selection((Interval.M1,), markets=("XBTUSD",))
WIDTHS = Selection((Interval.M1, Interval.M60), markets=("XBTUSD", "ETHUSD"))


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All up to the end of March, by the minute."""
    folder = tmp_path_factory.mktemp("archive")
    write_archive(EXCHANGE, Edition.complete("2024Q1", intervals=(Interval.M1,)), folder)
    return folder


@pytest.fixture
def world(tmp_path: Path) -> Iterator[OddWorld]:
    with odd_world(EXCHANGE, NOW, tmp_path) as found:
        yield found


def stored(world: OddWorld, within: TimeRange, name: str = "XBTUSD", interval: Interval = Interval.M1) -> pl.DataFrame:
    rows = lake_rows(world.runs.lake, name, interval)
    start, end = (moment.replace(tzinfo=None) for moment in (within.start, within.end))
    return rows.filter(pl.col("timestamp").dt.replace_time_zone(None).is_between(start, end, closed="left"))


def check_stored(world: OddWorld, within: TimeRange, name: str = "XBTUSD", interval: Interval = Interval.M1) -> None:
    """Every slot as the exchange's trades make it."""
    truth = world.exchange.truth(Series("kraken", name, interval), within)
    found = stored(world, within, name, interval)
    for column in ("timestamp", "open", "high", "low", "close", "trades"):
        assert found[column].to_list() == truth[column].to_list(), (name, column)


def ended(told: list[Event]) -> JobEnded:
    assert isinstance(told[-1], JobEnded)
    return told[-1]


# ---------------------------------------------------------------------------------------------------------------- clock


def test_with_a_clock_that_is_ahead_nothing_after_the_last_trade_is_proven(world: OddWorld, archive: Path) -> None:
    """And the exchange's own time is not to be had."""
    ours = NOW + timedelta(hours=3)
    world.runs = world.runs.at(ours)
    world.instead = lambda method, query: TROUBLE if method == "Time" else None
    world.told(MINUTES, archive)

    walked = DataCoverageRange.objects.filter(source=Source.TRADES.value)
    last = EXCHANGE.trades("XBTUSD", TimeRange(NOW - timedelta(hours=1), NOW))["time"][-1].replace(tzinfo=UTC)
    # The minute that it fell in may go on.
    assert max(row.end_date for row in walked) == Interval.M1.floor(last)
    check_stored(world, TimeRange(HOLE.start, Interval.M1.floor(last)))


def test_what_traded_meanwhile_is_had_once_the_clock_is_right(world: OddWorld, archive: Path) -> None:
    world.runs = world.runs.at(NOW + timedelta(hours=3))
    world.instead = lambda method, query: TROUBLE if method == "Time" else None
    world.told(MINUTES, archive)
    world.instead = lambda method, query: None
    world.hands.now = NOW + timedelta(days=1)
    world.runs = world.runs.at(world.hands.now)
    world.told(MINUTES, archive)

    check_stored(world, TimeRange(HOLE.start, world.hands.now))


# ------------------------------------------------------------------------------------------------------- one odd market


def no_end(method: str, query: dict[str, str]) -> bytes | None:
    """A thousand trades of ETHUSD share a nanosecond, and there are more."""
    if method != "Trades" or query["pair"] != "ETHUSD" or "count" in query:
        return None
    rows = [["100.0", "1.0", 1712100000.5, "b", "l", "", 100_000 + number] for number in range(1_000)]
    return json.dumps({"error": [], "result": {"ETHZUSD": rows, "last": "1712100000500000000"}}).encode()


def test_trades_that_never_go_on_are_a_failure_of_their_market_alone(world: OddWorld, archive: Path) -> None:
    world.instead = no_end
    told = world.told(WIDTHS, archive)

    [(label, error)] = ended(told).failures
    assert label == "trades of ETHUSD"
    assert "do not go on" in error
    assert ended(told).status == JobStatus.COMPLETED
    for interval in WIDTHS.intervals:
        check_stored(world, TimeRange(HOLE.start, interval.floor(NOW)), "XBTUSD", interval)
    assert world.verdicts(WIDTHS)["XBTUSD", 60]["completeness"] == 1
    assert world.verdicts(WIDTHS)["ETHUSD", 1]["missing"]


# ---------------------------------------------------------------------------------------------------------- first trade


def test_a_walk_corrects_the_first_trade_that_a_coarse_file_dated(world: OddWorld, tmp_path: Path) -> None:
    hourly = Edition.complete("2024Q1", intervals=(Interval.M60, Interval.M1440))
    coarse = write_archive(EXCHANGE, hourly, tmp_path / "coarse").path
    both = replace(WIDTHS, markets=("XBTUSD",))
    world.told(replace(both, intervals=(Interval.M60,), end=HOLE.start), coarse, budget=0)
    assert Market.objects.get(altname="XBTUSD").first_trade == at("2024-03-12 10:00")
    world.told(both, coarse)

    first = EXCHANGE.trades("XBTUSD", TimeRange(at("2024-03-12"), at("2024-03-13")))["time"][0].replace(tzinfo=UTC)
    assert Market.objects.get(altname="XBTUSD").first_trade == Interval.M1.floor(first)
    assert world.verdicts(both)["XBTUSD", 1]["completeness"] == 1

    world.api.forget_requests()
    world.told(both, coarse)
    assert world.asked == {}


# ------------------------------------------------------------------------------------------------------------- two runs


def test_what_another_run_walks_between_plan_and_walk_is_not_asked_for_again(world: OddWorld, archive: Path) -> None:
    fives, fifteens = (replace(MINUTES, intervals=(i,), start=HOLE.start) for i in (Interval.M5, Interval.M15))
    one = world.begun(fives, archive)
    planned = next(event for event in one if isinstance(event, GapsFound))
    other = world.told(fifteens, archive)
    rest = list(one)

    assert planned.from_trades > 0
    assert [event for event in other if isinstance(event, WalkStarted)]
    assert not [event for event in rest if isinstance(event, WalkStarted)]
    assert set(world.pages.values()) == {1}
    for interval in (Interval.M5, Interval.M15):
        check_stored(world, TimeRange(HOLE.start, interval.floor(NOW)), "XBTUSD", interval)


def test_while_one_run_walks_another_may_have_the_widths_that_it_only_counted(world: OddWorld, tmp_path: Path) -> None:
    both = Edition.complete("2024Q1", intervals=(Interval.M60, Interval.M1440))
    source = write_archive(EXCHANGE, both, tmp_path / "both").path
    days = replace(MINUTES, intervals=(Interval.M1440,), end=HOLE.start)
    world.told(replace(days, intervals=both.intervals), source, budget=0)

    one = world.begun(replace(MINUTES, intervals=(Interval.M1, Interval.M60)), source)
    assert any(isinstance(event, WalkStarted) for event in one)
    other = world.told(days, source)

    assert ended(other).status == JobStatus.COMPLETED
    assert ended(list(one)).failures == ()


# ------------------------------------------------------------------------------------------------------------- journals


def fetched(world: OddWorld, pages: int) -> Walk:
    """A journal as a run leaves it that is killed after so many pages; how far it came."""
    journal = Journal(world.runs.home / "data" / "walks" / "XBTUSD.journal")
    walk = Walk.start(HOLE, cursor_at(HOLE.start - timedelta(hours=1)))
    journal.begin({"series": "kraken/XBTUSD/1"}, walk)
    for _ in range(pages):
        assert walk.next_cursor is not None
        answer = ask(world.api, "Trades", pair="XBTUSD", since=walk.next_cursor)
        step = walk.taken(parse_trades(answer["result"]), NOW)
        journal.append(step)
        walk = step.walk
    return walk


def test_where_pages_of_a_killed_run_differ_from_what_is_stored_is_on_record(world: OddWorld, tmp_path: Path) -> None:
    """A file tells these minutes wrong, after the run was killed."""
    edition = Edition.loose(TimeRange(HOLE.start, at("2024-04-02")), intervals=(Interval.M1,))
    other = SandboxExchange(cast=(market("XBTUSD", "2024-03-12 10:07", 0.31),), outages=())
    wrong = write_archive(other, edition, tmp_path / "wrong").path
    april = replace(MINUTES, start=HOLE.start, end=at("2024-04-02"))
    world.told(april, wrong, budget=0)
    reached = fetched(world, 3).reached

    told = world.told(april, wrong)

    assert [event.pages for event in told if isinstance(event, PagesKept)] == [3]
    found = QualityFinding.objects.filter(kind=FindingKind.TRADES_DIFFER)
    assert found
    assert all(HOLE.start <= one.start < reached for one in found)


def test_what_a_killed_run_had_fetched_is_counted_and_not_asked_for_again(world: OddWorld, archive: Path) -> None:
    fetched(world, 3)
    world.told(MINUTES, archive)

    assert set(world.pages.values()) == {1}
    job = IngestionJob.objects.latest("created_at")
    assert job.requests_made >= world.pages.total()
    check_stored(world, HOLE)


def test_a_walk_that_was_stopped_leaves_no_journal_once_it_is_done(world: OddWorld, archive: Path) -> None:
    pages = 0

    def after_four() -> bool:
        return pages >= 4

    for event in world.begun(MINUTES, archive, should_stop=after_four):
        pages += isinstance(event, PageWalked)
    assert world.journals == ["XBTUSD.journal"]

    world.told(MINUTES, archive)
    assert world.journals == []
    # The page that was on its way when it was stopped, and no other.
    assert world.pages.total() - len(world.pages) <= 1
    check_stored(world, HOLE)


def test_an_unpaid_walk_leaves_no_journal_once_a_file_has_answered_the_rest(
    world: OddWorld, archive: Path, tmp_path: Path
) -> None:
    april = replace(MINUTES, end=at("2024-04-07"))
    world.told(april, archive, budget=2)
    assert world.journals == ["XBTUSD.journal"]

    edition = Edition.loose(TimeRange(HOLE.start, at("2024-04-08")), intervals=(Interval.M1,))
    file = write_archive(EXCHANGE, edition, tmp_path / "late").path
    asked = world.pages
    world.told(april, archive, file)
    # Journals are looked through when a run begins.
    world.told(april, archive, file)

    assert world.journals == []
    assert world.pages == asked


def test_the_way_of_a_walk_that_goes_on_begins_at_nothing(world: OddWorld, archive: Path) -> None:
    """Although its first page is one of the middle of what was wanted."""
    world.told(MINUTES, archive, budget=3)
    told = world.told(MINUTES, archive)

    road = Walking()
    [started] = [event for event in told if isinstance(event, WalkStarted)]
    road.expect(started)
    road.advance(next(event for event in told if isinstance(event, PageWalked)))
    assert road.share < 0.3


# --------------------------------------------------------------------------------------------------------------- budget


def test_requests_that_are_repeated_are_paid_for(world: OddWorld, archive: Path) -> None:
    """Each page comes at the second attempt: of a budget of six, three pages come."""
    asked = 0

    def every_other(method: str, query: dict[str, str]) -> bytes | None:
        nonlocal asked
        asked += method == "Trades"
        return TROUBLE if method == "Trades" and asked % 2 else None

    world.instead = every_other
    told = world.told(MINUTES, archive, budget=6)

    assert (asked, world.pages.total()) == (6, 3)
    assert [(event.pages, event.unpaid) for event in told if isinstance(event, WalkDone)] == [(3, 1)]
