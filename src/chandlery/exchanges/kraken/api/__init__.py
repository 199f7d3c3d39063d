"""Kraken's REST API, asked politely."""
