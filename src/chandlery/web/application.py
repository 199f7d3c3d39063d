"""What `serve` runs: the project's application, and the first overview made meanwhile, so that nobody waits for it."""

from __future__ import annotations

import sys
from threading import Thread

from django.db import connection

from chandlery.config.surroundings import clock
from chandlery.config.wsgi import application
from chandlery.pipeline.selecting import DEFAULT_QUOTE
from chandlery.web import standing

__all__ = ["application"]


def _first_overview() -> None:
    try:
        standing.overview((DEFAULT_QUOTE,), clock()())
    finally:
        connection.close()


# While one thread reckons for seconds, others wait so long in each of the many places where they ask for their turn:
# with the usual 5 ms, one answer in ten took half a second.
sys.setswitchinterval(0.0002)
# Of 1,400 markets at eight intervals it takes some seconds.
Thread(target=_first_overview, name="first overview", daemon=True).start()
