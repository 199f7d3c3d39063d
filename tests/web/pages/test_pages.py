"""Pages: all of them are there for anybody on this machine, say what the reports say, and ask the database little."""

import html
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from pytest_django import Settings

from chandlery.candles.evidence import Origin, Source
from chandlery.candles.interval import Interval
from chandlery.candles.series import Series
from chandlery.candles.timerange import TimeRange
from chandlery.models import FileStatus, GapStatus, IngestionJob, JobStatus, Lease, Market, Outage
from chandlery.pipeline.lease import LEASE_TIME
from chandlery.pipeline.process_identity import ProcessIdentity, this_process
from chandlery.reporting.in_hand import InHand
from chandlery.stores import open_store
from chandlery.web.actions import log_of
from tests.candles.builders import at, between, candles_at, every
from tests.factories import (
    ArchiveReleaseFactory,
    AssetFactory,
    FileIngestionRecordFactory,
    GapRecordFactory,
    IngestionJobFactory,
    MarketFactory,
)
from tests.pipeline.stocked import NOW, stocked
from tests.shelf import bound_store

pytestmark = pytest.mark.django_db

PAGES = ("overview", "coverage", "markets", "gaps", "jobs", "files")


@pytest.fixture(autouse=True)
def surroundings(settings: Settings, home: Path) -> None:
    settings.CLOCK = NOW


@pytest.fixture
def market(home: Path) -> Market:
    bound_store(home)
    return stocked(3)[0]


@pytest.fixture
def admin(admin_client: Client) -> Client:
    """Somebody who may act."""
    return admin_client


def text(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200, answer.content
    return answer.content.decode()


@pytest.mark.parametrize("name", PAGES)
def test_a_new_home_has_every_page(name: str, client: Client) -> None:
    assert "<h1>" in text(client, reverse(name))


@pytest.mark.parametrize("name", PAGES)
def test_no_page_holds_a_script_of_its_own_or_asks_elsewhere(name: str, client: Client, market: Market) -> None:
    shown = text(client, reverse(name))
    for script in shown.split("<script")[1:]:
        assert "src=" in script.partition(">")[0]
        assert script.partition(">")[2].startswith("</script>")
    assert " onclick=" not in shown
    assert not [part for part in shown.split('src="')[1:] if not part.startswith("/")]


@pytest.mark.parametrize("name", [*PAGES, "chart", "coverage-cells"])
def test_queries_do_not_grow_with_what_is_there(name: str, client: Client, home: Path) -> None:
    bound_store(home)
    fill(0)
    few = queries(client, name)
    fill(20)
    assert queries(client, name) == few


def fill(first: int) -> None:
    for market in stocked(5, first=first):
        GapRecordFactory.create(market=market, gap_start=at("2024-04-01"), gap_end=at("2024-04-08"))
        job = IngestionJobFactory.create(status=JobStatus.COMPLETED)
        FileIngestionRecordFactory.create(market=market, job=job, release=ArchiveReleaseFactory.create())


def queries(client: Client, name: str) -> int:
    address = reverse(name, args=["COIN0USD"]) if name == "chart" else reverse(name)
    with CaptureQueriesContext(connection) as counted:
        assert client.get(address).status_code == 200
    return len(counted)


@pytest.mark.parametrize(
    "address",
    [
        "/coverage/?interval=7",
        "/coverage/?start=yesterday",
        "/coverage/?start=2024-05-01&end=2024-01-01",
        "/coverage/?step=day",
        "/coverage/?step=century",
        "/coverage/?tier=TIER9",
        "/coverage/cells?tier=tier0",
        "/coverage/?start=1970-01-01",
        "/coverage/cells?start=1970-01-01&end=2020-12-31",
        "/gaps/?tier=TIER9",
        "/gaps/?market=NOSUCHTHING",
        "/files/?market=NOSUCHTHING",
        "/coverage/cells?interval=7",
        "/coverage/cell?market=NOSUCHTHING",
        "/gaps/?interval=x",
        "/files/?interval=x",
        "/markets/COIN0USD/chart?start=5",
        "/markets/COIN0USD/chart?start=9&end=5",
        "/markets/COIN0USD/chart?start=-1e99&end=%00",
        "/markets/COIN0USD/chart?start=99999999999999999999&end=999999999999999999999",
    ],
)
def test_a_wrong_question_is_answered_in_a_line(address: str, client: Client, market: Market) -> None:
    answer = client.get(address)
    assert answer.status_code == 400
    assert 'class="note error"' in answer.content.decode()


@pytest.mark.parametrize(
    "address", ["/files/?release=99999999999999999999", "/gaps/?page=last&status=x", "/jobs/?page=0"]
)
def test_what_finds_nothing_is_no_error(address: str, client: Client, market: Market) -> None:
    assert client.get(address).status_code == 200


@pytest.mark.parametrize(
    "address", ["/markets/NOSUCHTHING/", "/markets/NOSUCHTHING/chart", "/nowhere?x=<b>", "/jobs/x/"]
)
def test_what_is_not_there_is_said_on_a_page_that_leads_on(address: str, client: Client) -> None:
    answer = client.get(address)
    assert answer.status_code == 404
    assert "There is no such page" in answer.content.decode()
    assert f'href="{reverse("gaps")}"' in answer.content.decode()
    assert "<b>" not in answer.content.decode()


@pytest.mark.parametrize(
    "address",
    [
        "/?quotes=%00",
        "/coverage/?quotes=%00",
        "/coverage/cell?market=%00",
        "/markets/?q=%00",
        "/markets/%00/",
        "/markets/%00/chart",
        "/gaps/?market=%00",
        "/gaps/?status=%00",
        "/gaps/?reason=OPEN&quotes=USD&quotes=%00",
        "/files/?market=A%00B",
        "/files/?status=%00",
    ],
)
def test_a_character_that_no_database_keeps_is_a_wrong_question(address: str, client: Client) -> None:
    answer = client.get(address)
    assert answer.status_code == 400
    assert "holds a NUL character" in answer.content.decode()


def test_months_are_shown_of_more_years_than_any_exchange_has(client: Client, market: Market) -> None:
    assert client.get("/coverage/?start=2009-01-01").status_code == 200
    refused = client.get("/coverage/?start=1970-01-01").content.decode()
    assert "Months are shown of 300 at most, not of 653" in refused


@pytest.mark.parametrize("name", ["adausd", "ADA/USD", "ada/usd"])
@pytest.mark.parametrize("page", ["gaps", "files"])
def test_a_market_is_named_to_filters_as_people_name_it(name: str, page: str, client: Client) -> None:
    market = MarketFactory.create(base__ticker="ADA", altname="ADAUSD")
    for one in (market, MarketFactory.create()):
        GapRecordFactory.create(market=one)
        FileIngestionRecordFactory.create(market=one, job=IngestionJobFactory.create(), file_name=f"{one}_60.csv")
    shown = text(client, f"/{page}/?market={name}")
    assert '<span class="faint">1 on record' in shown
    assert 'name="market" value="ADAUSD"' in shown


def test_a_market_s_page_is_found_by_its_name_in_small_letters(client: Client, market: Market) -> None:
    answer = client.get("/markets/coin0usd/?interval=60&start=5&end=9")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/markets/COIN0USD/?interval=60&start=5&end=9")


def test_the_overview_says_what_is_open_and_how_to_mend_it(client: Client, market: Market) -> None:
    shown = text(client, "/")
    assert "TIER1: 1 gap of COIN1USD at 60min (24 candles)" in shown
    assert "ingest_kraken_unified --markets COIN1USD --intervals 60 --complete" in shown


def test_what_failed_comes_first(client: Client, market: Market) -> None:
    job = IngestionJobFactory.create(status=JobStatus.FAILED, error_message="the disk is full")
    odd = {"status": FileStatus.FAILED, "error_message": "line 17: low is 5"}
    FileIngestionRecordFactory.create(job=job, market=market, **odd)
    shown = text(client, "/")
    assert f"Job {str(job.pk)[:8]} failed" in shown
    assert "1 file could not be read" in shown
    assert shown.index("line 17: low is 5") < shown.index("1 gap of COIN1USD")


def test_a_cell_is_told_as_the_report_does(client: Client, market: Market) -> None:
    shown = text(client, f"/coverage/cell?market={market}&interval=60&start=2024-04-01&end=2024-04-30")
    assert "Missing: 168" in shown
    assert "2024-04-01 to 2024-04-07" in shown


def test_a_market_tells_its_series_gaps_and_findings(client: Client, market: Market) -> None:
    shown = text(client, "/markets/COIN1USD/")
    assert "120 here, 170 by the exchange&#x27;s own count" in shown
    assert "2024-04-01 to 2024-04-07" in shown
    assert "/api/v1/candles?market=COIN1USD&amp;interval=60" in shown
    assert "export_candles --markets COIN1USD --intervals 60 --output candles" in shown


def test_a_market_found_by_its_name_is_shown(client: Client, market: Market) -> None:
    assert client.get("/markets/?q=coin0usd").headers["Location"] == "/markets/COIN0USD/"
    assert client.get("/markets/?q=coin0/usd").headers["Location"] == "/markets/COIN0USD/"
    assert "3 on record" in text(client, "/markets/?q=coin")


def test_a_chart_has_candles_verdicts_coverage_and_outages(client: Client, market: Market, home: Path) -> None:
    store = open_store("parquet:data/candles", home)
    candles = candles_at(*every(Interval.M60, "2024-03-30 00:00", 10))
    store.write(Series("kraken", market.altname, Interval.M60), candles, Origin(Source.CSV))
    Outage.objects.create(start=at("2024-03-30 10:00"), end=at("2024-03-30 12:00"), markets=[str(market)], found_at=NOW)
    view = f"start={int(at('2024-03-30').timestamp())}&end={int(at('2024-04-03').timestamp())}"
    told = json.loads(text(client, f"/markets/{market}/chart?{view}"))
    assert (told["interval"], told["step"]) == (60, 3600)
    assert len(told["candles"]["time"]) == 10
    assert [run[2] for run in told["runs"]][-1] == "MISSING"
    assert [lane["name"] for lane in told["lanes"]] == ["Archives"]
    assert told["outages"] == [[int(at("2024-03-30 10:00").timestamp()), int(at("2024-03-30 12:00").timestamp())]]


def drawn(client: Client, market: Market, asked: str, start: str, end: str) -> tuple[dict[str, object], TimeRange]:
    """What the chart was sent, and what of it is seen."""
    edges = f"start={int(at(start).timestamp())}&end={int(at(end).timestamp())}"
    told = json.loads(text(client, f"/markets/{market}/chart?{asked}&{edges}"))
    view = told["view"]
    return told, TimeRange(*(datetime.fromtimestamp(view[edge], UTC) for edge in ("start", "end")))


def test_a_chart_of_a_long_gap_shows_the_gap_at_its_own_interval(client: Client, market: Market) -> None:
    told, seen = drawn(client, market, "interval=60&whole=1", "2024-02-25", "2024-04-10")
    assert seen == between("2024-02-25", "2024-04-10")
    assert (told["interval"], told["step"]) == (60, 2 * 3600)


def test_a_width_that_is_asked_for_shows_the_middle_of_what_holds_too_much_of_it(
    client: Client, market: Market
) -> None:
    told, seen = drawn(client, market, "interval=60", "2024-02-25", "2024-04-10")
    assert seen == between("2024-03-01 20:00", "2024-04-04 04:00")
    assert told["step"] == 3600


def test_a_chart_does_not_show_what_has_not_come_yet(client: Client, market: Market) -> None:
    _, seen = drawn(client, market, "interval=60", "2024-04-25", "2024-06-25")
    assert seen.end == at("2024-05-02")
    _, beside = drawn(client, market, "interval=1440", "2031-01-01", "2033-01-01")
    assert beside == between("2024-02-20", "2024-05-02")


def test_a_gap_says_what_closes_it_and_what_that_takes(client: Client, market: Market) -> None:
    GapRecordFactory.create(
        market=market, gap_start=NOW.replace(minute=0) - timedelta(hours=5), gap_end=at("2024-05-01 12:00")
    )
    accepted = GapRecordFactory.create(market=market, gap_start=at("2023-01-01"), status=GapStatus.ACCEPTED)
    shown = text(client, "/gaps/")
    assert "Kraken&#x27;s API still answers for it" in shown
    assert "(1 request)" in shown
    assert "1 on record" in shown
    assert accepted.required_csv_file in text(client, "/gaps/?status=ACCEPTED")


@pytest.fixture
def gaps_of_three(market: Market) -> None:
    """A gap each of a market of the first tier, of one quoted in euros, and of one that nobody can classify."""
    euro = MarketFactory.create(base=market.base, quote=AssetFactory.create(ticker="EUR", tier=""), altname="COIN0EUR")
    for one in (market, euro, MarketFactory.create(base=None, quote=None, altname="QQQXYZ")):
        GapRecordFactory.create(market=one)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", {"COIN0USD", "COIN0EUR", "QQQXYZ"}),
        ("tier=TIER1", {"COIN0USD", "COIN0EUR"}),
        ("tier=TIER4", {"QQQXYZ"}),
        ("tier=ALL", {"COIN0USD", "COIN0EUR", "QQQXYZ"}),
        ("quotes=usd", {"COIN0USD", "QQQXYZ"}),
        ("tier=TIER1&quotes=EUR,GBP", {"COIN0EUR"}),
        ("tier=TIER4&quotes=EUR", {"QQQXYZ"}),
    ],
)
def test_gaps_are_those_of_the_tier_as_reports_have_it(
    query: str, found: set[str], client: Client, gaps_of_three: None
) -> None:
    shown = text(client, f"/gaps/?{query}")
    assert {name for name in ("COIN0USD", "COIN0EUR", "QQQXYZ") if f">{name}</a>" in shown} == found


def test_what_gaps_are_quoted_in_is_asked_by_the_overview_and_kept_by_the_filter(
    client: Client, market: Market
) -> None:
    IngestionJobFactory.create(status=JobStatus.FAILED)
    for place, tier in enumerate(("TIER2", "TIER3", "TIER4"), 1):
        stocked(6, first=10 * place, tier=tier)
    shown = text(client, "/?quotes=USD,EUR")
    assert 'href="/gaps/?quotes=USD,EUR"' in shown
    assert '<input name="quotes" value="USD,EUR"' in text(client, "/gaps/?quotes=USD,EUR")


def test_a_job_shows_its_files_and_how_to_go_on(client: Client, market: Market) -> None:
    job = IngestionJobFactory.create(status=JobStatus.PAUSED, markets=[str(market)], tier="")
    FileIngestionRecordFactory.create(job=job, market=market, error_message="it has an odd row")
    shown = text(client, reverse("job", args=[job.pk]))
    assert f"--resume {str(job.pk)[:8]}" in shown
    assert "it has an odd row" in shown


def held(job: IngestionJob, process: ProcessIdentity | None = None) -> Lease:
    """A job at work: in this process, unless told otherwise."""
    by = process or this_process()
    now = datetime.now(UTC)
    return Lease.objects.create(
        job=job,
        purpose=f"job {str(job.pk)[:8]}",
        host=by.host,
        pid=by.pid,
        process_started=by.started,
        acquired_at=now,
        renewed_at=now,
        expires_at=now + LEASE_TIME,
    )


@pytest.mark.parametrize("address", ["/", "/jobs/", "/jobs/running", "/jobs/{job}/", "/metrics"])
def test_a_job_whose_process_was_killed_is_not_called_running(address: str, client: Client, market: Market) -> None:
    me = this_process()
    job = IngestionJobFactory.create(tier="", markets=[str(market)])
    held(job, ProcessIdentity(me.host, me.pid, me.started - 1000))
    shown = text(client, address.format(job=job.pk))
    assert "Running:" not in shown
    job.refresh_from_db()
    assert (job.status, Lease.objects.exists()) == (JobStatus.FAILED, False)
    if address == "/metrics":
        assert 'chandlery_last_job_status{status="FAILED"} 1.0' in shown


def test_a_running_job_is_seen_on_the_overview_and_by_the_part_that_asks_again(client: Client) -> None:
    in_hand = InHand("reading files", datetime.now(UTC), "1 of 4 files, 12.3k rows/s", "XBTUSD_60.csv", 0.257, 3700.0)
    job = IngestionJobFactory.create(total_files=8, files_ingested=2, in_hand=in_hand.as_json())
    held(job)
    for address in ("/", "/jobs/running", reverse("job", args=[job.pk])):
        shown = text(client, address)
        assert str(job.pk)[:8] in shown
        assert re.search(r"Reading files: 1 of 4 files, 12.3k rows/s, 1:01:\d\d left", shown)
        assert "XBTUSD_60.csv" in shown
        assert "2 of 8 files" in shown
        assert 'value="25"' in shown


def test_a_job_that_has_only_just_begun_has_no_way_to_go_yet(client: Client) -> None:
    job = IngestionJobFactory.create()
    held(job)
    shown = text(client, "/")
    assert "Beginning" in shown
    assert re.search(r'<progress max="100" aria-label="[^"]*"></progress>', shown)


def test_what_its_process_says_is_renewed_while_it_runs(admin: Client, market: Market) -> None:
    job = IngestionJobFactory.create(tier="", markets=[str(market)])
    held(job)
    page = reverse("job", args=[job.pk])
    assert "log-text" not in text(admin, page)
    log_of(job).parent.mkdir(parents=True)
    log_of(job).write_text("Step 1/6")
    shown = text(admin, page)
    assert ">Step 1/6</pre>" in shown
    log_of(job).write_text("Step 1/6\n" * 1000 + "Step 2/6\n")
    assert ">Step 1/6\n" in text(admin, page)
    log_of(job).write_text("Step 1/6\nStep 2/6")
    assert '<pre hx-swap-oob="innerHTML:#log-text">Step 1/6\nStep 2/6</pre>' in text(admin, asks_again(shown))


def test_a_job_of_a_tier_that_holds_no_market_any_more_has_its_page(client: Client) -> None:
    job = IngestionJobFactory.create(tier="TIER9", status=JobStatus.COMPLETED)
    assert "0 gaps, 0 candles" in text(client, reverse("job", args=[job.pk]))


def asks_again(shown: str) -> str:
    """The address that a part of the page asks for by itself; empty where it does not."""
    found = re.search(r'hx-get="([^"]*)"', shown)
    return html.unescape(found[1]) if found else ""


def test_the_part_that_asks_again_brings_figures_and_leaves_the_rest_where_it_is(client: Client, admin: Client) -> None:
    job = IngestionJobFactory.create(total_files=8, files_ingested=2)
    held(job)
    first = text(admin, "/")
    IngestionJob.objects.update(files_ingested=4)
    again = admin.get(asks_again(first))
    assert again.headers["HX-Reswap"] == "none"
    assert "4 of 8 files" in again.content.decode()
    assert "hx-swap-oob" in again.content.decode()
    assert "<form" not in again.content.decode()
    held(IngestionJobFactory.create())
    other = admin.get(asks_again(first))
    assert "HX-Reswap" not in other.headers
    assert other.content.decode().count("<form") == 2


def test_a_job_on_another_machine_says_where_and_has_no_pause_button(admin: Client, market: Market) -> None:
    job = IngestionJobFactory.create(tier="", markets=[str(market)])
    held(job, ProcessIdentity("worker-1", 7, 1.0))
    for address in ("/", reverse("job", args=[job.pk])):
        shown = text(admin, address)
        assert "on worker-1" in shown
        assert reverse("pause", args=[job.pk]) not in shown


def test_nothing_new_is_nothing_swapped(client: Client) -> None:
    again = client.get(asks_again(text(client, "/")))
    assert (again.headers["HX-Reswap"], again.content.strip()) == ("none", b"")


def test_a_job_is_followed_from_when_it_was_asked_for_to_its_end(admin: Client, market: Market) -> None:
    job = IngestionJobFactory.create(status=JobStatus.PENDING, tier="", markets=[str(market)])
    waiting = text(admin, reverse("job", args=[job.pk]))
    address = asks_again(waiting)
    assert address.startswith(reverse("job-running", args=[job.pk]))
    assert admin.get(address).headers["HX-Reswap"] == "none"

    IngestionJob.objects.update(status=JobStatus.RUNNING, total_files=8, files_ingested=2)
    lease = held(job)
    begun = text(admin, address)
    assert 'class="status RUNNING"' in begun
    assert "2 of 8 files" in begun
    assert reverse("pause", args=[job.pk]) in begun

    IngestionJob.objects.update(files_ingested=5, candles_fetched=1234)
    goes_on = admin.get(asks_again(begun))
    assert goes_on.headers["HX-Reswap"] == "none"
    assert "5 of 8 files" in goes_on.content.decode()
    assert "1,234 new candles," in goes_on.content.decode()

    lease.delete()
    IngestionJob.objects.update(status=JobStatus.PAUSED)
    ended = text(admin, asks_again(begun))
    assert 'class="status PAUSED"' in ended
    assert "Go on with it" in ended
    assert asks_again(ended) == ""


def test_the_page_of_a_job_shows_no_other_one(client: Client, market: Market) -> None:
    mine, other = (IngestionJobFactory.create(tier="", markets=[str(market)]) for _ in range(2))
    held(mine)
    held(other)
    shown = text(client, reverse("job", args=[mine.pk]))
    assert str(other.pk)[:8] not in shown + text(client, asks_again(shown))


def test_reading_can_be_put_behind_the_login(client: Client, settings: Settings) -> None:
    settings.WEB_LOGIN_REQUIRED = True
    for name in PAGES:
        assert client.get(reverse(name)).headers["Location"].startswith(reverse("admin:login"))
