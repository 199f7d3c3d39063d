"""Markets by name, after a first command: those of the shipped table, and those that only a file tells of."""

import json
from pathlib import Path

import pytest

from chandlery.candles.interval import Interval
from tests.acceptance.commands import Commands
from tests.acceptance.in_process import lake_rows
from tests.conftest import CompletedRun
from tests.databases import queried
from tests.exchanges.kraken.archive.builders import hours, unpacked, zipped

#: MATIC was renamed and its markets delisted; XTZUSD could be cut as XT/ZUSD. Of the others nobody knows: QQQ is no
#: asset, and SOLAUSD may be SOL/AUSD or a new coin SOLA.
HELD = ("XBTUSD", "XTZUSD", "MATICUSD", "QQQUSD", "SOLAUSD")
UNCLASSIFIED = ("QQQUSD", "SOLAUSD")
NOW = "2024-04-20T00:00:00Z"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("archives")
    return zipped(folder / "Kraken_OHLCVT_2024Q1.zip", {f"{name}_60.csv": hours(48) for name in HELD})


@pytest.fixture(scope="module")
def ingested(commands: Commands, archive: Path) -> CompletedRun:
    asked = ("--source", archive, "--markets", ",".join(HELD), "--intervals", "60", "--end-date", "2024-03-31")
    done = commands("ingest_kraken_unified", *asked, "--no-api-backfill", "--yes", CLOCK=NOW)
    assert done.status == 0, done.err
    return done


def pairs(commands: Commands) -> dict[str, tuple[str | None, str | None]]:
    """Base and quote of every market, from the database by nothing of ours."""
    rows = queried(
        commands.home,
        "select altname, base.ticker, quote.ticker from chandlery_market market"
        " left join chandlery_asset base on base.id = market.base_id"
        " left join chandlery_asset quote on quote.id = market.quote_id",
    )
    return {altname: (base, quote) for altname, base, quote in rows}


def test_the_shipped_markets_are_there_after_the_first_command(commands: Commands, ingested: CompletedRun) -> None:
    known = pairs(commands)
    assert len(known) == 1434 + 3
    assert known["XBTUSD"] == ("BTC", "USD")
    assert known["XTZUSD"] == ("XTZ", "USD")
    assert known["XDGUSD"] == ("DOGE", "USD")
    assert known["DOGUSD"] == ("DOG", "USD")


def test_a_market_in_no_table_is_split_where_only_one_split_fits(commands: Commands, ingested: CompletedRun) -> None:
    assert pairs(commands)["MATICUSD"] == ("MATIC", "USD")
    assert lake_rows(commands.lake, "MATICUSD", Interval.M60).height == 48
    by_pair = commands("report_completeness", "--markets", "MATICUSD", "--intervals", "60", "--json", CLOCK=NOW)
    [series] = json.loads(by_pair.out)["series"]
    assert (series["pair"], series["traded"]) == ("MATIC/USD", 48)


@pytest.mark.parametrize("name", UNCLASSIFIED)
def test_a_name_that_splits_in_no_single_way_is_imported_as_unclassified(
    commands: Commands, ingested: CompletedRun, name: str
) -> None:
    assert pairs(commands)[name] == (None, None)
    assert lake_rows(commands.lake, name, Interval.M60).height == 48


def test_unclassified_markets_are_reported(commands: Commands, ingested: CompletedRun) -> None:
    said = " ".join(ingested.out.split())
    assert "2 unclassified markets: QQQUSD, SOLAUSD" in said or "imported as unclassified: QQQUSD, SOLAUSD" in said
    asked = ("report_completeness", "--markets", ",".join(HELD), "--intervals", "60")
    assert json.loads(commands(*asked, "--json", CLOCK=NOW).out)["unclassified"] == list(UNCLASSIFIED)
    assert "Unclassified Markets: 2, in no table of names: QQQUSD, SOLAUSD" in commands(*asked, CLOCK=NOW).out


@pytest.mark.slow
def test_a_tier_brings_the_markets_that_only_files_tell_of(fresh: Commands, archive: Path) -> None:
    """MATIC by the place of its base, and unclassified ones with the last tier."""
    asked = ("--tier", "ALL", "--intervals", "60", "--end-date", "2024-03-31")
    done = fresh(
        "ingest_kraken_unified", "--source", archive, *asked, "--no-api-backfill", "--json", "--yes", CLOCK=NOW
    )
    assert done.status == 0, done.err
    traded = {one["market"]: one["traded"] for one in json.loads(done.out)["series"] if one["traded"]}
    assert traded == dict.fromkeys(HELD, 48)


def test_a_name_longer_than_any_market_has_is_no_markets(fresh: Commands) -> None:
    unpacked(
        fresh.home / "files",
        {f"{'Q' * 33}_60.csv": hours(5), f"{'Q' * 29}USD_60.csv": hours(5), "XBTUSD_60.csv": hours(5)},
    )
    done = fresh("ingest_kraken_unified", "--source", "files", "--tier", "ALL", "--intervals", "60", "--yes")
    assert (done.status, done.err) == (0, "")
    assert {altname for altname in pairs(fresh) if altname.startswith("QQQQ")} == {"Q" * 29 + "USD"}


def test_a_file_may_lie_deep_in_an_archive(fresh: Commands) -> None:
    zipped(fresh.home / "deep.zip", {f"{'deeper/' * 40}XBTUSD_60.csv": hours(5)})
    done = fresh("ingest_kraken_unified", "--source", "deep.zip", "--markets", "XBTUSD", "--intervals", "60", "--yes")
    assert (done.status, done.err) == (0, "")
    assert lake_rows(fresh.lake, "XBTUSD", Interval.M60).height == 5
