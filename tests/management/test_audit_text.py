"""What came of an audit of candles, in one line."""

from dataclasses import replace

import pytest

from chandlery.management.audit_text import audit_text, is_contradicted
from chandlery.pipeline.events import CandlesAudited
from tests.management.walks import audited

QUIET = CandlesAudited(markets=2, series=8, opened=0, suspect=0, resolved=0, outages=0)
LOOKED = "audit: candles of 8 series looked through: "


def test_candles_without_a_flaw_are_told_as_such() -> None:
    assert audit_text(QUIET) == f"{LOOKED}nothing amiss"


@pytest.mark.parametrize(
    ("audited", "said"),
    [
        (replace(QUIET, opened=1), "1 finding"),
        (replace(QUIET, opened=1_200), "1,200 findings"),
        (replace(QUIET, opened=2, suspect=1), "2 findings, 1 of them SUSPECT"),
        (replace(QUIET, opened=3_000, suspect=2_000), "3,000 findings, 2,000 of them SUSPECT"),
        (replace(QUIET, resolved=1), "1 finding resolved"),
        (replace(QUIET, resolved=12), "12 findings resolved"),
        (replace(QUIET, outages=1), "1 outage of the exchange noted"),
        (replace(QUIET, outages=2), "2 outages of the exchange noted"),
        (replace(QUIET, left=("XBTUSD",)), "XBTUSD left to the run that is writing there"),
    ],
)
def test_what_an_audit_of_candles_found_is_counted(audited: CandlesAudited, said: str) -> None:
    assert audit_text(audited) == LOOKED + said


def test_all_that_came_of_an_audit_is_told_in_order() -> None:
    everything = replace(QUIET, opened=2, suspect=1, resolved=3, outages=1, left=("ETHUSD",))

    assert audit_text(everything) == (
        f"{LOOKED}2 findings, 1 of them SUSPECT; 3 findings resolved; 1 outage of the exchange noted; "
        "ETHUSD left to the run that is writing there"
    )


def test_of_many_markets_that_were_left_three_are_named() -> None:
    left = ("ADAUSD", "ETHUSD", "SOLUSD", "XBTUSD", "XRPUSD")

    assert "ADAUSD, ETHUSD, SOLUSD and 2 more left to the run" in audit_text(replace(QUIET, left=left))


def test_one_series_is_a_series() -> None:
    assert audit_text(replace(QUIET, series=1)).startswith("audit: candles of 1 series looked through")


def test_names_that_were_left_are_nothing_that_a_terminal_obeys() -> None:
    assert "X\\x1b[2J left" in audit_text(replace(QUIET, left=("X\x1b[2J",)))


def test_findings_of_the_ledger_whose_cause_is_gone_are_told() -> None:
    assert audit_text(replace(audited(short=0), resolved=2)).endswith(": 1,234 confirmed, 2 findings resolved")


def test_only_suspect_findings_contradict_what_is_stored() -> None:
    assert is_contradicted(replace(QUIET, opened=2, suspect=1))
    assert not is_contradicted(replace(QUIET, opened=2, resolved=1, outages=1))


def test_only_short_weeks_contradict_what_is_stored() -> None:
    assert is_contradicted(audited(short=1))
    assert not is_contradicted(audited(short=0, differing=5))
