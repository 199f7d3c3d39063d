"""What other processes do to a store in tests. Plain functions, so that a spawned process finds them."""

import os
import signal
from datetime import timedelta
from multiprocessing.synchronize import Barrier
from pathlib import Path

import polars as pl

from chandlery.candles.evidence import Origin
from chandlery.candles.interval import Interval
from chandlery.stores import open_store
from chandlery.stores.parquet import ParquetLake
from tests.candles.builders import candles_at, every
from tests.stores.contract import HOURLY
from tests.stores.turns import OLD

ROUNDS = 12


def write_every_second_hour(root: Path, offset: int, start: Barrier) -> None:
    """Round by round a day of two years, so that both writers always meet in the same two files."""
    lake = ParquetLake(root)
    for day in range(ROUNDS):
        hours = every(Interval.M60, "2023-12-20", 24 * ROUNDS)[24 * day + offset : 24 * (day + 1) : 2]
        start.wait(timeout=60)
        lake.write(HOURLY, candles_at(*hours, *(hour + timedelta(days=ROUNDS) for hour in hours)), OLD)


def write_hours_through(url: str, origin: Origin, price: float, start: Barrier) -> None:
    """Round by round the same day, together with another process."""
    store = open_store(url, Path("/"))
    for day in range(ROUNDS):
        hours = every(Interval.M60, "2023-12-20", 24 * ROUNDS)[24 * day : 24 * (day + 1)]
        start.wait(timeout=60)
        store.write(HOURLY, candles_at(*hours, price=price), origin)


def die_between_two_renames(root: Path, survives: int) -> None:
    """Write three years, and be killed outright when `survives` of the files are in place."""
    renamed = 0
    rename = os.replace

    def replace(source: Path, target: Path) -> None:
        nonlocal renamed
        if target.suffix == ".parquet":
            if renamed == survives:
                os.kill(os.getpid(), signal.SIGKILL)
            renamed += 1
        rename(source, target)

    os.replace = replace  # type: ignore[assignment]
    ParquetLake(root).write(HOURLY, three_years(), OLD)


def three_years() -> pl.DataFrame:
    """2021, 2022 and 2023 at one hour."""
    return candles_at(*every(Interval.M60, "2021-06-01", 20_000))
