"""The exchange's own count of trades, slot by slot: what an OHLC answer says beside prices."""

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import numpy.typing as npt

from chandlery.candles.interval import EPOCH
from chandlery.candles.ledger import Figures
from chandlery.exchanges.kraken.api.ohlc import (
    LATEST,
    columns_of,
    last_committed,
    numbers,
    taken_apart,
    unsound,
    whole_numbers,
)
from chandlery.exchanges.kraken.window import WINDOW_SLOTS


@dataclass(frozen=True, slots=True, eq=False)
class CountedWindow:
    """`figures` of the consecutive committed slots from the first one that traded on. A slot that the answer leaves out
    traded nothing. `reaches_first`: the window reaches before the first trade of the market, so nothing traded earlier.
    """

    figures: Figures
    reaches_first: bool


def parse_counted(result: object, width: timedelta) -> CountedWindow:
    """The committed slots in the result of `GET /0/public/OHLC` at `width`; raises UnsoundAnswer as parse_ohlc does.

    Committed is what is no later than the answer's `last`. Where it gives none, the last row is the forming slot
    (Kraken REST reference, OHLC). The window reaches before the first trade where fewer than 720 committed rows came
    (all there are), or where its first row counts no trade: before that there was none either, or the answer would
    not begin where the market's candles do (design 2.5).
    """
    rows, stated = taken_apart(result)
    last = last_committed(stated)
    if not rows:
        return _window(width, 0, np.zeros(0, np.int64), np.zeros(0, np.float64), reaches_first=True)
    columns = columns_of(rows)
    slot, trades, volume = _checked(columns, width)
    final = int(slot[-1]) - 1 if last is None else (last - EPOCH) // width
    known = slot <= final
    slot, trades, volume = slot[known], trades[known], volume[known]
    if not len(slot):
        return _window(width, 0, trades, volume, reaches_first=True)
    place = slot - slot[0]
    length = final - int(slot[0]) + 1
    all_trades, all_volume = np.zeros(length, np.int64), np.zeros(length, np.float64)
    all_trades[place], all_volume[place] = trades, volume
    reaches = len(slot) < WINDOW_SLOTS or int(trades[0]) == 0
    return _window(width, int(slot[0]), all_trades, all_volume, reaches_first=reaches)


def _window(
    width: timedelta,
    first: int,
    trades: npt.NDArray[np.int64],
    volume: npt.NDArray[np.float64],
    *,
    reaches_first: bool,
) -> CountedWindow:
    traded = np.flatnonzero(trades)
    lead = int(traded[0]) if len(traded) else len(trades)
    return CountedWindow(Figures(first + lead, trades[lead:], volume[lead:], width), reaches_first)


def _checked(
    columns: list[tuple[object, ...]], width: timedelta
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """(slots since the epoch, trades, volume). Raises UnsoundAnswer."""
    seconds = int(width.total_seconds())
    time = whole_numbers("time", columns[0], LATEST).to_numpy()
    trades = whole_numbers("count", columns[7], 2**53).to_numpy()
    volume = numbers("volume", columns[6]).to_numpy()
    bad = np.zeros(len(time), dtype=bool)
    bad[1:] = time[1:] <= time[:-1]
    rules = (
        ("time", 0, time % seconds != 0, f"a multiple of {seconds} s since the epoch"),
        ("time", 0, bad, "a time after that of the row before"),
        ("volume", 6, volume < 0, "a volume of at least zero"),
        ("volume", 6, (trades == 0) & (volume != 0), "no volume where nothing was traded"),
    )
    for column, place, broken, expected in rules:
        if broken.any():
            row = int(broken.argmax())
            raise unsound(row, column, columns[place][row], expected)
    return time // seconds, trades, volume
