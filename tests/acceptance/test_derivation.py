"""Intervals that no archive has are made from finer ones, equal to the truth, and give way to what is published."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from chandlery.candles.interval import Interval
from chandlery.pipeline.request import Selection
from chandlery.sandbox.archives import write_archive
from chandlery.sandbox.defects import MissingDay, Revised
from chandlery.sandbox.editions import Container, Edition, Shape
from chandlery.sandbox.exchange import SandboxExchange
from tests.acceptance.against_truth import check_all, check_lake, check_report
from tests.acceptance.commands import Commands, lake_state
from tests.acceptance.in_process import NOW, Runs, lake_contents
from tests.acceptance.truth import Ingested, Truth
from tests.candles.builders import at, between

pytestmark = pytest.mark.slow

THIN = SandboxExchange.small().only("ETHEUR", "ADAUSD")
LOOSE = Shape(Container.LOOSE)
M1, M5, M15, M30, M60, M240, M720, M1440 = Interval


def asking(home: Path, *intervals: Interval, start: str | None = "2024-01-01", end: str = "2024-04-01") -> Runs:
    begin = at(start) if start else None
    return Runs(home, Selection(intervals, markets=THIN.names, start=begin, end=at(end)))


def truth(runs: Runs, *archives: Ingested, derive: bool = True) -> Truth:
    asked = runs.selection
    return Truth(THIN, archives, asked.intervals, NOW, asked.start, asked.end, derive=derive)


def publish(folder: Path, archive: Ingested) -> Path:
    return write_archive(THIN, archive.edition, folder, archive.shape).path


def intervals_in(lake: Path) -> set[Interval]:
    return {series.interval for series in lake_contents(lake)}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("published", "asked", "used"),
    [
        ((M60, M1440), M720, M60),
        ((M60, M240), M720, M240),
        ((M1, M5, M15), M30, M15),
        ((M15, M60), M240, M60),
        ((M1,), M1440, M1),
    ],
    ids=lambda v: ",".join(str(int(i)) for i in v) if isinstance(v, tuple) else str(int(v)),
)
@pytest.mark.parametrize("complete", [False, True], ids=["quarterly", "complete"])
def test_what_is_absent_is_made_from_the_widest_finer_interval(
    home: Path, published: tuple[Interval, ...], asked: Interval, used: Interval, complete: bool
) -> None:
    kind = Edition.complete if complete else Edition.quarterly
    archive = Ingested(kind("2024Q1", intervals=published))
    runs = asking(home, asked)
    runs.ingest(publish(home / "archives", archive))
    check_all(runs, truth(runs, archive), THIN.names)
    # Nothing but what it is made from was read for it.
    assert intervals_in(runs.lake) == {used, asked}
    assert runs.report()["overall"]["missing"] == 0


@pytest.mark.django_db
def test_what_is_published_later_replaces_what_was_derived(home: Path) -> None:
    hours = Ingested(Edition.quarterly("2024Q1", intervals=(M60,)))
    half_days = Ingested(Edition.quarterly("2024Q1", intervals=(M720,)), Shape(manifest=True))
    runs = asking(home, M720)
    runs.ingest(publish(home / "hours", hours))
    check_all(runs, truth(runs, hours), THIN.names)
    runs.ingest(publish(home / "half days", half_days))
    check_all(runs, truth(runs, hours, half_days), THIN.names)
    assert not any(
        rows["derived"].any() for series, rows in lake_contents(runs.lake).items() if series.interval == M720
    )


@pytest.mark.django_db
def test_days_of_which_a_part_is_unknown_are_not_derived(home: Path) -> None:
    archive = Ingested(Edition.loose(between("2024-03-01 05:00", "2024-03-29 13:47"), intervals=(M60,)), LOOSE)
    runs = asking(home, M1440)
    runs.ingest(publish(home / "files", archive))
    check_all(runs, truth(runs, archive), THIN.names)
    month = [(r, str(v)) for r, v in runs.verdicts("ADAUSD", M1440, between("2024-03-01", "2024-04-01"))]
    assert month[0] == (between("2024-03-01", "2024-03-02"), "MISSING")
    assert month[-1] == (between("2024-03-29", "2024-04-01"), "MISSING")
    assert "MISSING" not in [verdict for _, verdict in month[1:-1]]


@pytest.mark.django_db
def test_a_day_made_of_an_hour_that_may_have_been_cut_off_is_provisional_until_the_hour_is_settled(home: Path) -> None:
    cut = Ingested(Edition.loose(between("2024-03-01", "2024-03-29 23:44"), intervals=(M60,)), LOOSE)
    whole = Ingested(Edition.quarterly("2024Q1", intervals=(M60,)))
    runs = asking(home, M1440)
    runs.ingest(publish(home / "files", cut))
    check_all(runs, truth(runs, cut), THIN.names)
    runs.ingest(publish(home / "archives", whole))
    check_all(runs, truth(runs, cut, whole), THIN.names)


@pytest.mark.django_db
def test_a_row_that_may_have_been_cut_off_gives_way_to_what_finer_candles_say(home: Path) -> None:
    days = Ingested(Edition.loose(between("2024-03-01", "2024-03-29 13:47"), intervals=(M1440,)), LOOSE)
    hours = Ingested(Edition.quarterly("2024Q1", intervals=(M60,)))
    runs = asking(home, M1440)
    runs.ingest(publish(home / "files", days))
    check_all(runs, truth(runs, days), THIN.names)
    runs.ingest(publish(home / "archives", hours))
    check_all(runs, truth(runs, days, hours), THIN.names)


@pytest.mark.django_db
@pytest.mark.parametrize("asked_then", [(M60, M720), (M720,), (M60,)], ids=["both", "the derived", "the finer"])
def test_what_was_derived_is_derived_again_where_a_later_release_corrects_it(
    home: Path, asked_then: tuple[Interval, ...]
) -> None:
    lost = MissingDay(at("2024-03-12").date(), interval=M60)
    first = Ingested(Edition.quarterly("2024Q1", intervals=(M60,), defects=(lost,)))
    corrected = Revised(between("2024-03-10 07:13", "2024-03-20 15:20"))
    second = Ingested(Edition.complete("2024Q1", intervals=(M60,), defects=(corrected,)))
    runs = asking(home, M60, M720)
    runs.ingest(publish(home / "archives", first))
    check_all(runs, truth(runs, first), THIN.names)
    runs.of(replace(runs.selection, intervals=asked_then)).ingest(publish(home / "archives", second))
    check_all(runs, truth(runs, first, second), THIN.names)


@pytest.mark.django_db
def test_nothing_is_derived_where_that_is_not_wanted(home: Path) -> None:
    archive = Ingested(Edition.quarterly("2024Q1", intervals=(M60,)))
    runs = asking(home, M60, M720)
    runs.ingest(publish(home / "archives", archive), auto_gap_fill=False)
    check_all(runs, truth(runs, archive, derive=False), THIN.names)
    assert intervals_in(runs.lake) == {M60}


def test_the_command_derives_half_days_and_writes_nothing_the_second_time(fresh: Commands, tmp_path: Path) -> None:
    archive = Ingested(Edition.complete("2024Q1", intervals=(M1, M60)))
    path = publish(tmp_path, archive)
    asked = ("--source", path, "--markets", ",".join(THIN.names), "--intervals", "60,720", "--end-date", "2024-03-31")
    command = ("ingest_kraken_unified", *asked, "--complete", "--no-api-backfill", "--json", "--yes")
    first = fresh(*command, CLOCK="2024-09-01T00:00:00Z")
    assert first.status == 0, first.err
    expected = Truth(THIN, (archive,), (M60, M720), NOW, end=at("2024-04-01"))
    series = [expected.series(market, interval) for market in THIN.names for interval in (M60, M720)]
    check_report(json.loads(first.out), series)
    for one in series:
        check_lake(fresh.lake, one)
    before = lake_state(fresh.lake)
    second = fresh(*command, CLOCK="2024-09-01T00:00:00Z")
    assert (second.status, second.out) == (0, first.out)
    assert lake_state(fresh.lake) == before
