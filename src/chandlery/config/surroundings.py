"""What commands and pages stand in, as the settings say: the clock, the store, the tiers, how the exchange is asked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from django.conf import settings

from chandlery.exchanges.kraken.tiers import TierTable, load_tiers
from chandlery.pipeline.request import Clock, Surroundings


def tiers_file() -> Path | None:
    return Path(settings.TIERS_FILE) if settings.TIERS_FILE else None


def tiers() -> TierTable:
    return load_tiers(tiers_file())


def clock() -> Clock:
    """The system's clock, or the fixed time that the setting CLOCK names."""
    fixed: datetime | None = settings.CLOCK
    return (lambda: fixed) if fixed is not None else (lambda: datetime.now(UTC))


def surroundings() -> Surroundings:
    return Surroundings(settings.CANDLE_STORE, Path(settings.CHANDLERY_HOME), clock(), api=settings.KRAKEN_API)


def sources_of(named: Sequence[str]) -> tuple[Path, ...]:
    """The sources named, or else the archive folder of the settings, if it is there."""
    if named:
        return tuple(Path(item) for item in named)
    folder: Path | None = settings.ARCHIVE_DIR
    return (folder,) if folder is not None and folder.exists() else ()
