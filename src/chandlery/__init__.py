"""Chandlery: the complete, verified candle history of every Kraken market, on your own disk."""

__version__ = "0.1.0"
