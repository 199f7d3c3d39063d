"""What a checkup looks at: the settings, the machine, the database, the store and the exchange, as they are now.

Nothing is made and nothing is changed. What cannot be looked at because of something else is left out.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from django.conf import settings

from chandlery.config.database import look_at_database
from chandlery.config.environment import SECRET_KEY_FILE, SETTINGS_FILES, misspelt_settings
from chandlery.errors import ChandleryError
from chandlery.exchanges.kraken.api.client import KrakenApi
from chandlery.exchanges.kraken.api.settings import ApiSettings
from chandlery.exchanges.kraken.api.status import SystemStatus
from chandlery.management.base import clock, tiers
from chandlery.pipeline.binding import StoreUnknown, checked_store
from chandlery.reporting.checkup import (
    Check,
    Library,
    State,
    judge_archives,
    judge_clock,
    judge_database,
    judge_exchange,
    judge_folders,
    judge_python,
    judge_secrets,
    judge_settings,
    judge_space,
    of_denial,
    of_error,
)
from chandlery.stores import open_store
from chandlery.stores.base import Probed

#: The library that each kind of database or store needs, beside those that all need.
_OF_POSTGRES, _OF_QUESTDB = "psycopg", "questdb"
#: A line of a settings file that gives the key, or an address with a password in it.
_SECRET = re.compile(r"^\s*(?:export\s+)?(?:SECRET_KEY=\S|\w+=\S*://[^/\s]*:[^/\s]*@)", re.MULTILINE)


def checks(*, offline: bool) -> Iterator[Check]:
    """One after the other; `offline` asks nothing of the exchange."""
    home = Path(settings.CHANDLERY_HOME)
    yield _settings(home)
    yield judge_python(sys.version_info[:3], _libraries())
    yield _looked("folders", lambda: _folders(home))
    yield _looked("secrets", lambda: _secrets(home))
    yield from _space(home)
    database = _database()
    yield database
    yield _looked("store", lambda: _store(home, knows_state=database.state is not State.WRONG))
    yield _looked("archives", _archives)
    if not offline:
        yield from _exchange(settings.KRAKEN_API)


def _looked(name: str, look: Callable[[], Check]) -> Check:
    """What comes of looking; where the system does not let us, that."""
    try:
        return look()
    except OSError as error:
        return of_denial(name, error)


def _settings(home: Path) -> Check:
    try:
        tiers()
        misspelt = misspelt_settings(home)
    except ChandleryError as error:
        return of_error("settings", error, "mend what TIERS_FILE names")
    return judge_settings(home, misspelt, settings.CLOCK)


def _libraries() -> list[Library]:
    """Those that are required, as the package says it, and those that the settings make necessary."""
    needed = {_OF_POSTGRES} if not _is_sqlite() else set()
    needed |= {_OF_QUESTDB} if settings.CANDLE_STORE.startswith(("questdb:", "questdbs:")) else set()
    found = []
    for line in requires("chandlery") or ():
        requirement, _, condition = line.partition(";")
        match = re.match(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?\s*(.*)", requirement.strip())
        if match is not None and (not condition.strip() or match[1] in needed):
            found.append(Library(match[1], _version(match[1]), match[2].strip()))
    return found


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _is_sqlite() -> bool:
    return str(settings.DATABASES["default"]["ENGINE"]).endswith("sqlite3")


def _places(home: Path) -> list[Path]:
    """Folders in which things are kept; they need not exist yet."""
    places = [home, home / "data"]
    if _is_sqlite() and not str(name := settings.DATABASES["default"]["NAME"]).startswith((":", "file:")):
        places.append(Path(name).parent)
    if settings.CANDLE_STORE.startswith("parquet:"):
        places.append(home / Path(settings.CANDLE_STORE.partition(":")[2]).expanduser())
    if settings.LOG_FILE is not None:
        places.append(settings.LOG_FILE.parent)
    return list(dict.fromkeys(places))


def _existing(place: Path) -> Path:
    """It, or the nearest that is there of those that it lies in. Raises OSError where that is not to be seen."""
    return next(path for path in (place, *place.parents) if path.exists())


def _folders(home: Path) -> Check:
    places = _places(home)
    wrong = [
        found
        for place in places
        if not (found := _existing(place)).is_dir() or not os.access(found, os.R_OK | os.W_OK | os.X_OK)
    ]
    return judge_folders(list(dict.fromkeys(wrong)), len(places))


def _secrets(home: Path) -> Check:
    files = [home / name for name in (SECRET_KEY_FILE, *SETTINGS_FILES)]
    # A settings file without a secret in it may be read by all. One that we cannot read is as good as none.
    held = [path for path in files if path.is_file() and (_holds_secret(path) or path.name == SECRET_KEY_FILE)]
    return judge_secrets({path: path.stat().st_mode for path in held})


def _holds_secret(path: Path) -> bool:
    return _SECRET.search(path.read_text(errors="replace")) is not None


def _space(home: Path) -> Iterator[Check]:
    """Of folders that may be looked at; of the others it is told that they may not."""
    free: dict[Path, int] = {}
    for place in _places(home):
        with suppress(PermissionError):
            free[place] = shutil.disk_usage(_existing(place)).free
    if free:
        yield judge_space(free)


def _database() -> Check:
    try:
        return judge_database(look_at_database())
    except ChandleryError as error:
        return of_error("database", error, "say by DATABASE_URL where state is kept")


def _store(home: Path, *, knows_state: bool) -> Check:
    """Whether it is there, the one that state speaks of, and to be written to."""
    url = settings.CANDLE_STORE
    try:
        has_state = knows_state and _has_tables()
        store = checked_store(url, home) if has_state else open_store(url, home)
        identity = store.identity()
        if knows_state and not has_state and any(store.series()):
            raise StoreUnknown(url=store.url, repair=f"{settings.PROGRAM} rebuild_state")
        if isinstance(store, Probed):
            store.probe()
    except ChandleryError as error:
        return of_error("store", error, "say by CANDLE_STORE where candles are kept")
    shown = re.sub(r"//[^/]*@", "//", url)
    if identity is None:
        return Check("store", State.OK, f"{shown} is not there yet; the first run makes it")
    if not knows_state:
        return Check("store", State.NOTE, f"{shown} is there; whether it is the right one, the database would tell")
    return Check("store", State.OK, f"{shown} holds {sum(1 for _ in store.series()):,} series")


def _has_tables() -> bool:
    facts = look_at_database()
    return facts.is_there and not facts.pending


def _archives() -> Check:
    folder = settings.ARCHIVE_DIR or Path(settings.CHANDLERY_HOME)
    is_folder = folder.is_dir()
    return judge_archives(folder, is_folder=is_folder, entries=sum(1 for _ in folder.iterdir()) if is_folder else 0)


def _exchange(api: ApiSettings) -> Iterator[Check]:
    """Asked twice at most: whoever runs this waits for it."""
    try:
        status, ahead = asyncio.run(_asked(replace(api, attempts=min(api.attempts, 2), retry_wait=0, budget=None)))
    except ChandleryError as error:
        yield of_error("exchange", error, "look at the network and at KRAKEN_API; --offline leaves this out")
        return
    yield judge_exchange(api.base_url, status.status, is_open=status.is_open)
    yield judge_clock(ahead)


async def _asked(api: ApiSettings) -> tuple[SystemStatus, timedelta]:
    """What the exchange says of itself, and by how much our clock is ahead of its."""
    async with KrakenApi(api) as kraken:
        status = await kraken.system_status()
        server = await kraken.server_time()
        return status, clock()() - server
