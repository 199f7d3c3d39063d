"""One weekly request a market audits its whole history: silence is confirmed, and a lost day is found and rebuilt."""

from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from chandlery.candles.interval import Interval
from chandlery.candles.series import Series
from chandlery.candles.timerange import TimeRange
from chandlery.sandbox.defects import MissingDay
from chandlery.sandbox.editions import Edition
from chandlery.sandbox.exchange import SandboxExchange
from tests.acceptance.commands import Commands, lake_state
from tests.acceptance.in_process import lake_rows
from tests.acceptance.walked import ALL, Served, archive_in, check_candles, market, report_of, served
from tests.candles.builders import at, between
from tests.databases import queried

pytestmark = pytest.mark.slow

#: Two years and more of one, so that its first half lies beyond the daily window of 720 days.
EXCHANGE = SandboxExchange(
    cast=(
        market("XBTUSD", "2022-01-20 10:07", 0.1, 0.5),
        market("ETHUSD", "2024-02-14 10:07", 0.04),
        market("SOLUSD", "2023-12-14 10:07", 0.003, 0.5),
    ),
    outages=(),
)
#: The end of June: an archive's, and within a week of the clock.
NOW = at("2024-07-09 06:17")
MARKETS = ",".join(EXCHANGE.names)
SELECTION = ("--markets", MARKETS, "--intervals", ALL)
#: Up to where archives reach: what comes after is not asked for.
RUN = ("ingest_kraken_unified", *SELECTION, "--end-date", "2024-06-30", "--complete", "--yes")
#: The last Wednesday of June: weeks open on Thursdays, and the archive ends in the middle of the next one.
LAST_FULL_DAY = "2024-06-26"
WEEKLY = {("OHLC", name, "10080"): 1 for name in EXCHANGE.names}


@pytest.fixture(scope="module")
def world() -> Iterator[Served]:
    with served(EXCHANGE, NOW) as found:
        yield found


def ingested(
    world: Served, home: Path, *defects: MissingDay, run: tuple[str, ...] = RUN
) -> tuple[Commands, dict[tuple[str, str, str], int]]:
    """A complete archive with these defects, taken in by one run; and what that asked for."""
    archive_in(home, Edition.complete("2024Q2", defects=defects), EXCHANGE)
    commands = Commands(home, trades=True)
    world.api.forget_requests()
    done = world.run(commands, *run)
    assert (done.status, done.err) == (0, ""), done.out
    return commands, dict(world.asked())


def findings(home: Path) -> list[tuple[str, int, str, str, str, str]]:
    """(market, minutes, kind, state, first, end) of every finding."""
    query = """select altname, interval_minutes, kind, state, start, "end" from chandlery_qualityfinding f
        join chandlery_market m on f.market_id = m.id"""
    return sorted(queried(home, query))


def rebuilt(commands: Commands, name: str, interval: Interval) -> pl.DataFrame:
    """The candles of a series that were made of trades."""
    return lake_rows(commands.lake, name, interval).filter(pl.col("source") == "TRADES")


def check_whole(commands: Commands, world: Served, intervals: Iterable[Interval] = Interval) -> None:
    """Every candle is there, and every quiet slot of every full week is confirmed or proven."""
    widths = sorted(intervals)
    check_candles(commands.lake, EXCHANGE, widths, at("2024-07-01"))
    asked = ("--markets", MARKETS, "--intervals", ",".join(str(int(width)) for width in widths))
    for key, one in report_of(commands, world, *asked, "--end-date", LAST_FULL_DAY).items():
        assert (one["quiet_claimed"], one["missing"], one["suspect"]) == (0, 0, 0), key
        assert one["quiet_confirmed"] + one["quiet_proven"] == one["slots"] - one["traded"] - one["unlisted"], key


def test_one_request_a_market_confirms_every_quiet_slot_of_every_full_week(world: Served, tmp_path: Path) -> None:
    commands, asked = ingested(world, tmp_path)

    assert asked == WEEKLY
    check_whole(commands, world)
    for key, one in report_of(commands, world, *SELECTION, "--end-date", LAST_FULL_DAY).items():
        assert one["quiet_proven"] == 0, key
    assert sum(one["quiet_confirmed"] for one in report_of(commands, world, *SELECTION).values()) > 1_000_000
    assert findings(tmp_path) == []

    before = lake_state(commands.lake)
    world.api.forget_requests()
    assert world.run(commands, *RUN).status == 0
    assert (dict(world.asked()), lake_state(commands.lake)) == ({}, before)


def test_a_busy_day_lost_at_every_interval_is_found_by_its_week_and_rebuilt_alone(
    world: Served, tmp_path: Path
) -> None:
    lost = date(2024, 5, 15)
    day = TimeRange(at(f"{lost}"), at(f"{lost + timedelta(days=1)}"))

    commands, asked = ingested(world, tmp_path, MissingDay(lost, "XBTUSD"))

    walked = {key: number for key, number in asked.items() if key[0] == "Trades"}
    assert {key: number for key, number in asked.items() if key not in walked} == WEEKLY | {
        ("OHLC", "XBTUSD", "1440"): 1
    }
    assert {(name, number) for (_, name, _), number in walked.items()} == {("XBTUSD", 1)}
    assert len(walked) <= 2
    check_whole(commands, world)
    for interval in Interval:
        truth = EXCHANGE.truth(Series("kraken", "XBTUSD", interval), day)
        assert rebuilt(commands, "XBTUSD", interval)["timestamp"].to_list() == truth["timestamp"].to_list(), interval
    assert {(name, kind, state) for name, _, kind, state, _, _ in findings(tmp_path)} == {
        ("XBTUSD", "LEDGER_SHORT", "RESOLVED")
    }
    assert {(start, end) for *_, start, end in findings(tmp_path)} == {(f"{lost} 00:00:00", f"{day.end:%F} 00:00:00")}


@pytest.mark.slow
def test_beyond_the_daily_window_the_week_is_walked(world: Served, tmp_path: Path) -> None:
    lost = date(2022, 3, 2)

    commands, asked = ingested(world, tmp_path, MissingDay(lost, "XBTUSD"))

    assert {key: number for key, number in asked.items() if key[0] != "Trades"} == WEEKLY
    check_whole(commands, world)
    week = between("2022-02-24", "2022-03-03")
    truth = EXCHANGE.truth(Series("kraken", "XBTUSD", Interval.M1), week)
    assert rebuilt(commands, "XBTUSD", Interval.M1)["timestamp"].to_list() == truth["timestamp"].to_list()


def test_what_a_finer_interval_holds_costs_no_request(world: Served, tmp_path: Path) -> None:
    commands, asked = ingested(world, tmp_path, MissingDay(date(2024, 5, 15), "XBTUSD", Interval.M1440))

    assert asked == WEEKLY
    check_whole(commands, world)
    # The ledger and the hours tell it both.
    assert sorted(told[:5] for told in findings(tmp_path)) == [
        ("XBTUSD", 1440, kind, "RESOLVED", "2024-05-15 00:00:00") for kind in ("INTERVALS_SHORT", "LEDGER_SHORT")
    ]


@pytest.mark.slow
def test_what_only_the_minutes_lack_is_walked_for_the_hours_that_a_wider_interval_counts(
    world: Served, tmp_path: Path
) -> None:
    commands, asked = ingested(world, tmp_path, MissingDay(date(2024, 5, 15), "XBTUSD", Interval.M1))

    # Five minutes are whole: they tell which minutes are lost, so the days need not be asked for.
    assert {key: number for key, number in asked.items() if key[0] != "Trades"} == WEEKLY
    check_whole(commands, world)
    assert len(rebuilt(commands, "XBTUSD", Interval.M5)) == 0


@pytest.mark.parametrize("at_every_interval", [True, False])
def test_where_hours_and_days_are_asked_for_the_archives_finer_files_are_looked_into_first(
    world: Served, tmp_path: Path, at_every_interval: bool
) -> None:
    lost = date(2024, 5, 15)
    widths = (Interval.M60, Interval.M1440)
    defects = (
        [MissingDay(lost, "XBTUSD", None)] if at_every_interval else [MissingDay(lost, "XBTUSD", w) for w in widths]
    )
    run = ("ingest_kraken_unified", "--markets", MARKETS, *RUN[5:])
    assert run[3:] == ("--end-date", "2024-06-30", "--complete", "--yes")

    commands, asked = ingested(world, tmp_path, *defects, run=run)

    check_whole(commands, world, widths)
    walked = sum(number for key, number in asked.items() if key[0] == "Trades")
    assert 1 <= walked <= 3 if at_every_interval else walked == 0
