"""Setting things going by the API: with the token, and in a process of its own."""

import os
import signal
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from chandlery.models import (
    FindingState,
    GapRecord,
    IngestionJob,
    JobStatus,
    Lease,
    LeasedSeries,
    Market,
    QualityFinding,
)
from chandlery.pipeline.process_identity import this_process
from chandlery.web import worker
from tests.candles.builders import at
from tests.factories import NOW, GapRecordFactory, IngestionJobFactory

pytestmark = pytest.mark.django_db
TOKEN = "a-long-and-random-token"
OF_XBT = {"tier": "", "markets": ["XBTUSD"]}
SENT = {"authorization": f"Bearer {TOKEN}"}


@pytest.fixture(autouse=True)
def token(settings: Settings) -> None:
    settings.API_TOKEN = TOKEN


class Workers:
    """Stands in for processes: what was started, and how each ends."""

    def __init__(self) -> None:
        self.started: list[list[str]] = []
        self.ended: list[Callable[[int], None]] = []
        self.logs: list[Path] = []
        self.refuse = ""

    def start(self, arguments: Sequence[str], log: Path, ended: Callable[[int], None]) -> int:
        if self.refuse:
            raise worker.NotStarted(why=self.refuse)
        self.started.append(list(arguments))
        self.logs.append(log)
        self.ended.append(ended)
        return 4711


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> Workers:
    standing_in = Workers()
    monkeypatch.setattr(worker, "start", standing_in.start)
    return standing_in


def post(client: Client, path: str, body: dict[str, Any] | None = None, authorization: str | None = None) -> Any:
    headers = SENT if authorization is None else {"authorization": authorization}
    return client.post(f"/api/v1/{path}", body or {}, content_type="application/json", headers=headers)


def hold(job: IngestionJob, market: Market, **facts: Any) -> Lease:
    """The job runs in this process, and writes the market's hours."""
    me = this_process()
    identity = {"host": me.host, "pid": me.pid, "process_started": me.started} | facts
    times = {"acquired_at": NOW, "renewed_at": NOW, "expires_at": at("2100-01-01")}
    lease = Lease.objects.create(job=job, purpose=f"job {str(job.pk)[:8]}", **identity, **times)
    LeasedSeries.objects.create(lease=lease, market=market, interval_minutes=60)
    return lease


@pytest.mark.parametrize("path", ["fill", "jobs/1a2b/resume", "jobs/1a2b/pause", "gaps/1/accept", "findings/1/accept"])
def test_without_the_token_nothing_is_set_going(
    client: Client, workers: Workers, settings: Settings, path: str
) -> None:
    for sent in ("Bearer wrong", "", f"Basic {TOKEN}"):
        refused = post(client, path, authorization=sent)
        assert (refused.status_code, refused.json()["error"][:24]) == (401, "this takes the API_TOKEN")
    settings.API_TOKEN = ""
    refused = post(client, path, authorization="Bearer ")
    assert refused.status_code == 403
    assert refused.json() == {
        "error": "this takes a token, and none is set: set API_TOKEN, then send it as 'Authorization: Bearer …'"
    }
    assert workers.started == []


def test_a_login_is_no_token(client: Client, workers: Workers, admin_user: Any) -> None:
    client.force_login(admin_user)
    assert post(client, "fill", {"tier": "TIER1"}, authorization="").status_code == 401


def test_another_site_can_neither_use_the_login_nor_needs_to_be_feared_with_the_token(
    market: Market, workers: Workers, admin_user: Any
) -> None:
    browser = Client(enforce_csrf_checks=True, headers={"host": "localhost"})
    browser.force_login(admin_user)
    forged = browser.post("/api/v1/fill", '{"tier": "TIER1"}', content_type="text/plain")
    assert (forged.status_code, workers.started) == (401, [])
    # No browser sends it of its own accord, so it needs no second proof.
    assert post(browser, "fill", {"markets": "XBTUSD"}).status_code == 202


def test_filling_starts_a_job_in_a_process_of_its_own(client: Client, market: Market, workers: Workers) -> None:
    answer = post(client, "fill", {"markets": "XBTUSD", "intervals": "60", "trade_budget": 50})
    assert answer.status_code == 202, answer.content
    job = IngestionJob.objects.get()
    said = answer.json()
    assert (said["job_id"], said["status"], said["markets"], said["trade_budget"]) == (
        *(str(job.pk), "PENDING", ["XBTUSD"], 50),
    )
    assert workers.started == [["ingest_kraken_unified", "--resume", str(job.pk), "--yes"]]


def test_the_same_is_not_started_twice(client: Client, market: Market, workers: Workers) -> None:
    wanted = {"markets": "XBTUSD", "intervals": "60"}
    assert post(client, "fill", wanted).status_code == 202
    again = post(client, "fill", wanted)
    assert again.status_code == 409
    assert "has been asked for the same" in again.json()["error"]


@pytest.mark.parametrize(
    "other",
    [{"start_date": "2024-02-01", "end_date": "2024-02-03"}, {"end_date": "2024-01-05"}, {"quotes": "EUR"}],
)
def test_other_dates_and_other_quotes_are_not_the_same(
    client: Client, market: Market, workers: Workers, other: dict[str, str]
) -> None:
    wanted = {"markets": "XBTUSD", "intervals": "60", "start_date": "2024-01-01", "end_date": "2024-01-03"}
    assert post(client, "fill", wanted).status_code == 202
    assert post(client, "fill", wanted | other).status_code == 202
    assert len(workers.started) == 2


def test_what_another_run_writes_is_left_to_it(client: Client, market: Market, workers: Workers) -> None:
    job = IngestionJobFactory.create()
    hold(job, market)
    refused = post(client, "fill", {"markets": "XBTUSD", "intervals": "60,1440"})
    assert refused.status_code == 409
    assert f"XBTUSD 60min is being written by job {str(job.pk)[:8]}" in refused.json()["error"]
    assert workers.started == []


def test_a_worker_that_ends_before_it_began_leaves_no_pending_job(
    client: Client, market: Market, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chandlery.web.actions.connection.close", lambda: None)  # it is the test's own
    post(client, "fill", {"markets": "XBTUSD", "intervals": "60"})
    workers.logs[0].parent.mkdir(parents=True)
    workers.logs[0].write_text("Reading\nError: the disk is full\n")
    workers.ended[0](1)
    job = IngestionJob.objects.get()
    assert (job.status, job.error_message) == (JobStatus.FAILED, "the disk is full")


def test_a_worker_that_cannot_be_started_is_told(client: Client, market: Market, workers: Workers) -> None:
    workers.refuse = "Cannot allocate memory"
    refused = post(client, "fill", {"markets": "XBTUSD", "intervals": "60"})
    assert refused.status_code == 503
    assert refused.json()["error"] == "The worker process could not be started: Cannot allocate memory"
    assert IngestionJob.objects.get().status == JobStatus.FAILED


def test_a_paused_job_goes_on(client: Client, market: Market, workers: Workers) -> None:
    job = IngestionJobFactory.create(**OF_XBT, status=JobStatus.PAUSED)
    assert post(client, f"jobs/{str(job.pk)[:8]}/resume").status_code == 202
    assert workers.started == [["ingest_kraken_unified", "--resume", str(job.pk), "--yes"]]


def test_a_running_job_is_not_resumed(client: Client, market: Market, workers: Workers) -> None:
    job = IngestionJobFactory.create()
    hold(job, market)
    assert post(client, f"jobs/{job.pk}/resume").status_code == 409
    assert workers.started == []


def test_pausing_asks_the_process_to_stop(client: Client, market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr("chandlery.web.actions.os.kill", lambda pid, number: sent.append((pid, number)))
    job = IngestionJobFactory.create()
    hold(job, market)
    assert post(client, f"jobs/{job.pk}/pause").status_code == 202
    assert sent == [(os.getpid(), signal.SIGTERM)]


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        ({"host": "elsewhere"}, "runs on another machine (elsewhere); pause it there"),
        # Its pid has become another process's.
        ({"process_started": 1.0}, "is not running: it is FAILED"),
    ],
)
def test_no_other_process_is_ever_signalled(
    client: Client, market: Market, monkeypatch: pytest.MonkeyPatch, facts: dict[str, Any], says: str
) -> None:
    sent: list[int] = []
    monkeypatch.setattr("chandlery.web.actions.os.kill", lambda pid, number: sent.append(pid))
    job = IngestionJobFactory.create()
    hold(job, market, **facts)
    refused = post(client, f"jobs/{job.pk}/pause")
    assert refused.status_code == 409
    assert says in refused.json()["error"]
    assert sent == []


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (PermissionError(1, "Operation not permitted"), "belongs to another user of this machine (process {pid})"),
        (ProcessLookupError(3, "No such process"), "is not running"),
    ],
)
def test_a_process_that_cannot_be_asked_is_told(
    client: Client, market: Market, monkeypatch: pytest.MonkeyPatch, error: OSError, says: str
) -> None:
    def refuse(pid: int, number: int) -> None:
        raise error

    monkeypatch.setattr("chandlery.web.actions.os.kill", refuse)
    job = IngestionJobFactory.create()
    hold(job, market)
    refused = post(client, f"jobs/{job.pk}/pause")
    assert refused.status_code == 409
    assert says.format(pid=os.getpid()) in refused.json()["error"]


def test_a_job_over_what_another_run_writes_does_not_go_on(client: Client, market: Market, workers: Workers) -> None:
    job = IngestionJobFactory.create(**OF_XBT, status=JobStatus.PAUSED)
    other = IngestionJobFactory.create()
    hold(other, market)
    refused = post(client, f"jobs/{job.pk}/resume")
    assert refused.status_code == 409
    assert f"XBTUSD 60min is being written by job {str(other.pk)[:8]}" in refused.json()["error"]
    assert workers.started == []


@pytest.fixture
def own_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a worker's end is noted with is the test's own connection."""
    monkeypatch.setattr("chandlery.web.actions.connection.close", lambda: None)


@pytest.mark.usefixtures("own_connection")
def test_a_worker_that_could_not_go_on_leaves_its_last_words(client: Client, market: Market, workers: Workers) -> None:
    job = IngestionJobFactory.create(
        **OF_XBT, status=JobStatus.PAUSED, completed_at=NOW, error_message="the disk is full"
    )
    post(client, f"jobs/{job.pk}/resume")
    workers.logs[0].parent.mkdir(parents=True)
    workers.logs[0].write_text("Error: XBTUSD 60min is being written by rebuild_state\n")
    workers.ended[0](1)
    job.refresh_from_db()
    assert (job.status, job.completed_at) == (JobStatus.PAUSED, NOW)
    assert job.error_message == "it could not go on: XBTUSD 60min is being written by rebuild_state"
    assert job.in_hand is None


@pytest.mark.usefixtures("own_connection")
@pytest.mark.parametrize("status", [JobStatus.RUNNING, JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.PAUSED])
def test_what_a_run_says_of_its_own_end_stands(
    client: Client, market: Market, workers: Workers, status: JobStatus
) -> None:
    job = IngestionJobFactory.create(**OF_XBT, status=JobStatus.PAUSED, completed_at=NOW)
    post(client, f"jobs/{job.pk}/resume")
    ended = None if status == JobStatus.RUNNING else NOW + timedelta(hours=1)
    IngestionJob.objects.update(status=status, completed_at=ended, error_message="as it was")
    workers.ended[0](1)
    job.refresh_from_db()
    assert (job.status, job.error_message) == (status, "as it was")


def test_a_gap_is_accepted_by_its_number(client: Client, market: Market) -> None:
    gap = GapRecordFactory.create(market=market)
    answer = post(client, f"gaps/{gap.pk}/accept")
    assert (answer.status_code, answer.json()["status"]) == (200, "ACCEPTED")
    assert GapRecord.objects.get().status == "ACCEPTED"


@pytest.mark.parametrize(("status", "expected"), [("FILLED", 409), ("BACKFILLING", 409), ("UNFILLABLE", 200)])
def test_a_gap_that_is_filled_or_being_filled_is_not(
    client: Client, market: Market, status: str, expected: int
) -> None:
    gap = GapRecordFactory.create(market=market, status=status, filled_at=NOW)
    assert post(client, f"gaps/{gap.pk}/accept").status_code == expected


def test_a_finding_is_accepted_with_its_reason(client: Client, market: Market) -> None:
    row = QualityFinding.objects.create(
        market=market,
        interval_minutes=60,
        start=at("2024-03-01"),
        end=at("2024-03-02"),
        kind="LEDGER_SHORT",
        severity="ERROR",
        found_at=NOW,
    )
    assert post(client, f"findings/{row.pk}/accept", {"why": "  "}).status_code == 422
    answer = post(client, f"findings/{row.pk}/accept", {"why": "known to us"})
    assert (answer.status_code, answer.json()["state"], answer.json()["why"]) == (200, "ACCEPTED", "known to us")
    row.refresh_from_db()
    assert row.state == FindingState.ACCEPTED


@pytest.mark.parametrize(
    ("path", "body", "status", "says"),
    [
        ("gaps/999/accept", {}, 404, "There is no gap 999"),
        ("findings/999/accept", {"why": "x"}, 404, "There is no finding 999"),
        ("findings/999/accept", {}, 400, "why: Field required"),
        ("jobs/feed/resume", {}, 404, "No job 'feed'"),
        ("fill", {}, 422, "Say what you want: tier TIER1"),
        ("fill", {"tier": "TIER1", "start_date": "2090-01-01"}, 422, "lies in the future"),
        ("fill", {"tier": "TIER1", "fast": True}, 400, "fast: Extra inputs are not permitted"),
        ("fill", {"markets": "NOSUCH"}, 404, "Kraken has no market 'NOSUCH'"),
    ],
)
def test_what_is_asked_wrongly_is_told_in_one_line(
    client: Client, market: Market, workers: Workers, path: str, body: dict[str, Any], status: int, says: str
) -> None:
    answer = post(client, path, body)
    assert (answer.status_code, list(answer.json())) == (status, ["error"])
    assert says in answer.json()["error"]
    assert workers.started == []
