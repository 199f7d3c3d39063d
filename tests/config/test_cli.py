"""The way in, as a person meets it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import chandlery
from chandlery.config.options import OPTIONS
from tests.conftest import Run, clean_environment


def test_help_names_the_folder_in_which_everything_lives(run: Run, home: Path) -> None:
    shown = run("--help")
    assert shown.status == 0, shown.err
    assert f"Data and settings live in one folder: {home}" in shown.out


def test_help_lists_our_commands_and_every_setting(run: Run) -> None:
    shown = run("help").out
    assert "  ingest_kraken_unified  " in shown
    assert [option.name for option in OPTIONS if f"  {option.name}  " not in shown] == []


def test_help_and_version_make_no_file(run: Run, home: Path) -> None:
    assert run("--help").status == 0
    assert run("--version").out == f"chandlery {chandlery.__version__}\n"
    assert list(home.iterdir()) == []


def test_a_wrong_setting_is_one_line_and_status_2(run: Run) -> None:
    refused = run("check", WORKERS="none")
    assert refused.status == 2
    assert refused.err == "Error: The setting WORKERS is 'none'; expected a whole number from 1 on.\n"


def test_an_unknown_command_is_one_line_and_status_2(run: Run) -> None:
    refused = run("ingest_kraken_unifed")
    assert refused.status == 2
    assert refused.err == (
        "Error: There is no command ingest_kraken_unifed; did you mean ingest_kraken_unified? "
        "See python manage.py --help\n"
    )


def test_the_project_passes_djangos_own_checks_and_has_every_migration(run: Run) -> None:
    checked = run("check", "--fail-level", "WARNING")
    assert checked.status == 0, checked.err
    settled = run("makemigrations", "--check", "--dry-run", "chandlery")
    assert settled.status == 0, settled.out


@pytest.mark.parametrize("entry", [["-m", "chandlery"], ["-c", "from chandlery.config.cli import main; main()"]])
def test_without_a_checkout_the_home_is_the_users_own(tmp_path: Path, entry: list[str]) -> None:
    environment = clean_environment(tmp_path) | {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path / "share")}
    del environment["CHANDLERY_HOME"]
    shown = subprocess.run(
        [sys.executable, *entry, "--help"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "Usage: chandlery COMMAND" in shown
    assert f"one folder: {tmp_path}{os.sep}" in shown


def test_start_up_reads_no_library_that_only_data_needs() -> None:
    loaded = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "import chandlery.config.settings"],
        env=clean_environment(Path("nowhere")),
        capture_output=True,
        text=True,
        check=True,
    ).stderr
    modules = {line.rpartition("|")[2].strip() for line in loaded.splitlines()}
    assert modules & {"polars", "numpy", "pyarrow", "rich", "filelock", "platformdirs"} == set()


LATE = """
import atexit, os, signal
from chandlery.config.cli import main
atexit.register(os.kill, os.getpid(), signal.SIGINT)
raise SystemExit(main(["--version"]))
"""


def test_a_ctrl_c_after_all_is_done_shows_no_traceback(home: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LATE], env=clean_environment(home), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("chandlery ")
