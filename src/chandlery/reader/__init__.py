"""Candles for a script or a notebook: `from chandlery import open_candles`."""
