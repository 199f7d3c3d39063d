"""Jobs that go on: planned anew with what is known by then, counted as one."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from chandlery.candles.interval import Interval
from chandlery.candles.series import Series
from chandlery.exchanges.kraken.api.settings import ApiSettings
from chandlery.exchanges.kraken.tiers import load_tiers
from chandlery.models import DataCoverageRange, FileIngestionRecord, IngestionJob, JobStatus, Lease
from chandlery.pipeline.events import Event, FileDone, JobEnded, JobStarted, Resumed, SeriesAsked, SeriesFilled
from chandlery.pipeline.job import Interrupted, request_of, run_job
from chandlery.pipeline.lease import JobHeld
from chandlery.pipeline.markets import ensure_markets
from chandlery.pipeline.request import IngestRequest, Selection, Surroundings
from chandlery.sandbox.faults import Fault, Faults
from chandlery.sandbox.rest import SandboxApi
from chandlery.sandbox.server import serve
from tests.acceptance.disturbed import FOUR
from tests.acceptance.disturbed import NOW as AUGUST
from tests.acceptance.in_process import InlineExecutor, coverage_rows, lake_contents
from tests.candles.builders import at
from tests.exchanges.kraken.archive.builders import hours, unpacked

pytestmark = pytest.mark.django_db

NOW = at("2024-01-08 10:30")
FILES = ("XBTUSD", "ETHUSD", "XRPUSD", "LTCUSD")
ASKED = Selection((Interval.M60, Interval.M1440), markets=FILES)


@dataclass
class Jobs:
    """Jobs over one lake, each of which can be stopped when an event has come so many times."""

    around: Surroundings
    request: IngestRequest

    def start(self, stop: type[Event] | None = None, times: int = 1) -> IngestionJob:
        ensure_markets(load_tiers(None))
        return job_of(self._told(self.request, None, stop, times))

    def resume(self, job: IngestionJob, stop: type[Event] | None = None, times: int = 1) -> list[Event]:
        job = IngestionJob.objects.get(pk=job.pk)
        return self._told(request_of(job, (), 1), job, stop, times)

    def at(self, now: datetime) -> "Jobs":
        return replace(self, around=replace(self.around, clock=lambda: now))

    @property
    def lake(self) -> Path:
        return self.around.home / "candles"

    def _told(
        self, request: IngestRequest, resume: IngestionJob | None, stop: type[Event] | None, times: int
    ) -> list[Event]:
        told: list[Event] = []

        def should_stop() -> bool:
            return stop is not None and sum(isinstance(event, stop) for event in told) >= times

        told.extend(run_job(request, self.around, InlineExecutor(), load_tiers(None), should_stop, resume))
        return told


def job_of(told: list[Event]) -> IngestionJob:
    [started] = [event for event in told if isinstance(event, JobStarted)]
    return IngestionJob.objects.get(pk=started.job_id)


def only(told: list[Event], kind: type[Event]) -> list[Event]:
    return [event for event in told if isinstance(event, kind)]


@pytest.fixture
def jobs(tmp_path: Path) -> Jobs:
    source = unpacked(tmp_path / "files", {f"{name}_60.csv": hours(24 * 3 + n) for n, name in enumerate(FILES)})
    around = Surroundings("parquet:candles", tmp_path, lambda: NOW, api=ApiSettings("http://127.0.0.1:9"))
    return Jobs(around, IngestRequest(ASKED, (source,), sources_named=True, api_backfill=False, workers=1))


def test_a_job_that_was_stopped_is_paused_and_holds_nothing(jobs: Jobs) -> None:
    # The next is in hand by then.
    job = jobs.start(stop=FileDone)
    assert (job.status, job.total_files, job.files_ingested, job.files_skipped) == (JobStatus.PAUSED, 4, 2, 0)
    assert not Lease.objects.exists()


def test_a_resumed_job_reads_the_rest_and_is_counted_as_one(jobs: Jobs) -> None:
    paused = jobs.start(stop=FileDone)
    told = jobs.resume(paused)
    [before] = only(told, Resumed)
    assert isinstance(before, Resumed)
    assert (before.status, before.files_done, before.files_total) == ("PAUSED", 2, 4)
    assert before.records == paused.records_ingested > 0
    assert len(only(told, FileDone)) == 2
    job = job_of(told)
    assert job.pk == paused.pk
    assert (job.status, job.total_files, job.files_ingested, job.files_skipped) == (JobStatus.COMPLETED, 4, 4, 0)
    assert job.records_ingested == sum(24 * 3 + n for n in range(4))
    assert job.created_at == paused.created_at
    assert IngestionJob.objects.count() == 1


def test_it_can_be_stopped_again_and_again(jobs: Jobs) -> None:
    job = jobs.start(stop=JobStarted)
    stops: list[tuple[type[Event], int]] = [(JobStarted, 0), (FileDone, 2), (JobStarted, 2)]
    for stop, files in stops:
        job = job_of(jobs.resume(job, stop))
        assert (job.status, job.files_ingested) == (JobStatus.PAUSED, files)
    told = jobs.resume(job)
    assert job_of(told).status == JobStatus.COMPLETED
    assert len(only(told, FileDone)) == 2
    assert FileIngestionRecord.objects.count() == 4


def test_one_that_was_stopped_while_it_derived_derives_the_rest(jobs: Jobs) -> None:
    job = jobs.start(stop=SeriesFilled)
    assert (job.status, job.candles_derived) == (JobStatus.PAUSED, 6)
    days = {series.market for series in lake_contents(jobs.lake) if series.interval == Interval.M1440}
    told = jobs.resume(job)
    assert only(told, FileDone) == []
    assert days.isdisjoint(event.market for event in told if isinstance(event, SeriesFilled))
    assert len(days) == 2
    lake = lake_contents(jobs.lake)
    assert [rows.height for series, rows in lake.items() if series.interval == Interval.M1440] == [3] * 4


def test_a_completed_job_moves_its_open_end_to_now(jobs: Jobs) -> None:
    job = jobs.start()
    assert job.status == JobStatus.COMPLETED
    later = jobs.at(NOW + timedelta(days=1))
    unpacked(jobs.around.home / "files", {"XBTUSD_60.csv": hours(24 * 8 + 3)})
    told = later.resume(job)
    assert len(only(told, FileDone)) == 1
    [ended] = only(told, JobEnded)
    assert isinstance(ended, JobEnded)
    assert ended.until == NOW + timedelta(days=1)
    assert lake_contents(jobs.lake)[Series("kraken", "XBTUSD", Interval.M60)].height == 24 * 8 + 3
    assert job_of(told).completed_at == NOW + timedelta(days=1)


def test_files_that_failed_are_tried_again_and_counted_once(jobs: Jobs) -> None:
    bad = jobs.around.home / "files" / "LTCUSD_60.csv"
    sound = bad.read_bytes()
    bad.write_bytes(sound.replace(b"130.5", b"130,5", 1))
    job = jobs.start()
    assert (job.files_ingested, job.files_failed, len(job.failures)) == (3, 1, 1)
    assert job_of(jobs.resume(job)).files_failed == 1
    bad.write_bytes(sound)
    mended = job_of(jobs.resume(job))
    assert (mended.files_ingested, mended.files_failed, mended.failures) == (4, 0, [])


def test_a_job_that_runs_is_not_resumed_and_stays_what_it_is(jobs: Jobs) -> None:
    ensure_markets(load_tiers(None))
    running = run_job(jobs.request, jobs.around, InlineExecutor(), load_tiers(None))
    started = next(running)
    job = IngestionJob.objects.get()
    assert isinstance(started, JobStarted)
    with pytest.raises(JobHeld, match=f"Job {str(job.pk)[:8]} is running already"):
        jobs.resume(job)
    job.refresh_from_db()
    assert job.status == JobStatus.RUNNING
    assert isinstance(list(running)[-1], JobEnded)
    job.refresh_from_db()
    assert job.status == JobStatus.COMPLETED


@pytest.mark.parametrize("after", [1, 2, 3, 5, 7])
def test_ctrl_c_twice_leaves_it_paused_and_its_rest_to_do(jobs: Jobs, after: int) -> None:
    ensure_markets(load_tiers(None))
    running = run_job(jobs.request, jobs.around, InlineExecutor(), load_tiers(None))
    for _ in range(after):
        next(running)
    with pytest.raises(Interrupted):
        running.throw(KeyboardInterrupt())
    job = IngestionJob.objects.get()
    assert (job.status, Lease.objects.count()) == (JobStatus.PAUSED, 0)
    assert job_of(jobs.resume(job)).status == JobStatus.COMPLETED
    assert FileIngestionRecord.objects.count() == 4


# ----------------------------------------------------------------------------------------------------------- the API


#: Windows of different lengths, so that none makes another needless.
WIDTHS = (Interval.M15, Interval.M60, Interval.M240)
THINGS = len(WIDTHS) * len(FOUR.names)


@pytest.fixture
def asking(tmp_path: Path) -> Iterator[tuple[Jobs, SandboxApi]]:
    api = SandboxApi(FOUR, lambda: AUGUST)
    with serve(api) as server:
        settings = ApiSettings(server.url, rate=0, retry_wait=0, attempts=1, connections=1)
        around = Surroundings("parquet:candles", tmp_path, lambda: AUGUST, api=settings)
        yield Jobs(around, IngestRequest(Selection(WIDTHS, markets=FOUR.names), (), trade_budget=0, workers=1)), api


def test_answers_of_a_job_that_was_stopped_are_kept_and_the_rest_is_asked_for(asking: tuple[Jobs, SandboxApi]) -> None:
    jobs, api = asking
    job = jobs.start(stop=SeriesAsked, times=4)
    answered = set(DataCoverageRange.objects.values_list("market__altname", "interval_minutes"))
    assert 4 <= len(answered) < THINGS
    assert job.status == JobStatus.PAUSED
    # The last was dropped, perhaps before it arrived.
    assert job.requests_made - len(api.requests) in (0, 1)
    assert job.candles_fetched == sum(rows.height for rows in lake_contents(jobs.lake).values()) > 0
    told = jobs.resume(job)
    done = job_of(told)
    assert done.status == JobStatus.COMPLETED
    assert done.requests_made - len(api.requests) in (0, 1)
    assert done.candles_fetched > job.candles_fetched
    # Those whose newest candles can still change are asked for again.
    assert len(only(told, SeriesAsked)) <= THINGS
    assert {(name, minutes) for name, minutes, *_ in coverage_rows()} == {
        (name, int(width)) for name in FOUR.names for width in WIDTHS
    }


def test_series_without_an_answer_are_asked_for_again(asking: tuple[Jobs, SandboxApi]) -> None:
    jobs, api = asking
    api.faults = Faults.first(None, None, Fault.HTML, Fault.HTML, Fault.HTML)
    job = jobs.start()
    assert (job.status, job.series_failed, len(job.failures)) == (JobStatus.COMPLETED, 3, 3)
    done = job_of(jobs.resume(job))
    assert (done.status, done.series_failed, done.failures) == (JobStatus.COMPLETED, 0, [])
    direct = {(name, minutes) for name, minutes, _, derived, *_ in coverage_rows() if not derived}
    assert direct == {(name, int(width)) for name in FOUR.names for width in WIDTHS}
