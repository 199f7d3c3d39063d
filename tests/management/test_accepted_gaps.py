"""A gap that a person has accepted: commands spend nothing on it, and --complete takes it for done."""

import json
from pathlib import Path

import pytest
from django.core.management import call_command
from pytest_django import Settings

from chandlery.candles.interval import Interval
from chandlery.models import GapRecord, GapStatus
from chandlery.pipeline.accept import accept_gap
from chandlery.pipeline.detect import record_gaps
from chandlery.pipeline.knowledge import know
from chandlery.pipeline.knowledge import series_of as of
from tests.candles.builders import at, between, candles_at, every
from tests.shelf import bitcoin, bound_store, put

ASKED = ("--markets", "XBTUSD", "--start-date", "2024-03-01", "--end-date", "2024-03-31")
NOW = at("2024-09-01 00:30")


@pytest.fixture
def gap(home: Path, settings: Settings, transactional_db: None) -> GapRecord:
    """A lost week of XBTUSD, far beyond what the API tells; it is on record."""
    settings.CLOCK, settings.DEFAULT_INTERVALS = NOW, [60]
    settings.KRAKEN_API = "http://127.0.0.1:9"
    market, store = bitcoin(), bound_store(home)
    market.first_trade = at("2024-03-01 00:00")
    market.save()
    answered = [between("2024-03-01", "2024-03-10"), between("2024-03-17", "2024-04-01")]
    put(store, market, 60, candles_at(*every(Interval.M60, "2024-03-01 00:00", 24)), answered)
    record_gaps(know([market], store, NOW), {of(market, Interval.M60): between("2024-03-01", "2024-04-01")}, NOW)
    return GapRecord.objects.get()


def ingest(capsys: pytest.CaptureFixture[str], *typed: str, expected: int = 0) -> str:
    try:
        call_command("ingest_kraken_unified", *ASKED, "--complete", "--yes", *typed)
        status: object = 0
    except SystemExit as left:
        status = left.code
    assert status == expected
    return capsys.readouterr().out


def test_nothing_is_planned_for_it(gap: GapRecord, capsys: pytest.CaptureFixture[str]) -> None:
    before = json.loads(ingest(capsys, "--dry-run", "--json"))["plan"]
    accept_gap(gap.pk)
    after = json.loads(ingest(capsys, "--dry-run", "--json"))["plan"]
    assert [len(told["walks"]) for told in (before, after)] == [1, 0]
    assert "accepted as it is" in ingest(capsys, "--dry-run")


def test_with_complete_it_is_no_reason_for_status_3(gap: GapRecord, capsys: pytest.CaptureFixture[str]) -> None:
    assert "--complete: 1 gap remains (status 3)" in ingest(capsys, "--no-api-backfill", expected=3)
    accept_gap(gap.pk)
    said = ingest(capsys, "--no-api-backfill")
    assert "• Total Gaps: 1 (1 accepted)" in said
    assert "Nothing to do: what is open has been accepted as it is." in said
    assert GapRecord.objects.get().status == GapStatus.ACCEPTED


def test_reports_show_its_slots_as_missing(gap: GapRecord, capsys: pytest.CaptureFixture[str]) -> None:
    accept_gap(gap.pk)
    call_command("report_completeness", *ASKED, "--json")
    [series] = json.loads(capsys.readouterr().out)["series"]
    assert (series["missing"], [one["status"] for one in series["gaps"]]) == (7 * 24, ["ACCEPTED"])
