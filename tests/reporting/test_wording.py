"""How figures, dates and names are written."""

import pytest

from chandlery.reporting.wording import box, days, floored, listed, plain, plural, rounded, span, wrapped
from tests.reporting.reports import between


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [(923, 1000, "92.3%"), (0.923, 1, "92.3%"), (2, 3, "66.6%"), (1, 1, "100%"), (0, 5, "0%"), (0, 0, "0%")],
)
def test_a_share_is_rounded_down(part: float, whole: float, text: str) -> None:
    assert floored(part, whole) == text


def test_what_is_not_whole_is_never_100_percent() -> None:
    assert floored(999_999_999, 1_000_000_000) == "99.9%"
    assert rounded(999_999_999, 1_000_000_000) == "99.9%"


def test_a_little_is_not_nothing() -> None:
    assert floored(1, 1_000_000) == "<0.1%"
    assert rounded(1, 1_000_000) == "<0.1%"


def test_days_are_inclusive() -> None:
    assert days(between("2020-01-01", "2025-01-01")) == "2020-01-01 to 2024-12-31"
    assert days(between("2020-01-01", "2020-01-02")) == "2020-01-01"


def test_a_span_of_whole_days_is_days_and_any_other_is_to_the_minute() -> None:
    assert span(between("2023-06-15", "2023-06-18")) == "2023-06-15 to 2023-06-17"
    assert span(between("2023-06-15 06:00", "2023-06-15 09:00")) == "2023-06-15 06:00 to 09:00 UTC"
    assert span(between("2023-06-15", "2023-06-16 09:30")) == "2023-06-15 00:00 to 2023-06-16 09:30 UTC"


def test_one_is_singular() -> None:
    assert [plural(1, "gap"), plural(1200, "gap"), plural(2, "series", "series")] == ["1 gap", "1,200 gaps", "2 series"]


def test_what_a_terminal_would_obey_is_written_as_an_escape() -> None:
    assert plain("a\x1b[31mb\nc\u202ed\udcff") == "a\\x1b[31mb\\nc\\u202ed\\udcff"
    assert plain("Übersicht – 1 €.csv") == "Übersicht – 1 €.csv"


def test_a_long_list_says_how_many_more_there_are() -> None:
    assert listed(["A", "B", "C"], 3) == "A, B, C"
    assert listed(["A", "B", "C", "D"], 2) == "A, B and 2 more"


def test_what_is_carried_over_hangs_under_its_text() -> None:
    assert wrapped("• one two three four", 12) == ["• one two", "  three four"]


def test_a_word_is_never_broken() -> None:
    assert wrapped("• see /a/very/long-path/indeed", 12) == ["• see", "  /a/very/long-path/indeed"]


def test_a_box_is_60_wide_and_grows_with_its_text() -> None:
    assert box(["TIER1"], 80)[1] == "║  TIER1" + " " * 51 + "║"
    assert {len(line) for line in box(["x" * 70], 80)} == {75}


def test_a_box_is_never_wider_than_the_terminal() -> None:
    lines = box(["word " * 30, "y" * 200], 50)

    assert {len(line) for line in lines} == {50}
