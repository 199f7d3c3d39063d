"""Which of two answers is kept."""

from collections.abc import Sequence
from datetime import timedelta
from functools import reduce
from itertools import permutations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chandlery.candles.evidence import Origin, Source
from chandlery.candles.frame import CANDLE_SCHEMA
from chandlery.candles.interval import Interval
from chandlery.candles.timerange import RangeSet, TimeRange
from chandlery.stores.merge import merge
from chandlery.stores.partition import edges
from chandlery.stores.stored import STORED_SCHEMA, with_origin
from tests.candles.builders import at, candles_at
from tests.stores.rule import beats, equal, rows_of

NOON = at("2024-03-31 12:00")
NOTHING = pl.DataFrame(schema=STORED_SCHEMA)

# Few values, so that ties are frequent; two volumes are equal within the tolerance and yet not the same.
VOLUMES = (1.0, 1.0 + 1e-12, 2.0)
origins = st.builds(
    Origin, st.sampled_from(Source), st.booleans(), st.booleans(), st.sampled_from(["", "- 2023", "2024 a", "2024 b"])
)
direct_archive_origins = st.builds(
    Origin, st.just(Source.CSV), st.just(False), st.booleans(), st.sampled_from(["- 2023", "2024 a", "2024 b"])
)


@st.composite
def answers(draw: st.DrawFn, origin: st.SearchStrategy[Origin] = origins) -> pl.DataFrame:
    """A stored frame of some of four slots, each with an origin of its own."""
    slots = draw(st.lists(st.integers(0, 3), unique=True, max_size=4))
    rows = [
        with_origin(
            candles_at(
                NOON + timedelta(hours=slot),
                price=draw(st.sampled_from([100.0, 101.0])),
                volume=draw(st.sampled_from(VOLUMES)),
                trades=draw(st.sampled_from([3, 4])),
            ),
            draw(origin),
        )
        for slot in sorted(slots)
    ]
    return pl.concat([NOTHING, *rows])


def merged_in_order(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    return reduce(lambda stored, incoming: merge(stored, incoming).rows, frames, NOTHING)


@given(answers(), answers())
def test_each_slot_has_the_better_answer_whole(stored: pl.DataFrame, incoming: pl.DataFrame) -> None:
    old, new = rows_of(stored), rows_of(incoming)
    expected = dict(old) | {t: row for t, row in new.items() if t not in old or beats(row, old[t])}
    merged = merge(stored, incoming)
    assert merged.rows.to_dicts() == [expected[t] for t in sorted(expected)]
    assert merged.rows.schema == pl.Schema(STORED_SCHEMA)
    assert merged.changed == (not merged.rows.equals(stored))


@given(answers(), answers())
def test_every_incoming_row_is_accounted_for(stored: pl.DataFrame, incoming: pl.DataFrame) -> None:
    old, new = rows_of(stored), rows_of(incoming)
    met = [t for t in sorted(new) if t in old]
    differing = [t for t in met if not equal(new[t], old[t])]
    conflicts = [t for t in differing if not (new[t]["provisional"] or old[t]["provisional"])]
    merged = merge(stored, incoming)
    assert merged.inserted == len(new) - len(met)
    assert merged.unchanged == len(met) - len(differing)
    assert merged.replaced == sum(beats(new[t], old[t]) for t in differing)
    assert merged.conflicting == len(conflicts)
    assert merged.first_conflict == (conflicts[0] if conflicts else None)


@given(answers(), answers())
def test_merging_again_changes_nothing(stored: pl.DataFrame, incoming: pl.DataFrame) -> None:
    once = merge(stored, incoming)
    again = merge(once.rows, incoming)
    assert not again.changed
    assert again.rows.equals(once.rows)
    assert (again.inserted, again.replaced) == (0, 0)


@given(answers(), answers(), st.lists(st.tuples(st.integers(-1, 4), st.integers(1, 3)), max_size=3))
def test_of_cleared_ranges_only_what_comes_in_is_left(
    stored: pl.DataFrame, incoming: pl.DataFrame, hours: list[tuple[int, int]]
) -> None:
    cleared = RangeSet(
        TimeRange(NOON + timedelta(hours=first), NOON + timedelta(hours=first + n)) for first, n in hours
    )
    old, new = rows_of(stored), rows_of(incoming)
    gone = [t for t in sorted(old) if t not in new and cleared.covers(TimeRange(t, t + Interval.M60.delta))]
    kept = merge(stored, incoming)
    merged = merge(stored, incoming, edges(cleared))
    assert merged.rows.equals(kept.rows.filter(~pl.col("timestamp").is_in(gone)))
    assert (merged.removed, merged.first_removed) == (len(gone), gone[0] if gone else None)
    assert merged.changed == (not merged.rows.equals(stored))
    for figure in ("inserted", "replaced", "unchanged", "conflicting", "first_conflict"):
        assert getattr(merged, figure) == getattr(kept, figure)
    again = merge(merged.rows, incoming, edges(cleared))
    assert (again.changed, again.removed) == (False, 0)


@settings(max_examples=50)
@given(st.lists(answers(direct_archive_origins), min_size=2, max_size=3))
def test_archives_in_any_order_give_the_same_rows(frames: list[pl.DataFrame]) -> None:
    expected = merged_in_order(frames)
    for order in permutations(frames):
        assert merged_in_order(order).equals(expected)


@settings(max_examples=25)
@given(
    st.lists(answers(direct_archive_origins), min_size=1, max_size=2),
    *(answers(st.just(Origin(source, derived))) for source, derived in [(Source.API, False), (Source.TRADES, True)]),
)
def test_answers_of_different_strength_in_any_order_give_the_same_rows(
    archives: list[pl.DataFrame], api: pl.DataFrame, trades: pl.DataFrame
) -> None:
    frames = [*archives, api, trades]
    expected = merged_in_order(frames)
    for order in permutations(frames):
        assert merged_in_order(order).equals(expected)


def test_equal_values_of_a_better_release_change_the_origin_alone() -> None:
    old = with_origin(candles_at(NOON), Origin(Source.CSV, release="2024 a"))
    new = with_origin(candles_at(NOON), Origin(Source.CSV, release="2024 b"))
    merged = merge(old, new)
    assert (merged.changed, merged.replaced, merged.unchanged) == (True, 0, 1)
    assert merged.rows["release"].to_list() == ["2024 b"]
    assert not merge(new, old).changed


@pytest.mark.parametrize("column", ["open", "high", "low", "close", "trades"])
def test_prices_and_counts_are_equal_exactly_or_not_at_all(column: str) -> None:
    stored = with_origin(candles_at(NOON), Origin(Source.CSV, release="2024 a"))
    nearly = stored.with_columns(pl.col(column) * (1 + 1e-12) if column != "trades" else pl.col(column) + 1)
    assert merge(stored, nearly).conflicting == 1


def test_the_stored_frame_is_a_candle_frame_with_its_origin() -> None:
    assert list(STORED_SCHEMA) == [*CANDLE_SCHEMA, "source", "derived", "provisional", "release"]
