"""Traded slots a day, from sorted slot opens."""

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt

from chandlery.stores.base import DayCounts

_DAY = 86_400_000_000
_EPOCH_DAY = date(1970, 1, 1)


def count_days(opens: npt.NDArray[np.int64]) -> DayCounts:
    """From opens in microseconds since the epoch, at least one. They are sorted, so only midnights are looked up."""
    first, last = int(opens[0]) // _DAY, int(opens[-1]) // _DAY
    midnights = np.arange(first, last + 2, dtype=np.int64) * _DAY
    counts = np.diff(np.searchsorted(opens, midnights)).astype(np.uint16)
    return DayCounts(_EPOCH_DAY + timedelta(days=first), counts)


def joined(pieces: Sequence[DayCounts]) -> DayCounts | None:
    """The counts of pieces that are in order and share no day; days between them have no traded slot."""
    if not pieces:
        return None
    first, last = pieces[0].first_day, pieces[-1]
    counts = np.zeros((last.first_day - first).days + len(last.counts), dtype=np.uint16)
    for piece in pieces:
        offset = (piece.first_day - first).days
        counts[offset : offset + len(piece.counts)] = piece.counts
    return DayCounts(first, counts)
