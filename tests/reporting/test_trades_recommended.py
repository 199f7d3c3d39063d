"""Gaps that walks over trades would close: what a report recommends for them."""

import pytest

from chandlery.candles.gap import Gap, Reason
from chandlery.candles.interval import Interval
from chandlery.reporting.actions import completing, recommended_actions
from chandlery.reporting.completeness import ANSWER_ANEW, WALK, GapEntry, gap_entry
from tests.reporting.reports import NOW, between, report_of, series

COMMAND = "manage.py ingest_kraken_unified --markets XBTUSD"


def hole(start: str = "2025-01-05", end: str = "2025-01-06", *, listed: bool = True, suspect: bool = False) -> GapEntry:
    reason = Reason.SUSPECT if suspect else Reason.MISSING
    return gap_entry("XBTUSD", Gap(Interval.M60, between(start, end), reason), NOW, listed=listed)


def recommended(*gaps: GapEntry, rerun: str = COMMAND) -> list[str]:
    report = report_of(series("XBTUSD", 60, "2025-01-01", "2025-11-23", gaps))
    return recommended_actions(report, rerun, 120, break_commands=False)


def test_a_gap_before_the_window_may_be_downloaded_or_walked() -> None:
    remedy = hole().remedy

    assert (remedy.trades, remedy.files) == (True, ("XBTUSD_60_2025Q1.csv",))
    assert remedy.action.endswith(f"; {WALK}")


def test_a_gap_that_the_api_tells_whole_is_not_walked() -> None:
    remedy = hole("2025-11-20", "2025-11-21").remedy

    assert (remedy.trades, remedy.api) == (False, True)
    assert WALK not in remedy.action


def test_of_a_market_that_is_not_listed_nothing_is_walked() -> None:
    assert not hole(listed=False).remedy.trades
    assert not hole(listed=False, suspect=True).remedy.trades


def test_what_is_contradicted_needs_no_download() -> None:
    entry = hole("2025-11-20", "2025-11-21", suspect=True)

    assert (entry.remedy.action, entry.remedy.trades, entry.remedy.files) == (ANSWER_ANEW, True, ())
    assert (entry.api_fillable, entry.required_csv_file) == (False, "")


def test_trades_are_recommended_as_the_other_way_than_a_download() -> None:
    said = recommended(hole())

    assert said[-2:] == [
        f"{_steps(said)}. Or: let ingestion rebuild 1 gap from trades, which takes requests and time but no download:",
        f"   {COMMAND} --complete",
    ]


def test_where_nothing_is_to_be_downloaded_trades_are_the_way() -> None:
    assert recommended(hole(suspect=True), hole("2025-03-01", "2025-03-02", suspect=True))[2:] == [
        "1. Let ingestion rebuild 2 gaps from trades, which takes requests and time but no download:",
        f"   {COMMAND} --complete",
    ]


def test_without_a_command_only_the_sentence_is_told() -> None:
    assert recommended(hole(suspect=True), rerun="")[2:] == [
        "1. Let ingestion rebuild 1 gap from trades, which takes requests and time but no download."
    ]


def _steps(said: list[str]) -> int:
    return sum(line[:1].isdigit() for line in said)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (COMMAND, f"{COMMAND} --complete"),
        (f"{COMMAND} --complete --yes", f"{COMMAND} --complete --yes"),
        (f"{COMMAND} --no-api-backfill", f"{COMMAND} --complete"),
        (f"{COMMAND} --no-auto-gap-fill --complete", f"{COMMAND} --complete"),
        ("manage.py ingest_kraken_unified --resume 1a2b3c4d", "manage.py ingest_kraken_unified --resume 1a2b3c4d"),
        ("manage.py backfill_kraken_gaps --tier TIER1", "manage.py backfill_kraken_gaps --tier TIER1"),
        ("it's no command", "it's no command"),
        ("", ""),
    ],
)
def test_the_command_is_the_one_that_was_typed_and_asks_for_all(typed: str, said: str) -> None:
    assert completing(typed) == said
