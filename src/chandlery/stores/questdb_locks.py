"""One merge into a series at a time on this machine; on others the leases of jobs see to that."""

import getpass
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from chandlery.candles.series import Series
from chandlery.stores.base import StoreUnavailable
from chandlery.stores.questdb_address import Address

_POLL_SECONDS = 0.005


class NoLocks(StoreUnavailable):
    """Locks cannot be made in {folder}: {reason}; point TMPDIR at a folder that can be written"""


@contextmanager
def series_lock(address: Address, series: Series) -> Iterator[None]:
    """Held while what is stored of the series is read, merged and written. Falls with the process that holds it. Raises
    NoLocks.
    """
    folder = Path(tempfile.gettempdir()) / f"chandlery-locks-{_user()}"
    name = f"{address.host_and_port}/{address.table} {series.exchange} {series.market} {int(series.interval)}"
    lock = FileLock(folder / f"{hashlib.sha256(name.encode()).hexdigest()[:32]}.lock", poll_interval=_POLL_SECONDS)
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        lock.acquire()
    except OSError as error:
        raise NoLocks(folder=folder, reason=str(error)) from error
    try:
        yield
    finally:
        lock.release()


def _user() -> str:
    """Whoever this process runs as: a number, which in a container may have no name; on Windows it is a name alone."""
    return str(os.getuid()) if hasattr(os, "getuid") else getpass.getuser()
