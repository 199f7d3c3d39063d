"""The base install has no page but the admin, and everything else works as ever."""

import subprocess
import sys
from pathlib import Path

from chandlery.config.options import HOME
from tests.conftest import CHECKOUT, clean_environment

HIDDEN = ("django_htmx", "granian", "litecharts", "ninja", "plotly")


def without_the_extra(home: Path, program: str) -> subprocess.CompletedProcess[str]:
    """Run where these packages are not installed, as far as anybody can tell."""
    hide = f"import sys; sys.modules.update(dict.fromkeys({HIDDEN!r}))\n"
    return subprocess.run(
        [sys.executable, "-c", hide + program],
        env=clean_environment(home) | {HOME.name: str(home)},
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_commands_and_checks_work(home: Path) -> None:
    checked = without_the_extra(home, "from chandlery.config.cli import main; sys.exit(main(['check']))")
    assert checked.returncode == 0, checked.stderr
    listed = without_the_extra(home, "from chandlery.config.cli import main; sys.exit(main(['list_jobs']))")
    assert (listed.returncode, listed.stdout[:11]) == (0, "No jobs yet"), listed.stderr


def test_the_front_page_is_the_admin(home: Path) -> None:
    program = """
import os
os.environ['DJANGO_SETTINGS_MODULE'] = 'chandlery.config.settings'
import django
django.setup()
from django.test import Client
browser = Client(headers={'host': 'localhost'})
print(browser.get('/').headers['Location'], browser.get('/api/v1/tiers').status_code)
"""
    asked = without_the_extra(home, program)
    assert asked.stdout == "/admin/ 404\n", asked.stderr


def test_serving_says_what_to_install(home: Path) -> None:
    refused = without_the_extra(home, "from chandlery.config.cli import main; sys.exit(main(['serve']))")
    assert refused.returncode == 2
    assert refused.stderr == "Error: The dashboard's packages are not installed: pip install 'chandlery[web]'\n"
