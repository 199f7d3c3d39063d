"""A command in a process of its own."""

from pathlib import Path
from threading import Event

import pytest
from pytest_django import Settings

from chandlery import __version__
from chandlery.web import worker


@pytest.fixture(autouse=True)
def settings_of_users(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is started inherits the environment, and the tests' own settings are no user's."""
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "chandlery.config.settings")


def started(arguments: list[str], log: Path) -> int:
    """The exit status of a worker, once it has ended."""
    told, statuses = Event(), []

    def ended(status: int) -> None:
        statuses.append(status)
        told.set()

    assert worker.start(arguments, log, ended) > 0
    assert told.wait(60)
    return statuses[0]


def test_what_it_says_goes_to_its_log(home: Path) -> None:
    log = home / "logs" / "one.log"
    assert started(["--version"], log) == 0
    assert started(["--version"], log) == 0
    assert log.read_text() == f"chandlery {__version__}\n" * 2


def test_it_lives_in_the_same_home_and_calls_itself_as_the_person_does(home: Path, settings: Settings) -> None:
    settings.PROGRAM = "python manage.py"
    log = home / "help.log"
    assert started(["--help"], log) == 0
    assert f"one folder: {home}" in log.read_text()
    assert "Usage: python manage.py COMMAND" in log.read_text()


def test_how_it_failed_is_told(home: Path) -> None:
    log = home / "wrong.log"
    assert started(["no_such_command"], log) == 2
    assert "There is no command no_such_command" in log.read_text()


def test_where_no_log_can_be_written_nothing_is_started(home: Path) -> None:
    (home / "logs").write_text("a file")
    with pytest.raises(worker.NotStarted, match="could not be started"):
        worker.start(["--version"], home / "logs" / "one.log", lambda status: None)
