#!/usr/bin/env python3
"""Chandlery in a checkout: its data and settings live in this folder unless CHANDLERY_HOME names another."""

import os
import sys
from pathlib import Path

if __name__ == "__main__":
    os.environ.setdefault("CHANDLERY_HOME", str(Path(__file__).resolve().parent))

    from chandlery.config.cli import main

    sys.exit(main(program="python manage.py"))
