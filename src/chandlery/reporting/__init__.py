"""Completeness as data, then as terminal, CSV and JSON."""
