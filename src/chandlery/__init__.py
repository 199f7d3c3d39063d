"""Chandlery: the complete, verified candle history of every Kraken market, on your own disk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chandlery.reader.read import Candles

__version__ = "0.1.0"
__all__ = ["__version__", "open_candles"]


def open_candles(home: str | Path | None = None) -> Candles:
    """The candles of `home`, else of CHANDLERY_HOME, else of where this is installed:

    >>> open_candles().read("XBTUSD", 60, "2024-01-01", "2025-01-01", fill="flat")  # doctest: +SKIP
    """
    # A command that only wants the version shall not wait for frames.
    from chandlery.reader.opening import open_candles as opened

    return opened(home)
