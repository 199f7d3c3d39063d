"""Buttons: they do nothing for who has not signed in, nor for another site; and what they do, a worker does."""

import html
import re
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from chandlery.models import GapRecord, GapStatus, IngestionJob, JobStatus, Market
from chandlery.web import worker
from tests.factories import GapRecordFactory, IngestionJobFactory
from tests.pipeline.stocked import NOW, stocked

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def surroundings(settings: Settings, home: Path) -> None:
    settings.CLOCK = NOW


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What workers were started with."""
    commands: list[list[str]] = []

    def start(arguments: list[str], *rest: object) -> int:
        commands.append(list(arguments))
        return 1

    monkeypatch.setattr(worker, "start", start)
    return commands


@pytest.fixture
def market() -> Market:
    return stocked(1)[0]


@pytest.fixture
def gap(market: Market) -> GapRecord:
    return GapRecordFactory.create(market=market)


@pytest.fixture
def job(market: Market) -> IngestionJob:
    return IngestionJobFactory.create(status=JobStatus.PAUSED, tier="", markets=[str(market)])


def keeper(client: Client, *, staff: bool = True) -> Client:
    client.force_login(User.objects.create_user("keeper", password="a lantern", is_staff=staff))
    return client


def acts(gap: GapRecord, job: IngestionJob) -> list[tuple[str, dict[str, str]]]:
    """Every button there is."""
    return [
        (reverse("fill"), {"market": str(gap.market), "interval": "60"}),
        (reverse("accept", args=[gap.pk]), {}),
        (reverse("pause", args=[job.pk]), {}),
        (reverse("resume", args=[job.pk]), {}),
    ]


def nothing_happened(gap: GapRecord, job: IngestionJob, started: list[list[str]]) -> bool:
    gap.refresh_from_db()
    job.refresh_from_db()
    return (gap.status, job.status, started) == (GapStatus.DETECTED, JobStatus.PAUSED, [])


def test_without_a_login_nothing_is_done(
    client: Client, gap: GapRecord, job: IngestionJob, started: list[list[str]]
) -> None:
    for address, data in acts(gap, job):
        answer = client.post(address, data)
        assert answer.headers["Location"].startswith(reverse("admin:login"))
    assert nothing_happened(gap, job, started)
    assert IngestionJob.objects.count() == 1


def test_who_is_not_of_the_staff_does_nothing(
    client: Client, gap: GapRecord, job: IngestionJob, started: list[list[str]]
) -> None:
    keeper(client, staff=False)
    assert [client.post(address, data).status_code for address, data in acts(gap, job)] == [403] * 4
    assert nothing_happened(gap, job, started)


def test_another_site_cannot_press_a_button(gap: GapRecord, job: IngestionJob, started: list[list[str]]) -> None:
    client = keeper(Client(enforce_csrf_checks=True, headers={"host": "localhost"}))
    assert [client.post(address, data).status_code for address, data in acts(gap, job)] == [403] * 4
    assert nothing_happened(gap, job, started)


def test_a_link_presses_no_button(client: Client, gap: GapRecord, job: IngestionJob, started: list[list[str]]) -> None:
    keeper(client)
    assert [client.get(address).status_code for address, _ in acts(gap, job)] == [405] * 4
    assert nothing_happened(gap, job, started)


def pressed(client: Client, address: str, data: dict[str, str]) -> str:
    """The page that follows, with the token of the page before, as a browser sends it."""
    client.get(reverse("gaps"))
    answer = client.post(address, data, headers={"X-CSRFToken": client.cookies["csrftoken"].value})
    return client.get(answer.headers["Location"]).content.decode()


def test_fill_starts_a_job_in_a_worker(gap: GapRecord, started: list[list[str]]) -> None:
    client = keeper(Client(enforce_csrf_checks=True, headers={"host": "localhost"}))
    data = {"market": str(gap.market), "interval": "60", "start": "2024-04-01", "end": "2024-04-01", "complete": "1"}
    shown = pressed(client, reverse("fill"), data | {"next": reverse("gaps")})
    job = IngestionJob.objects.get()
    assert started == [["ingest_kraken_unified", "--resume", str(job.pk), "--yes"]]
    assert (job.markets, job.intervals, job.complete) == ([str(gap.market)], [60], True)
    assert (job.end_date - job.start_date).days == 1  # type: ignore[operator]
    assert f"Job {str(job.pk)[:8]} is about to fill" in shown


def test_accept_leaves_a_gap_as_it_is(client: Client, gap: GapRecord) -> None:
    keeper(client)
    answer = client.post(reverse("accept", args=[gap.pk]), {"next": "/gaps/?tier=TIER1"})
    gap.refresh_from_db()
    assert (gap.status, answer.headers["Location"]) == (GapStatus.ACCEPTED, "/gaps/?tier=TIER1")


def test_resume_goes_on_in_a_worker(client: Client, job: IngestionJob, started: list[list[str]]) -> None:
    keeper(client).post(reverse("resume", args=[job.pk]))
    assert started == [["ingest_kraken_unified", "--resume", str(job.pk), "--yes"]]


def test_the_page_of_a_job_that_is_about_to_go_on_waits_for_that(
    client: Client, job: IngestionJob, started: list[list[str]]
) -> None:
    page = reverse("job", args=[job.pk])
    assert "hx-get" not in keeper(client).get(page).content.decode()
    client.post(reverse("resume", args=[job.pk]))
    waiting = client.get(page).content.decode()
    again = re.search(r'id="job"[^>]* hx-get="([^"]*)"', waiting)
    assert again is not None
    assert client.get(html.unescape(again[1])).headers["HX-Reswap"] == "none"
    IngestionJob.objects.update(in_hand=None, error_message="it could not go on: why")
    rests = client.get(html.unescape(again[1]))
    assert "HX-Reswap" not in rests.headers
    assert "hx-get" not in rests.content.decode()


def test_a_job_whose_process_never_began_is_begun_again(
    client: Client, job: IngestionJob, started: list[list[str]]
) -> None:
    IngestionJob.objects.update(status=JobStatus.PENDING)
    address = reverse("resume", args=[job.pk])
    shown = keeper(client).get(reverse("job", args=[job.pk])).content.decode()
    assert f'action="{address}"' in shown
    client.post(address)
    assert started == [["ingest_kraken_unified", "--resume", str(job.pk), "--yes"]]


@pytest.mark.parametrize(
    ("dates", "says"),
    [
        ({"start": "2024-04-02", "end": "2024-04-01"}, "The start 2024-04-02 is after the end 2024-04-01"),
        ({"start": "soon"}, "&#x27;soon&#x27; is not a day"),
    ],
)
def test_dates_that_hold_no_day_start_nothing(
    client: Client, gap: GapRecord, started: list[list[str]], dates: dict[str, str], says: str
) -> None:
    data = {"market": str(gap.market), "interval": "60"} | dates
    assert says in keeper(client).post(reverse("fill"), data, follow=True).content.decode()
    assert (started, IngestionJob.objects.count()) == ([], 0)


def test_what_cannot_be_done_says_why(client: Client, job: IngestionJob, started: list[list[str]]) -> None:
    answer = keeper(client).post(reverse("pause", args=[job.pk]), follow=True)
    assert "is not running: it is PAUSED" in answer.content.decode()


def test_a_character_that_no_database_keeps_is_told_of(
    client: Client, gap: GapRecord, started: list[list[str]]
) -> None:
    shown = pressed(keeper(client), "/gaps/fill", {"market": "COIN\0USD", "interval": "60"})
    assert "market holds a NUL character" in shown
    assert started == []


def test_nobody_is_led_to_another_site(client: Client, gap: GapRecord) -> None:
    answer = keeper(client).post(reverse("accept", args=[gap.pk]), {"next": "https://elsewhere.example/"})
    assert answer.headers["Location"] == reverse("overview")
