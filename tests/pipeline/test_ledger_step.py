"""What is asked for the ledger: once a week, where a beginning is wanted, and never by who wants no walks."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest

from chandlery.candles.interval import Interval
from chandlery.candles.timerange import TimeRange
from chandlery.exchanges.kraken.api.settings import ApiSettings
from chandlery.exchanges.kraken.tiers import load_tiers
from chandlery.models import FindingKind, Ledger, Market, QualityFinding
from chandlery.pipeline.events import Audited, Event, JobEnded, LedgerAsked, Planned, WalkDone, WalkStarted
from chandlery.pipeline.job import run_job
from chandlery.pipeline.markets import ensure_markets
from chandlery.pipeline.request import IngestRequest, Selection, Surroundings
from chandlery.sandbox.archives import write_archive
from chandlery.sandbox.defects import MissingDay
from chandlery.sandbox.editions import Edition
from chandlery.sandbox.exchange import SandboxExchange
from chandlery.sandbox.quirks import Quirks
from chandlery.sandbox.rest import SandboxApi
from chandlery.sandbox.server import serve
from tests.acceptance.in_process import InlineExecutor, Runs
from tests.acceptance.walked import market
from tests.candles.builders import at
from tests.sandbox.asked import Hands

pytestmark = pytest.mark.django_db

EXCHANGE = SandboxExchange(
    cast=(market("XBTUSD", "2024-01-18 10:07", 0.1, 0.5), market("ETHUSD", "2024-02-14 10:07", 0.04)), outages=()
)
#: Three weeks after the archive's end: hours are in the API's window, and no walk is due. A Saturday.
NOW = at("2024-04-20 06:17")
#: The window of hours is long past the archive's end: a walk is due.
LATER = at("2024-06-22 06:17")
HOURS = Selection((Interval.M60,), markets=("XBTUSD", "ETHUSD"))
ARCHIVED = replace(HOURS, end=at("2024-04-01"))
WEEKLY = {("XBTUSD", "10080"): 1, ("ETHUSD", "10080"): 1}


@dataclass
class World:
    """A sandbox at a moment, runs that ask it, and what they asked."""

    api: SandboxApi
    hands: Hands
    runs: Runs
    #: Markets whose weekly figures are not to be had.
    without_weeks: set[str] = field(default_factory=set)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        query = environ["QUERY_STRING"]
        if "interval=10080" in query and any(name in query for name in self.without_weeks):
            body = json.dumps({"error": ["EGeneral:Internal error"]}).encode()
            start_response("200 OK", [("Content-Length", str(len(body)))])
            return [body]
        return self.api(environ, start_response)

    def told(
        self,
        *sources: Path,
        selection: Selection = HOURS,
        now: datetime = NOW,
        budget: int | None = None,
        incremental: bool = False,
    ) -> list[Event]:
        """Every event of a run at `now`; what was asked before is forgotten."""
        self.hands.now = now
        self.api.forget_requests()
        runs = replace(self.runs, selection=selection, now=now, trade_budget=budget)
        return runs.told(*sources, incremental=incremental)

    @property
    def asked(self) -> dict[tuple[str, str], int]:
        """(market, width, or `trades`, or `first trade`) of every request for candles or trades, and how often."""
        found: Counter[tuple[str, str]] = Counter()
        for one in self.api.requests:
            if "pair" in one.query:
                trades = "first trade" if one.query.get("count") == "1" else "trades"
                found[one.query["pair"], one.query.get("interval", trades)] += 1
        return dict(found)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    hands = Hands(NOW)
    found = World(SandboxApi(EXCHANGE, hands), hands, Runs(tmp_path, HOURS))
    with serve(found) as server:
        found.runs = replace(found.runs, api=ApiSettings(server.url, rate=0, attempts=2, retry_wait=0))
        yield found


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All up to the end of March, by the hour."""
    folder = tmp_path_factory.mktemp("archive")
    write_archive(EXCHANGE, Edition.complete("2024Q1", intervals=(Interval.M60,)), folder)
    return folder


@pytest.fixture(scope="module")
def lame(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same without a day of one market."""
    folder = tmp_path_factory.mktemp("lame")
    defects = (MissingDay(date(2024, 3, 5), "XBTUSD"),)
    write_archive(EXCHANGE, Edition.complete("2024Q1", intervals=(Interval.M60,), defects=defects), folder)
    return folder


def only(told: Iterable[Event], kind: type[Event]) -> list[Event]:
    return [event for event in told if isinstance(event, kind)]


def ended(told: list[Event]) -> JobEnded:
    assert isinstance(told[-1], JobEnded)
    return told[-1]


# ----------------------------------------------------------------------------------------------------------- due or not


def test_the_first_run_asks_once_for_the_weeks_of_each_market(world: World, archive: Path) -> None:
    told = world.told(archive, selection=ARCHIVED)

    assert world.asked == WEEKLY
    [asked] = only(told, LedgerAsked)
    assert isinstance(asked, LedgerAsked)
    # Two more: the exchange's state and its time.
    assert (asked.markets, asked.failed, asked.daily, asked.dated, asked.requests) == (2, 0, 0, 0, 4)
    # Weeks open on Thursdays: the last one that has closed ends on the 18th.
    truth = EXCHANGE.trades("XBTUSD", TimeRange(EXCHANGE.market("XBTUSD").listed, at("2024-04-18"))).height
    assert Ledger.objects.get(market__altname="XBTUSD").trades == truth
    [audited] = only(told, Audited)
    assert isinstance(audited, Audited)
    assert (audited.short, audited.differing, audited.confirmed) == (0, 0, audited.weeks)


def test_within_the_same_week_nothing_is_asked_again(world: World, archive: Path) -> None:
    world.told(archive, selection=ARCHIVED)
    told = world.told(archive, selection=ARCHIVED, now=NOW + timedelta(days=2))

    assert (world.asked, only(told, LedgerAsked), only(told, Audited)) == ({}, [], [])


def test_once_another_week_has_closed_its_figures_are_asked_for(world: World, archive: Path) -> None:
    world.told(archive, selection=ARCHIVED)
    before = Ledger.objects.get(market__altname="XBTUSD").end_week
    world.told(archive, selection=ARCHIVED, now=NOW + timedelta(days=7))

    assert world.asked == WEEKLY
    assert Ledger.objects.get(market__altname="XBTUSD").end_week == before + 1


def test_a_market_that_is_not_listed_is_not_asked_for(world: World, archive: Path) -> None:
    ensure_markets(load_tiers(None))
    Market.objects.get(altname="ETHUSD").mark_absent(NOW)
    world.told(archive, selection=ARCHIVED)

    assert world.asked == {("XBTUSD", "10080"): 1}


def test_without_a_trade_budget_nothing_is_asked_for_the_ledger(world: World, archive: Path) -> None:
    told = world.told(archive, selection=ARCHIVED, budget=0)

    assert (world.asked, only(told, LedgerAsked), Ledger.objects.count()) == ({}, [], 0)


def test_without_a_trade_budget_what_is_on_record_is_still_held_against_the_candles(world: World, lame: Path) -> None:
    world.told(selection=replace(HOURS, start=at("2024-04-18"), end=at("2024-04-19")))
    told = world.told(lame, selection=ARCHIVED, budget=0)

    assert world.asked == {}
    assert [event.short for event in told if isinstance(event, Audited)] == [1]


def test_where_no_gap_is_to_be_filled_nothing_is_asked(world: World, archive: Path) -> None:
    told = replace(world.runs, selection=ARCHIVED, trade_budget=None).told(archive, auto_gap_fill=False)

    assert (world.api.requests, only(told, LedgerAsked)) == ((), [])


# ---------------------------------------------------------------------------------------------------------- incremental


def test_an_incremental_run_asks_for_no_weeks(world: World, archive: Path) -> None:
    world.told(archive, budget=0)
    told = world.told(incremental=True, now=NOW + timedelta(hours=3))

    assert world.asked == {("XBTUSD", "60"): 1, ("ETHUSD", "60"): 1}
    assert only(told, LedgerAsked) == []


def test_an_incremental_run_that_has_to_walk_asks_for_the_price_first(world: World, archive: Path) -> None:
    world.told(archive, budget=0)
    told = world.told(incremental=True, now=LATER)

    assert {key: n for key, n in world.asked.items() if key[1] != "trades"} == WEEKLY
    assert [type(event) for event in told if isinstance(event, LedgerAsked | WalkStarted)] == [LedgerAsked, WalkStarted]
    [started] = [event for event in told if isinstance(event, WalkStarted)]
    assert started.requests is not None


# ---------------------------------------------------------------------------------------------------------- first trade


def test_without_a_start_date_the_first_trade_of_a_market_nobody_has_dated_is_asked_for(world: World) -> None:
    told = world.told()

    assert {key for key in world.asked if key[1] == "first trade"} == {
        ("XBTUSD", "first trade"),
        ("ETHUSD", "first trade"),
    }
    assert [event.dated for event in told if isinstance(event, LedgerAsked)] == [2]
    for name in EXCHANGE.names:
        listed = EXCHANGE.market(name).listed
        first = Market.objects.get(altname=name).first_trade
        assert first is not None
        assert first == Interval.M1.floor(first)
        assert listed <= first + timedelta(minutes=1) <= listed + timedelta(days=2)


def test_a_start_date_after_the_first_week_needs_no_first_trade(world: World) -> None:
    world.told(selection=replace(HOURS, start=at("2024-04-10")))

    assert {key: n for key, n in world.asked.items() if key[1] != "60"} == WEEKLY


@pytest.mark.parametrize(("start", "dated"), [("2024-01-24", {"XBTUSD", "ETHUSD"}), ("2024-01-25", {"ETHUSD"})])
def test_a_start_date_in_or_before_the_first_week_needs_it(world: World, start: str, dated: set[str]) -> None:
    """XBTUSD began on 18 January, a Thursday: the first day of a week; ETHUSD in February."""
    world.told(selection=replace(HOURS, start=at(start), end=at("2024-01-27")))

    assert {name for name, what in world.asked if what == "first trade"} == dated


def test_a_first_trade_that_a_complete_archive_dates_is_not_asked_for(world: World, archive: Path) -> None:
    world.told(archive)

    assert not [key for key in world.asked if key[1] == "first trade"]
    assert Market.objects.filter(altname__in=EXCHANGE.names, first_trade=None).count() == 0


def test_where_the_ledger_begins_before_the_first_trade_on_record_it_is_asked_for(world: World, archive: Path) -> None:
    ensure_markets(load_tiers(None))
    Market.objects.filter(altname="XBTUSD").update(first_trade=at("2024-03-01"))
    Market.objects.filter(altname="ETHUSD").update(first_trade=at("2024-02-14 10:00"))
    world.told(selection=replace(HOURS, start=at("2024-01-01"), end=at("2024-03-02")))

    assert [key for key in world.asked if key[1] == "first trade"] == [("XBTUSD", "first trade")]
    found = Market.objects.get(altname="XBTUSD").first_trade
    assert found is not None
    assert found < at("2024-01-19")


def test_what_is_dated_is_not_asked_for_again(world: World) -> None:
    world.told()
    world.told(now=NOW + timedelta(days=7))

    assert not [key for key in world.asked if key[1] == "first trade"]


# -------------------------------------------------------------------------------------------------------- daily figures


def test_a_contradicted_week_has_the_days_of_its_market_asked_for_once(world: World, lame: Path) -> None:
    told = world.told(lame, selection=ARCHIVED)

    assert {key: n for key, n in world.asked.items() if key[1] != "trades"} == WEEKLY | {("XBTUSD", "1440"): 1}
    assert {key for key in world.asked if key[1] == "trades"} == {("XBTUSD", "trades")}
    [finding] = QualityFinding.objects.all()
    assert (finding.kind, finding.state) == (FindingKind.LEDGER_SHORT, "RESOLVED")
    assert (finding.start, finding.end) == (at("2024-03-05"), at("2024-03-06"))
    assert [event.failed for event in told if isinstance(event, WalkDone)] == [0]


def test_days_are_asked_for_once_although_the_walk_finds_no_more(world: World, lame: Path) -> None:
    """The exchange gives none of the trades that it counts."""
    world.api.quirks = Quirks(lost_trades=(TimeRange(at("2024-03-05"), at("2024-03-06")),))
    world.told(lame, selection=ARCHIVED)
    assert world.asked[("XBTUSD", "1440")] == 1

    told = world.told(lame, selection=ARCHIVED)
    assert world.asked == {}
    assert [event for event in told if isinstance(event, WalkStarted)] == []


def test_with_a_budget_too_small_the_next_run_goes_on(world: World, lame: Path) -> None:
    told = world.told(lame, selection=ARCHIVED, budget=1)
    assert world.asked[("XBTUSD", "trades")] == 1

    again = world.told(lame, selection=ARCHIVED)

    assert only(told, WalkStarted)
    [finding] = QualityFinding.objects.filter(kind=FindingKind.LEDGER_SHORT)
    assert finding.state == "RESOLVED"
    assert ended(again).failures == ()


# ------------------------------------------------------------------------------------------------------------- failures


def test_weekly_figures_that_are_not_to_be_had_are_one_failure_and_no_stop(world: World, archive: Path) -> None:
    world.without_weeks = {"XBTUSD"}
    told = world.told(archive, now=LATER)

    [(label, error)] = ended(told).failures
    assert label == "figures of XBTUSD"
    assert "XBTUSD" in error
    assert [(event.markets, event.failed) for event in told if isinstance(event, LedgerAsked)] == [(1, 1)]
    # What its walk costs is told by the candles nearby.
    [started] = [event for event in told if isinstance(event, WalkStarted)]
    assert {walk.market: walk.requests is not None for walk in started.walks} == {"XBTUSD": True, "ETHUSD": True}
    assert [(event.markets, event.failed) for event in told if isinstance(event, WalkDone)] == [(2, 0)]
    report = world.runs.at(LATER).report()
    assert report["overall"]["missing"] == 0


def test_an_exchange_that_is_gone_is_one_failure(world: World, archive: Path) -> None:
    nobody = ApiSettings("http://127.0.0.1:9", rate=0, attempts=1, retry_wait=0)
    runs = replace(world.runs, api=nobody, trade_budget=None, now=LATER)
    told = runs.told(archive)

    [(label, error)] = ended(told).failures
    assert (label, ended(told).status) == ("Kraken's API", "COMPLETED")
    assert "cannot be reached" in error
    assert [event.markets for event in told if isinstance(event, LedgerAsked)] == [0]
    assert only(told, WalkStarted) == []


def test_a_market_that_the_exchange_no_longer_knows_is_no_failure(world: World, archive: Path) -> None:
    world.api.delist("ETHUSD")
    told = world.told(archive, selection=ARCHIVED)

    assert ended(told).failures == ()
    assert Market.objects.get(altname="ETHUSD").absent_since is not None
    assert Ledger.objects.filter(market__altname="XBTUSD").exists()


def test_the_plan_of_a_run_names_its_budget(world: World, archive: Path) -> None:
    for budget in (None, 7):
        [planned] = only(world.told(archive, now=LATER, budget=budget), Planned)
        assert isinstance(planned, Planned)
        assert planned.trade_budget == budget


def test_a_run_that_makes_no_request_has_no_ledger(world: World, archive: Path) -> None:
    ensure_markets(load_tiers(None))
    request = IngestRequest(ARCHIVED, (archive,), api_backfill=False, trade_budget=None)
    around = Surroundings("parquet:candles", world.runs.home, lambda: NOW, api=world.runs.api or ApiSettings())
    told = list(run_job(request, around, InlineExecutor(), load_tiers(None)))

    assert (world.api.requests, only(told, LedgerAsked)) == ((), [])
