"""How far work has come."""

import pytest

from chandlery.reporting.progress import Pace, about, compact, duration, size_text, span_text


def test_pace_tells_share_rate_and_time_left() -> None:
    pace = Pace(done=25, total=100, rows=5_000, seconds=10)

    assert (pace.share, pace.rate, pace.remaining) == (0.25, 500, 30)


def test_before_anything_is_done_the_time_left_is_not_known() -> None:
    assert Pace(0, 100, 0, 3).remaining is None
    assert Pace(0, 100, 0, 0).rate == 0


def test_no_work_is_done() -> None:
    assert (Pace(0, 0, 0, 0).share, Pace(0, 0, 0, 0).remaining) == (1.0, 0.0)


@pytest.mark.parametrize(
    ("number", "text"), [(950, "950"), (12_345, "12.3k"), (1_350_000, "1.35M"), (123_000_000, "123M"), (2.5e9, "2.50G")]
)
def test_large_numbers_have_three_digits_and_a_letter(number: float, text: str) -> None:
    assert compact(number) == text


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 bytes"), (1, "1 byte"), (812, "812 bytes"), (3_100_000, "3.1 MB"), (9e12, "9,000.0 GB")]
)
def test_sizes_have_a_unit(size: int, text: str) -> None:
    assert size_text(size) == text


@pytest.mark.parametrize(("seconds", "text"), [(42, "0:42"), (3723, "1:02:03"), (None, "-:--")])
def test_time_left_is_minutes_and_seconds(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.3, "a few seconds"),
        (11, "about 20 seconds"),
        (50, "about 50 seconds"),
        (51, "about 1 minute"),
        (61, "about 2 minutes"),
        (3_600, "about 1 hour"),
        (7_860, "about 2 hours 10 minutes"),
    ],
)
def test_an_estimate_is_rounded_up(seconds: float, text: str) -> None:
    assert about(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 s"),
        (2.4, "2 s"),
        (59.7, "1 min"),
        (90, "1 min 30 s"),
        (3_600, "1 h"),
        (3_630, "1 h"),
        (12_748, "3 h 32 min"),
        (187_200, "2 d 4 h"),
        (90_000_000, "1,041 d 16 h"),
    ],
)
def test_a_span_of_time_has_two_units(seconds: float, text: str) -> None:
    assert span_text(seconds) == text
