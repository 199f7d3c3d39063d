"""One merge into a series at a time on this machine; on others the leases of jobs see to that."""

import getpass
import hashlib
import tempfile
from pathlib import Path

from filelock import BaseFileLock, FileLock

from chandlery.candles.series import Series
from chandlery.stores.base import StoreUnavailable
from chandlery.stores.questdb_address import Address

_POLL_SECONDS = 0.005


class NoLocks(StoreUnavailable):
    """Locks cannot be made in {folder}: {reason}; point TMPDIR at a folder that can be written"""


def series_lock(address: Address, series: Series) -> BaseFileLock:
    """Held while what is stored of the series is read, merged and written. Falls with the process that holds it. Raises
    NoLocks.
    """
    folder = Path(tempfile.gettempdir()) / f"chandlery-locks-{getpass.getuser()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise NoLocks(folder=folder, reason=str(error)) from error
    name = f"{address.host_and_port}/{address.table} {series.exchange} {series.market} {int(series.interval)}"
    return FileLock(folder / f"{hashlib.sha256(name.encode()).hexdigest()[:32]}.lock", poll_interval=_POLL_SECONDS)
