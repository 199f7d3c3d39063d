"""Walks over whatever an exchange may give, against the truth worked out minute by minute."""

from datetime import datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from chandlery.candles.evidence import answered
from chandlery.candles.interval import EPOCH, Interval
from chandlery.candles.timerange import RangeSet, TimeRange
from chandlery.candles.trades import MINUTE
from chandlery.exchanges.kraken.walk import PROVEN, UNPROVEN, Walk, cursor_at
from tests.exchanges.kraken.paging import MARCH, NOON, SECOND, Pager, Trade, minutes_of, walked


class Market(NamedTuple):
    """What was traded, and what of it the exchange still gives: the first is the market's first trade."""

    made: list[Trade]
    lost: set[int]

    @property
    def given(self) -> list[Trade]:
        return [one for place, one in enumerate(self.made) if place not in self.lost]


MOST_TIES = 4


@st.composite
def markets(draw: st.DrawFn) -> Market:
    """Up to 60 trades from 11:50 on, 4 at most at one time; ids from some trade on; some that are lost."""
    waits = draw(st.lists(st.sampled_from([0, 0, 1, 7 * SECOND, 25 * SECOND, 59 * SECOND, 200 * SECOND]), max_size=60))
    ids_from = draw(st.sampled_from([0, 0, 5, 20, 100]))
    time, ties, made = MARCH - 600 * SECOND, 0, []
    for place, wait in enumerate(waits):
        ties = 0 if wait else ties + 1
        time += wait if ties < MOST_TIES else SECOND
        ties = 0 if ties >= MOST_TIES else ties
        price, volume = draw(st.sampled_from([99.5, 100.0, 100.25])), draw(st.sampled_from([0.1, 0.00000001, 12.3]))
        made.append(Trade(time, price, volume, place - ids_from + 1 if place >= ids_from else None))
    lost = draw(st.sets(st.integers(1, 59), max_size=6) if draw(st.booleans()) else st.just(set[int]()))
    return Market(made, lost)


def expected_answers(given: list[Trade], wanted: TimeRange, until: datetime, from_first: bool) -> dict[bool, set[int]]:
    """The minutes of `wanted` (in minutes since noon) proven and not, minute by minute; `given` ends the walk."""
    start, end = ((moment - NOON) // timedelta(minutes=1) for moment in (wanted.start, wanted.end))
    minute = [(one.time - MARCH) // MINUTE for one in given]
    ended = bool(given) and minute[-1] >= end
    upto = end if ended else min(end, max(start, (until - NOON) // timedelta(minutes=1)))
    begin = start
    if from_first:
        begin = max(start, minute[0]) if given else end
    elif not given:
        return {True: set(), False: set(range(start, upto))}
    doubtful = set() if from_first else set(range(start, minute[0] + 1))
    for place, (one, when) in enumerate(zip(given, minute, strict=True)):
        before = given[place - 1] if place else None
        first = from_first and not place
        proof = one.id and (first or (before is not None and before.id and one.id == before.id + 1))
        if not proof:
            doubtful |= set(range(minute[place - 1] if place else when, when + 1))
    if given and not ended and not given[-1].id:
        doubtful |= set(range(minute[-1], upto))
    answered_minutes = set(range(begin, upto))
    return {True: answered_minutes - doubtful, False: answered_minutes & doubtful}


def as_minutes(ranges: RangeSet) -> set[int]:
    return {(one.start - NOON) // timedelta(minutes=1) + i for one in ranges for i in range(one.slots(Interval.M1))}


@settings(max_examples=200)
@given(
    market=markets(),
    start=st.integers(-5, 15),
    length=st.integers(1, 40),
    back=st.integers(1, 20),
    from_first=st.booleans(),
    sizes=st.lists(st.integers(2 * MOST_TIES, 30), min_size=1, max_size=3),
    inclusive=st.booleans(),
    late=st.integers(0, 90),
)
def test_any_walk_hands_out_the_truth_once(
    market: Market,
    start: int,
    length: int,
    back: int,
    from_first: bool,
    sizes: list[int],
    inclusive: bool,
    late: int,
) -> None:
    first_wanted = NOON + timedelta(minutes=start)
    wanted = TimeRange(first_wanted, first_wanted + timedelta(minutes=length))
    given = market.given
    newest = EPOCH + timedelta(microseconds=given[-1].time // 1000) if given else NOON
    until = newest + timedelta(minutes=late, seconds=1)
    pager = Pager(given, sizes, inclusive)
    cursor = "0" if from_first else cursor_at(first_wanted - timedelta(minutes=back))
    seen = walked(Walk.start(wanted, cursor, from_first), pager.page, until, most_pages=5 + 3 * (len(given) + 1))

    first_ns, end_ns = MARCH + start * MINUTE, MARCH + (start + length) * MINUTE
    looked_from = int(pager.asked[seen.walk.looked_back])
    shown = [one for one in given if one.time > looked_from]
    ending = [place for place, one in enumerate(shown) if one.time >= end_ns]
    shown = shown[: ending[0] + 1] if ending else shown
    truth = expected_answers(shown, wanted, until, from_first)
    assert as_minutes(seen.answers.get(PROVEN, RangeSet())) == truth[True]
    assert as_minutes(seen.answers.get(UNPROVEN, RangeSet())) == truth[False]
    everything = minutes_of(shown, wanted)
    covered = [any(moment in one for one in answered(seen.answers)) for moment in everything["timestamp"]]
    assert seen.candles.equals(everything.filter(pl.Series(covered, dtype=pl.Boolean)))
    # Trades before the range that an exchange loses at the edge of a page are not looked for.
    assert len([one for one in shown if one.time >= first_ns]) <= seen.trades <= len(shown)
    found = {(one.before, one.after) for one in seen.breaks}
    assert found == {
        (one.id, other.id)
        for one, other in pairwise(shown)
        if one.id and other.id and other.id > one.id + 1 and other.time >= first_ns
    }
    # Each gap is asked for twice, at most twice more at the edges of pages; then come the looks back and the end.
    pages = -(-len(shown) // (min(sizes) - MOST_TIES))
    assert len(pager.asked) <= pages + 2 * len(found) + seen.walk.looked_back + 5
