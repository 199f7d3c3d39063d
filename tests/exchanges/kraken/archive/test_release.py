"""Names of archives, the periods they cover, and which of two releases is the better answer."""

from dataclasses import replace
from datetime import UTC

import pytest

from chandlery.exchanges.kraken.archive.errors import UnknownPeriod
from chandlery.exchanges.kraken.archive.release import Release, fingerprint_of, recognise
from tests.candles.builders import at

QUARTERLY = Release("Kraken_OHLCVT_Q1_2024", at("2024-01-01"), at("2024-04-01"), False, None, "b" * 64)


@pytest.mark.parametrize(
    "name",
    [
        "Kraken_OHLCVT_Q1_2024.zip",
        "Kraken_OHLCVT_Q1_2024",
        "kraken_ohlcvt_q1_2024.ZIP",
        "Kraken_OHLCVT_2024Q1.zip",
        "Kraken_OHLCVT_2024_Q1",
        "Kraken_OHLCVT_2024Q1 (1).zip",
    ],
)
def test_a_quarterly_name_tells_its_quarter(name: str) -> None:
    facts = recognise(name)
    assert facts is not None
    assert (facts.period_start, facts.period_end, facts.complete) == (at("2024-01-01"), at("2024-04-01"), False)


def test_the_fourth_quarter_ends_with_the_year() -> None:
    facts = recognise("Kraken_OHLCVT_Q4_2023.zip")
    assert facts is not None
    assert (facts.period_start, facts.period_end) == (at("2023-10-01"), at("2024-01-01"))
    assert facts.period_end is not None
    assert facts.period_end.tzinfo is UTC


@pytest.mark.parametrize(
    "name", ["Kraken_OHLCVT_Full_2026Q2.zip", "Kraken_OHLCVT_Full_2026Q2.zip.part07", "Kraken_OHLCVT_Full_2026Q2"]
)
def test_a_full_name_is_complete_up_to_the_end_of_its_quarter(name: str) -> None:
    facts = recognise(name)
    assert facts is not None
    assert (facts.name, facts.period_start, facts.period_end) == ("Kraken_OHLCVT_Full_2026Q2", None, at("2026-07-01"))
    assert facts.complete


def test_the_plain_name_is_complete_and_does_not_say_when_it_ends() -> None:
    facts = recognise("Kraken_OHLCVT.zip")
    assert facts is not None
    assert (facts.name, facts.period_start, facts.period_end, facts.complete) == ("Kraken_OHLCVT", None, None, True)


@pytest.mark.parametrize(
    "name",
    ["Kraken_OHLCVT_Q5_2024.zip", "Kraken_OHLCVT_2026.zip", "my_Kraken_OHLCVT_Q1_2024.zip", "XBTUSD_60.csv", "x.zip",
     "Kraken_OHLCVT_Q1_2024_backup.zip", "Kraken_OHLCVT_Q1_9999.zip", ""],
)  # fmt: skip
def test_any_other_name_is_no_release(name: str) -> None:
    assert recognise(name) is None


def test_a_rank_reads_as_its_parts() -> None:
    dated = replace(QUARTERLY, generated="2024-05-12T10:00:00Z")
    assert dated.rank == "2024-04-01T00:00Z quarterly 2024-05-12T10:00:00Z bbbbbbbbbbbb"
    assert QUARTERLY.rank == "2024-04-01T00:00Z quarterly - bbbbbbbbbbbb"


def test_releases_rank_by_period_end_then_completeness_then_date_then_fingerprint() -> None:
    in_order = [
        replace(QUARTERLY, complete=True, generated="2024-12-31T00:00:00Z", period_end=at("2024-01-01")),
        QUARTERLY,
        replace(QUARTERLY, fingerprint="c" * 64),
        replace(QUARTERLY, generated="2024-05-12T10:00:00Z"),
        replace(QUARTERLY, generated="2024-06-01T00:00:00Z"),
        replace(QUARTERLY, complete=True),
        replace(QUARTERLY, period_end=at("2024-07-01")),
    ]
    ranks = [release.rank for release in in_order]
    assert sorted(ranks) == ranks
    assert len(set(ranks)) == len(ranks)


def test_a_release_has_no_rank_before_its_end_is_known() -> None:
    release = replace(QUARTERLY, period_start=None, period_end=None, complete=True)
    with pytest.raises(UnknownPeriod, match="Kraken_OHLCVT_Q1_2024 does not say when it ends"):
        _ = release.rank
    assert release.with_period_end(at("2024-03-01")).rank.startswith("2024-03-01T00:00Z whole")


def test_a_fingerprint_depends_on_names_and_sizes_and_not_on_their_order() -> None:
    one = fingerprint_of([("A_60.csv", 1), ("B_60.csv", 2)])
    assert one == fingerprint_of([("B_60.csv", 2), ("A_60.csv", 1)])
    assert one != fingerprint_of([("A_60.csv", 1), ("B_60.csv", 3)])
    assert one != fingerprint_of([("A_60.csv", 1)])
