"""Randomness by counter: the same wherever one begins to look."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from chandlery.sandbox.noise import OCTAVES, WALK_LIMIT, fractions, growth, key_of, uniform, walk, words

KEY = key_of(1, "XBTUSD", "path")


def test_a_key_depends_on_each_of_its_parts() -> None:
    assert len({key_of(1, "XBTUSD"), key_of(2, "XBTUSD"), key_of(1, "ETHUSD"), key_of(1, "XBTUSD", "path")}) == 4


def test_the_words_of_a_counter_are_the_ones_of_splitmix64() -> None:
    # The first outputs of the reference implementation for seed 0.
    found = words(0, np.array([1, 2, 3], dtype=np.int64))
    assert [hex(int(word)) for word in found] == ["0xe220a8397b1dcdaf", "0x6e789e6aa1b965f4", "0x6c45d188009454f"]


def test_uniform_numbers_fill_the_unit_interval_evenly() -> None:
    drawn = uniform(KEY, np.arange(100_000, dtype=np.int64))
    shares = np.histogram(drawn, bins=10, range=(0, 1))[0] / len(drawn)
    assert drawn.min() > 0
    assert drawn.max() < 1
    assert np.abs(shares - 0.1).max() < 0.005


def test_fractions_take_only_the_bits_they_are_told_to() -> None:
    assert fractions(np.array([0b1010_0000], dtype=np.uint64), low=4, count=4)[0] == (10 + 0.5) / 16


@given(st.integers(-5_000_000, 90_000_000), st.integers(1, 3000), st.integers(0, 3000))
def test_a_walk_is_the_same_wherever_it_is_entered(start: int, length: int, offset: int) -> None:
    whole = walk(KEY, start, start + offset + length)
    assert np.array_equal(whole[offset:], walk(KEY, start + offset, start + offset + length))


def test_a_walk_stays_within_its_limit_and_goes_far_over_years() -> None:
    heights = np.concatenate([walk(KEY, day * 1440, day * 1440 + 1) for day in range(0, 14_000, 10)])
    assert np.abs(heights).max() < WALK_LIMIT
    assert heights.max() - heights.min() > 2.0 ** (OCTAVES - 1)


def test_growth_is_close_to_the_exponential_function_and_never_at_zero() -> None:
    heights = np.linspace(-15.9, 15.9, 1001)
    assert growth(heights).min() > 0
    assert np.all(np.diff(growth(heights)) > 0)
    assert np.allclose(growth(heights[400:600]), np.exp(heights[400:600]), rtol=0.02)
