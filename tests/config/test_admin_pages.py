"""The admin works out of the box: with a key of its own, its styles, and for this machine alone."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

from chandlery.models import GapRecord, GapStatus
from tests.factories import GapRecordFactory


@pytest.mark.django_db
def test_a_person_who_has_signed_in_sees_the_markets(client: Client) -> None:
    client.force_login(User.objects.create_superuser("harbour", password="a long enough one"))
    page = client.get("/admin/")
    assert page.status_code == 200
    assert "/admin/chandlery/market/" in page.content.decode()


def test_styles_are_served_from_the_installed_packages(client: Client) -> None:
    answer = client.get("/static/admin/css/base.css")
    assert answer.status_code == 200
    assert b"--primary" in answer.getvalue()


def test_another_host_is_not_answered(client: Client) -> None:
    assert client.get("/", headers={"host": "candles.example"}).status_code == 400


@pytest.mark.django_db
def test_that_a_gap_was_accepted_can_be_taken_back(client: Client) -> None:
    gaps = [GapRecordFactory.create(status=status) for status in (GapStatus.ACCEPTED, GapStatus.UNFILLABLE)]
    client.force_login(User.objects.create_superuser("harbour", password="a long enough one"))
    chosen = {"action": "open_again", "_selected_action": [gap.pk for gap in gaps]}
    answer = client.post("/admin/chandlery/gaprecord/", chosen, follow=True)
    assert "Open again: 1 gap." in answer.content.decode()
    found = list(GapRecord.objects.order_by("pk").values_list("status", flat=True))
    assert found == [GapStatus.DETECTED, GapStatus.UNFILLABLE]
