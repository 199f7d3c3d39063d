"""Cells of the map hold what `judge` says; only the candles of a day in which the evidence changes are shared out."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chandlery.candles.evidence import Evidence, Source
from chandlery.candles.interval import Interval
from chandlery.candles.timerange import RangeSet, TimeRange
from chandlery.candles.verdict import Knowledge, Life, Tally, judge
from chandlery.reporting.coverage_map import (
    SHOWN,
    CoverageMap,
    Layer,
    MapRow,
    Spans,
    count_cells,
    day_edges,
    encoded,
    minutes,
    month_edges,
)
from tests.candles.builders import at, between

START, DAYS = at("2024-01-30"), 5
WITHIN = TimeRange(START, START + timedelta(days=DAYS))
SLOTS = DAYS * 4
SIX_HOURS = timedelta(hours=6)
HOUR, DAY = Interval.M60, Interval.M1440
CSV, TRADES = Evidence(Source.CSV), Evidence(Source.TRADES, proven=True)


@dataclass(frozen=True, slots=True)
class Opens:
    """Candles at these times."""

    times: tuple[datetime, ...]

    def count(self, within: TimeRange) -> int:
        return sum(time in within for time in self.times)

    def opens(self, within: TimeRange) -> Sequence[datetime]:
        return [time for time in self.times if time in within]


def stretch(edges: tuple[int, int]) -> TimeRange:
    """Of sixths of the range: whole days, or parts of them."""
    first, last = sorted(edges)
    return TimeRange(START + first * SIX_HOURS, START + (last + 1) * SIX_HOURS)


edges = st.tuples(st.integers(0, SLOTS - 1), st.integers(0, SLOTS - 1))
ranges = st.lists(edges.map(stretch), max_size=3).map(RangeSet)
lives = st.tuples(st.integers(0, 6), st.integers(10, SLOTS)).map(
    lambda ends: Life(START + ends[0] * SIX_HOURS, START + ends[1] * SIX_HOURS)
)


@st.composite
def known(draw: st.DrawFn, opens: "st.SearchStrategy[list[datetime]]") -> Knowledge:
    coverage = {CSV: draw(ranges), TRADES: draw(ranges), Evidence(Source.API): draw(ranges)}
    life = draw(lives)
    listed = life.listed(WITHIN, HOUR)
    times = tuple(sorted({time for time in draw(opens) if any(time in one for one in listed)}))
    doubted = draw(ranges) - coverage[TRADES]
    return Knowledge(HOUR, life, coverage, Opens(times), draw(ranges), doubted)


hours = st.lists(st.integers(0, DAYS * 24 - 1).map(lambda n: START + timedelta(hours=n)), max_size=60)


def spans(row: int, found: RangeSet) -> list[tuple[int, int, int]]:
    return [(row, minutes(one.start), minutes(one.end)) for one in found]


def layers_of(all_known: Sequence[Knowledge]) -> dict[Layer, Spans]:
    found: dict[Layer, list[tuple[int, int, int]]] = {layer: [] for layer in Layer}
    for row, one in enumerate(all_known):
        found[Layer.WANTED] += spans(row, RangeSet([WITHIN]))
        found[Layer.LISTED] += spans(row, one.life.listed(WITHIN, HOUR))
        for kind, answered in one.coverage.items():
            found[Layer.PROVEN if kind.proven else Layer.CLAIMED] += spans(row, answered)
        found[Layer.ARCHIVED] += spans(row, one.coverage[CSV])
        found[Layer.CONFIRMED] += spans(row, one.confirmed)
        found[Layer.DOUBTED] += spans(row, one.suspected)
        found[Layer.BEYOND_DOUBT] += spans(row, one.coverage[TRADES])
    return {layer: Spans.of(triples) for layer, triples in found.items()}


def map_of(all_known: Sequence[Knowledge]) -> CoverageMap:
    days = day_edges(WITHIN.start, WITHIN.end)
    counts = [[one.traded.count(day) for day in days_of(WITHIN)] for one in all_known]
    cells = count_cells(layers_of(all_known), np.array(counts, dtype=np.uint16), days, HOUR)
    return CoverageMap(HOUR, tuple(MapRow(f"M{n}", "", "") for n in range(len(all_known))), days, cells)


def days_of(within: TimeRange) -> list[TimeRange]:
    number = within.length // DAY.delta
    return [TimeRange(within.start + n * DAY.delta, within.start + (n + 1) * DAY.delta) for n in range(number)]


def tally_of(cell: Sequence[int]) -> Tally:
    counts = {verdict.value.lower(): int(number) for verdict, number in zip(SHOWN, cell, strict=True)}
    return Tally(slots=sum(counts.values()), **counts)


def is_of_one_evidence(one: Knowledge, day: TimeRange) -> bool:
    """Whether the evidence is the same all day."""
    found = [one.life.listed(WITHIN, HOUR), one.suspected, one.confirmed, *one.coverage.values()]
    edges = {edge for each in found for part in each for edge in (part.start, part.end)}
    return not any(day.start < edge < day.end for edge in edges)


@given(st.lists(known(hours), min_size=1, max_size=3))
def test_a_day_of_one_evidence_is_what_judge_says(all_known: list[Knowledge]) -> None:
    shown = map_of(all_known)
    for row, one in enumerate(all_known):
        for column, day in enumerate(days_of(WITHIN)):
            if is_of_one_evidence(one, day):
                assert tally_of(shown.cells[row, column]) == judge(one, day).tally


@given(st.lists(known(hours), min_size=1, max_size=3))
def test_on_every_day_slots_add_up_and_what_holds_no_candle_is_exact(all_known: list[Knowledge]) -> None:
    shown = map_of(all_known)
    for row, one in enumerate(all_known):
        for column, day in enumerate(days_of(WITHIN)):
            found, truth = tally_of(shown.cells[row, column]), judge(one, day).tally
            assert (found.slots, found.unlisted, found.suspect) == (truth.slots, truth.unlisted, truth.suspect)
            assert found.traded <= one.traded.count(day)


def test_candles_of_a_day_that_is_answered_in_part_are_of_the_answered_part() -> None:
    half = TimeRange(START, START + timedelta(hours=12))
    one = Knowledge(HOUR, Life(START), {CSV: RangeSet([half]), TRADES: RangeSet()}, Opens((START,)))
    assert tally_of(map_of([one]).cells[0, 0]) == judge(one, days_of(WITHIN)[0]).tally


def test_months_begin_where_the_calendar_says() -> None:
    found = month_edges(at("2023-12-31"), at("2024-02-01"))
    assert found.tolist() == [minutes(at(day)) for day in ("2023-12-01", "2024-01-01", "2024-02-01")]


def test_what_is_drawn_never_hides_the_least_nor_rounds_up_to_all() -> None:
    within = between("2024-01-01", "2024-02-01")
    slots = within.slots(Interval.M1)
    cells = np.zeros((1, 1, len(SHOWN)), dtype=np.int64)
    cells[0, 0] = [slots - 1, 0, 0, 0, 0, 1, 0]
    edges = month_edges(within.start, within.end)
    shown = encoded(CoverageMap(Interval.M1, (MapRow("XBTUSD", "BTC/USD", "TIER1"),), edges, cells), "month")
    length = int.from_bytes(shown[:4], "little")
    head, planes = json.loads(shown[4 : 4 + length]), list(shown[4 + length :])
    assert dict(zip(head["verdicts"], planes, strict=True)) == {
        "TRADED": 254,
        "QUIET_PROVEN": 0,
        "QUIET_CONFIRMED": 0,
        "QUIET_CLAIMED": 0,
        "SUSPECT": 0,
        "MISSING": 1,
    }
    assert head["rows"] == [["XBTUSD", "BTC/USD", "TIER1", pytest.approx(1 - 1 / slots, abs=1e-6), 1, 0]]
