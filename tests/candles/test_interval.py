"""Candle widths and their grid."""

import pytest

from chandlery.candles.interval import Interval, UnknownInterval
from tests.candles.builders import at


def test_slots_start_at_multiples_since_the_epoch() -> None:
    assert Interval.M240.floor(at("2024-03-31 09:59")) == at("2024-03-31 08:00")
    assert Interval.M240.ceil(at("2024-03-31 08:00")) == at("2024-03-31 08:00")
    assert Interval.M720.ceil(at("2024-03-31 08:00")) == at("2024-03-31 12:00")


def test_an_unknown_width_says_which_there_are() -> None:
    with pytest.raises(
        UnknownInterval, match=r"Interval '45' is not known; choose from 1, 5, 15, 30, 60, 240, 720, 1440"
    ):
        Interval.parse("45")


def test_finer_widths_divide_and_come_widest_first() -> None:
    assert Interval.M720.finer() == (Interval.M240, Interval.M60, Interval.M30, Interval.M15, Interval.M5, Interval.M1)
    assert Interval.M1.finer() == ()
