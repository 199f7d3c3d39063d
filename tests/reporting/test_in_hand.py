"""What a job has in hand, in words."""

from datetime import timedelta

from chandlery.reporting.in_hand import InHand
from tests.reporting.reports import at

NOW = at("2026-11-23 20:00")
READING = InHand("reading files", NOW, "1 of 4 files, 12.3k rows/s", "XBTUSD_60.csv", 0.259, 42.0)


def test_it_is_kept_as_it_is() -> None:
    assert InHand.of_json(READING.as_json()) == READING
    assert InHand.of_json(InHand("planning", NOW).as_json()) == InHand("planning", NOW)


def test_time_that_has_passed_since_is_not_left_any_more() -> None:
    assert READING.text(NOW) == "reading files: 1 of 4 files, 12.3k rows/s, 0:42 left"
    assert READING.text(NOW + timedelta(seconds=30)) == "reading files: 1 of 4 files, 12.3k rows/s, 0:12 left"
    assert READING.text(NOW + timedelta(minutes=3)) == "reading files: 1 of 4 files, 12.3k rows/s"


def test_where_nothing_tells_how_long_it_takes_nothing_is_said() -> None:
    assert InHand("planning", NOW).text(NOW) == "planning"
    assert InHand("planning", NOW).percent is None


def test_only_the_whole_is_100_percent() -> None:
    assert READING.percent == 25
    assert InHand("deriving", NOW, share=0.999).percent == 99
