"""Where candles and state are kept: files in the home, or a QuestDB and a PostgreSQL."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest

from chandlery.candles.series import Series
from chandlery.stores import open_store
from chandlery.stores.questdb import QuestDBStore
from chandlery.stores.questdb_wal import progress
from tests.acceptance.commands import Commands, lake_state
from tests.acceptance.in_process import lake_contents
from tests.conftest import CHECKOUT

EMBEDDED, SERVERS = "embedded", "servers"


@dataclass(frozen=True, slots=True)
class Deployment:
    """A home and where what it knows is kept."""

    home: Path
    store_url: str = ""

    @property
    def settings(self) -> dict[str, str]:
        return {"CANDLE_STORE": self.store_url} if self.store_url else {}

    @property
    def commands(self) -> Commands:
        """They walk over trades where they are told to."""
        return Commands(self.home, trades=True, settings=self.settings)

    def candles(self) -> dict[Series, pl.DataFrame]:
        """Every series that is stored, with all its columns."""
        if not self.store_url:
            return lake_contents(self.commands.lake)
        store = open_store(self.store_url, self.home)
        return {series: store.read(series, origin=True) for series in store.series()}

    def writes(self) -> object:
        """Equal if and only if nothing was written meanwhile."""
        if not self.store_url:
            return lake_state(self.commands.lake)
        store = open_store(self.store_url, self.home)
        assert isinstance(store, QuestDBStore)
        return progress(store.server, store.address.table)


@contextmanager
def postgres() -> Iterator[str]:
    """The project's own server: its URL. Where it cannot be had, CI fails; others skip what needs it, and say so."""
    script = str(CHECKOUT / "scripts" / "postgres")
    was_running = subprocess.run([script, "status"], capture_output=True, check=False).returncode == 0
    started = subprocess.run([script, "start"], capture_output=True, text=True, check=False)
    if started.returncode != 0:
        reason = f"no PostgreSQL: {started.stderr.strip().splitlines()[-1]}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    yield started.stdout.split()[-1]
    if not was_running:
        subprocess.run([script, "stop"], capture_output=True, check=True)
