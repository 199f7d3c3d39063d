"""Who may read: this machine, whoever has signed in, whoever has the token."""

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import Settings

from chandlery.web.security import POLICY

TOKEN = "a-long-and-random-token"
pytestmark = pytest.mark.django_db


@pytest.fixture
def elsewhere() -> Client:
    """Another machine, that says it wants this one."""
    return Client(headers={"host": "localhost"}, REMOTE_ADDR="192.0.2.7")


@pytest.fixture
def asked_by_name(settings: Settings) -> str:
    """A name by which others may ask."""
    settings.ALLOWED_HOSTS = ["candles.example", *settings.ALLOWED_HOSTS]
    return "candles.example"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8000", "[::1]:8000"])
def test_this_machine_reads_without_a_login(client: Client, host: str) -> None:
    assert client.get("/api/v1/tiers", headers={"host": host}).status_code == 200


def test_a_setting_asks_this_machine_for_a_login_too(client: Client, settings: Settings) -> None:
    settings.WEB_LOGIN_REQUIRED = True
    refused = client.get("/api/v1/tiers")
    assert refused.status_code == 401
    assert refused.json() == {"error": "sign in, or send the API_TOKEN as 'Authorization: Bearer …'"}


def test_a_page_leads_to_the_login_and_back(client: Client, settings: Settings) -> None:
    settings.WEB_LOGIN_REQUIRED = True
    led = client.get("/somewhere?market=XBTUSD")
    assert led.headers["Location"] == "/admin/login/?next=/somewhere%3Fmarket%3DXBTUSD"


def test_a_part_that_asks_again_sends_its_whole_page_to_the_login(client: Client, settings: Settings) -> None:
    settings.WEB_LOGIN_REQUIRED = True
    asked = {"hx-request": "true", "hx-current-url": "http://localhost/jobs/?page=2"}
    refused = client.get("/jobs/running?known=", headers=asked)
    assert refused.status_code == 401
    assert refused.headers["HX-Redirect"] == "/admin/login/?next=/jobs/%3Fpage%3D2"
    elsewhere = client.get("/jobs/running", headers=asked | {"hx-current-url": "https://elsewhere.example/jobs/"})
    assert elsewhere.headers["HX-Redirect"] == "/admin/login/?next=/"


@pytest.mark.parametrize("path", ["/coverage/cells?interval=60", "/markets/XBTUSD/chart?interval=60"])
def test_what_scripts_ask_is_no_form(client: Client, settings: Settings, path: str) -> None:
    settings.WEB_LOGIN_REQUIRED = True
    refused = client.get(path)
    assert refused.status_code == 401
    assert refused.json() == {"error": "sign in, or send the API_TOKEN as 'Authorization: Bearer …'"}


def test_another_machine_signs_in_first(elsewhere: Client) -> None:
    assert elsewhere.get("/api/v1/tiers").status_code == 401
    elsewhere.force_login(User.objects.create_user("harbour"))
    assert elsewhere.get("/api/v1/tiers").status_code == 200


def test_another_name_of_this_machine_is_another_machine(client: Client, asked_by_name: str) -> None:
    assert client.get("/api/v1/tiers", headers={"host": asked_by_name}).status_code == 401


@pytest.mark.parametrize("header", ["x-forwarded-for", "forwarded", "via"])
def test_what_a_proxy_hands_on_is_not_from_here(client: Client, header: str) -> None:
    assert client.get("/api/v1/tiers", headers={header: "192.0.2.7"}).status_code == 401


def test_a_name_that_nobody_allowed_is_not_answered(client: Client) -> None:
    assert client.get("/api/v1/tiers", headers={"host": "candles.example"}).status_code == 400


@pytest.mark.parametrize(
    ("sent", "status"),
    [(f"Bearer {TOKEN}", 200), (f"bearer {TOKEN}", 200), (f"Bearer {TOKEN}x", 401), (TOKEN, 401), ("Bearer ", 401)],
)
def test_the_token_reads_from_anywhere(elsewhere: Client, settings: Settings, sent: str, status: int) -> None:
    settings.API_TOKEN = TOKEN
    assert elsewhere.get("/api/v1/tiers", headers={"authorization": sent}).status_code == status


def test_where_no_token_is_set_an_empty_one_is_not_right(elsewhere: Client) -> None:
    assert elsewhere.get("/api/v1/tiers", headers={"authorization": "Bearer "}).status_code == 401


@pytest.mark.parametrize("path", ["/healthz", "/api/v1/tiers", "/admin/login/"])
def test_every_answer_says_what_a_browser_may_do_with_it(client: Client, path: str) -> None:
    headers = client.get(path).headers
    assert headers["Content-Security-Policy"] == POLICY
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"


def test_no_script_may_be_written_into_a_page() -> None:
    scripts = next(rule for rule in POLICY.split("; ") if rule.startswith("script-src"))
    assert scripts == "script-src 'self'"
