"""A lost day is told from an outage: what is lost is found and repaired, an outage is noted and left alone."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from chandlery.candles.interval import Interval
from chandlery.candles.series import Series
from chandlery.candles.timerange import TimeRange
from chandlery.sandbox.defects import MissingDay, MissingLastSlot
from chandlery.sandbox.editions import Edition
from chandlery.sandbox.exchange import SandboxExchange
from tests.acceptance.commands import Commands, lake_state
from tests.acceptance.in_process import lake_rows
from tests.acceptance.walked import ALL, Served, archive_in, check_candles, market, report_of, served
from tests.candles.builders import at, between

pytestmark = pytest.mark.slow

#: Busy enough to be missed, and over three bases.
CAST = (
    market("XBTUSD", "2023-12-02 10:07", 0.5),
    market("ETHUSD", "2023-12-05 10:07", 0.4),
    market("XBTEUR", "2023-12-05 14:02", 0.3),
    market("SOLUSD", "2023-12-08 10:07", 0.3),
)
EXCHANGE = SandboxExchange(cast=CAST, outages=())
#: Five quiet hours are all but impossible here.
BUSY = tuple(replace(one, share=0.9, depth=3.0) for one in CAST)
LAST_DAY = date(2024, 3, 31)
LAST = TimeRange(at("2024-03-31"), at("2024-04-01"))
OUTAGE = between("2024-02-10 21:30", "2024-02-11 02:40")
NOW = at("2024-07-09 06:17")
SELECTION = ("--markets", ",".join(EXCHANGE.names), "--intervals", ALL, "--end-date", "2024-03-31")
RUN = ("ingest_kraken_unified", *SELECTION, "--complete", "--yes")
#: As in a real release: each file lacks the last slot of its quarter, so that the day is nowhere at 1440 minutes.
DROPPED = tuple(MissingLastSlot("XBTUSD", interval) for interval in Interval)


def audited(commands: Commands, *arguments: object, **environment: str) -> dict[str, list[dict[str, Any]]]:
    """What `audit_candles --json` prints of every interval."""
    done = commands("audit_candles", *SELECTION, *arguments, "--json", **environment)
    assert done.status == 0, done.err
    found: dict[str, list[dict[str, Any]]] = json.loads(done.out)
    return found


def named(found: dict[str, list[dict[str, Any]]]) -> set[tuple[str, int, str, str, str]]:
    """(market, minutes, kind, start, end) of every finding."""
    return {
        (one["market"], one["interval_minutes"], one["kind"], one["start"], one["end"]) for one in found["findings"]
    }


def suspects(report: dict[tuple[str, int], dict[str, Any]]) -> dict[tuple[str, int], int]:
    return {key: one["suspect"] for key, one in report.items() if one["suspect"]}


@pytest.fixture(scope="module")
def world() -> Iterator[Served]:
    with served(EXCHANGE, NOW) as found:
        yield found


def test_a_day_that_one_interval_lacks_is_found_explained_and_repaired_from_a_finer_one(
    world: Served, tmp_path: Path
) -> None:
    edition = Edition.complete("2024Q1", defects=(MissingDay(LAST_DAY, "XBTUSD", Interval.M1440),))
    archive_in(tmp_path, edition, EXCHANGE)
    commands = Commands(tmp_path)
    ingested = world.run(commands, *RUN[:-2], "--yes", "--no-api-backfill", "--no-auto-gap-fill")
    assert ingested.status == 0, ingested.err

    [finding] = audited(commands)["findings"]
    half_days = EXCHANGE.truth(Series("kraken", "XBTUSD", Interval.M720), LAST)
    assert named({"findings": [finding]}) == {
        ("XBTUSD", 1440, "INTERVALS_SHORT", "2024-03-31T00:00:00Z", "2024-04-01T00:00:00Z")
    }
    told = finding["evidence"]
    assert (told["trades"], told["other_trades"]) == (0, half_days["trades"].sum())
    assert finding["state"] == "OPEN"
    assert "another interval counts more trades" in ingested.out
    assert suspects(report_of(commands, world, *SELECTION)) == {("XBTUSD", 1440): 1}

    # Nobody need be asked.
    repaired = world.run(commands, *RUN, "--no-api-backfill")

    assert (repaired.status, repaired.err) == (0, ""), repaired.out
    rows = lake_rows(commands.lake, "XBTUSD", Interval.M1440)
    assert rows.filter(rows["timestamp"] == LAST.start)["derived"].to_list() == [True]
    check_candles(commands.lake, EXCHANGE, Interval, at("2024-04-01"))
    assert named(audited(commands)) == set()
    [gone] = audited(commands, "--all")["findings"]
    assert (gone["id"], gone["state"]) == (finding["id"], "RESOLVED")


def test_the_end_of_a_quarter_that_no_interval_has_is_rebuilt_from_trades(world: Served, tmp_path: Path) -> None:
    archive_in(tmp_path, Edition.complete("2024Q1", defects=DROPPED), EXCHANGE)
    commands = Commands(tmp_path, trades=True)
    offline = world.run(commands, *RUN, "--no-api-backfill")
    # Finer files tell of trades in the last day, half day, … and lack their own last slots, so nothing can be derived.
    assert offline.status == 3, offline.err
    found = named(audited(commands))
    assert {minutes: kind for _, minutes, kind, _, _ in found} == {
        minutes: "LAST_SLOT_DROPPED" if minutes < 30 else "INTERVALS_SHORT" for minutes in map(int, Interval)
    }
    assert ("XBTUSD", 1, "LAST_SLOT_DROPPED", "2024-03-31T23:59:00Z", "2024-04-01T00:00:00Z") in found
    assert {end for *_, end in found} == {"2024-04-01T00:00:00Z"}
    world.api.forget_requests()

    done = world.run(commands, *RUN)

    assert (done.status, done.err) == (0, ""), done.out
    walked = {key: number for key, number in world.asked().items() if key[0] == "Trades"}
    assert {name for _, name, _ in walked} == {"XBTUSD"}
    assert 1 <= sum(walked.values()) <= 3
    check_candles(commands.lake, EXCHANGE, Interval, at("2024-04-01"))
    assert named(audited(commands)) == set()
    before = lake_state(commands.lake)
    again = world.run(commands, *RUN)
    assert (again.status, lake_state(commands.lake)) == (0, before)


@pytest.mark.parametrize("trickle", [0.0, 0.003])
def test_an_outage_of_all_markets_is_one_outage_no_suspect_slot_and_no_request(tmp_path: Path, trickle: float) -> None:
    exchange = SandboxExchange(cast=BUSY, outages=(OUTAGE,), trickle=trickle)
    archive_in(tmp_path, Edition.complete("2024Q1"), exchange)
    commands = Commands(tmp_path, trades=True)
    with served(exchange, NOW) as world:
        done = world.run(commands, *RUN)
        assert (done.status, done.err) == (0, ""), done.out
        asked = world.asked()
        assert suspects(report_of(commands, world, *SELECTION)) == {}

    assert {key[0] for key in asked} == {"OHLC"}
    assert {width for _, _, width in asked} == {"10080"}
    found = audited(commands)
    assert found["findings"] == []
    [outage] = found["outages"]
    assert outage["markets"] == sorted(exchange.names)
    assert not outage["weak"]
    start, end = (at(outage[edge].replace("T", " ").rstrip("Z")[:16]) for edge in ("start", "end"))
    # Quiet minutes before and after belong to it by what is stored: a few of them, at some paces.
    assert abs(start - OUTAGE.start) <= timedelta(minutes=15)
    assert abs(end - OUTAGE.end) <= timedelta(minutes=15)
