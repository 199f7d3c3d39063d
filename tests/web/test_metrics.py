"""What Prometheus reads."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from chandlery.models import Market
from tests.candles.builders import at
from tests.factories import NOW, GapRecordFactory, IngestionJobFactory, MarketFactory
from tests.web.api.conftest import market

__all__ = ["market"]
pytestmark = pytest.mark.django_db

LINE = re.compile(r'([a-z_]+)(?:\{((?:[a-z_]+="[^"]*",?)*)\})? (\S+)')


def samples(client: Client) -> dict[str, float]:
    """Every sample by its name with labels, as a scraper takes the text apart."""
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    text = answer.content.decode()
    assert text.endswith("\n")
    found: dict[str, float] = {}
    declared: set[str] = set()
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            declared.add(line.split()[2])
        elif not line.startswith("#"):
            taken = LINE.fullmatch(line)
            assert taken, line
            assert taken[1] in declared
            found[f"{taken[1]}{{{taken[2] or ''}}}"] = float(taken[3])
    return found


def test_how_complete_each_tier_is_at_each_interval(client: Client, market: Market) -> None:
    found = samples(client)
    place = 'tier="TIER1",interval="60"'
    said = client.get("/api/v1/completeness?tier=TIER1&intervals=60").json()["overall"]
    assert found[f"chandlery_completeness_ratio{{{place}}}"] == said["completeness"]
    assert found[f'chandlery_slots{{{place},verdict="missing"}}'] == said["missing"]
    assert found[f"chandlery_newest_candle_timestamp_seconds{{{place}}}"] == at("2024-03-01 21:00").timestamp()


def test_gaps_by_status_and_what_the_last_job_did(client: Client, market: Market) -> None:
    GapRecordFactory.create(market=market, status="UNFILLABLE")
    IngestionJobFactory.create(status="COMPLETED", completed_at=NOW + timedelta(hours=1))
    IngestionJobFactory.create(status="FAILED", created_at=NOW + timedelta(days=1), completed_at=None)
    found = samples(client)
    assert found['chandlery_gaps{status="UNFILLABLE"}'] == 1
    assert found['chandlery_gaps{status="DETECTED"}'] == 0
    assert found['chandlery_last_job_status{status="FAILED"}'] == 1
    assert found['chandlery_last_job_status{status="COMPLETED"}'] == 0
    assert found["chandlery_last_success_timestamp_seconds{}"] == (NOW + timedelta(hours=1)).timestamp()
    assert "chandlery_last_job_ended_timestamp_seconds{}" not in found


def test_a_new_home_has_figures_too(client: Client, db: None) -> None:
    assert samples(client)['chandlery_findings{state="OPEN"}'] == 0


def test_asking_again_reads_no_more_for_more_markets(client: Client, market: Market) -> None:
    def queries() -> int:
        samples(client)
        with CaptureQueriesContext(connection) as seen:
            samples(client)
        return len(seen)

    few = queries()
    for _ in range(10):
        MarketFactory.create(base__tier="TIER1")
    assert queries() == few


def test_figures_are_for_those_who_may_read(client: Client, settings: Settings) -> None:
    settings.WEB_LOGIN_REQUIRED = True
    settings.API_TOKEN = "a-long-and-random-token"
    assert client.get("/metrics").status_code == 401
    assert client.get("/metrics", headers={"authorization": "Bearer a-long-and-random-token"}).status_code == 200
