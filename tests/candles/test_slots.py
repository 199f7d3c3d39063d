"""Every slot of a range as a row, and what a quiet slot is filled with."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from chandlery.candles.evidence import Coverage, Evidence, Source
from chandlery.candles.frame import CANDLE_SCHEMA
from chandlery.candles.interval import Interval
from chandlery.candles.slots import VERDICTS, every_slot, verdict_codes
from chandlery.candles.timerange import RangeSet, TimeRange
from chandlery.candles.verdict import Knowledge, Life, slot_verdicts
from tests.candles.builders import at

M60 = Interval.M60
START = at("2024-01-01")
CLAIMED, PROVEN = Evidence(Source.CSV), Evidence(Source.TRADES, proven=True)


def hours(first: int, end: int) -> TimeRange:
    return TimeRange(START + first * M60.delta, START + end * M60.delta)


def candles(*places: int) -> pl.DataFrame:
    """A candle at each of these hours, closing at 100 and so many."""
    rows = [[START + n * M60.delta, 100.0, 100.0 + n, 100.0, 100.0 + n, 1.5, 3] for n in places]
    return pl.DataFrame(rows, schema=CANDLE_SCHEMA, orient="row")


@dataclass(frozen=True, slots=True)
class Stored:
    """The slots of these candles."""

    candles: pl.DataFrame

    def count(self, within: TimeRange) -> int:
        return len(self.opens(within))

    def opens(self, within: TimeRange) -> Sequence[datetime]:
        return [t for t in (o.replace(tzinfo=UTC) for o in self.candles["timestamp"].to_list()) if t in within]


def known(
    coverage: Coverage, traded: pl.DataFrame, life: Life | None = None, suspected: RangeSet | None = None
) -> Knowledge:
    return Knowledge(M60, life or Life(), coverage, Stored(traded), suspected=suspected or RangeSet())


def test_a_quiet_slot_has_the_close_before_it_and_nothing_traded() -> None:
    stored = candles(0, 3)
    rows = every_slot(known({CLAIMED: RangeSet([hours(0, 4)])}, stored), hours(0, 4), stored, fill=True)
    assert rows["filled"].to_list() == [False, True, True, False]
    assert rows["close"].to_list() == [100.0, 100.0, 100.0, 103.0]
    row = rows.row(1, named=True)
    assert [row[name] for name in ("open", "high", "low")] == [100.0, 100.0, 100.0]
    assert (row["volume"], row["trades"]) == (0.0, 0)


def test_a_missing_slot_is_never_invented_and_hides_the_price_of_what_comes_after() -> None:
    stored = candles(0, 4)
    coverage = {CLAIMED: RangeSet([hours(0, 1), hours(2, 6)])}
    rows = every_slot(known(coverage, stored), hours(0, 6), stored, fill=True)
    verdicts = ["TRADED", "MISSING", "QUIET_CLAIMED", "QUIET_CLAIMED", "TRADED", "QUIET_CLAIMED"]
    assert rows["verdict"].to_list() == verdicts
    assert rows["close"].to_list() == [100.0, None, None, None, 104.0, 104.0]


def test_a_suspect_candle_stays_and_is_not_carried_on() -> None:
    stored = candles(0, 1)
    doubted = known({CLAIMED: RangeSet([hours(0, 3)])}, stored, suspected=RangeSet([hours(1, 2)]))
    rows = every_slot(doubted, hours(0, 3), stored, fill=True)
    assert rows["verdict"].to_list() == ["TRADED", "SUSPECT", "QUIET_CLAIMED"]
    assert rows["close"].to_list() == [100.0, 101.0, None]


def test_before_the_first_trade_there_is_no_price() -> None:
    stored = candles(2)
    late = known({CLAIMED: RangeSet([hours(0, 4)])}, stored, life=Life(START + 2 * M60.delta))
    rows = every_slot(late, hours(0, 4), stored, fill=True)
    assert rows["verdict"].to_list()[:2] == ["UNLISTED", "UNLISTED"]
    assert rows["close"].to_list() == [None, None, 102.0, 102.0]


def test_without_filling_the_slots_are_there_and_empty() -> None:
    stored = candles(0)
    rows = every_slot(known({PROVEN: RangeSet([hours(0, 2)])}, stored), hours(0, 2), stored, fill=False)
    assert rows["verdict"].to_list() == ["TRADED", "QUIET_PROVEN"]
    assert rows["close"].to_list() == [100.0, None]


_RANGES = st.lists(st.tuples(st.integers(-3, 26), st.integers(1, 9)), max_size=4).map(
    lambda found: RangeSet(hours(first, first + length) for first, length in found)
)


@given(
    claimed=_RANGES,
    proven=_RANGES,
    confirmed=_RANGES,
    suspected=_RANGES,
    traded=st.sets(st.integers(0, 23)),
    first=st.none() | st.integers(-2, 30),
    gone=st.none() | st.integers(-2, 30),
)
def test_the_verdicts_are_those_of_the_slow_way(
    claimed: RangeSet,
    proven: RangeSet,
    confirmed: RangeSet,
    suspected: RangeSet,
    traded: set[int],
    first: int | None,
    gone: int | None,
) -> None:
    stored = candles(*sorted(traded))
    half = timedelta(minutes=30)
    life = Life(*(None if n is None else START + n * M60.delta + half for n in (first, gone)))
    facts = Knowledge(M60, life, {CLAIMED: claimed, PROVEN: proven}, Stored(stored), confirmed, suspected)
    within = hours(0, 24)
    slowly = [v for run, v in slot_verdicts(facts, within) for _ in range(run.slots(M60))]
    assert [VERDICTS[code] for code in verdict_codes(facts, within, stored["timestamp"])] == slowly
