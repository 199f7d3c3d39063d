"""The standings of this process: pages, API and metrics ask one keeper, so that each market is told once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from threading import Lock

from django.conf import settings

from chandlery.candles.interval import Interval
from chandlery.candles.verdict import Tally
from chandlery.models import IngestionJob
from chandlery.pipeline.standing import StandingsKept
from chandlery.reporting.overview import Overview, Standings
from chandlery.web.store import store_to_read

_kept: dict[tuple[str, str], StandingsKept] = {}
_lock = Lock()


def overview(quotes: Sequence[str], now: datetime) -> Overview:
    """Every tier at every interval of which something is known, as state has it at `now`. Attention is asked for what
    jobs were asked for. Raises what `store_to_read` does.
    """
    return _standings(now).at(now, quotes, IngestionJob.objects.asked_intervals() or tuple(Interval))


def tallies(interval: Interval, now: datetime) -> dict[str, Tally]:
    """Of each market of which anything is known, its slots at one interval, as a report without dates tells them.

    Raises what `store_to_read` does.
    """
    return _standings(now).tallies(now, interval)


def _standings(now: datetime) -> Standings:
    store = store_to_read()
    key = (settings.CANDLE_STORE, str(settings.CHANDLERY_HOME))
    with _lock:
        if key not in _kept:
            _kept[key] = StandingsKept(store)
        kept = _kept[key]
    return kept.at(now)
