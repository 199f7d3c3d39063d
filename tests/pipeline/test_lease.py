"""Leases: who may write a series, who is refused, and who is told that it is over."""

import pickle
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoAssertNumQueries

from chandlery.models import IngestionJob, Lease, Market
from chandlery.pipeline.lease import HEARTBEAT, LEASE_TIME, Held, JobHeld, LeaseLost, SeriesHeld, settle_dead
from chandlery.pipeline.process_identity import ProcessIdentity, is_alive
from tests.databases import HOLDING
from tests.factories import AssetFactory, IngestionJobFactory
from tests.pipeline.leases import SECOND, START, World, leased

pytestmark = pytest.mark.django_db


@pytest.fixture
def world() -> World:
    return World()


def many_markets(count: int) -> list[Market]:
    base, quote = AssetFactory.create(), AssetFactory.create(ticker="USD")
    return Market.objects.bulk_create(Market(altname=f"M{n:04}USD", base=base, quote=quote) for n in range(count))


# ------------------------------------------------------------------------------------------------ holding series


def test_a_lease_holds_every_series_asked_for(world: World) -> None:
    held = world.held((0, 60), (0, 1440), (2, 60))
    assert leased() == {("ETHUSD", 60), ("ETHUSD", 1440), ("XBTUSD", 60)}
    assert held.covers(world.series((0, 60), (2, 60)))
    assert not held.covers(world.series((0, 60), (2, 1)))


def test_a_series_may_be_named_by_the_primary_key_of_its_market(world: World) -> None:
    key = world.markets[0].pk
    held = Held.acquire("rebuild_state", None, [(key, 60)], world.clock, world.here.process(), world.here)
    assert leased() == {("ETHUSD", 60)}
    assert held.covers(world.series((0, 60)))


def test_a_series_named_twice_is_held_once(world: World) -> None:
    world.held((0, 60), (0, 60))
    assert leased() == {("ETHUSD", 60)}


def test_a_lease_says_which_process_holds_it_and_until_when(world: World) -> None:
    job = IngestionJobFactory.create()
    world.held((0, 60), job=job)
    lease = Lease.objects.get()
    assert (lease.job, lease.purpose) == (job, "job 1a2b3c4d")
    assert ProcessIdentity(lease.host, lease.pid, lease.process_started) == world.here.process()
    assert (lease.acquired_at, lease.renewed_at, lease.expires_at) == (START, START, START + LEASE_TIME)


def test_by_default_the_holder_is_this_process(world: World) -> None:
    Held.acquire("job 1a2b3c4d", None, world.series((0, 60)), world.clock)
    lease = Lease.objects.get()
    assert is_alive(ProcessIdentity(lease.host, lease.pid, lease.process_started))
    assert settle_dead(START + timedelta(days=1)) == []
    assert Lease.objects.exists()


def test_runs_on_other_series_do_not_meet(world: World) -> None:
    world.held((0, 60))
    world.held((0, 1440), (1, 60), pid=4712)
    assert leased() == {("ETHUSD", 60), ("ETHUSD", 1440), ("SOLUSD", 60)}


def test_more_series_can_be_held_later(world: World) -> None:
    held = world.held((0, 60))
    held.extend(world.series((0, 60), (0, 1), (1, 1)))
    assert leased() == {("ETHUSD", 60), ("ETHUSD", 1), ("SOLUSD", 1)}
    assert held.covers(world.series((0, 60), (0, 1), (1, 1)))


def test_what_nobody_else_holds_can_be_held_and_let_go_again(world: World) -> None:
    held, _ = world.held((0, 60)), world.held((1, 60), pid=4712)
    assert held.extend_by_free(world.series((1, 60), (0, 1440), (2, 60)))
    assert leased() == {("ETHUSD", 60), ("ETHUSD", 1440), ("SOLUSD", 60), ("XBTUSD", 60)}
    assert not held.covers(world.series((1, 60)))
    assert not held.extend_by_free(world.series((1, 60), (0, 1440)))

    held.let_go(world.series((0, 1440), (1, 60), (2, 60)))
    assert leased() == {("ETHUSD", 60), ("SOLUSD", 60)}


def test_what_the_dead_held_is_free(world: World) -> None:
    held, _ = world.held((0, 60)), world.held((1, 60), pid=4712)
    world.here.dead.add(world.here.process(4712))
    assert held.extend_by_free(world.series((1, 60)))
    assert held.covers(world.series((1, 60)))


def test_a_held_market_that_was_deleted_since_stops_no_extension(world: World) -> None:
    held = world.held((0, 60))
    world.markets[0].delete()
    held.extend(world.series((1, 60)))
    assert leased() == {("SOLUSD", 60)}


def test_what_is_held_already_costs_no_query(world: World, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    held = world.held((0, 60), (1, 60))
    with django_assert_num_queries(0):
        held.extend(world.series((1, 60), (0, 60)))


def test_many_series_cost_as_many_queries_as_one(world: World) -> None:
    markets = many_markets(300)

    def queries(count: int) -> int:
        with CaptureQueriesContext(connection) as made:
            Held.acquire("job 1a2b3c4d", None, [(m, 60) for m in markets[:count]], world.clock).release()
        return len(made)

    assert queries(300) == queries(1) < 10 + HOLDING


# ---------------------------------------------------------------------------------------------------- refused


def test_a_second_run_on_one_of_the_series_is_refused(world: World) -> None:
    world.held((2, 60), (0, 60))
    world.clock.now += 70 * SECOND
    with pytest.raises(SeriesHeld) as refused:
        world.held((1, 60), (2, 60), pid=4712)
    assert str(refused.value) == (
        "XBTUSD 60min is being written by job 1a2b3c4d (process 4711 on this machine, since 2026-11-23 22:30 UTC, "
        "last heard of 22:30); wait for it, or stop it first"
    )
    assert refused.value.exit_status == 1


def test_the_refusal_counts_the_other_series_and_says_when_the_holder_was_last_heard_of(world: World) -> None:
    first = world.held((0, 60), (0, 1440), (1, 60))
    world.clock.now += timedelta(hours=3)
    first.beat()
    with pytest.raises(
        SeriesHeld,
        match=r"^ETHUSD 60min \(and 2 more\) are being written by .* 22:30 UTC, last heard of 2026-11-24 01:30",
    ):
        world.held((0, 60), (0, 1440), (1, 60), (2, 60), pid=4712)


def test_the_refusal_by_another_host_names_it_and_says_when_its_lease_runs_out(world: World) -> None:
    world.held((0, 60), on=world.there)
    with pytest.raises(SeriesHeld) as refused:
        world.held((0, 60))
    assert "(process 4711 on feeder-2, since 2026-11-23 22:30 UTC" in str(refused.value)
    assert str(refused.value).endswith("stop it there first; unheard of, it is given up 22:32 UTC")


def test_the_refusal_survives_pickling(world: World) -> None:
    world.held((0, 60))
    with pytest.raises(SeriesHeld) as refused:
        world.held((0, 60), pid=4712)
    assert str(pickle.loads(pickle.dumps(refused.value))) == str(refused.value)


def test_a_refused_run_holds_nothing(world: World) -> None:
    world.held((2, 60))
    with pytest.raises(SeriesHeld):
        world.held((0, 60), (1, 60), (2, 60), pid=4712)
    assert leased() == {("XBTUSD", 60)}
    assert Lease.objects.count() == 1


def test_a_refused_run_leaves_no_job_where_both_are_one_transaction(world: World) -> None:
    world.held((0, 60))
    with pytest.raises(SeriesHeld), transaction.atomic():
        world.held((0, 60), job=IngestionJobFactory.create(), pid=4712)
    assert not IngestionJob.objects.exists()


def test_a_refused_extension_keeps_what_was_held_and_adds_nothing(world: World) -> None:
    held = world.held((0, 60))
    world.held((2, 60), pid=4712)
    with pytest.raises(SeriesHeld, match="XBTUSD 60min is being written"):
        held.extend(world.series((1, 60), (2, 60)))
    assert leased() == {("ETHUSD", 60), ("XBTUSD", 60)}
    assert held.covers(world.series((0, 60)))
    assert not held.covers(world.series((1, 60)))


def test_a_job_that_runs_cannot_be_run_again_whatever_it_writes(world: World) -> None:
    job = IngestionJobFactory.create()
    world.held((0, 60), job=job)
    with pytest.raises(JobHeld, match=rf"^Job {str(job.pk)[:8]} is running already \(process 4711 on this machine"):
        world.held((1, 60), job=job, pid=4712)
    assert leased() == {("ETHUSD", 60)}


# ------------------------------------------------------------------------------------------- beating and checking


def test_a_beat_before_its_time_costs_no_query(world: World, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    held = world.held((0, 60))
    world.clock.now += HEARTBEAT - SECOND
    with django_assert_num_queries(0):
        held.beat()


def test_a_beat_in_time_renews_the_lease_once(world: World, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    held = world.held((0, 60))
    world.clock.now += HEARTBEAT
    with django_assert_num_queries(1):
        held.beat()
        held.beat()
    lease = Lease.objects.get()
    assert (lease.renewed_at, lease.expires_at) == (world.clock.now, world.clock.now + LEASE_TIME)


@pytest.mark.parametrize("later", [SECOND, HEARTBEAT, 2 * LEASE_TIME])
def test_a_check_is_one_query(
    world: World, later: timedelta, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    held = world.held((0, 60))
    world.clock.now += later
    with transaction.atomic(), django_assert_num_queries(1):
        held.check()


def test_a_check_renews_the_lease_when_that_is_due(world: World) -> None:
    held = world.held((0, 60))
    world.clock.now += HEARTBEAT
    with transaction.atomic():
        held.check()
    assert Lease.objects.get().expires_at == world.clock.now + LEASE_TIME


def test_a_run_that_was_stopped_too_long_is_told_when_another_host_has_taken_over(world: World) -> None:
    job = IngestionJobFactory.create()
    held = world.held((0, 60), job=job)
    world.clock.now += LEASE_TIME
    world.held((0, 60), on=world.there, purpose="job 9f8e7d6c")
    with pytest.raises(LeaseLost) as lost, transaction.atomic():
        held.check()
    assert str(lost.value).startswith("The lease of job 1a2b3c4d is gone: it was last renewed 2026-11-23 22:30:00 UTC")
    assert str(lost.value).endswith(f"ingest_kraken_unified --resume {str(job.pk)[:8]}")


def test_a_lost_lease_stops_a_beat_an_extension_and_a_check_that_need_not_renew(world: World) -> None:
    held = world.held((0, 60))
    Lease.objects.all().delete()
    with pytest.raises(LeaseLost, match="To go on: run the same command again"):
        held.check()
    with pytest.raises(LeaseLost):
        held.extend(world.series((1, 60)))
    world.clock.now += HEARTBEAT
    with pytest.raises(LeaseLost):
        held.beat()
    assert leased() == set()


def test_a_run_that_was_stopped_too_long_goes_on_when_nobody_wanted_its_series(world: World) -> None:
    held = world.held((0, 60))
    world.clock.now += 10 * LEASE_TIME
    held.check()
    assert Lease.objects.get().expires_at == world.clock.now + LEASE_TIME


def test_a_released_series_can_be_held_by_another(world: World) -> None:
    held = world.held((0, 60))
    held.release()
    held.release()
    assert not held.covers(world.series((0, 60)))
    world.held((0, 60), pid=4712)
    assert leased() == {("ETHUSD", 60)}


def test_releasing_a_lease_that_was_taken_over_leaves_the_new_one(world: World) -> None:
    held = world.held((0, 60))
    world.clock.now += LEASE_TIME
    world.held((0, 60), on=world.there)
    held.release()
    assert Lease.objects.get().host == "feeder-2"
