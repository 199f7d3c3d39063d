"""The checkup of a machine on which not everything may be looked at: a line of what to do, never a traceback."""

import importlib.metadata
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
from pytest_django import Settings

from chandlery.management.checking import checks
from chandlery.reporting.checkup import Check, State

pytestmark = pytest.mark.django_db

NOBODY = 65534
REMEDY = "let the user who runs this look at it: chown, chmod"


@pytest.fixture
def around(settings: Settings) -> Iterator[Path]:
    """A folder with a home in it, both open to everybody, as those of pytest are not."""
    folder = Path(tempfile.mkdtemp(dir="/var/tmp"))
    home = folder / "home"
    home.mkdir()
    for one in (folder, home):
        one.chmod(0o777)
    settings.CHANDLERY_HOME, settings.ARCHIVE_DIR, settings.LOG_FILE = home, home / "data" / "archives", None
    yield folder
    for one in folder.rglob("*"):
        one.chmod(0o700)
    shutil.rmtree(folder)


@contextmanager
def an_ordinary_user() -> Iterator[None]:
    """Root may look at everything."""
    us = os.geteuid()
    if us == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(us)


def looked() -> dict[str, Check]:
    with an_ordinary_user():
        return {check.name: check for check in checks(offline=True)}


def wrong() -> dict[str, tuple[str, str]]:
    """Without the database, which tests may keep in memory."""
    found = [check for check in looked().values() if check.state is State.WRONG and check.name != "database"]
    return {check.name: (check.said, check.remedy) for check in found}


def closed(folder: Path) -> Path:
    folder.mkdir(mode=0o000)
    return folder


def unreadable(path: Path) -> Path:
    path.write_text("CANDLE_STORE=parquet:elsewhere\n")
    path.chmod(0o000)
    return path


def test_where_everything_may_be_looked_at_nothing_is_wrong(around: Path) -> None:
    assert wrong() == {}


@pytest.mark.parametrize("inside", ["", "archives"])
def test_archives_that_may_not_be_looked_at(around: Path, settings: Settings, inside: str) -> None:
    settings.ARCHIVE_DIR = closed(around / "closed") / inside
    assert wrong() == {"archives": (f"{settings.ARCHIVE_DIR} cannot be looked at: Permission denied", REMEDY)}


def test_a_lake_in_a_closed_folder(around: Path, settings: Settings) -> None:
    lake = closed(around / "closed") / "lake"
    settings.CANDLE_STORE = f"parquet:{lake}"
    told = wrong()
    assert told.pop("folders") == (f"{lake} cannot be looked at: Permission denied", REMEDY)
    [(said, remedy)] = told.values()
    assert said.startswith(f"{lake}/_lake.json does not say which lake this is: ")
    assert remedy == "say by CANDLE_STORE where candles are kept"
    assert looked()["disk space"].state is State.OK


def test_a_log_in_a_closed_folder(around: Path, settings: Settings) -> None:
    settings.LOG_FILE = closed(around / "closed") / "logs" / "chandlery.log"
    assert wrong() == {"folders": (f"{settings.LOG_FILE.parent} cannot be looked at: Permission denied", REMEDY)}


def test_a_key_of_somebody_else(around: Path) -> None:
    path = unreadable(around / "home" / "secret_key")
    assert wrong() == {"secrets": (f"{path} cannot be looked at: Permission denied", REMEDY)}


def test_settings_of_somebody_else(around: Path) -> None:
    path = unreadable(around / "home" / "settings.env")
    assert wrong() == {
        "settings": (
            f"The settings file {path} cannot be read: Permission denied",
            "let the user who runs this read it: chown, chmod",
        ),
        "secrets": (f"{path} cannot be looked at: Permission denied", REMEDY),
    }


@pytest.mark.parametrize("scheme", ["questdb", "questdbs"])
def test_the_client_of_questdb_is_looked_at_where_candles_are_there(
    around: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    def version(name: str) -> str:
        if name == "questdb":
            raise PackageNotFoundError(name)
        return importlib.metadata.version(name)

    monkeypatch.setattr("chandlery.management.checking.version", version)
    settings.CANDLE_STORE = f"{scheme}://127.0.0.1:9/candles"
    said, remedy = wrong()["python"]
    assert said.startswith("questdb is not installed, ")
    assert remedy.startswith("pip install 'questdb")
