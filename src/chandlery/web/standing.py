"""The standings of this process: pages, API and metrics ask one keeper, so that each market is told once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from threading import Lock

from django.conf import settings

from chandlery.candles.interval import Interval
from chandlery.candles.verdict import Tally
from chandlery.models import IngestionJob
from chandlery.pipeline.standing import StandingsKept
from chandlery.reporting.overview import Overview, Standings
from chandlery.stores import open_store

_kept: dict[tuple[str, str], StandingsKept] = {}
_lock = Lock()


def overview(quotes: Sequence[str], now: datetime) -> Overview:
    """Every tier at every interval of which something is known, as state has it at `now`. Attention is asked for what
    jobs were asked for.
    """
    return _standings(now).at(now, quotes, IngestionJob.objects.asked_intervals() or tuple(Interval))


def tallies(interval: Interval, now: datetime) -> dict[str, Tally]:
    """Of each market of which anything is known, its slots at one interval, as a report without dates tells them."""
    return _standings(now).tallies(now, interval)


def _standings(now: datetime) -> Standings:
    home = Path(settings.CHANDLERY_HOME)
    key = (settings.CANDLE_STORE, str(home))
    with _lock:
        if key not in _kept:
            _kept[key] = StandingsKept(open_store(settings.CANDLE_STORE, home))
        kept = _kept[key]
    return kept.at(now)
