"""What a run has in hand is put down with its job while it goes on."""

import io
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from chandlery.candles.interval import Interval
from chandlery.exchanges.kraken.tiers import load_tiers
from chandlery.management.ingestion import follow
from chandlery.management.on_record import OnRecord
from chandlery.models import IngestionJob, JobStatus
from chandlery.pipeline.events import Event, FileDone, FilesDone, FilesStarted, SeriesFilled
from chandlery.pipeline.lease import settle_dead
from chandlery.pipeline.markets import ensure_markets
from chandlery.pipeline.request import IngestRequest, Selection
from chandlery.reporting.in_hand import InHand
from chandlery.reporting.jobs import job_as_json
from tests.acceptance.in_process import InlineExecutor
from tests.exchanges.kraken.archive.builders import hours, unpacked
from tests.factories import IngestionJobFactory
from tests.management.runs import ended, planned, sources, started
from tests.management.test_stopping import Presses
from tests.reporting.reports import at

pytestmark = pytest.mark.django_db

NOW = at("2026-11-23 20:00")


@pytest.fixture
def job() -> IngestionJob:
    return IngestionJobFactory.create()


def put_down(job: IngestionJob, events: Iterable[Event], seconds: Iterable[float] = ()) -> list[dict[str, Any]]:
    """What stands in the job's row after each event; after the first so many seconds have gone by."""
    times = iter(seconds)
    found = []
    with OnRecord(lambda: next(clock), lambda: NOW) as listen:
        for event in events:
            now = next(times, 0.0)
            clock = iter([now, now])
            listen(event)
            job.refresh_from_db()
            assert job.in_hand is not None
            found.append(job.in_hand)
    return found


def test_each_step_is_put_down_as_it_begins(job: IngestionJob) -> None:
    begun = replace(started(), job_id=job.pk)
    reading = FilesStarted(4, 100, current=("/srv/K.zip:XBTUSD_60.csv",))
    done = FilesDone(4, 0, 0, 10, 1.0)
    found = put_down(job, [begun, sources(), planned(), reading, done])
    whats = ["looking for archives", "planning", "beginning", "reading files", "looking for gaps"]
    assert [one["what"] for one in found] == whats
    assert found[3] == {
        "what": "reading files",
        "figures": "0 of 4 files, 0 rows/s",
        "current": "XBTUSD_60.csv",
        "share": 0.0,
        "seconds_left": None,
        "at": "2026-11-23T20:00:00Z",
    }
    assert found[4]["share"] is None


def test_how_far_it_is_is_put_down_once_a_second(job: IngestionJob) -> None:
    begun = replace(started(), job_id=job.pk)
    files = [FileDone(f"/srv/M{number}USD_1.csv", 25, "COMPLETED", rows=100, current=("next",)) for number in range(3)]
    found = put_down(job, [begun, FilesStarted(4, 100), *files], [0.0, 10.0, 10.5, 11.0, 11.5])
    assert [one["share"] for one in found] == [None, 0.0, 0.0, 0.5, 0.5]
    assert (found[3]["figures"], found[3]["current"], found[3]["seconds_left"]) == (
        "2 of 4 files, 200 rows/s",
        "next",
        1.0,
    )


def test_an_end_writes_nothing_for_the_run_itself_has_put_it_down(job: IngestionJob) -> None:
    listen = OnRecord()
    listen(replace(started(), job_id=job.pk))
    with CaptureQueriesContext(connection) as asked:
        listen(ended())
        listen(SeriesFilled("XBTUSD", Interval.M1440, Interval.M60, 1, 1))
    assert len(asked) == 0


def test_a_run_that_goes_on_tells_it_and_one_that_has_ended_does_not(home: Path) -> None:
    ensure_markets(load_tiers(None))
    files = unpacked(home / "files", {"XBTUSD_60.csv": hours(48)})
    selection = Selection((Interval.M60, Interval.M1440), markets=("XBTUSD",))
    request = IngestRequest(selection, (files,), sources_named=True, api_backfill=False, workers=1)
    told: list[object] = []

    class Looks(Presses):
        def __call__(self, event: Event) -> None:
            told.append(IngestionJob.objects.values_list("in_hand__what", flat=True).get())

    ended = follow(request, InlineExecutor(), Looks(FileDone, 0), io.StringIO())
    assert ended is not None
    assert [what for number, what in enumerate(told) if what != told[number - 1]][:4] == [
        "looking for archives",
        "planning",
        "beginning",
        "reading files",
    ]
    assert {"looking for gaps", "deriving"} <= set(told)
    job = IngestionJob.objects.get()
    assert (job.status, job.in_hand) == (JobStatus.COMPLETED, None)


def test_of_a_job_that_counts_as_killed_nothing_is_put_down_any_more(job: IngestionJob) -> None:
    with OnRecord() as listen:
        listen(replace(started(), job_id=job.pk))
        IngestionJob.objects.update(status=JobStatus.FAILED, in_hand=None)
        listen(sources())
    job.refresh_from_db()
    assert job.in_hand is None


def test_of_a_killed_job_nothing_is_in_hand(job: IngestionJob) -> None:
    IngestionJob.objects.update(in_hand=InHand("reading files", NOW).as_json())
    [killed] = settle_dead(NOW)
    assert killed == job
    job.refresh_from_db()
    assert (job.status, job_as_json(job)["in_hand"]) == (JobStatus.FAILED, None)
