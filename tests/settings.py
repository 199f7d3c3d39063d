"""Chandlery's settings for the tests: a home that nobody lives in, and nothing a developer has set."""

import atexit
import os
import tempfile

from chandlery.config.options import HOME, OPTIONS

_home = tempfile.TemporaryDirectory(prefix="chandlery-tests-")
atexit.register(_home.cleanup)

for _option in OPTIONS:
    os.environ.pop(_option.name, None)
os.environ[HOME.name] = _home.name

from chandlery.config.settings import *  # noqa: E402, F403
