#!/usr/bin/env python3
"""Make docs/images/demo.png: what a run prints on a terminal, drawn by the system's Chromium.

Run `make demo` first: its home is what the report is made from.
"""

import io
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import django

from chandlery.sandbox.rest import SandboxApi
from chandlery.sandbox.server import serve

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chandlery.config.settings")
django.setup()

from chandlery.management.commands import demo  # noqa: E402

CHECKOUT = Path(__file__).resolve().parents[1]
HOME = CHECKOUT / "build" / "demo"
TARGET = CHECKOUT / "docs" / "images" / "demo.png"
COLUMNS, ROWS = 100, 66
SESSION = "chandlery-screenshot"
ASKED = "--tier TIER1 --source data/archives --intervals 60,720,1440 --complete"


def main() -> int:
    browser = shutil.which("chromium")
    if browser is None:
        sys.stderr.write("Error: chromium is not installed; on Debian: apt-get install chromium\n")
        return 1
    shown = _terminal()
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.html"
        page.write_text(shown)
        TARGET.parent.mkdir(parents=True, exist_ok=True)
        window = f"--window-size=1010,{ROWS * 18 + 30}"
        quiet = ("--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run")
        look = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--force-device-scale-factor=1.5")
        profile, shot = f"--user-data-dir={folder}/profile", f"--screenshot={TARGET}"
        subprocess.run([browser, *look, *quiet, profile, window, shot, page.as_uri()], check=True, capture_output=True)
    sys.stdout.write(f"{TARGET.relative_to(CHECKOUT)}\n")
    return 0


def _terminal() -> str:
    """The run in a pseudo-terminal, as HTML."""
    from rich.console import Console
    from rich.text import Text

    # From its home, so that no path of this machine is shown.
    command = f"cd {HOME} && {sys.executable} {CHECKOUT / 'manage.py'} ingest_kraken_unified {ASKED} --yes"
    tmux = ["tmux", "-L", SESSION]
    with serve(SandboxApi(demo.exchange(), lambda: demo.NOW)) as server:
        captured = _captured(command, tmux, {"CHANDLERY_HOME": str(HOME), "KRAKEN_API": server.url})
    console = Console(record=True, width=COLUMNS, file=io.StringIO())
    lines = captured.rstrip().splitlines()
    prompt = f"$ python manage.py ingest_kraken_unified {ASKED}"
    console.print(Text(prompt, style="bold"), Text.from_ansi("\n".join(lines[: ROWS - 1])), sep="\n", soft_wrap=True)
    code = "<pre style=\"font:13px/18px 'DejaVu Sans Mono',monospace;margin:0;padding:15px\">{code}</pre>"
    return console.export_html(
        inline_styles=True,
        code_format='<!doctype html><meta charset="utf-8"><body style="margin:0;background:#fff">' + code,
    )


def _captured(command: str, tmux: list[str], said: dict[str, str]) -> str:
    """What stands on the terminal once the command has ended."""
    environment = {**os.environ, **said, "CLOCK": demo.NOW.isoformat(), "KRAKEN_RATE": "0", "LOG_FILE": ""}
    shutil.rmtree(HOME / "data" / "candles")
    for state in (HOME / "data").glob("chandlery.sqlite3*"):
        state.unlink()
    start = [
        "new-session",
        "-d",
        "-x",
        str(COLUMNS),
        "-y",
        str(ROWS),
        f"{command}; tmux -L {SESSION} wait-for -S done; cat",
    ]
    subprocess.run([*tmux, *start], env=environment, check=True)
    subprocess.run([*tmux, "wait-for", "done"], check=True)
    captured = subprocess.run(
        [*tmux, "capture-pane", "-e", "-p", "-S", "-400"], capture_output=True, text=True, check=True
    )
    subprocess.run([*tmux, "kill-server"], check=True)
    return captured.stdout


if __name__ == "__main__":
    sys.exit(main())
