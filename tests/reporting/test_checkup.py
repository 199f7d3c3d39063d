"""What is judged wrong, what is only told, and what is to be done."""

from datetime import timedelta
from pathlib import Path

import pytest

from chandlery.errors import ChandleryError, UsageError
from chandlery.reporting.checkup import (
    Check,
    DatabaseFacts,
    Library,
    State,
    checkup_as_json,
    checkup_as_text,
    judge_archives,
    judge_clock,
    judge_database,
    judge_exchange,
    judge_folders,
    judge_python,
    judge_secrets,
    judge_settings,
    judge_space,
    of_error,
)
from tests.candles.builders import at

HOME = Path("/srv/chandlery")


class Broken(ChandleryError):
    """The lake is gone; bring it back with: {repair}"""


class Odd(UsageError):
    """{what} is odd."""


def test_an_error_tells_what_is_wrong_and_what_to_do() -> None:
    assert of_error("store", Broken(repair="magic")) == Check(
        "store", State.WRONG, "The lake is gone", "bring it back with: magic"
    )
    assert of_error("store", Odd(what="it"), "even it") == Check("store", State.WRONG, "it is odd", "even it")


def test_a_name_that_is_nearly_a_setting_is_wrong() -> None:
    found = judge_settings(HOME, {"CANDLE_STOR": (".env", "CANDLE_STORE")}, None)
    assert found == Check("settings", State.WRONG, ".env sets CANDLE_STOR, which is no setting", "write CANDLE_STORE")


def test_a_clock_that_stands_still_is_worth_knowing() -> None:
    assert judge_settings(HOME, {}, at("2026-01-31 12:00")).state is State.NOTE
    assert judge_settings(HOME, {}, None).state is State.OK


@pytest.mark.parametrize(
    ("facts", "state", "said"),
    [
        (DatabaseFacts("s.sqlite3", True, is_there=False), State.OK, "s.sqlite3 is not there yet"),
        (DatabaseFacts("s.sqlite3", True, version="3.45", journal="wal"), State.OK, "s.sqlite3 (SQLite 3.45, WAL)"),
        (DatabaseFacts("s.sqlite3", True, journal="delete"), State.WRONG, "is in journal mode delete, not WAL"),
        (DatabaseFacts("state on db", False, version="15.18"), State.OK, "state on db (PostgreSQL 15.18)"),
        (
            DatabaseFacts("s.sqlite3", True, version="3.45", journal="wal", pending=2),
            State.OK,
            "the next command applies 2 migrations",
        ),
    ],
)
def test_a_database(facts: DatabaseFacts, state: State, said: str) -> None:
    found = judge_database(facts)
    assert found.state is state
    assert said in found.said


@pytest.mark.parametrize(
    ("version", "wanted", "fits"),
    [
        ("5.2.19", ">=5.2,<5.3", True),
        ("5.3", ">=5.2,<5.3", False),
        ("5.1.9", ">=5.2,<5.3", False),
        ("5.2", ">=5.2.0", True),
        ("26.0.1rc1", ">=26", True),
        ("7", "", True),
        (None, "", False),
    ],
)
def test_a_library_fits_what_is_wanted_of_it(version: str | None, wanted: str, *, fits: bool) -> None:
    assert Library("django", version, wanted).fits is fits


def test_an_old_python_and_missing_libraries_are_wrong() -> None:
    assert judge_python((3, 10, 4), []).said == "this is Python 3.10.4"
    missing = judge_python((3, 11, 7), [Library("psycopg", None, ">=3.2")])
    assert (missing.said, missing.remedy) == (
        "psycopg is not installed, >=3.2 is needed",
        "pip install 'psycopg>=3.2'",
    )
    assert judge_python((3, 11, 7), [Library("django", "5.2.19", ">=5.2")]).state is State.OK


def test_the_fullest_disk_counts() -> None:
    found = judge_space({HOME: 50_000_000_000, HOME / "data": 400_000_000})
    assert (found.state, found.said) == (State.WRONG, "only 0.4 GB are left for /srv/chandlery/data")
    assert judge_space({HOME: 50_000_000_000}).state is State.OK


def test_a_folder_that_cannot_be_written_to_is_wrong() -> None:
    assert judge_folders([HOME], 3).said == "/srv/chandlery is no folder that can be written to"
    assert judge_folders([], 3).state is State.OK


@pytest.mark.parametrize(
    ("mode", "state"), [(0o100600, State.OK), (0o100400, State.OK), (0o100644, State.WRONG), (0o100620, State.WRONG)]
)
def test_secrets_are_for_their_owner_alone(mode: int, state: State) -> None:
    found = judge_secrets({HOME / "secret_key": mode})
    assert found.state is state
    assert found.remedy == ("chmod 600 /srv/chandlery/secret_key" if state is State.WRONG else "")


def test_archives_that_are_not_there_are_worth_knowing() -> None:
    assert judge_archives(HOME, is_folder=False, entries=0).state is State.NOTE
    assert judge_archives(HOME, is_folder=True, entries=0).state is State.NOTE
    assert judge_archives(HOME, is_folder=True, entries=1).said == "/srv/chandlery holds 1 file or folder"


@pytest.mark.parametrize(
    ("seconds", "state", "said"),
    [
        (59, State.OK, "59 seconds from the exchange's"),
        (-59, State.OK, "59 seconds from the exchange's"),
        (61, State.WRONG, "this machine's clock is 61 seconds ahead of the exchange's"),
        (-61, State.WRONG, "this machine's clock is 61 seconds behind the exchange's"),
    ],
)
def test_a_clock_that_is_off_by_more_than_a_minute_is_wrong(seconds: int, state: State, said: str) -> None:
    found = judge_clock(timedelta(seconds=seconds))
    assert (found.state, found.said) == (state, said)


def test_an_exchange_in_maintenance_is_wrong() -> None:
    assert judge_exchange("https://exchange", "maintenance", is_open=False).state is State.WRONG
    assert judge_exchange("https://exchange", "online", is_open=True).state is State.OK


CHECKS = [
    Check("store", State.OK, "parquet:data/candles holds 3 series"),
    Check("archives", State.NOTE, "there is no folder", "make one"),
    Check("clock", State.WRONG, "it is off\x1b[1m", "set it"),
]


def test_a_line_for_each_and_its_remedy_below() -> None:
    assert checkup_as_text(CHECKS, 100) == [
        "✓ store     parquet:data/candles holds 3 series",
        "! archives  there is no folder",
        "            → make one",
        "✗ clock     it is off\\x1b[1m",
        "            → set it",
        "",
        "1 thing is wrong.",
    ]
    assert checkup_as_text(CHECKS[:2], 100)[-1] == "All is well."


def test_one_object() -> None:
    assert checkup_as_json(CHECKS[1:2], "1.0") == {
        "ok": True,
        "version": "1.0",
        "checks": [{"name": "archives", "state": "note", "said": "there is no folder", "remedy": "make one"}],
    }
    assert not checkup_as_json(CHECKS, "1.0")["ok"]
