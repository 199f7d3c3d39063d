"""What the ledger contradicts, where little goes as it should: files that cover a part, figures that do not come,
trades that are lost, and another run.
"""

import dataclasses
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from chandlery.candles.interval import Interval
from chandlery.candles.series import Series
from chandlery.candles.timerange import TimeRange
from chandlery.exchanges.kraken.names import load_listings
from chandlery.models import AuditedWeeks, FindingKind, FindingState, JobStatus, Market, QualityFinding
from chandlery.pipeline.events import Audited, Event, JobEnded, WalkStarted
from chandlery.pipeline.lease import Held
from chandlery.pipeline.request import Selection
from chandlery.sandbox.archives import write_archive
from chandlery.sandbox.defects import MissingDay
from chandlery.sandbox.editions import Container, Edition, Shape
from chandlery.sandbox.exchange import SandboxExchange
from chandlery.sandbox.quirks import Quirks
from tests.acceptance.in_process import forgotten, lake_rows
from tests.acceptance.odd_world import TROUBLE, OddWorld, odd_world
from tests.acceptance.walked import market
from tests.candles.builders import at, between

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

#: Nine days after the end of the archives.
NOW = at("2024-07-09 06:17")
END = at("2024-07-01")
HOURS_DAYS = (Interval.M60, Interval.M1440)


def check_stored(world: OddWorld, within: TimeRange, intervals: Sequence[Interval]) -> None:
    """Every candle of XBTUSD as the exchange's trades make it, and no other."""
    start, end = (moment.replace(tzinfo=None) for moment in (within.start, within.end))
    for interval in intervals:
        rows = lake_rows(world.runs.lake, "XBTUSD", interval)
        found = rows.filter(pl.col("timestamp").dt.replace_time_zone(None).is_between(start, end, closed="left"))
        truth = world.exchange.truth(Series("kraken", "XBTUSD", interval), within)
        for column in ("timestamp", "open", "close", "trades"):
            assert found[column].to_list() == truth[column].to_list(), (interval, column)


def walks(told: Sequence[Event]) -> list[WalkStarted]:
    return [event for event in told if isinstance(event, WalkStarted)]


def ended(told: Sequence[Event]) -> JobEnded:
    assert isinstance(told[-1], JobEnded)
    return told[-1]


def states() -> set[FindingState]:
    """Of all that the ledger found wanting."""
    found = QualityFinding.objects.filter(kind=FindingKind.LEDGER_SHORT).values_list("state", flat=True)
    return {FindingState(state) for state in found}


# ------------------------------------------------------------------------------------------------- files that lack some


def test_a_finer_file_of_a_part_of_a_contradicted_week_is_no_source_for_it(tmp_path: Path) -> None:
    """Hours and days lack a Wednesday, so long ago that only its week tells. Half hours are there of Friday to Sunday,
    without the Saturday that hours have.
    """
    exchange = SandboxExchange(cast=(market("XBTUSD", "2022-02-01 10:07", 0.1, 0.5),), outages=())
    asked = Selection(HOURS_DAYS, markets=("XBTUSD",), end=END)
    lame = Edition.complete("2024Q2", intervals=HOURS_DAYS, defects=(MissingDay(date(2022, 3, 2), "XBTUSD"),))
    part = Edition.loose(between("2022-02-25", "2022-02-28"), intervals=(Interval.M30,))
    part = dataclasses.replace(part, defects=(MissingDay(date(2022, 2, 26), "XBTUSD"),))
    files = (
        write_archive(exchange, lame, tmp_path / "lame").path,
        write_archive(exchange, part, tmp_path / "part", Shape(Container.LOOSE)).path,
    )
    with odd_world(exchange, NOW, tmp_path) as world:
        first = world.told(asked, *files)

        assert walks(first)
        check_stored(world, between("2022-02-17", "2022-03-10"), HOURS_DAYS)
        assert states() == {FindingState.RESOLVED}

        world.api.forget_requests()
        second = world.told(asked, *files)
        assert world.asked == {}
        assert [event for event in second if isinstance(event, Audited | WalkStarted)] == []


# ---------------------------------------------------------------------------------------------------------- systematic


def test_after_a_systematic_finding_runs_for_some_of_the_widths_walk_nothing(tmp_path: Path) -> None:
    """One day of each of six months is lost at every interval: so much is no accident."""
    exchange = SandboxExchange(cast=(market("XBTUSD", "2023-11-03 10:07", 0.1, 0.5),), outages=())
    defects = tuple(MissingDay(date(2024, month, 15), "XBTUSD") for month in range(1, 7))
    source = write_archive(exchange, Edition.complete("2024Q2", defects=defects), tmp_path / "lame").path
    asked = Selection(tuple(Interval), markets=("XBTUSD",), end=END)
    with odd_world(exchange, NOW, tmp_path) as world:
        world.told(asked, source)
        assert QualityFinding.objects.filter(kind=FindingKind.LEDGER_SYSTEMATIC).exists()

        for intervals in ((60,), (1,), (1440,), (1, 60)):
            world.api.forget_requests()
            told = world.told(dataclasses.replace(asked, intervals=tuple(map(Interval, intervals))), source)
            assert (ended(told).status, ended(told).failures) == (JobStatus.COMPLETED, ())
            assert (walks(told), world.asked) == ([], {}), intervals


# -------------------------------------------------------------------------------------------------------------- figures


def test_where_no_market_has_weekly_figures_the_live_edge_is_asked_all_the_same(tmp_path: Path) -> None:
    names = usd_markets(24)
    exchange = SandboxExchange(cast=tuple(market(name, "2024-06-10 10:07", 0.05) for name in names), outages=())
    asked = Selection(HOURS_DAYS, markets=names, start=at("2024-07-01"))
    with odd_world(exchange, NOW, tmp_path) as world:
        world.instead = lambda method, query: TROUBLE if query.get("interval") == "10080" else None
        told = world.told(asked)

        assert ended(told).status == JobStatus.COMPLETED
        assert ended(told).failures
        # Days are made of hours.
        assert {key for key in world.asked if key[0] == "OHLC"} == {("OHLC", name, "60") for name in names}
        found = world.verdicts(asked)
        assert {key: one["completeness"] for key, one in found.items() if one["completeness"] != 1} == {}


# ---------------------------------------------------------------------------------------------------------- lost trades


def test_minutes_beside_a_break_in_the_ids_keep_the_candles_that_have_more_trades(tmp_path: Path) -> None:
    """A day is lost, and its days' figures do not come: the week is walked. Of another day, which the archive has
    whole, the exchange has lost some trades.
    """
    exchange = SandboxExchange(cast=(market("XBTUSD", "2024-06-04 10:07", 0.95, 3.0),), outages=())
    minutes = (Interval.M1, Interval.M60)
    # From the second trade of a minute to the last but one of another.
    first, last = (exchange.trades("XBTUSD", minute)["time"] for minute in busy_minutes(exchange, "2024-06-15 10:00"))
    lost = TimeRange(first[1].replace(tzinfo=UTC), last[-1].replace(tzinfo=UTC))
    lame = Edition.complete("2024Q2", intervals=minutes, defects=(MissingDay(date(2024, 6, 19), "XBTUSD"),))
    source = write_archive(exchange, lame, tmp_path / "lame").path
    asked = Selection(minutes, markets=("XBTUSD",), end=END)
    with odd_world(exchange, NOW, tmp_path, Quirks(lost_trades=(lost,))) as world:
        world.instead = lambda method, query: TROUBLE if query.get("interval") == "1440" else None
        told = world.told(asked, source)

        assert walks(told)
        [found] = QualityFinding.objects.filter(kind=FindingKind.ID_BREAK)
        assert found.start <= lost.start < lost.end <= found.end
        check_stored(world, between("2024-06-13", "2024-06-20"), minutes)


def busy_minutes(exchange: SandboxExchange, hour: str) -> tuple[TimeRange, TimeRange]:
    """The first and the last one of an hour with three trades or more."""
    within = TimeRange(at(hour), at(hour) + timedelta(hours=1))
    traded = exchange.truth(Series("kraken", "XBTUSD", Interval.M1), within).filter(pl.col("trades") >= 3)["timestamp"]
    first, last = (moment.replace(tzinfo=UTC) for moment in (traded[0], traded[-1]))
    return TimeRange(first, first + timedelta(minutes=1)), TimeRange(last, last + timedelta(minutes=1))


# --------------------------------------------------------------------------------------------------------- another run


def test_what_another_run_holds_takes_few_more_queries_than_what_is_free(tmp_path: Path) -> None:
    """Of nine markets that are to be counted for the first time, one width of one is held."""
    names = usd_markets(9)
    exchange = SandboxExchange(cast=tuple(market(name, "2024-06-04 10:07", 0.01, 0.5) for name in names), outages=())
    source = write_archive(exchange, Edition.complete("2024Q2", intervals=HOURS_DAYS), tmp_path / "whole").path
    asked = Selection(HOURS_DAYS, markets=names, end=END)
    hours = dataclasses.replace(asked, intervals=(Interval.M60,))
    with odd_world(exchange, NOW, tmp_path) as world:
        world.told(asked, source, budget=0)
        with forgotten(), CaptureQueriesContext(connection) as free:
            assert [event.series for event in world.told(hours, source) if isinstance(event, Audited)] == [18]

        held = [(Market.objects.get(altname=names[0]), int(Interval.M1440))]
        other = Held.acquire("another run", None, held, lambda: datetime.now(UTC))
        with CaptureQueriesContext(connection) as left:
            told = world.told(hours, source)
        other.release()

        assert (ended(told).status, ended(told).failures) == (JobStatus.COMPLETED, ())
        assert [event.series for event in told if isinstance(event, Audited)] == [17]
        # Whether the other run is alive is looked up once, whatever the number of markets.
        assert len(left) <= len(free) + 6


def usd_markets(number: int) -> tuple[str, ...]:
    """Real names."""
    names = [one.altname for one in load_listings().values() if one.quote == "USD" and len(one.altname) == 6]
    return tuple(names[:number])


def test_what_an_audit_held_is_let_go_in_as_many_queries_whatever_the_number_of_markets(tmp_path: Path) -> None:
    counts = []
    for number in (3, 9):
        home = tmp_path / str(number)
        home.mkdir()
        names = usd_markets(number)
        exchange = SandboxExchange(cast=tuple(market(n, "2024-06-04 10:07", 0.01, 0.5) for n in names), outages=())
        source = write_archive(exchange, Edition.complete("2024Q2", intervals=HOURS_DAYS), home / "whole").path
        asked = Selection(HOURS_DAYS, markets=names, end=END)
        with forgotten(), odd_world(exchange, NOW, home) as world:
            world.told(asked, source)
            AuditedWeeks.objects.all().delete()
            with CaptureQueriesContext(connection) as queries:
                world.told(dataclasses.replace(asked, intervals=(Interval.M60,)), source)
            counts.append(sum("DELETE FROM" in one["sql"] for one in queries.captured_queries))
    assert counts[0] == counts[1]
