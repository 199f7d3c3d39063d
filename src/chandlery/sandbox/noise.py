"""Randomness that is a pure function of a counter, so that any moment can be asked for without those before it.

Only integer arithmetic and the IEEE operations that are exact to the last bit (add, multiply, divide, square root): no
logarithm, sine or power, whose last bit depends on the processor. The same seed gives the same market everywhere.
"""

import hashlib

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Words = npt.NDArray[np.uint64]

#: Each octave of the price path is four times as long as the one below it and swings twice as far, as a random walk
#: does; the longest takes eight years.
OCTAVES = 12
#: The farthest that `walk` can be from 0.
WALK_LIMIT = float(2**OCTAVES - 1)

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)


def key_of(*parts: object) -> int:
    """A 64-bit key for anything that can be told by its text: a seed, a market's name, what the numbers are for."""
    text = "/".join(str(part) for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def words(key: int, counters: Integers) -> Words:
    """64 random bits for each counter (splitmix64, read at a position instead of walked)."""
    mixed: Words = counters.astype(np.uint64)
    mixed *= _GOLDEN
    mixed += np.uint64(key)
    mixed ^= mixed >> np.uint64(30)
    mixed *= _FIRST
    mixed ^= mixed >> np.uint64(27)
    mixed *= _SECOND
    mixed ^= mixed >> np.uint64(31)
    return mixed


def fractions(bits: Words, *, low: int, count: int) -> Floats:
    """`count` of the bits from bit `low` on (at most 52), as a number in (0, 1)."""
    # In place: this is a third of what a trade costs.
    part = bits >> np.uint64(low)
    part &= np.uint64((1 << count) - 1)
    found: Floats = part.astype(np.float64)
    found += 0.5
    found *= 2.0**-count
    return found


def uniform(key: int, counters: Integers) -> Floats:
    """A number in (0, 1) for each counter."""
    return fractions(words(key, counters), low=12, count=52)


def walk(key: int, start: int, end: int) -> Floats:
    """The height of an endless random walk at each of the counters [start, end): value noise in octaves.

    Each octave is random at its knots and a straight line between them. From the longest to the shortest, the knots of
    one are the sum of those above plus its own, so that the whole costs little more than the shortest alone.
    """
    first, heights = 0, np.empty(0)
    for octave in reversed(range(OCTAVES)):
        low, high = start >> (2 * octave), (end >> (2 * octave)) + 3
        knots = np.arange(low, high, dtype=np.int64)
        own = (uniform(key + octave, knots) * 2.0 - 1.0) * 2.0**octave
        heights = own if octave == OCTAVES - 1 else own + _between(heights, knots, first)
        first = low
    return heights[: end - start]


def _between(heights: Floats, knots: Integers, first: int) -> Floats:
    """Heights at `knots`, of which four fit between two neighbours of `heights`, whose first is knot `first`."""
    left = (knots >> 2) - first
    share = (knots & 3).astype(np.float64) * 0.25
    lower = heights[left]
    between: Floats = lower + (heights[left + 1] - lower) * share
    return between


def growth(height: Floats) -> Floats:
    """e to the power of `height` (|height| < 16), as close as a market needs: always positive and rising."""
    eighth = height * 0.0625
    factor = (1.0 + eighth * 0.5) / (1.0 - eighth * 0.5)
    for _ in range(4):
        factor = factor * factor
    return factor
