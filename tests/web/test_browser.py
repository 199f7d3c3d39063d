"""Every page in a browser: both themes, wide and narrow, by keyboard, without an error and without asking elsewhere."""

import json
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from playwright.sync_api import Browser, expect

from tests.web.browsing import THEMES, WIDTHS, Window, browser, window
from tests.web.world import LOST_HOURS, PASSWORD, USER, World, free_port, served, world

pytestmark = pytest.mark.slow

DAYS = "/coverage/?step=day&start=2024-06-01&end=2024-11-30&interval=60"
CLOSE_UP = (
    f"/markets/ETHUSD/?interval=60&start={int(LOST_HOURS.start.timestamp())}&end={int(LOST_HOURS.end.timestamp())}"
)
PAGES = (
    "/",
    "/coverage/",
    DAYS,
    "/coverage/?interval=1440&sort=open",
    "/markets/",
    "/markets/XBTUSD/",
    "/markets/ICXUSD/",
    "/markets/MATICUSD/",
    CLOSE_UP,
    "/gaps/",
    "/gaps/?reason=SUSPECT",
    "/jobs/",
    "/files/",
    "/files/?status=FAILED",
    "/api/v1/docs",
)
WRONG = {
    "/coverage/?interval=7": 400,
    "/markets/NOSUCHTHING/": 404,
    "/nowhere": 404,
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("home")) as filled:
        yield filled


@pytest.fixture(scope="module")
def address(made: World) -> Iterator[str]:
    with served(made, port=free_port()) as found:
        yield found


@pytest.fixture(scope="module")
def opened() -> Iterator[Browser]:
    with browser() as found:
        yield found


@pytest.fixture(scope="module")
def job_page(made: World) -> str:
    """The page of a job that has ended, with files, one of them failed."""
    told = json.loads(made.run("list_jobs", "--json"))
    return f"/jobs/{told['jobs'][-1]['job_id']}/"


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_every_page_is_sound(theme: str, width: int, opened: Browser, address: str, job_page: str) -> None:
    with window(opened, address, theme, width) as shown:
        for path, status in {**dict.fromkeys((*PAGES, job_page), 200), **WRONG}.items():
            shown.go(path, status)
            is_sound(shown, path)


def is_sound(shown: Window, path: str) -> None:
    """It never scrolls sideways, and everybody can use it."""
    wide = shown.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert (path, wide[0]) == (path, wide[1])
    assert (path, shown.grave()) == (path, [])


@contextmanager
def at_work(made: World) -> Iterator["subprocess.Popen[str]"]:
    """A job over SOLUSD that is at work for as long as it is looked at: one request in five seconds."""
    made.rate = "0.2"
    asked = ("--markets", "SOLUSD", "--intervals", "60", "--complete", "--yes")
    with made.start("ingest_kraken_unified", *asked) as process:
        try:
            yield process
        finally:
            made.rate = "0"
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.communicate(timeout=60)


def test_a_running_job_is_sound_wherever_it_shows(made: World, opened: Browser, address: str) -> None:
    with at_work(made):
        for theme in THEMES:
            for width in WIDTHS:
                with window(opened, address, theme, width) as shown:
                    sign_in(shown)
                    shown.page.get_by_role("button", name="Pause").wait_for()
                    is_sound(shown, "/")
                    shown.page.locator("#running a").click()
                    shown.page.get_by_role("button", name="Pause").wait_for()
                    expect(shown.page.locator("h1")).to_contain_text("RUNNING")
                    is_sound(shown, shown.page.url)
                    shown.go("/jobs/")
                    is_sound(shown, "/jobs/")


def test_the_theme_is_kept(opened: Browser, address: str) -> None:
    with window(opened, address, "light", 1400) as shown:
        shown.go("/")
        shown.page.click("#theme")
        expect(shown.page.locator("html")).to_have_attribute("data-theme", "dark")
        shown.go("/files/")
        expect(shown.page.locator("html")).to_have_attribute("data-theme", "dark")


def test_the_map_is_walked_by_keyboard_and_a_cell_opens(opened: Browser, address: str) -> None:
    with window(opened, address, "light", 1400) as shown:
        shown.go("/coverage/?interval=60")
        shown.page.focus("#map-frame")
        said = shown.page.locator("#map-said")
        expect(said).to_have_text(re.compile(r"^ETHUSD, 2025-03: traded"))
        for key in ("ArrowDown", *["ArrowLeft"] * 7):
            shown.page.keyboard.press(key)
        expect(said).to_have_text("ICXUSD, 2024-08: missing 100%")
        shown.page.keyboard.press("Enter")
        expect(shown.page.locator("#cell")).to_contain_text("Missing: 744")
        shown.page.keyboard.press("d")
        shown.page.wait_for_url(re.compile("step=day"))
        expect(shown.page.locator("h1")).to_contain_text("a column a day")


def test_the_map_says_what_the_report_says(made: World, opened: Browser, address: str) -> None:
    told = json.loads(made.run("report_completeness", "--tier", "TIER1", "--intervals", "60", "--json"))
    with window(opened, address, "light", 1400) as shown:
        shown.go("/coverage/?interval=60")
        rows = shown.page.locator("#table tbody tr").all_inner_texts()
    figures = {
        cells[0]: [int(cell.replace(",", "")) for cell in cells[4:]] for cells in (row.split("\t") for row in rows)
    }
    names = ("traded", "quiet_proven", "quiet_confirmed", "quiet_claimed", "suspect", "missing", "unlisted")
    assert figures == {one["market"]: [one[name] for name in names] for one in told["series"]}


def test_a_chart_zooms_to_finer_candles_and_back(opened: Browser, address: str) -> None:
    with window(opened, address, "dark", 1400) as shown:
        shown.go("/markets/XBTUSD/")
        said = shown.page.locator("#chart-said")
        expect(said).to_contain_text("candles of 1440min")
        shown.page.get_by_role("button", name="1 w").click()
        expect(said).to_contain_text("candles of 60min")
        shown.page.get_by_role("button", name="Earlier").click()
        expect(said).to_contain_text("candles of 60min")
        shown.page.get_by_role("button", name="All").click()
        expect(said).to_contain_text("candles of 1440min")
        shown.page.select_option("#chart-interval", "240")
        expect(said).to_contain_text("candles of")


def shown_range(shown: Window) -> tuple[datetime, datetime]:
    """What of time the chart was sent to show, as the last answer had it."""
    with shown.page.expect_response(re.compile(r"/chart\?")) as reply:
        shown.page.reload()
    view = reply.value.json()["view"]
    start, end = (datetime.fromtimestamp(view[edge], UTC) for edge in ("start", "end"))
    return start, end


@pytest.mark.parametrize("path", ["/gaps/?market=ICXUSD&interval=60", "/markets/ICXUSD/"])
def test_a_link_to_a_long_gap_shows_the_gap(path: str, opened: Browser, address: str) -> None:
    with window(opened, address, "light", 1400) as shown:
        shown.go(path)
        shown.page.locator("tr", has_text="2024-07-01 to 2024-09-30").locator("a").first.click()
        expect(shown.page.locator("#chart-said")).to_contain_text("missing: ")
        start, end = shown_range(shown)
        assert start < datetime(2024, 7, 1, tzinfo=UTC) < datetime(2024, 10, 1, tzinfo=UTC) < end


def test_a_link_to_a_month_shows_the_month_hour_by_hour(opened: Browser, address: str) -> None:
    first, end = datetime(2024, 5, 1, tzinfo=UTC), datetime(2024, 6, 1, tzinfo=UTC)
    with window(opened, address, "light", 1400) as shown:
        shown.go(f"/markets/XBTUSD/?interval=60&start={int(first.timestamp())}&end={int(end.timestamp())}")
        expect(shown.page.locator("#chart-said")).to_contain_text("candles of 60min")
        start, last = shown_range(shown)
        assert start < first < end < last


def test_zooming_out_of_the_newest_candles_keeps_them_in_view(opened: Browser, address: str) -> None:
    with window(opened, address, "light", 1400) as shown:
        shown.go("/markets/XBTUSD/?interval=60")
        said = shown.page.locator("#chart-said")
        for name in ("Zoom out", "Zoom out", "Later"):
            with shown.page.expect_response(re.compile(r"/chart\?")) as reply:
                shown.page.get_by_role("button", name=name).click()
            told = reply.value.json()
            assert told["view"]["end"] == told["history"]["end"]
            expect(said).to_contain_text("candles of 60min")


def sign_in(shown: Window) -> None:
    shown.go("/admin/login/?next=/")
    shown.page.fill("#id_username", USER)
    shown.page.fill("#id_password", PASSWORD)
    shown.page.click("[type=submit]")
    shown.page.wait_for_url("**/")


def stays_on_pause(shown: Window, asks_again: str) -> None:
    """Walk to Pause by keyboard. It is the same button when the part around it has asked for itself again."""
    page = shown.page
    page.locator("#main").focus()
    for _ in range(10):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == "Pause":
            break
    button = page.evaluate_handle("document.activeElement")
    for _ in range(2):
        with page.expect_response(lambda reply: asks_again in reply.url) as reply:
            pass
        reply.value.finished()
    expect(page.get_by_role("button", name="Pause")).to_be_focused()
    assert page.evaluate("button => button === document.activeElement", button)


def test_a_running_job_is_followed_paused_and_gone_on_with(made: World, opened: Browser, address: str) -> None:
    with at_work(made) as process, window(opened, address, "light", 1400) as shown:
        sign_in(shown)
        shown.page.locator("#running .line").get_by_text("SOLUSD").wait_for()
        stays_on_pause(shown, asks_again="/jobs/running?")
        shown.page.locator("#running a").click()
        stays_on_pause(shown, asks_again="/running?")
        in_hand = shown.page.locator("#job .running .figures").first
        expect(in_hand).to_contain_text("Walking over trades", timeout=60_000)
        expect(shown.page.locator("#job .running .current")).to_contain_text("SOLUSD 20", timeout=60_000)
        shown.page.keyboard.press("Enter")
        expect(shown.page.locator(".note")).to_contain_text("finishes what is in hand and pauses")
        process.communicate(timeout=60)
        expect(shown.page.locator("h1")).to_contain_text("PAUSED")
        shown.page.get_by_role("button", name="Go on with it").wait_for()
        assert shown.grave() == []
        shown.go("/")
        shown.page.get_by_text("No job is running.").wait_for()
        shown.go("/jobs/")
        expect(shown.page.locator("tbody tr").first).to_contain_text("PAUSED")
        shown.page.locator("tbody tr a").first.click()
        expect(shown.page.locator("code").first).to_contain_text("--resume")


def test_who_is_signed_out_is_led_to_the_login_or_told(made: World, opened: Browser) -> None:
    closed = replace(made, environment=made.environment | {"WEB_LOGIN_REQUIRED": "true"})
    with served(closed, port=free_port()) as address, window(opened, address, "light", 1400) as shown:
        sign_in(shown)
        shown.go("/markets/XBTUSD/")
        shown.page.context.clear_cookies()
        shown.page.select_option("#chart-interval", "240")
        expect(shown.page.locator("#chart-said")).to_have_text("You are not signed in any more: load the page anew.")
        sign_in(shown)
        shown.go("/coverage/")
        shown.page.context.clear_cookies()
        shown.page.focus("#map-frame")
        shown.page.keyboard.press("Enter")
        shown.page.wait_for_url("**/admin/login/?next=/coverage/")
        assert {trouble for trouble in shown.troubles if "401" not in trouble} == set()
        shown.troubles.clear()


def test_a_gap_is_filled_by_a_button(made: World, opened: Browser, address: str) -> None:
    with window(opened, address, "light", 1400) as shown:
        sign_in(shown)
        shown.go("/gaps/?market=ETHUSD&reason=SUSPECT")
        assert shown.grave() == []
        shown.page.get_by_role("button", name="Fill the gap of ETHUSD").click()
        expect(shown.page.locator(".note")).to_contain_text("is about to fill ETHUSD 60min")
        ended(shown, "ETHUSD")
        shown.go("/gaps/?market=ETHUSD&reason=SUSPECT")
        expect(shown.page.locator(".note")).to_have_text("No such gap is on record.")


def ended(shown: Window, what: str) -> None:
    """Look at the jobs until the one over `what` has ended well."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        shown.go("/jobs/")
        if shown.page.locator("tbody tr", has_text=what).get_by_text("COMPLETED").count():
            return
    pytest.fail(f"the job over {what} does not end")
