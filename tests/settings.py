"""Chandlery's settings for the tests: a home that nobody lives in, and nothing a developer has set.

State is kept in SQLite or, with TEST_DATABASE_URL, on a server of the tests' own (`scripts/postgres`).
"""

import atexit
import os
import tempfile
from zlib import crc32

from chandlery.config.options import HOME, OPTIONS
from tests.databases import CHECKOUT, SERVER

_home = tempfile.TemporaryDirectory(prefix="chandlery-tests-")
atexit.register(_home.cleanup)

for _option in OPTIONS:
    os.environ.pop(_option.name, None)
os.environ[HOME.name] = _home.name
if SERVER:
    os.environ["DATABASE_URL"] = SERVER

from chandlery.config.settings import *  # noqa: E402, F403

if SERVER:
    # Checkouts that share a server do not get into each other's way.
    DATABASES["default"]["TEST"] = {"NAME": f"test_{crc32(str(CHECKOUT).encode()):08x}"}  # noqa: F405
