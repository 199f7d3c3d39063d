"""The JSON API under /api/v1: the figures of the commands' --json, from the same code."""
