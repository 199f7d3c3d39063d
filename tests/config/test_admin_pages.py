"""The admin works out of the box: with a key of its own, its styles, and for this machine alone."""

import pytest
from django.contrib.auth.models import User
from django.test import Client


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
