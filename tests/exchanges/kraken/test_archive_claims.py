"""What a file of an archive claims about time."""

from chandlery.candles.interval import Interval
from chandlery.exchanges.kraken.archive_claims import Claim, Period, claim_of
from tests.candles.builders import at, between

HOUR = Interval.M60
QUARTER = Period(at("2024-01-01"), at("2024-04-01"), complete=False)
WHOLE = Period(None, at("2024-04-01"), complete=True)


def test_a_quarterly_release_answers_for_its_whole_quarter() -> None:
    claim = claim_of(QUARTER, HOUR, at("2024-02-03 05:00"), at("2024-03-30 05:00"))
    assert claim == Claim(between("2024-01-01", "2024-04-01"))


def test_a_complete_release_answers_from_the_first_row_to_its_end() -> None:
    claim = claim_of(WHOLE, HOUR, at("2014-02-03 05:00"), at("2024-03-30 05:00"))
    assert claim == Claim(between("2014-02-03 05:00", "2024-04-01"))


def test_a_loose_file_answers_for_its_rows_and_its_last_one_is_provisional() -> None:
    claim = claim_of(None, HOUR, at("2024-02-03 05:00"), at("2024-03-30 05:00"))
    assert claim == Claim(
        between("2024-02-03 05:00", "2024-03-30 05:00"), between("2024-03-30 05:00", "2024-03-30 06:00")
    )


def test_a_loose_file_that_ends_a_quarter_is_not_cut_off() -> None:
    claim = claim_of(None, HOUR, at("2024-02-03 05:00"), at("2024-03-31 23:00"))
    assert claim == Claim(between("2024-02-03 05:00", "2024-04-01"))


def test_a_loose_file_of_one_row_settles_nothing() -> None:
    assert claim_of(None, HOUR, at("2024-02-03"), at("2024-02-03")) == Claim(
        None, between("2024-02-03", "2024-02-03 01:00")
    )
