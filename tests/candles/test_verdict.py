"""The verdict of every slot, counted and spelled out."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from chandlery.candles.evidence import Coverage, Evidence, Source
from chandlery.candles.interval import Interval
from chandlery.candles.timerange import RangeSet, TimeRange
from chandlery.candles.verdict import Knowledge, Life, Verdict, judge, slot_verdicts
from tests.candles.builders import at, between

HOUR = Interval.M60
DAY = between("2024-03-31", "2024-04-01")
CSV, TRADES = Evidence(Source.CSV), Evidence(Source.TRADES, proven=True)


class Slots:
    """Traded slots as a plain list."""

    def __init__(self, opens: Sequence[datetime]) -> None:
        self._opens = sorted(opens)

    def count(self, within: TimeRange) -> int:
        return len(self.opens(within))

    def opens(self, within: TimeRange) -> list[datetime]:
        return [t for t in self._opens if t in within]


def hour(n: int) -> datetime:
    return at("2024-03-31") + timedelta(hours=n)


def hours(a: int, b: int) -> RangeSet:
    return RangeSet([TimeRange(hour(a), hour(b))])


def test_each_slot_has_the_first_verdict_that_applies() -> None:
    known = Knowledge(
        HOUR,
        Life(first_trade=hour(2), delisted=hour(22)),
        {CSV: hours(2, 14), TRADES: hours(10, 16)},
        Slots([hour(2), hour(5), hour(11), hour(18)]),
        confirmed=hours(6, 12),
        suspected=hours(5, 6),
    )
    tally = judge(known, DAY).tally
    assert tally.slots == 24
    assert tally.unlisted == 4
    assert tally.suspect == 1
    assert tally.traded == 3
    assert tally.quiet_proven == 5
    assert tally.quiet_confirmed == 4
    assert tally.quiet_claimed == 2
    assert tally.missing == 5
    assert tally.completeness == 14 / 20
    assert tally.density == 3 / 20


def test_a_stored_candle_answers_its_slot_without_coverage() -> None:
    judged = judge(Knowledge(HOUR, Life(), {}, Slots([hour(3)])), DAY)
    assert judged.tally.traded == 1
    assert list(judged.missing) == [TimeRange(hour(0), hour(3)), TimeRange(hour(4), hour(24))]


def test_nothing_expected_is_complete() -> None:
    judged = judge(Knowledge(HOUR, Life(first_trade=at("2025-01-01")), {}, Slots([])), DAY)
    assert judged.tally.unlisted == 24
    assert judged.tally.completeness == 1


cuts = st.tuples(st.integers(0, 24), st.integers(0, 24)).filter(lambda c: c[0] < c[1]).map(lambda c: hours(*c))
maybe_cuts = st.one_of(st.just(RangeSet()), cuts)


@given(
    st.builds(
        Life, st.one_of(st.none(), st.integers(0, 23).map(hour)), st.one_of(st.none(), st.integers(24, 24).map(hour))
    ),
    maybe_cuts,
    maybe_cuts,
    maybe_cuts,
    maybe_cuts,
    st.sets(st.integers(0, 23)),
)
def test_the_tally_is_the_count_of_the_slots(
    life: Life, csv: RangeSet, proven: RangeSet, confirmed: RangeSet, suspected: RangeSet, traded: set[int]
) -> None:
    coverage: Coverage = {kind: ranges for kind, ranges in ((CSV, csv), (TRADES, proven)) if ranges}
    opens = [hour(n) for n in traded if life.first_trade is None or hour(n) >= life.first_trade]
    known = Knowledge(HOUR, life, coverage, Slots(opens), confirmed, suspected)
    runs = slot_verdicts(known, DAY)
    assert runs[0][0].start == DAY.start
    assert all(a[0].end == b[0].start for a, b in pairwise(runs))
    tally = judge(known, DAY).tally
    for verdict in Verdict:
        assert getattr(tally, verdict.lower()) == sum(r.slots(HOUR) for r, v in runs if v == verdict)
