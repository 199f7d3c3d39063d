"""Every shape in which Kraken has published archives, in any order and twice: one lake, one truth, slot by slot."""

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import date, datetime
from itertools import product
from pathlib import Path

import polars as pl
import pytest

from chandlery.candles.interval import Interval
from chandlery.candles.series import Series
from chandlery.pipeline.request import Selection
from chandlery.sandbox.archives import write_archive
from chandlery.sandbox.defects import MissingDay
from chandlery.sandbox.editions import Container, Edition, Naming, Shape
from chandlery.sandbox.exchange import SandboxExchange
from tests.acceptance.against_truth import assert_same_lake, check_all, check_lake, check_report
from tests.acceptance.commands import Commands
from tests.acceptance.in_process import NOW, Runs, coverage_rows, forgotten, lake_contents, lake_rows
from tests.acceptance.truth import Ingested, Truth, truth_of
from tests.candles.builders import at, between

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

EXCHANGE = SandboxExchange.small()
#: Two thin markets, of which one begins and the other ends in these quarters: a run over them takes a blink.
THIN = EXCHANGE.only("ETHEUR", "ADAUSD")
ALL = tuple(Interval)
SEVEN = tuple(interval for interval in ALL if interval != Interval.M30)
SIX = tuple(interval for interval in SEVEN if interval != Interval.M240)
#: Fine ones and coarse ones, of which SIX and SEVEN lack one.
SOME = (Interval.M1, Interval.M30, Interval.M60, Interval.M720, Interval.M1440)
START = at("2023-12-25")


def runs_in(
    home: Path, markets: Iterable[str], intervals: tuple[Interval, ...] = SOME, start: datetime | None = START
) -> Runs:
    return Runs(home, Selection(intervals, markets=tuple(markets), start=start))


def truth(
    exchange: SandboxExchange,
    *archives: Ingested,
    start: datetime | None = START,
    intervals: tuple[Interval, ...] = SOME,
) -> Truth:
    return truth_of(Truth(exchange, archives, intervals, NOW, start=start))


# ------------------------------------------------------------------------------------------------------- every shape

SHAPES = [
    Shape(container, naming, nested=nested, macosx=macosx, manifest=manifest, part_bytes=40_000)
    for container, naming, nested, macosx, manifest in product(
        Container, Naming, (None, "master_q4"), (False, True), (False, True)
    )
]
#: Each value of each property with each interval set, not each with each.
FEW = [
    (Shape(), SIX),
    (Shape(naming=Naming.OLD, nested="master_q4", macosx=True), SEVEN),
    (Shape(manifest=True, nested="master_q4", scientific=True), ALL),
    (Shape(Container.SPLIT, part_bytes=40_000, macosx=True, manifest=True), SEVEN),
    (Shape(Container.SPLIT, Naming.OLD, part_bytes=40_000, zip64=True), ALL),
    (Shape(Container.FOLDER, Naming.OLD, nested="master_q4", manifest=True), SIX),
    (Shape(Container.FOLDER, macosx=True), ALL),
    (Shape(Container.LOOSE, nested="master_q4", macosx=True), SIX),
    (Shape(Container.LOOSE, manifest=True), SEVEN),
    (Shape(name="my candles"), ALL),
]


def shown(shape: Shape) -> str:
    facts = (shape.container, shape.naming, shape.name, shape.nested, shape.macosx and "macosx", shape.manifest and "m")
    return "-".join(str(fact) for fact in facts if fact)


def check_shape(home: Path, shape: Shape, intervals: tuple[Interval, ...], asked: tuple[Interval, ...]) -> None:
    edition = Edition.quarterly("2024Q1", intervals=intervals)
    written = write_archive(THIN, edition, home / "archives", shape)
    runs = runs_in(home, THIN.names, asked)
    assert runs.ingest(written.path).files_failed == 0
    # All of a kind have one truth, however they are packed.
    kind = Shape() if Ingested(edition, shape).is_release else Shape(Container.LOOSE)
    check_all(runs, truth(THIN, Ingested(edition, kind), intervals=asked), THIN.names)


@pytest.mark.parametrize(("shape", "intervals"), FEW, ids=lambda v: shown(v) if isinstance(v, Shape) else str(len(v)))
def test_an_archive_of_any_shape_is_the_same_truth(home: Path, shape: Shape, intervals: tuple[Interval, ...]) -> None:
    check_shape(home, shape, intervals, asked=(Interval.M1, Interval.M30, Interval.M240, Interval.M1440))


@pytest.mark.slow
@pytest.mark.parametrize("intervals", [SIX, SEVEN, ALL], ids=["6", "7", "8"])
@pytest.mark.parametrize("shape", SHAPES, ids=shown)
def test_every_combination_of_shapes_is_the_same_truth(
    home: Path, shape: Shape, intervals: tuple[Interval, ...]
) -> None:
    check_shape(home, shape, intervals, asked=(Interval.M15, Interval.M30, Interval.M240, Interval.M1440))


# ------------------------------------------------------------------------------------------- releases and loose files


def written(exchange: SandboxExchange, edition: Edition, out: Path, shape: Shape | None = None) -> Path:
    return write_archive(exchange, edition, out, shape).path


@pytest.mark.parametrize("start", [START, None], ids=["asked for", "from its first trade"])
def test_a_complete_set_without_a_period_ends_where_its_last_minute_ends(home: Path, start: datetime | None) -> None:
    shape = Shape(naming=Naming.OLD)
    edition = Edition.complete("2024Q1")
    runs = runs_in(home, THIN.names, start=start)
    runs.ingest(written(THIN, edition, home / "archives", shape))
    expected = truth(THIN, Ingested(edition, shape), start=start)
    check_all(runs, expected, THIN.names)
    # It ended in the middle of the quarter's last day, and not all of what followed had traded.
    ends = [expected.series(market, Interval.M1).runs[-1][0] for market in THIN.names]
    assert ends[0] == ends[1]
    assert at("2024-03-31 23:00") < ends[0] < at("2024-04-01")


def test_a_complete_release_is_the_same_whole_and_in_parts(tmp_path: Path) -> None:
    edition = Edition.complete("2024Q2")
    expected = truth(THIN, Ingested(edition), start=None)
    lakes = []
    for shape in (Shape(), Shape(Container.SPLIT, part_bytes=30_000)):
        runs = runs_in(tmp_path / shape.container, THIN.names, start=None)
        with forgotten():
            runs.ingest(written(THIN, edition, tmp_path / f"archives {shape.container}", shape))
            check_all(runs, expected, THIN.names)
            lakes.append((lake_contents(runs.lake), coverage_rows()))
    whole, parts = lakes
    assert_same_lake(whole[0], parts[0])
    assert whole[1] == parts[1]
    assert (
        expected.series("ETHEUR", Interval.M60).first
        == (at("2024-02-14 11:00") - at("1970-01-01")) // Interval.M60.delta
    )


def test_what_came_before_is_unlisted_with_a_complete_release_and_missing_without(home: Path) -> None:
    verdicts = {}
    for edition in (
        Edition.complete("2024Q1"),
        Edition.quarterly("2024Q1"),
        Edition.loose(between("2024-01-01", "2024-04-01")),
    ):
        shape = Shape() if edition.quarter else Shape(Container.LOOSE)
        runs = runs_in(home / archive_of(edition), THIN.names)
        with forgotten():
            runs.ingest(written(THIN, edition, home / f"archives {archive_of(edition)}", shape))
            check_all(runs, truth(THIN, Ingested(edition, shape)), THIN.names)
            verdicts[archive_of(edition)] = runs.verdicts(
                "ETHEUR", Interval.M60, between("2023-12-31", "2024-02-14 11:00")
            )
    assert [v for _, v in verdicts["complete"]] == ["UNLISTED"]
    assert [(r, v) for r, v in verdicts["quarterly"]] == [
        (between("2023-12-31", "2024-01-01"), "MISSING"),
        (between("2024-01-01", "2024-02-14 11:00"), "QUIET_CLAIMED"),
    ]
    assert [v for _, v in verdicts["loose"]] == ["MISSING"]


def archive_of(edition: Edition) -> str:
    return "loose" if edition.quarter is None else "complete" if edition.is_complete else "quarterly"


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        (Shape(), "QUIET_CLAIMED"),
        (Shape(Container.FOLDER, manifest=True), "QUIET_CLAIMED"),
        # Nobody vouches for a folder: the file may have been lost.
        (Shape(Container.FOLDER), "MISSING"),
    ],
    ids=["ZIP", "folder with a manifest", "folder"],
)
def test_a_market_that_is_absent_from_a_whole_release_was_quiet(home: Path, shape: Shape, said: str) -> None:
    """At the intervals of that release, if it is known to have been listed."""
    first = Ingested(Edition.quarterly("2024Q1"))
    second = Ingested(Edition.quarterly("2024Q2", intervals=SIX, markets=("ADAUSD",)), shape)
    runs = runs_in(home, THIN.names, (Interval.M15, Interval.M30, Interval.M60))
    runs.ingest(*(written(THIN, one.edition, home / "archives", one.shape) for one in (first, second)))
    check_all(runs, truth(THIN, first, second, intervals=runs.selection.intervals), THIN.names)
    quarter = between("2024-04-01", "2024-07-01")
    assert runs.verdicts("ETHEUR", Interval.M60, quarter) == [(quarter, said)]


def test_nothing_is_claimed_of_a_market_that_was_not_listed_as_far_as_known(home: Path) -> None:
    first, second = Edition.quarterly("2024Q1", markets=("ADAUSD",)), Edition.quarterly("2024Q2")
    archives = [written(THIN, edition, home / "archives") for edition in (first, second)]
    runs = runs_in(home, THIN.names)
    runs.ingest(*archives)
    check_all(runs, truth(THIN, Ingested(first), Ingested(second)), THIN.names)
    quarter = between("2024-01-01", "2024-04-01")
    assert runs.verdicts("ETHEUR", Interval.M60, quarter) == [(quarter, "MISSING")]


def test_a_day_that_one_interval_of_a_release_lacks_is_derived_from_a_finer_one(home: Path) -> None:
    lost = MissingDay(date(2024, 3, 29), "ETHEUR", Interval.M1440)
    runs = runs_in(home, THIN.names)
    runs.ingest(written(THIN, Edition.quarterly("2024Q1", defects=(lost,)), home / "archives"))
    day = between("2024-03-29", "2024-03-30")
    assert runs.verdicts("ETHEUR", Interval.M1440, day) == [(day, "TRADED")]
    row = lake_rows(runs.lake, "ETHEUR", Interval.M1440).row(by_predicate=pl.col("timestamp") == day.start, named=True)
    [true] = THIN.truth(Series("kraken", "ETHEUR", Interval.M1440), day).rows(named=True)
    assert (row["derived"], row["close"], row["trades"]) == (True, true["close"], true["trades"])


def test_a_last_row_that_was_cut_off_is_provisional_until_a_release_has_the_whole_slot(home: Path) -> None:
    loose = Ingested(Edition.loose(between("2024-03-01", "2024-03-29 13:47")), Shape(Container.LOOSE))
    release = Ingested(Edition.quarterly("2024Q1"))
    runs = runs_in(home, THIN.names)
    runs.ingest(written(THIN, loose.edition, home / "loose", loose.shape))
    check_all(runs, truth(THIN, loose), THIN.names)
    runs.ingest(written(THIN, release.edition, home / "archives"))
    check_all(runs, truth(THIN, loose, release), THIN.names)


def test_the_outage_of_all_markets_is_quiet_and_no_gap(home: Path) -> None:
    edition = Edition.quarterly("2024Q1", markets=("XBTUSD",), intervals=(Interval.M1, Interval.M60))
    runs = runs_in(home, ["XBTUSD"], (Interval.M1, Interval.M60), start=at("2024-01-01"))
    runs = Runs(runs.home, replace(runs.selection, end=at("2024-04-01")))
    runs.ingest(written(EXCHANGE, edition, home / "archives"))
    [series] = [one for one in runs.report()["series"] if one["interval_minutes"] == 60]
    assert (series["missing"], series["gaps"]) == (0, [])
    dark = between("2024-02-10 22:00", "2024-02-11 02:00")
    assert runs.verdicts("XBTUSD", Interval.M60, dark) == [(dark, "QUIET_CLAIMED")]


def test_the_command_reads_a_folder_of_archives_of_every_shape(fresh: Commands, tmp_path: Path) -> None:
    """All markets, eight intervals, a pool of processes."""
    archives = (
        Ingested(
            Edition.complete("2024Q1", intervals=SEVEN, markets=THIN.names),
            # A ZIP would claim that the others were quiet, which the audit finds to be wrong.
            Shape(Container.FOLDER, naming=Naming.OLD),
        ),
        Ingested(Edition.quarterly("2024Q1", intervals=SIX), Shape(nested="master_q4", macosx=True, manifest=True)),
        Ingested(Edition.quarterly("2024Q2"), Shape(Container.SPLIT, part_bytes=200_000)),
        Ingested(Edition.loose(between("2024-06-20", "2024-07-03 10:41")), Shape(Container.LOOSE, nested="new ones")),
    )
    for archive in archives:
        write_archive(EXCHANGE, archive.edition, tmp_path / "archives", archive.shape)
    markets = ",".join(EXCHANGE.names)
    widths = ",".join(str(int(interval)) for interval in ALL)
    asked = ("--markets", markets, "--intervals", widths, "--start-date", "2023-12-30", "--end-date", "2024-07-05")
    command = ("ingest_kraken_unified", "--source", tmp_path / "archives", *asked, "--json", "--yes")
    done = fresh(*command, CLOCK=f"{NOW:%Y-%m-%dT%H:%M:%SZ}")
    assert done.status == 0, done.err
    expected = Truth(EXCHANGE, archives, ALL, NOW, start=at("2023-12-30"), end=at("2024-07-06"))
    series = [expected.series(market, interval) for market in EXCHANGE.names for interval in ALL]
    check_report(json.loads(done.out), series)
    for one in series:
        check_lake(fresh.lake, one)
    again = fresh("report_completeness", *asked, "--json", CLOCK=f"{NOW:%Y-%m-%dT%H:%M:%SZ}")
    assert json.loads(again.out)["series"] == json.loads(done.out)["series"]
