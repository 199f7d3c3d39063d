"""Thin: parse, call the pipeline, print."""
