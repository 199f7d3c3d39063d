"""A browser for tests: the system's Chromium, what it complained about, and what axe says of a page."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

#: As a container needs it, and so that nothing but the pages is asked for.
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
THEMES = ("light", "dark")
WIDTHS = (1400, 400)
_GRAVE = ("serious", "critical")


@contextmanager
def browser() -> Iterator[Browser]:
    """Where there is none, the test is skipped; with CHANDLERY_REQUIRE_BROWSER it fails."""
    found = shutil.which("chromium")
    if found is None:
        reason = "chromium is not installed; scripts/chromium does that on Debian"
        if os.environ.get("CHANDLERY_REQUIRE_BROWSER") == "1":
            pytest.fail(f"{reason}, and CHANDLERY_REQUIRE_BROWSER asks for it")
        pytest.skip(reason)
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=found, args=list(ARGUMENTS))
        yield opened
        opened.close()


@dataclass(slots=True)
class Window:
    """A page that takes note of all that goes wrong on it."""

    page: Page
    address: str
    troubles: list[str] = field(default_factory=list)

    def go(self, path: str, status: int = 200) -> None:
        """To a page, until it has loaded all it wants at first. Answered otherwise than by `status` is a trouble."""
        reply = self.page.goto(self.address + path)
        self.page.wait_for_load_state("networkidle")
        if reply is not None and reply.status == status >= 400:
            # Expected once: by the answer itself, and in what the browser says of it.
            self.troubles.remove(f"{status} {reply.url}")
            self.troubles.remove(next(said for said in self.troubles if f"status of {status}" in said))
        elif reply is None or reply.status != status:
            self.troubles.append(f"{path} should be answered by {status}")

    def grave(self) -> list[str]:
        """What axe finds serious or worse, a line each."""
        found = Axe().run(self.page).response["violations"]
        return [
            f"{one['id']}: {one['help']}: {node['html'][:160]} {node.get('failureSummary', '')}"
            for one in found
            if one["impact"] in _GRAVE
            for node in one["nodes"]
        ]


@contextmanager
def window(opened: Browser, address: str, theme: str, width: int, height: int = 900) -> Iterator[Window]:
    """In one theme and width. Afterwards nothing must have gone wrong."""
    context = opened.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if theme == "dark" else "light",
        reduced_motion="reduce",
    )
    shown = Window(context.new_page(), address)
    page, troubles = shown.page, shown.troubles
    page.on(
        "console", lambda said: troubles.append(f"console: {said.text}") if said.type in ("error", "warning") else None
    )
    page.on("pageerror", lambda error: troubles.append(f"script: {error}"))
    page.on("response", lambda reply: troubles.append(f"{reply.status} {reply.url}") if reply.status >= 400 else None)
    page.on("requestfailed", lambda asked: _note_failed(asked.url, asked.failure, troubles))
    page.on("request", lambda asked: _note_elsewhere(asked.url, address, troubles))
    yield shown
    context.close()
    assert not troubles, "\n".join(troubles)


def _note_failed(url: str, failure: str | None, troubles: list[str]) -> None:
    # Whoever leaves a page leaves what it was still asking for.
    if failure != "net::ERR_ABORTED":
        troubles.append(f"failed: {url} {failure}")


def _note_elsewhere(url: str, address: str, troubles: list[str]) -> None:
    if urlsplit(url).scheme not in ("data", "blob") and not url.startswith(address):
        troubles.append(f"asked elsewhere: {url}")
