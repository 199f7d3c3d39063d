"""The dashboard and the JSON API."""
