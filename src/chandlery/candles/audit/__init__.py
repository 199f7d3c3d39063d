"""Audits of stored candles: pure functions that say what is wrong, where, and by which figures."""
