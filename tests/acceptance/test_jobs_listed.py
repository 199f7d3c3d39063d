"""list_jobs and show_job: every job, and everything about one."""

import json
from datetime import timedelta
from io import StringIO
from pathlib import Path
from uuid import UUID

import pytest
from django.core.management import call_command

from chandlery.management.base import Error
from chandlery.models import FileStatus, GapStatus, IngestionJob, JobStatus, Lease
from chandlery.pipeline.jobs import AmbiguousJob, UnknownJob, find_job
from chandlery.pipeline.process_identity import this_process
from tests.candles.builders import at
from tests.factories import FileIngestionRecordFactory, GapRecordFactory, IngestionJobFactory, MarketFactory

pytestmark = pytest.mark.django_db(transaction=True)

NOW = at("2026-11-23 22:30")
PAUSED = UUID("1f2e3d4c-0000-4000-8000-123456789abc")


@pytest.fixture(autouse=True)
def _in_a_home(home: Path) -> None:
    """Commands write nowhere else."""


def job(job_id: UUID = PAUSED, **facts: object) -> IngestionJob:
    """Of one market, paused half-way."""
    told = {
        "job_id": job_id,
        "tier": "",
        "markets": ["XBTUSD"],
        "quotes": ["USD"],
        "status": JobStatus.PAUSED,
        "created_at": NOW,
        "started_at": NOW,
        "completed_at": NOW + timedelta(minutes=3),
        "total_files": 40,
        "files_ingested": 23,
        "files_skipped": 2,
        "files_failed": 1,
        "records_ingested": 1_234_567,
        "requests_made": 42,
        "candles_fetched": 720,
        "candles_revised": 2,
        "csv_source_dir": "/srv/kraken",
    }
    return IngestionJobFactory.create(**{**told, **facts})


def shown(*arguments: str) -> str:
    out = StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


def held(of: IngestionJob, *, alive: bool) -> Lease:
    """By this process, or by one that started long before it with the same pid."""
    here = this_process()
    started = here.started if alive else here.started - 1_000_000
    return Lease.objects.create(
        job=of,
        purpose=f"job {str(of.pk)[:8]}",
        host=here.host,
        pid=here.pid,
        process_started=started,
        acquired_at=NOW,
        renewed_at=NOW + timedelta(seconds=30),
        expires_at=NOW + timedelta(days=365),
    )


def test_a_job_is_found_by_its_id_or_the_beginning_of_it() -> None:
    found = job()
    job(UUID("1f2e3d4d-0000-4000-8000-000000000000"))

    for text in (str(PAUSED), PAUSED.hex, "1f2e3d4c", "1F2E3D4C", " 1f2e3d4c-00 ", "1f2e3d4c00"):
        assert find_job(text) == found


@pytest.mark.parametrize("text", ["2", "", "%", "_f2e3d4c", "1f2e3d4c-0000-4000-8000-123456789abc0", "job"])
def test_an_unknown_job_is_refused(text: str) -> None:
    job()

    with pytest.raises(UnknownJob, match="^No job .* list_jobs shows those there are$"):
        find_job(text)


def test_a_beginning_that_fits_several_names_them() -> None:
    job()
    job(UUID("1f000000-0000-4000-8000-000000000000"), created_at=NOW - timedelta(days=1), status=JobStatus.COMPLETED)

    with pytest.raises(AmbiguousJob) as refused:
        find_job("1f")

    assert str(refused.value) == (
        "Several jobs begin with '1f': 1f2e3d4c-0000-4000-8000-123456789abc (PAUSED, 2026-11-23 22:30), "
        "1f000000-0000-4000-8000-000000000000 (COMPLETED, 2026-11-22 22:30); give more of the id"
    )


def test_show_job_tells_everything_about_a_job() -> None:
    market = MarketFactory.create(base__ticker="BTC", altname="XBTUSD")
    paused = job(incremental=True)
    FileIngestionRecordFactory.create(
        job=paused,
        market=market,
        file_path="/srv/bad.csv",
        status=FileStatus.FAILED,
        error_message="/srv/bad.csv:3: no",
    )
    GapRecordFactory.create(market=market, status=GapStatus.UNFILLABLE)
    refused = {"status": GapStatus.FAILED, "backfill_attempted_at": NOW, "error_message": "Kraken answers 503"}
    GapRecordFactory.create(market=market, gap_start=at("2024-04-05"), gap_end=at("2024-04-06"), **refused)
    GapRecordFactory.create(market=market, interval_minutes=1440, **refused)
    GapRecordFactory.create(market=market, interval_minutes=5)

    assert shown("show_job", "1f2e").splitlines() == [
        "Job 1f2e3d4c-0000-4000-8000-123456789abc",
        "  Asked:     XBTUSD; 60min, 1440min; all dates",
        "  Options:   --incremental",
        "  Sources:   /srv/kraken",
        "  Status:    PAUSED",
        "  Started:   2026-11-23 22:30 UTC",
        "  Stopped:   2026-11-23 22:33 UTC",
        "  Files:     25/40 (23 ingested, 2 known, 1 failed), 1,234,567 records",
        "  API:       42 requests: 720 new candles, 2 revised",
        "  Derived:   0 candles",
        "  Gaps left: 3 (49 candles)",
        "  Resume:    python manage.py ingest_kraken_unified --resume 1f2e3d4c",
        "Failures, 3:",
        "  ✗ /srv/bad.csv:3: no",
        "  ✗ XBTUSD 60min, XBTUSD 1440min: Kraken answers 503",
    ]


def test_show_job_as_json_is_one_object() -> None:
    MarketFactory.create(base__ticker="BTC", altname="XBTUSD")
    running = job(status=JobStatus.RUNNING, completed_at=None, start_date=at("2024-01-01"), end_date=at("2024-02-01"))
    lease = held(running, alive=True)

    told = json.loads(shown("show_job", str(PAUSED), "--json"))

    assert (told["job_id"], told["status"], told["requests_made"], told["gaps"]) == (str(PAUSED), "RUNNING", 42, 0)
    assert told["held_by"] == {
        "host": lease.host,
        "process": lease.pid,
        "since": "2026-11-23T22:30:00Z",
        "heard_of": "2026-11-23T22:30:30Z",
    }
    assert (told["resume"], told["sources"], told["options"], told["failures"]) == (None, ["/srv/kraken"], [], [])
    assert "Asked:     XBTUSD; 60min, 1440min; 2024-01-01 to 2024-01-31\n" in shown("show_job", "1f2e")


@pytest.mark.parametrize("command", [("list_jobs", "--json"), ("show_job", "1f2e3d4c", "--json")])
def test_a_job_whose_process_was_killed_shows_as_failed(command: tuple[str, ...]) -> None:
    MarketFactory.create(base__ticker="BTC", altname="XBTUSD")
    held(job(status=JobStatus.RUNNING, completed_at=None), alive=False)

    told = json.loads(shown(*command))

    [found] = told.get("jobs", [told])
    assert found["status"] == "FAILED"
    assert "was killed; go on with --resume 1f2e3d4c" in found["error_message"]


def test_list_jobs_tells_what_came_from_files_and_from_the_api() -> None:
    job(tier="TIER1,TIER2", markets=[])

    [listed] = json.loads(shown("list_jobs", "--json"))["jobs"]
    text = shown("list_jobs")

    assert (listed["requests_made"], listed["candles_fetched"], listed["candles_revised"]) == (42, 720, 2)
    row = ("1f2e3d4c", "TIER1,", "TIER2", "PAUSED", "2026-11-23", "22:30", "25/40", "1", "file", "1.23M", "720")
    assert text.splitlines()[-1].split() == list(row)


def test_list_jobs_tells_files_from_series_and_hourly_runs_from_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    job(UUID(int=1), files_failed=0, series_failed=0, tier="TIER1", markets=[])
    job(UUID(int=2), files_failed=1, series_failed=10, tier="TIER1", markets=[], incremental=True)
    IngestionJob.objects.update(total_files=1200, files_ingested=1200, files_skipped=0)

    narrow = shown("list_jobs").splitlines()
    monkeypatch.setenv("COLUMNS", "140")
    told = [line.split() for line in shown("list_jobs").splitlines()]

    assert max(map(len, narrow)) <= 80
    assert "incremental" in " ".join(narrow).split()
    assert [line.endswith("720") for line in narrow if "PAUSED" in line] == [True, True]
    assert sorted(" ".join(line[1:]) for line in told[1:]) == [
        "TIER1 PAUSED 2026-11-23 22:30 1200/1200 0 1.23M 720",
        "TIER1, incremental PAUSED 2026-11-23 22:30 1200/1200 1 file, 10 series 1.23M 720",
    ]


def test_list_jobs_says_how_many_more_there_are() -> None:
    for number in range(3):
        job(UUID(int=number + 1))

    assert shown("list_jobs", "--limit", "2").splitlines()[-1] == "… and 1 more: --limit 3"
    assert "more" not in shown("list_jobs", "--limit", "3")


def test_show_job_lists_what_the_job_keeps_of_its_failures_once() -> None:
    gone = "Kraken's API at http://127.0.0.1:9 cannot be reached"
    market = MarketFactory.create(base__ticker="BTC", altname="XBTUSD")
    kept = job(failures=[["/srv/bad.csv", "/srv/bad.csv:3: no"], ["Kraken's API", gone]])
    record = {"job": kept, "market": market, "status": FileStatus.FAILED}
    FileIngestionRecordFactory.create(file_path="/srv/bad.csv", error_message="/srv/bad.csv:3: no", **record)
    failed = {"status": GapStatus.FAILED, "backfill_attempted_at": NOW, "error_message": gone}
    GapRecordFactory.create(market=market, **failed)

    assert shown("show_job", "1f2e").splitlines()[-3:] == [
        "Failures, 2:",
        "  ✗ /srv/bad.csv:3: no",
        f"  ✗ {gone}",
    ]
    assert json.loads(shown("show_job", "1f2e", "--json"))["failures"] == [
        {"what": "/srv/bad.csv", "error": "/srv/bad.csv:3: no"},
        {"what": "Kraken's API", "error": gone},
    ]


def test_show_job_says_what_stopped_a_job_and_that_figures_come_later() -> None:
    MarketFactory.create(base__ticker="BTC", altname="XBTUSD")
    stopped = job(error_message="KeyboardInterrupt")

    assert "  Status:    PAUSED: stopped at once by Ctrl-C\n" in shown("show_job", "1f2e")

    running = {"status": JobStatus.RUNNING, "error_message": "", "completed_at": None, "requests_made": 0}
    IngestionJob.objects.filter(pk=stopped.pk).update(**running)
    held(stopped, alive=True)
    told = shown("show_job", "1f2e")
    assert "  API:       720 new candles so far; requests are counted once all have been made\n" in told
    assert "no requests" not in told


def test_a_wrong_id_is_wrong_usage_in_one_line() -> None:
    with pytest.raises(Error, match="^No job 'nonsense'; python manage.py list_jobs shows those there are$") as refused:
        call_command("show_job", "nonsense")

    assert refused.value.returncode == 2
