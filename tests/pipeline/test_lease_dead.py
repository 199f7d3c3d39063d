"""What becomes of the leases of the dead, and of their jobs."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from chandlery.models import JobStatus, Lease
from chandlery.pipeline.lease import LEASE_TIME, SeriesHeld, settle_dead
from tests.factories import FileIngestionRecordFactory, IngestionJobFactory
from tests.pipeline.leases import SECOND, START, World, leased

pytestmark = pytest.mark.django_db


@pytest.fixture
def world() -> World:
    return World()


def test_the_lease_of_a_killed_process_of_this_host_falls_at_once(world: World) -> None:
    job = IngestionJobFactory.create()
    killed = world.held((0, 60), (1, 60), job=job)
    world.clock.now += 40 * SECOND
    killed.beat()
    world.clock.now += SECOND
    world.here.dead.add(world.here.process(4711))
    world.held((0, 60), pid=4712)
    job.refresh_from_db()
    assert leased() == {("ETHUSD", 60)}
    assert (job.status, job.completed_at) == (JobStatus.FAILED, START + 40 * SECOND)
    assert job.error_message == f"its process (4711) was killed; go on with --resume {str(job.pk)[:8]}"


def test_a_dead_lease_falls_before_an_extension_too(world: World) -> None:
    world.held((1, 60))
    world.here.dead.add(world.here.process(4711))
    held = world.held((0, 60), pid=4712)
    held.extend(world.series((1, 60)))
    assert Lease.objects.count() == 1
    assert held.covers(world.series((0, 60), (1, 60)))


def test_a_run_behind_a_dead_and_a_living_one_is_refused_by_the_living(world: World) -> None:
    world.held((0, 60))
    world.held((1, 60), pid=4712, purpose="rebuild_state")
    world.here.dead.add(world.here.process(4711))
    with pytest.raises(SeriesHeld, match="SOLUSD 60min is being written by rebuild_state"):
        world.held((0, 60), (1, 60), pid=4713)


def test_a_killed_job_that_is_resumed_takes_its_own_series_back_and_stays_running(world: World) -> None:
    job = IngestionJobFactory.create()
    world.held((0, 60), job=job)
    world.here.dead.add(world.here.process(4711))
    world.held((0, 60), job=job, pid=4712)
    job.refresh_from_db()
    assert (job.status, job.error_message) == (JobStatus.RUNNING, "")
    assert Lease.objects.get().pid == 4712


def test_a_silent_process_of_this_host_keeps_its_lease_while_it_lives(world: World) -> None:
    world.held((0, 60))
    world.clock.now += 10 * LEASE_TIME
    with pytest.raises(SeriesHeld):
        world.held((0, 60), pid=4712)


def test_the_lease_of_another_host_stands_until_it_runs_out(world: World) -> None:
    world.held((0, 60), on=world.there)
    world.there.dead.add(world.there.process(4711))
    world.clock.now += LEASE_TIME - SECOND
    with pytest.raises(SeriesHeld):
        world.held((0, 60))
    assert settle_dead(world.clock.now, world.here) == []
    world.clock.now += SECOND
    world.held((0, 60))
    assert Lease.objects.get().host == "feeder-1"


def test_a_renewed_lease_of_another_host_stands(world: World) -> None:
    held = world.held((0, 60), on=world.there)
    world.clock.now += LEASE_TIME - SECOND
    held.beat()
    world.clock.now += 2 * SECOND
    with pytest.raises(SeriesHeld):
        world.held((0, 60))


def test_settling_marks_the_jobs_of_the_dead_and_touches_no_living_one(world: World) -> None:
    killed, silent, living = IngestionJobFactory.create_batch(3)
    world.held((0, 60), job=killed)
    world.held((1, 60), job=silent, on=world.there)
    world.clock.now += LEASE_TIME
    world.held((2, 60), job=living, pid=4712)
    world.here.dead.add(world.here.process(4711))
    assert {job.pk for job in settle_dead(world.clock.now, world.here)} == {killed.pk, silent.pk}
    for job in (killed, silent, living):
        job.refresh_from_db()
    assert [job.status for job in (killed, silent, living)] == [JobStatus.FAILED, JobStatus.FAILED, JobStatus.RUNNING]
    assert silent.completed_at == START
    assert silent.error_message.startswith("its process (4711 on feeder-2) was last heard of 2026-11-23 22:30 UTC; go")
    assert leased() == {("XBTUSD", 60)}


def test_settling_again_finds_nothing(world: World) -> None:
    world.held((0, 60), job=IngestionJobFactory.create())
    world.here.dead.add(world.here.process(4711))
    assert len(settle_dead(START, world.here)) == 1
    assert settle_dead(START, world.here) == []


@pytest.mark.parametrize("status", [JobStatus.PAUSED, JobStatus.COMPLETED])
def test_a_job_that_had_ended_before_its_process_died_stays_as_it_was(world: World, status: JobStatus) -> None:
    job = IngestionJobFactory.create(status=status)
    world.held((0, 60), job=job)
    world.here.dead.add(world.here.process(4711))
    assert settle_dead(START, world.here) == []
    job.refresh_from_db()
    assert (job.status, job.error_message) == (status, "")
    assert not Lease.objects.exists()


def test_a_running_job_without_a_lease_was_killed_after_its_last_file() -> None:
    job = IngestionJobFactory.create(started_at=START)
    FileIngestionRecordFactory.create(job=job, completed_at=START + 5 * SECOND)
    FileIngestionRecordFactory.create(job=job, completed_at=START + 9 * SECOND)
    assert settle_dead(START + timedelta(days=1)) == [job]
    job.refresh_from_db()
    assert (job.status, job.completed_at) == (JobStatus.FAILED, START + 9 * SECOND)
    assert job.error_message == f"its process was killed; go on with --resume {str(job.pk)[:8]}"


def test_a_running_job_without_a_lease_or_a_file_ended_when_it_started() -> None:
    job = IngestionJobFactory.create(started_at=START)
    settle_dead(START + timedelta(days=1))
    job.refresh_from_db()
    assert job.completed_at == START


def test_who_looks_at_what_lives_locks_nothing(world: World) -> None:
    world.held((0, 60), job=IngestionJobFactory.create())
    with CaptureQueriesContext(connection) as seen:
        assert settle_dead(START, world.here) == []
    assert [one for one in seen.captured_queries if not one["sql"].startswith("SELECT")] == []
