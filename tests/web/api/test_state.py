"""What there is, as JSON."""

import json
import re
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from chandlery.candles.evidence import Source
from chandlery.models import FindingState, Market, Outage, QualityFinding
from tests.candles.builders import at
from tests.factories import (
    NOW,
    DataCoverageRangeFactory,
    FileIngestionRecordFactory,
    GapRecordFactory,
    IngestionJobFactory,
    MarketFactory,
)

pytestmark = pytest.mark.django_db


def told(client: Client, path: str, status: int = 200) -> Any:
    answer = client.get(f"/api/v1/{path}")
    assert answer.status_code == status, answer.content
    assert answer.headers["Content-Type"].startswith("application/json")
    return answer.json()


def finding(market: Market, **facts: Any) -> QualityFinding:
    defaults = {"interval_minutes": 60, "start": at("2024-03-01"), "end": at("2024-03-02"), "kind": "LEDGER_SHORT"}
    return QualityFinding.objects.create(market=market, severity="ERROR", found_at=NOW, **(defaults | facts))


def test_completeness_is_what_the_command_prints_as_json_and_on_a_terminal(client: Client, market: Market) -> None:
    said = told(client, "completeness?markets=XBTUSD&intervals=60&start_date=2024-03-01&end_date=2024-03-01")
    options = {"markets": ["XBTUSD"], "intervals": ["60"], "start_date": "2024-03-01", "end_date": "2024-03-01"}
    as_json, as_text = StringIO(), StringIO()
    call_command("report_completeness", stdout=as_json, json=True, **options)
    call_command("report_completeness", stdout=as_text, **options)
    assert said == json.loads(as_json.getvalue())
    [series] = said["series"]
    assert (series["traded"], series["quiet_claimed"], series["missing"]) == (3, 9, 12)
    assert f"{series['completeness']:.1%}" == "50.0%"
    assert "50.0%" in as_text.getvalue()


def test_a_tier_tells_the_same_as_its_report(client: Client, market: Market) -> None:
    [tier] = [tier for tier in told(client, "tiers")["tiers"] if tier["tier"] == "TIER1"]
    [hourly] = [one for one in tier["intervals"] if one["interval_minutes"] == 60]
    overall = told(client, "completeness?tier=TIER1&intervals=60")["overall"]
    assert (tier["assets"], tier["markets"]) == (1, 1)
    for name in ("slots", "traded", "missing", "completeness", "density", "gaps"):
        assert hourly[name] == overall[name], name


PATHS = [
    *("tiers", "assets", "markets", "completeness?tier=TIER1&intervals=60,1440", "coverage", "gaps", "findings"),
    *("outages", "jobs", "files"),
]


@pytest.mark.parametrize("path", PATHS)
def test_the_number_of_queries_does_not_grow_with_what_is_there(client: Client, market: Market, path: str) -> None:
    told(client, path)  # what is made once is made by now

    def queries() -> int:
        with CaptureQueriesContext(connection) as seen:
            told(client, path)
        return len(seen)

    def more(count: int) -> None:
        for _ in range(count):
            other = MarketFactory.create(base__tier="TIER1")
            DataCoverageRangeFactory.create(market=other, source=Source.CSV)
            GapRecordFactory.create(market=other)
            finding(other)
            FileIngestionRecordFactory.create(market=other, job__status="COMPLETED")

    more(2)
    few = queries()
    more(12)
    assert queries() == few


def test_assets_and_markets_are_told_page_by_page(client: Client, market: Market) -> None:
    for place in range(4):
        MarketFactory.create(base__ticker=f"NEW{place}", base__tier="TIER2", altname=f"NEW{place}USD")
    first = told(client, "markets?limit=2")
    assert (first["count"], first["next"], [one["market"] for one in first["markets"]]) == (
        5,
        2,
        ["NEW0USD", "NEW1USD"],
    )
    last = told(client, "markets?limit=2&offset=4")
    assert (last["next"], [one["market"] for one in last["markets"]]) == (None, ["XBTUSD"])
    assert [one["market"] for one in told(client, "markets?tier=TIER1")["markets"]] == ["XBTUSD"]
    assert [one["market"] for one in told(client, "markets?search=xbt")["markets"]] == ["XBTUSD"]
    assert told(client, "assets?tier=TIER1")["assets"] == [{"ticker": "BTC", "category": "CRYPTO", "tier": "TIER1"}]


def test_markets_that_nobody_can_classify_belong_to_the_last_tier(client: Client, market: Market) -> None:
    MarketFactory.create(base=None, quote=None, altname="QQQXYZ")
    MarketFactory.create(base__ticker="NEW", base__tier="TIER4", altname="NEWUSD")
    for query in ("tier=TIER4", "tier=TIER4&quotes=USD", "tier=ALL&search=Q"):
        names = [one["market"] for one in told(client, f"markets?{query}")["markets"]]
        assert "QQQXYZ" in names, query
    assert [one["market"] for one in told(client, "markets?tier=TIER1")["markets"]] == ["XBTUSD"]
    assert [tier["markets"] for tier in told(client, "tiers")["tiers"]] == [1, 0, 0, 2]
    assert [tier["markets"] for tier in told(client, "tiers?quotes=EUR")["tiers"]] == [0, 0, 0, 1]


def test_coverage_says_who_has_spoken(client: Client, market: Market) -> None:
    [first, second] = told(client, "coverage?markets=XBTUSD")["coverage"]
    assert (first["start"], first["end"], first["source"]) == ("2024-03-01T00:00:00Z", "2024-03-01T06:00:00Z", "CSV")
    assert told(client, "coverage?markets=XBTUSD&start_date=2024-03-02")["coverage"] == []
    assert second["candles"] == 1


def test_gaps_come_by_status(client: Client, market: Market) -> None:
    row = GapRecordFactory.create(market=market)
    GapRecordFactory.create(market=market, gap_start=at("2024-01-01"), gap_end=at("2024-01-02"), status="FILLED")
    [gap] = told(client, "gaps")["gaps"]
    assert (gap["id"], gap["market"], gap["candles"], gap["status"]) == (row.pk, "XBTUSD", 24, "DETECTED")
    assert told(client, "gaps?status=ALL")["count"] == 2
    assert told(client, "gaps?status=FILLED&markets=XBTUSD&intervals=60")["count"] == 1
    assert told(client, "gaps?intervals=1440")["count"] == 0


def test_findings_are_told_as_the_audit_tells_them(client: Client, market: Market) -> None:
    finding(market)
    finding(market, start=at("2024-02-01"), state=FindingState.RESOLVED)
    said = told(client, "findings?markets=XBTUSD")
    assert [one["kind"] for one in said["findings"]] == ["LEDGER_SHORT"]
    assert told(client, "findings?state=ALL")["count"] == 2


def test_outages_are_those_of_the_markets(client: Client, market: Market) -> None:
    Outage.objects.create(start=at("2024-03-01"), end=at("2024-03-02"), markets=["XBTUSD"], found_at=NOW)
    Outage.objects.create(start=at("2024-03-03"), end=at("2024-03-04"), markets=["ETHUSD"], found_at=NOW)
    assert [one["start"] for one in told(client, "outages?markets=XBTUSD")["outages"]] == ["2024-03-01T00:00:00Z"]


def test_jobs_and_files_are_told_with_what_became_of_them(client: Client, market: Market) -> None:
    job = IngestionJobFactory.create(status="COMPLETED", markets=["XBTUSD"], tier="")
    FileIngestionRecordFactory.create(job=job, market=market, file_name="XBTUSD_60.csv")
    assert [one["job_id"] for one in told(client, "jobs")["jobs"]] == [str(job.pk)]
    whole = told(client, f"jobs/{str(job.pk)[:8]}")
    as_json = StringIO()
    call_command("show_job", str(job.pk), json=True, stdout=as_json)
    assert whole == json.loads(as_json.getvalue())
    [file] = told(client, "files?market=XBTUSD&status=COMPLETED")["files"]
    assert (file["name"], file["job_id"]) == ("XBTUSD_60.csv", str(job.pk))
    assert told(client, "files?status=FAILED")["files"] == []


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("completeness", 422, "Say what you want: tier TIER1"),
        ("completeness?tier=TIER9", 422, "Tier 'TIER9' is not known"),
        ("completeness?markets=NOSUCH", 404, "Kraken has no market 'NOSUCH'"),
        ("completeness?tier=TIER1&markets=XBTUSD", 422, "tier and markets are two ways"),
        ("completeness?tier=TIER1&intervals=7", 422, "Interval '7' is not known"),
        ("completeness?tier=TIER1&start_date=2024-13-01", 422, "start_date '2024-13-01' is not a day"),
        ("completeness?tier=TIER1&start_date=0001-01-01", 422, "is not a day from 1970 to 2099"),
        ("completeness?tier=TIER1&start_date=2024-02-02&end_date=2024-02-01", 422, "start_date 2024-02-02 is after"),
        ("completeness?tier=TIER1&interval=60", 400, "'interval' is nothing that can be asked here"),
        ("completeness?tier=TIER1%00", 400, "tier holds a character that no name has"),
        ("gaps?limit=0", 400, "limit: Input should be greater than or equal to 1"),
        ("gaps?limit=1001", 400, "limit: Input should be less than or equal to 1000"),
        ("gaps?status=LOST", 400, "status: Input should be 'OPEN'"),
        ("jobs/zzz", 404, "No job 'zzz'"),
        ("nothing", 404, "there is no /api/v1/nothing; /api/v1/docs shows what there is"),
    ],
)
def test_what_is_asked_wrongly_is_told_in_one_line(
    client: Client, market: Market, path: str, status: int, says: str
) -> None:
    said = told(client, path, status)
    assert list(said) == ["error"]
    assert says in said["error"]


def test_a_store_that_was_emptied_is_not_reported_as_complete(
    client: Client, market: Market, settings: Settings
) -> None:
    (settings.CHANDLERY_HOME / "data" / "candles" / "_lake.json").unlink()
    said = told(client, "completeness?markets=XBTUSD", 503)
    assert "is empty or not there" in said["error"]
    assert "rebuild_state" in said["error"]


def test_the_description_and_its_scripts_come_from_here(client: Client) -> None:
    page = client.get("/api/v1/docs").content.decode()
    scripts = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert scripts
    assert [path for path in scripts if not path.startswith("/static/")] == []
    for path in scripts:
        served = client.get(path)
        assert (served.status_code, bool(served.getvalue())) == (200, True), path
    assert "<script>" not in page
    assert told(client, "openapi.json")["info"]["title"] == "Chandlery"
