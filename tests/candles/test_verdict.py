"""The verdict of every slot, counted and spelled out."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from chandlery.candles.evidence import Coverage, Evidence, Source
from chandlery.candles.interval import Interval
from chandlery.candles.timerange import RangeSet, TimeRange
from chandlery.candles.verdict import Knowledge, Life, Verdict, judge, look_for_open, slot_verdicts
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


moments = st.integers(-30, 24 * 60 + 30).map(lambda minute: DAY.start + timedelta(minutes=minute))
lives = st.builds(Life, st.one_of(st.none(), moments), st.one_of(st.none(), moments))


@st.composite
def knowledge(draw: st.DrawFn) -> Knowledge:
    """What may be known of a day of hours."""
    life = draw(
        st.builds(Life, st.one_of(st.none(), st.integers(0, 23).map(hour)), st.one_of(st.none(), st.just(hour(24))))
    )
    answers = ((CSV, draw(maybe_cuts)), (TRADES, draw(maybe_cuts)))
    coverage: Coverage = {kind: ranges for kind, ranges in answers if ranges}
    traded = [hour(n) for n in draw(st.sets(st.integers(0, 23)))]
    opens = [t for t in traded if life.first_trade is None or t >= life.first_trade]
    return Knowledge(HOUR, life, coverage, Slots(opens), draw(maybe_cuts), draw(maybe_cuts))


@given(knowledge())
def test_the_tally_is_the_count_of_the_slots(known: Knowledge) -> None:
    runs = slot_verdicts(known, DAY)
    assert runs[0][0].start == DAY.start
    assert all(a[0].end == b[0].start for a, b in pairwise(runs))
    tally = judge(known, DAY).tally
    for verdict in Verdict:
        assert getattr(tally, verdict.lower()) == sum(r.slots(HOUR) for r, v in runs if v == verdict)


@given(knowledge())
def test_looking_for_open_slots_finds_what_judging_does(known: Knowledge) -> None:
    found, judged = look_for_open(known, DAY), judge(known, DAY)
    assert (found.missing, found.suspect) == (judged.missing, judged.suspect)
    runs = slot_verdicts(known, DAY)
    assert found.missing == RangeSet(r for r, verdict in runs if verdict is Verdict.MISSING)


@given(lives)
def test_a_slot_is_listed_where_a_trade_could_have_been_in_it(life: Life) -> None:
    listed = [TimeRange(hour(n), hour(n + 1)) for n in range(24) if _could_trade(life, hour(n), hour(n + 1))]
    assert life.listed(DAY, HOUR) == RangeSet(listed)
    assert life.unlisted(DAY, HOUR) == RangeSet([DAY]) - RangeSet(listed)


def _could_trade(life: Life, start: datetime, end: datetime) -> bool:
    has_begun = life.first_trade is None or life.first_trade < end
    return has_begun and (life.delisted is None or start < life.delisted)
