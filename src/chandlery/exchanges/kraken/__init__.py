"""Kraken: its markets, its archives, and its REST API."""
