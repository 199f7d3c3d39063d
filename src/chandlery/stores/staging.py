"""Where a writer's files are made, out of sight of readers; and how what a dead writer left is found."""

import shutil
import uuid
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

from chandlery.stores.durable import make_folder

_STAGING = ".staging"
_LOCKS = ".locks"
_OWNER = "owner.lock"
#: The lake's lock is held for a millisecond, so waiting the library's 50 would be the slower part.
_POLL_SECONDS = 0.005


class Staging:
    """A folder for the half-made files of one writer.

    The writer holds a lock in it, which the operating system drops when the process dies, however it dies: a folder
    whose lock is free has no owner. Nothing in it ends in `.parquet`, so no reader's glob can take it for candles.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        with lake_lock(root):
            _sweep(root)
            self.folder = root / _STAGING / uuid.uuid4().hex
            make_folder(self.folder)
            self._owner = FileLock(self.folder / _OWNER)
            self._owner.acquire()

    def path(self, name: str) -> Path:
        return self.folder / f"{name}.tmp"

    def close(self) -> None:
        """Remove the folder with whatever is still in it."""
        with lake_lock(self._root):
            self._owner.release()
            if self.folder.is_dir():  # somebody may have deleted the whole lake
                shutil.rmtree(self.folder)


def lake_lock(root: Path) -> BaseFileLock:
    """Held for moments, while something of the lake as a whole is made or removed."""
    return _lock(root, "lake")


def series_lock(root: Path, name: str) -> BaseFileLock:
    """Held by the one writer that is changing files of the series."""
    return _lock(root, name)


def _lock(root: Path, name: str) -> BaseFileLock:
    make_folder(root / _LOCKS)
    return FileLock(root / _LOCKS / f"{name}.lock", poll_interval=_POLL_SECONDS)


def _sweep(root: Path) -> None:
    """Remove the folders of writers that are dead. The lake's lock is held, so none is just being made or removed."""
    if not (root / _STAGING).is_dir():
        return
    for folder in (root / _STAGING).iterdir():
        owner = FileLock(folder / _OWNER)
        try:
            owner.acquire(timeout=0)
        except Timeout:
            continue
        owner.release()
        shutil.rmtree(folder)
