"""What a monitor is told."""

from pathlib import Path

import pytest
from django.db import connection
from django.test import Client
from pytest_django import Settings

from chandlery.models import StoreBinding
from chandlery.stores import open_store
from tests.factories import NOW


def bound_to(settings: Settings, home: Path) -> None:
    """State speaks of a store that is there."""
    identity = open_store(settings.CANDLE_STORE, home).create()
    StoreBinding.objects.create(pk=1, store_id=identity, url=settings.CANDLE_STORE, bound_at=NOW)


@pytest.mark.django_db
def test_a_new_home_is_well(client: Client, home: Path) -> None:
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "database": "ok", "store": "ok"})


@pytest.mark.django_db
def test_a_store_that_is_there_is_well(client: Client, home: Path, settings: Settings) -> None:
    bound_to(settings, home)
    assert client.get("/healthz").status_code == 200


@pytest.mark.django_db
def test_a_store_that_was_emptied_is_not(client: Client, home: Path, settings: Settings) -> None:
    bound_to(settings, home)
    (home / "data" / "candles" / "_lake.json").unlink()
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json()["store"]) == (503, "it is empty or not there")


@pytest.mark.django_db
def test_another_store_is_not(client: Client, home: Path, settings: Settings) -> None:
    bound_to(settings, home)
    StoreBinding.objects.update(store_id="another")
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json()["status"]) == (503, "failing")


@pytest.mark.django_db
def test_a_database_without_its_tables_is_not(client: Client, home: Path) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE chandlery_storebinding RENAME TO elsewhere")
    answer = client.get("/healthz")
    assert answer.status_code == 503
    assert answer.json()["database"] == "it cannot be read, or migrations are due"


@pytest.mark.django_db
def test_it_is_told_to_whoever_asks_though_reading_takes_a_login(
    client: Client, home: Path, settings: Settings
) -> None:
    settings.WEB_LOGIN_REQUIRED = True
    assert client.get("/healthz").status_code == 200
