"""The commands of old before they do anything: what they refuse, whom they mean, and the new way they name."""

import io
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from chandlery.candles.interval import Interval
from chandlery.errors import UsageError
from chandlery.exchanges.kraken.tiers import load_tiers
from chandlery.management.backfilling import Wishes
from chandlery.management.base import Error
from chandlery.management.old_ways import as_options, new_way
from chandlery.models import DataCoverageRange, IngestionJob, Market
from chandlery.pipeline.markets import NothingSelected, UnknownAsset, ensure_markets, of_asset, on_record
from chandlery.pipeline.request import Selection
from tests.candles.builders import at

BACKFILL, SEQUENTIAL = "backfill_kraken_gaps", "ingest_sequential"
pytestmark = pytest.mark.django_db


def called(*typed: str, **rest: Any) -> tuple[str, str]:
    """(standard output, standard error)"""
    out, err = io.StringIO(), io.StringIO()
    call_command(*typed, stdout=out, stderr=err, **rest)
    return out.getvalue(), err.getvalue()


def stored(altname: str) -> None:
    """Something is known of the market."""
    day = {"start_date": at("2024-01-01"), "end_date": at("2024-01-02"), "last_verified": at("2024-01-02")}
    market = Market.objects.get(altname=altname)
    DataCoverageRange.objects.create(market=market, interval_minutes=60, source="CSV", record_count=24, **day)


@pytest.fixture
def markets(home: Path) -> None:
    ensure_markets(load_tiers(None))


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ((SEQUENTIAL,), "Say which tier: --tier TIER1"),
        ((SEQUENTIAL, "--tier", "TIER9"), "Tier 'TIER9' is not known"),
        ((SEQUENTIAL, "--tier", "TIER1", "--intervals", ","), "--intervals names none"),
        ((SEQUENTIAL, "--tier", "TIER1", "--intervals", "7"), "7"),
        ((SEQUENTIAL, "--tier", "TIER1"), "is not there; name another with --data-dir PATH"),
        ((SEQUENTIAL, "--tier", "TIER1", "--data-dir", "nowhere"), "nowhere"),
        ((BACKFILL,), "Nothing is stored yet"),
        ((BACKFILL, "--tier", "TIER9"), "Tier 'TIER9' is not known"),
        ((BACKFILL, "--tier", "TIER1", "--asset", "BTC"), "--tier and --asset are two ways"),
        ((BACKFILL, "--asset", "BTC", "--interval", ","), "--interval names none"),
        ((BACKFILL, "--asset", ","), "--asset names none"),
        ((BACKFILL, "--asset", "XBTUSDD"), "no asset or market 'XBTUSDD'; did you mean XBTUSD"),
        ((BACKFILL, "--only-fillable", "--show-unfillable-only"), "leave nothing to show"),
        ((BACKFILL, "--asset", "BTC", "--export-unfillable", "no/such/folder.csv"), "--export-unfillable no/such"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(home: Path, typed: tuple[str, ...], said: str) -> None:
    with pytest.raises(Error) as caught:
        called(*typed)
    assert caught.value.returncode == 2
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["BTC", "btc", "XBT", "XXBT", "XBTUSD", "BTC/USD"])
def test_an_asset_that_is_not_stored_is_its_market_in_dollars(markets: None, name: str) -> None:
    assert [market.altname for market in of_asset(name)] == ["XBTUSD"]


def test_an_asset_that_is_stored_is_all_its_stored_markets(markets: None) -> None:
    for altname in ("XBTEUR", "XBTGBP", "ETHEUR"):
        stored(altname)
    assert [market.altname for market in of_asset("BTC")] == ["XBTEUR", "XBTGBP"]
    assert [market.altname for market in of_asset("XBTJPY")] == ["XBTJPY"]
    assert [market.altname for market in on_record()] == ["ETHEUR", "XBTEUR", "XBTGBP"]


def test_an_asset_without_a_market_in_dollars_names_one_that_there_is(markets: None) -> None:
    Market.objects.filter(base__ticker="BTC").exclude(quote__ticker="EUR").delete()
    with pytest.raises(NothingSelected, match="No market matches BTC quoted in USD; name one, such as XBTEUR"):
        of_asset("BTC")


def test_an_unknown_asset_is_wrong_usage(markets: None) -> None:
    with pytest.raises(UnknownAsset, match="no asset or market 'NOSUCHCOIN'") as caught:
        of_asset("NOSUCHCOIN")
    assert isinstance(caught.value, UsageError)


@pytest.mark.parametrize(
    ("selection", "options"),
    [
        (Selection((Interval.M60,), tiers=("TIER2",)), "--tier TIER2 --intervals 60"),
        (
            Selection((Interval.M60, Interval.M1440), tiers=("TIER1", "TIER2", "TIER3", "TIER4")),
            "--tier ALL --intervals 60,1440",
        ),
        (Selection((Interval.M1,), markets=("ETHUSD", "XBTUSD")), "--markets ETHUSD,XBTUSD --intervals 1"),
    ],
)
def test_the_new_way_says_the_same_selection(selection: Selection, options: str) -> None:
    assert as_options(selection) == options.split()


def test_the_new_way_can_be_pasted_into_a_shell() -> None:
    said = new_way("ingest_kraken_unified", ["--tier", "TIER1"], "--source", "/srv/my archives")
    assert said.endswith("ingest_kraken_unified --tier TIER1 --source '/srv/my archives'")


@pytest.mark.parametrize(
    ("typed", "named"),
    [
        (["--dry-run"], "ingest_kraken_unified --markets XBTUSD --intervals 60 --dry-run"),
        (
            ["--dry-run", "--from-last"],
            "ingest_kraken_unified --markets XBTUSD --intervals 60 --incremental --dry-run",
        ),
        (["--show-unfillable-only"], "report_completeness --markets XBTUSD --intervals 60"),
        (
            ["--export-unfillable", "left.csv"],
            "report_completeness --markets XBTUSD --intervals 60 --export-unfillable left.csv",
        ),
    ],
)
def test_a_backfill_that_only_looks_names_what_looks_now(
    home: Path, monkeypatch: pytest.MonkeyPatch, typed: list[str], named: str
) -> None:
    monkeypatch.chdir(home)
    _, err = called(BACKFILL, "--asset", "BTC", "--interval", "60", *typed)
    assert err.endswith(f" {named}\n")
    assert err.startswith("backfill_kraken_gaps is deprecated; the same")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("wishes", "only_looks"),
    [
        (Wishes(), False),
        (Wishes(yes=True), False),
        (Wishes(dry_run=True, yes=True), True),
        (Wishes(only_unfillable=True, yes=True), True),
        (Wishes(export=Path("left.csv")), True),
        (Wishes(export=Path("left.csv"), yes=True), False),
    ],
)
def test_an_export_fills_only_with_yes(wishes: Wishes, *, only_looks: bool) -> None:
    assert wishes.only_looks is only_looks


class Person(io.StringIO):
    """Standard input where somebody sits."""

    def isatty(self) -> bool:
        return True


@pytest.mark.django_db(transaction=True)  # the command closes its connection
def test_whoever_says_no_starts_nothing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Person("n\n"))
    monkeypatch.setattr(sys, "stderr", Person())
    out = io.StringIO()
    with pytest.raises(SystemExit) as left:
        call_command(BACKFILL, "--asset", "BTC", stdout=out, stderr=io.StringIO())
    assert left.value.code == 130
    assert out.getvalue().endswith("Not started.\n")
    assert not IngestionJob.objects.exists()
