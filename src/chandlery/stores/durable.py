"""Files that are whole or not there, also after the power has failed."""

import os
from pathlib import Path


def sync_file(path: Path) -> None:
    """Wait until what was written to the file is on the disk."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def put_in_place(staged: Path, target: Path, *, synced: bool = False) -> None:
    """Give a finished file its final name: readers see the old one or the new one. `sync_folder` makes it last.

    `synced`: it is on the disk already.
    """
    if not synced:
        sync_file(staged)
    os.replace(staged, target)  # noqa: PTH105 - the one call that must be seen here by its own name


def make_folder(folder: Path) -> None:
    """Make the folder and whatever is missing above it, durably."""
    missing = []
    level = folder
    while not level.is_dir():
        missing.append(level)
        level = level.parent
    for level in reversed(missing):
        level.mkdir(exist_ok=True)
        sync_folder(level.parent)


def sync_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows cannot open a folder, and keeps names by itself
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
