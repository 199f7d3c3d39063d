#!/usr/bin/env python3
"""Make the pictures of the pages in docs/images: a made-up home, shown by the production server and drawn by the
system's Chromium.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CHECKOUT))

from playwright.sync_api import Browser, sync_playwright  # noqa: E402

from tests.web.browsing import ARGUMENTS, window  # noqa: E402
from tests.web.world import free_port, served, world  # noqa: E402

TARGET = CHECKOUT / "docs" / "images"
CLOSE_UP = "/markets/ETHUSD/?interval=60&start=1715472000&end=1715817600"
#: Name, theme, path, height, and where the pointer rests.
PICTURES = (
    ("overview", "light", "/", 880, None),
    ("coverage", "dark", "/coverage/?interval=60&step=day&start=2024-04-20&end=2024-08-10", 560, None),
    ("market", "light", CLOSE_UP, 680, (560, 330)),
)
WIDTH = 1180


def main() -> int:
    found = subprocess.run([CHECKOUT / "scripts" / "chromium"], stdout=subprocess.PIPE, text=True, check=False)
    if found.returncode:
        return found.returncode
    TARGET.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        world(Path(folder), broken=False) as made,
        served(made, port=free_port()) as address,
    ):
        made.rate = "0.2"
        asked = ("--markets", "SOLUSD", "--intervals", "60", "--complete", "--yes")
        with made.start("ingest_kraken_unified", *asked) as process, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=found.stdout.strip(), args=list(ARGUMENTS))
            for picture in PICTURES:
                draw(browser, address, *picture)
            browser.close()
            process.terminate()
            process.communicate()
    return 0


def draw(
    browser: Browser, address: str, name: str, theme: str, path: str, height: int, pointer: tuple[int, int] | None
) -> None:
    """One picture."""
    with window(browser, address, theme, WIDTH, height) as shown:
        shown.go("/")
        shown.page.locator("#running .line").get_by_text("SOLUSD").wait_for()
        shown.go(path)
        if pointer:
            shown.page.mouse.move(*pointer)
        shown.page.screenshot(path=TARGET / f"{name}.png")
    sys.stdout.write(f"docs/images/{name}.png\n")


if __name__ == "__main__":
    sys.exit(main())
