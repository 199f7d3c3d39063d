"""Archives that overlap and contradict each other, in any order, together and twice: the same lake, the same truth."""

import shutil
from collections.abc import Sequence
from itertools import permutations
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from chandlery.candles.interval import Interval
from chandlery.candles.series import Series
from chandlery.candles.timerange import TimeRange
from chandlery.models import GapRecord, GapStatus
from chandlery.pipeline.request import Selection
from chandlery.sandbox.archives import write_archive
from chandlery.sandbox.defects import Revised
from chandlery.sandbox.editions import Container, Edition, Naming, Shape
from chandlery.sandbox.exchange import SandboxExchange
from tests.acceptance.against_truth import assert_same_lake, check_all
from tests.acceptance.in_process import NOW, CoverageRow, Runs, coverage_rows, forgotten, lake_contents
from tests.acceptance.truth import Ingested, Truth
from tests.acceptance.walked import check_rows
from tests.candles.builders import at, between

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

THIN = SandboxExchange.small().only("ETHEUR", "ADAUSD")
ALL = tuple(Interval)
SIX = tuple(interval for interval in ALL if interval not in (Interval.M30, Interval.M240))
SEVEN = tuple(interval for interval in ALL if interval != Interval.M30)
CORRECTED = (between("2024-03-10 07:13", "2024-03-20 15:20"), between("2024-05-01", "2024-05-05"))

#: Two complete sets, the later of which corrects the earlier; two quarters; and files that somebody had unpacked,
#: cut off in the middle of a day. All at the same intervals: where an old one alone has an interval, minutes that were
#: corrected contradict it, and it is derived anew.
ARCHIVES = {
    "whole Q1": Ingested(Edition.complete("2024Q1", intervals=SIX), Shape(naming=Naming.OLD)),
    "Q1": Ingested(Edition.quarterly("2024Q1", intervals=SIX), Shape(naming=Naming.OLD, nested="master_q1")),
    "Q2": Ingested(Edition.quarterly("2024Q2", intervals=SIX), Shape(macosx=True)),
    "whole Q2": Ingested(
        Edition.complete(
            "2024Q2",
            intervals=SIX,
            defects=tuple(map(Revised, CORRECTED)),
        ),
        Shape(Container.SPLIT, part_bytes=40_000),
    ),
    "loose": Ingested(Edition.loose(between("2024-03-20", "2024-04-17 13:47"), intervals=SIX), Shape(Container.LOOSE)),
}
ORDERS = list(permutations(ARCHIVES))
#: Two of these are derived; of what they are derived from one is asked for and one is not.
FEW = (Interval.M30, Interval.M60, Interval.M240, Interval.M1440)

#: What a run leaves behind: every row of the lake, coverage, the report, the gaps that are open.
Outcome = tuple[dict[Series, pl.DataFrame], list[CoverageRow], dict[str, Any], list[tuple[object, ...]]]


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("archives")
    return {
        name: write_archive(THIN, archive.edition, folder / name, archive.shape).path
        for name, archive in ARCHIVES.items()
    }


def outcome(runs: Runs) -> Outcome:
    fields = ("market__altname", "interval_minutes", "gap_start", "gap_end", "missing_candles", "status")
    open_gaps = GapRecord.objects.exclude(status=GapStatus.FILLED).values_list(*fields)
    # Of an interval that was not asked for, a run reads as much as it needs to derive those that were.
    asked = runs.selection.intervals
    lake = {series: rows for series, rows in lake_contents(runs.lake).items() if series.interval in asked}
    coverage = [row for row in coverage_rows() if row[1] in asked]
    return lake, coverage, runs.report(), sorted(open_gaps)


def in_turn(
    home: Path, archives: dict[str, Path], order: Sequence[str], intervals: tuple[Interval, ...] = ALL
) -> Outcome:
    """What is there after one run for each archive."""
    runs = Runs(home, Selection(intervals, markets=THIN.names))
    with forgotten():
        for name in order:
            assert runs.ingest(archives[name]).files_failed == 0
        return outcome(runs)


def assert_same(one: Outcome, other: Outcome) -> None:
    assert_same_lake(one[0], other[0])
    assert one[1:] == other[1:]


@pytest.fixture(scope="module")
def at_once(
    tmp_path_factory: pytest.TempPathFactory, archives: dict[str, Path], django_db_setup: None, django_db_blocker: Any
) -> Outcome:
    """What one run over all archives leaves behind: the truth."""
    with django_db_blocker.unblock(), forgotten():
        return in_one_run(tmp_path_factory.mktemp("home"), archives, ALL)


@pytest.fixture(scope="module")
def few_at_once(
    tmp_path_factory: pytest.TempPathFactory, archives: dict[str, Path], django_db_setup: None, django_db_blocker: Any
) -> Outcome:
    """The same, asked for less."""
    with django_db_blocker.unblock(), forgotten():
        return in_one_run(tmp_path_factory.mktemp("home"), archives, FEW)


def in_one_run(home: Path, archives: dict[str, Path], intervals: tuple[Interval, ...]) -> Outcome:
    runs = Runs(home, Selection(intervals, markets=THIN.names))
    runs.ingest(*archives.values())
    check_all(runs, Truth(THIN, tuple(ARCHIVES.values()), intervals, NOW), THIN.names)
    return outcome(runs)


def test_one_run_over_all_of_them_is_the_truth(at_once: Outcome) -> None:
    rows, _, report, _ = at_once
    assert {series.market for series in rows} == set(THIN.names)
    assert report["overall"]["unlisted"] == 0


@pytest.mark.parametrize("order", ORDERS[7 :: len(ORDERS) // 3], ids=", ".join)
def test_whatever_the_order_the_outcome_is_the_same(
    tmp_path: Path, archives: dict[str, Path], at_once: Outcome, order: Sequence[str]
) -> None:
    assert_same(in_turn(tmp_path, archives, order), at_once)


def test_twice_is_the_same_as_once(tmp_path: Path, archives: dict[str, Path], at_once: Outcome) -> None:
    order = list(reversed(ARCHIVES))
    assert_same(in_turn(tmp_path, archives, [*order, *ARCHIVES]), at_once)


@pytest.mark.slow
@pytest.mark.parametrize("first", ARCHIVES)
def test_every_order_comes_to_the_same(
    tmp_path: Path, archives: dict[str, Path], few_at_once: Outcome, first: str
) -> None:
    assert every_order(tmp_path, archives, (first,), few_at_once) == len(ORDERS) // len(ARCHIVES)


def every_order(home: Path, archives: dict[str, Path], begun: tuple[str, ...], expected: Outcome) -> int:
    """How many orders were tried that begin like this; what they begin with is done once for all of them."""
    runs = Runs(home, Selection(FEW, markets=THIN.names))
    with forgotten():
        assert runs.ingest(archives[begun[-1]]).files_failed == 0
        if len(begun) == len(archives):
            try:
                assert_same(outcome(runs), expected)
            except AssertionError as different:
                different.add_note(f"in the order {', '.join(begun)}")
                raise
            return 1
        tried = 0
        for name in archives:
            if name not in begun:
                there = shutil.copytree(home, home.with_name(f"{home.name}_"))
                tried += every_order(there, archives, (*begun, name), expected)
                shutil.rmtree(there)
        return tried


@pytest.mark.parametrize("later_first", [False, True])
def test_what_an_older_release_alone_holds_is_derived_anew_where_later_minutes_contradict_it(
    tmp_path: Path, archives: dict[str, Path], later_first: bool
) -> None:
    old = write_archive(THIN, Edition.quarterly("2024Q1", intervals=SEVEN), tmp_path / "old").path
    runs = Runs(tmp_path, Selection(SEVEN, markets=THIN.names, end=at("2024-04-01")))
    for archive in (archives["whole Q2"], old) if later_first else (old, archives["whole Q2"]):
        runs.ingest(archive)

    truth = THIN
    for within in CORRECTED:
        truth = truth.revised(within, None)
    for name in THIN.names:
        series = Series("kraken", name, Interval.M240)
        within = TimeRange(Interval.M240.floor(THIN.market(name).listed), at("2024-04-01"))
        stored = lake_contents(runs.lake)[series].filter(pl.col("timestamp") < within.end)
        check_rows(stored, truth.truth(series, within), name)
    assert [(one["suspect"], one["gaps"]) for one in runs.report()["series"]] == [(0, [])] * 2 * len(SEVEN)
