"""A run that would make series from those of another run: it leaves that to the next, and does everything else."""

import re
from pathlib import Path

import pytest

from chandlery.candles.interval import Interval
from chandlery.sandbox.archives import write_archive
from chandlery.sandbox.editions import Edition
from tests.acceptance.commands import Commands
from tests.acceptance.disturbed import FOUR, assert_clean, errors, sandbox, started
from tests.acceptance.in_process import lake_contents

INGEST = "ingest_kraken_unified"


@pytest.mark.slow
def test_half_hours_that_would_be_made_of_quarter_hours_of_another_run_are_left_to_the_next(
    fresh: Commands, tmp_path: Path
) -> None:
    archive = write_archive(FOUR, Edition.complete("2024Q2", intervals=(Interval.M15,)), tmp_path / "archives").path
    quarters = (INGEST, "--source", archive, "--markets", "XBTUSD,ETHUSD", "--intervals", "15", "--yes")
    halves = (INGEST, "--source", archive, "--markets", "ETHUSD,ADAUSD", "--intervals", "30", "--yes")
    with sandbox() as there:
        there.watched.hold("interval=15")
        with started(fresh, *quarters, **there.environment) as run:
            # Its archives are read, and it waits for answers.
            there.watched.wait_for(2, "interval=15")
            beside = there.run(fresh, *halves)
            assert beside.status == 0, beside
            [line] = errors(beside)
            assert re.match(r"WARNING ETHUSD 15\w+ is being written by job \w{8} ", line), line
            assert line.endswith("is left to the next run")
            assert_clean(beside)
            # Of its own market nothing is missing.
            assert first_days(fresh.lake, Interval.M30) == {"ETHUSD": "2024-08-05", "ADAUSD": "2024-05-02"}
            there.watched.let_go()
            assert run.end().status == 0
        again = there.run(fresh, *halves)
        assert (again.status, errors(again)) == (0, [])
    assert first_days(fresh.lake, Interval.M30) == {"ETHUSD": "2024-05-02", "ADAUSD": "2024-05-02"}


def first_days(lake: Path, interval: Interval) -> dict[str, str]:
    """On which day the candles of each market begin."""
    return {
        series.market: f"{rows['timestamp'][0]:%Y-%m-%d}"
        for series, rows in lake_contents(lake).items()
        if series.interval == interval
    }
