"""Kraken: its markets, its archives, and later its live answers."""
