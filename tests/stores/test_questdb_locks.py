"""Locks of series in QuestDB: one at a time, for whoever this process runs as."""

import tempfile
from pathlib import Path

import pytest
from filelock import FileLock, Timeout

from chandlery.stores.questdb_address import Address
from chandlery.stores.questdb_locks import NoLocks, series_lock
from tests.stores.contract import HOURLY

ADDRESS = Address("127.0.0.1")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files lie."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_while_it_is_held_nobody_else_gets_it(folder: Path) -> None:
    with series_lock(ADDRESS, HOURLY):
        [lock] = folder.rglob("*.lock")
        with pytest.raises(Timeout):
            FileLock(lock).acquire(timeout=0)
    FileLock(lock).acquire(timeout=0)


def test_a_user_without_a_name_gets_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container that is told to run as some number."""
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)

    def nobody(uid: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    monkeypatch.setattr("pwd.getpwuid", nobody)
    with series_lock(ADDRESS, HOURLY):
        pass


def test_a_lock_of_somebody_else_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", "x.lock")

    monkeypatch.setattr(FileLock, "acquire", denied)
    told = rf"cannot be made in {folder}/chandlery-locks-.*denied.*point TMPDIR at"
    with pytest.raises(NoLocks, match=told), series_lock(ADDRESS, HOURLY):
        pytest.fail("held")


def test_a_file_in_the_place_of_the_folder_is_told(folder: Path) -> None:
    with series_lock(ADDRESS, HOURLY):
        [made] = folder.iterdir()
    for path in made.iterdir():
        path.unlink()
    made.rmdir()
    made.write_text("")
    with pytest.raises(NoLocks), series_lock(ADDRESS, HOURLY):
        pytest.fail("held")


def test_what_goes_wrong_while_it_is_held_is_not_taken_for_it(folder: Path) -> None:
    with pytest.raises(FileNotFoundError, match="of another kind"), series_lock(ADDRESS, HOURLY):
        raise FileNotFoundError("of another kind")
    with series_lock(ADDRESS, HOURLY):
        pass
