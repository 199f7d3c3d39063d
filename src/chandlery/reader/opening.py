"""Open: the candles of a home, for a program that knows nothing of Django."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from chandlery.errors import ChandleryError, UsageError

if TYPE_CHECKING:
    from chandlery.reader.read import Candles


class NothingStored(ChandleryError):
    """There is no database {database}: nothing has been ingested into {home} yet, or home is another folder"""


class HomeIsSet(UsageError):
    """home {home} cannot be opened: this process works with {known} already"""


def open_candles(home: str | Path | None = None) -> Candles:
    """The candles of `home`, else of CHANDLERY_HOME, else of where this is installed.

    Nothing is written. Raises NothingStored, HomeIsSet, or what is wrong with the store.
    """
    _set_up(Path(home).expanduser().absolute() if home is not None else None)
    from django.conf import settings

    from chandlery.config.surroundings import surroundings
    from chandlery.pipeline.binding import identified_store
    from chandlery.reader.read import Candles

    database = settings.DATABASES["default"]
    if "sqlite3" in database["ENGINE"] and not _is_there(str(database["NAME"])):
        raise NothingStored(database=database["NAME"], home=settings.CHANDLERY_HOME)
    around = surroundings()
    return Candles(identified_store(around.store_url, around.home), around.clock)


def _is_there(database: str) -> bool:
    return Path(database).is_file() or "memory" in database


def _set_up(home: Path | None) -> None:
    """Django as the settings of `home` have it, unless the program has set it up itself."""
    from django.apps import apps
    from django.conf import settings

    if not settings.configured:
        if home is None and "CHANDLERY_HOME" not in os.environ:
            home = _checkout()
        if home is not None:
            os.environ["CHANDLERY_HOME"] = str(home)
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chandlery.config.settings")
        # A notebook runs its cells inside of an event loop; what is read there is read at once all the same.
        os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    elif home is not None and home != Path(settings.CHANDLERY_HOME):
        raise HomeIsSet(home=home, known=settings.CHANDLERY_HOME)
    if not apps.ready:
        import django

        django.setup()


def _checkout() -> Path | None:
    """The folder with manage.py, where this is a checkout."""
    folder = Path(__file__).resolve().parents[3]
    return folder if (folder / "manage.py").is_file() and (folder / "src" / "chandlery").is_dir() else None
