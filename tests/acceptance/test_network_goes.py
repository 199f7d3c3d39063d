"""A network that goes while a run asks: what was answered stays, and the next run asks for the rest."""

from pathlib import Path

import pytest

from chandlery.candles.interval import Interval
from chandlery.sandbox.archives import write_archive
from chandlery.sandbox.editions import Edition
from chandlery.sandbox.faults import Fault, Faults
from tests.acceptance.commands import Commands
from tests.acceptance.disturbed import FOUR, NAMES, assert_as_undisturbed, assert_clean, errors, sandbox, started


@pytest.mark.slow
def test_what_was_answered_before_it_went_is_kept_and_the_next_run_brings_the_rest(
    fresh: Commands, tmp_path: Path
) -> None:
    edition = Edition.complete("2024Q2", intervals=(Interval.M60, Interval.M1440))
    archive = write_archive(FOUR, edition, tmp_path / "archives").path
    run = ("ingest_kraken_unified", "--source", archive, "--markets", ",".join(NAMES), "--intervals", "60,1440")
    with sandbox() as going:
        # State and time of the exchange, two answers, and then not a byte more.
        going.api.faults = Faults({Fault.STALL: 1.0}, script=(None,) * 4)
        one_by_one = going.environment | {"KRAKEN_CONNECTIONS": "1"}
        with started(fresh, *run, "--verbosity", "2", python=["-X", "dev"], **one_by_one) as process:
            going.watched.wait_for(3)
            process.wait_for(r" \d+min: [\d,]+ new", times=2)
            going.server.shutdown()
            going.server.server_close()
            gone = process.end()
    assert gone.status == 1
    told = errors(gone)
    # Series that it still asked for, until it gave up.
    assert sum("Given up" in line for line in told) == 1
    assert all(line.startswith("FAILED ") and "cannot be reached" in line for line in told[1:]), told
    assert_clean(gone)
    with sandbox() as there:
        back = there.run(fresh, *run)
        assert (back.status, errors(back)) == (0, [])
        undisturbed = Commands(tmp_path / "undisturbed")
        undisturbed.home.mkdir()
        assert there.run(undisturbed, *run).status == 0
    assert_as_undisturbed(fresh, undisturbed)
