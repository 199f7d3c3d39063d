"""State and store that do not speak of the same candles: refused with the command that repairs, which then does."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.acceptance.commands import Commands
from tests.databases import copy_home, replace_state
from tests.exchanges.kraken.archive.builders import hours, unpacked

NOW = "2024-06-01T00:00:00Z"
MARKETS = ("--markets", "XBTUSD,ETHUSD", "--intervals", "60,1440", "--end-date", "2024-01-12")
REPAIR = "python manage.py rebuild_state"

#: Does harm to a home, given a foreign lake; the CANDLE_STORE to go on with.
Damage = Callable[[Commands, Path], str]
STORE = "parquet:data/candles"


@dataclass(frozen=True, slots=True)
class Before:
    """A home in which all is well, the archives it came from, another lake, and what was reported of it."""

    home: Commands
    source: Path
    other: Path
    report: object

    def copy(self, folder: Path) -> Commands:
        """The same home, to do harm to. Its jobs and files are known by the same paths."""
        copy_home(self.home.home, folder)
        return Commands(folder)


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Before:
    home, other = (Commands(tmp_path_factory.mktemp(name)) for name in ("home", "other"))
    source = tmp_path_factory.mktemp("source")
    # Ten days of one market, of which a day is quiet, and eight of the other; days are derived.
    rows = hours(240).splitlines(keepends=True)
    unpacked(source, {"XBTUSD_60.csv": b"".join(rows[:96] + rows[120:]), "ETHUSD_60.csv": hours(192)})
    asked = ("--source", source, *MARKETS, "--yes")
    assert home("ingest_kraken_unified", *asked, CLOCK=NOW).status == 0
    foreign = ("--source", source, "--markets", "ETHUSD", "--intervals", "60", "--yes")
    assert other("ingest_kraken_unified", *foreign, CLOCK=NOW).status == 0
    return Before(home, source, other.lake, report_of(home))


def report_of(home: Commands, store: str = STORE) -> object:
    done = home("report_completeness", *MARKETS, "--json", CLOCK=NOW, CANDLE_STORE=store)
    assert done.status == 0, done.err
    return json.loads(done.out)


def pointed_at_nothing(home: Commands, other: Path) -> str:
    return "parquet:data/elsewhere"


def pointed_at_another_lake(home: Commands, other: Path) -> str:
    shutil.copytree(other, home.home / "data" / "foreign")
    return "parquet:data/foreign"


def emptied(home: Commands, other: Path) -> str:
    shutil.rmtree(home.lake)
    home.lake.mkdir()
    return STORE


def without_one_series(home: Commands, other: Path) -> str:
    shutil.rmtree(home.lake / "exchange=kraken" / "market=XBTUSD" / "interval=60")
    return STORE


def without_its_database(home: Commands, other: Path) -> str:
    replace_state(home.home)
    return STORE


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (
            pointed_at_nothing,
            "CANDLE_STORE parquet:data/elsewhere is empty or not there, but the state in the database",
        ),
        pytest.param(
            pointed_at_another_lake,
            "CANDLE_STORE parquet:data/foreign is not the store that the state in the database speaks of",
            marks=pytest.mark.slow,
        ),
        pytest.param(emptied, "CANDLE_STORE parquet:data/candles is empty or not there", marks=pytest.mark.slow),
        pytest.param(
            without_one_series, "CANDLE_STORE parquet:data/candles lacks 1 of 4 series", marks=pytest.mark.slow
        ),
        (
            without_its_database,
            "CANDLE_STORE parquet:data/candles holds candles of which the state in the database knows nothing",
        ),
    ],
)
def test_it_is_refused_in_one_line_and_rebuild_state_repairs_it(
    before: Before, tmp_path: Path, damage: Damage, said: str
) -> None:
    home = before.copy(tmp_path / "home")
    store = damage(home, before.other)
    ingest = ("ingest_kraken_unified", "--source", before.source, *MARKETS, "--yes")
    for command in (ingest, (*ingest, "--dry-run"), ("report_completeness", *MARKETS)):
        refused = home(*command, CLOCK=NOW, CANDLE_STORE=store)
        assert (refused.status, refused.out) == (1, "")
        assert refused.err.startswith(f"Error: {said}")
        assert refused.err.endswith(f"with: {REPAIR}\n")
        assert refused.err.count("\n") == 1

    # The jobs on record say where the archives are. Where these are gone too, the user has to.
    sources = ("--source", before.source) if damage is without_its_database else ()
    repaired = home("rebuild_state", *sources, CLOCK=NOW, CANDLE_STORE=store)
    assert repaired.status == 0, repaired.err
    assert report_of(home, store) == before.report


def test_a_rebuild_with_a_wrong_source_or_store_forgets_nothing(before: Before, tmp_path: Path) -> None:
    home = before.copy(tmp_path / "home")
    nowhere = home("rebuild_state", "--source", "nowhere")
    assert (nowhere.status, nowhere.out) == (2, "")
    assert nowhere.err.startswith("Error: There is nothing at nowhere; name a folder")
    no_store = home("rebuild_state", CANDLE_STORE="data/candles")
    assert (no_store.status, no_store.out) == (2, "")
    assert no_store.err.startswith("Error: A candle store is written parquet:FOLDER")
    assert report_of(home) == before.report


@pytest.mark.slow
def test_an_archive_that_is_gone_leaves_open_what_only_it_answered(before: Before, tmp_path: Path) -> None:
    home = before.copy(tmp_path / "home")
    source = tmp_path / "archives"
    unpacked(source, {"XRPUSD_60.csv": hours(48)})
    asked = ("--markets", "XRPUSD", "--intervals", "60", "--end-date", "2024-01-02")
    assert home("ingest_kraken_unified", "--source", source, *asked, "--yes", CLOCK=NOW).status == 0
    shutil.rmtree(source)
    repaired = home("rebuild_state", CLOCK=NOW)
    assert repaired.status == 0
    assert f"Not there any more: {source}; what only it answered stays open." in repaired.err
    [series] = json.loads(home("report_completeness", *asked, "--json", CLOCK=NOW).out)["series"]
    # The candles are still there; but that nothing is missing beside them, nobody says any more.
    assert (series["traded"], series["quiet_claimed"], series["missing"]) == (48, 0, 0)
