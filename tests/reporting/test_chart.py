"""Charts: as fine as suits the view, and never more than 3,000 points."""

from datetime import timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chandlery.candles.evidence import Evidence, Source
from chandlery.candles.interval import Interval
from chandlery.candles.timerange import TimeRange
from chandlery.reporting.chart import (
    IN_VIEW,
    MOST_POINTS,
    Zoom,
    bundled,
    in_history,
    in_view,
    lane_name,
    sent_around,
    zoom_for,
)
from tests.candles.builders import at, between, candles_at, every

HISTORY = between("2013-09-10", "2026-01-01")
ALL = tuple(Interval)


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ("2024-03-31", "2024-03-31 12:00", Zoom(Interval.M1)),
        ("2024-03-01", "2024-03-31", Zoom(Interval.M60)),
        ("2023-03-31", "2024-03-31", Zoom(Interval.M720)),
        ("2022-03-31", "2024-03-31", Zoom(Interval.M1440)),
        ("2013-09-10", "2026-01-01", Zoom(Interval.M1440, 6)),
    ],
)
def test_candles_are_as_fine_as_suits_the_view(start: str, end: str, expected: Zoom) -> None:
    assert zoom_for(between(start, end), ALL) == expected


def test_what_is_not_stored_is_not_chosen() -> None:
    assert zoom_for(between("2024-03-31", "2024-04-01"), [Interval.M240, Interval.M1440]) == Zoom(Interval.M240)


def test_a_view_is_moved_to_where_there_is_history() -> None:
    assert in_history(between("2024-01-01", "2024-03-01"), HISTORY) == between("2024-01-01", "2024-03-01")
    assert in_history(between("2025-12-30", "2026-01-03"), HISTORY) == between("2025-12-28", "2026-01-01")
    assert in_history(between("2030-01-01", "2030-01-02"), HISTORY) == between("2025-12-31", "2026-01-01")
    assert in_history(between("2013-09-01", "2013-09-11"), HISTORY) == between("2013-09-10", "2013-09-20")
    assert in_history(between("2009-01-01", "2100-01-01"), HISTORY) == HISTORY


def test_of_a_width_that_is_asked_for_the_middle_is_seen() -> None:
    seen = in_view(between("2024-07-01", "2024-10-01"), Zoom(Interval.M60), HISTORY)
    assert seen == between("2024-07-30 08:00", "2024-09-01 16:00")


@pytest.mark.parametrize(
    ("view", "seen"),
    [
        (between("2025-06-01", "2026-01-01"), between("2025-11-28 16:00", "2026-01-01")),
        (between("2013-09-10", "2014-09-10"), between("2013-09-10", "2013-10-13 08:00")),
        (HISTORY, between("2025-11-28 16:00", "2026-01-01")),
    ],
)
def test_at_an_end_of_history_that_end_is_seen(view: TimeRange, seen: TimeRange) -> None:
    assert in_view(view, Zoom(Interval.M60), HISTORY) == seen


def test_zooming_out_of_a_width_that_is_asked_for_stays_where_it_is() -> None:
    zoom = Zoom(Interval.M60)
    for seen in (between("2025-11-28 16:00", "2026-01-01"), between("2024-07-30 08:00", "2024-09-01 16:00")):
        assert seen.slots(Interval.M60) == IN_VIEW
        wider = in_history(TimeRange(seen.start - seen.length / 2, seen.end + seen.length / 2), HISTORY)
        assert in_view(wider, zoom, HISTORY) == seen


def test_where_only_minutes_are_stored_no_view_takes_more_of_them_than_can_be_looked_at() -> None:
    zoom = zoom_for(HISTORY, [Interval.M1])
    assert (zoom.bundle, in_view(HISTORY, zoom, HISTORY).slots(Interval.M1)) == (10, 8_000)


views = st.tuples(st.integers(0, 4490 * 1440 - 2), st.integers(1, 4490 * 1440)).map(
    lambda pair: TimeRange(
        HISTORY.start + timedelta(minutes=pair[0]), HISTORY.start + timedelta(minutes=pair[0] + pair[1])
    )
)


@given(views, st.sampled_from([None, *Interval]))
def test_never_more_points_than_promised_and_all_of_the_view_is_sent(view: TimeRange, asked: Interval | None) -> None:
    zoom = Zoom(asked) if asked is not None else zoom_for(view, ALL)
    seen = in_view(in_history(view, HISTORY), zoom, HISTORY)
    sent = sent_around(seen, zoom, HISTORY)
    assert sent.length <= zoom.step * MOST_POINTS
    assert sent.length % zoom.step == timedelta(0)
    assert zoom.interval.floor(sent.start) == sent.start
    assert HISTORY.contains(seen)
    assert sent.contains(seen)


@given(views, st.integers(-9000, 9000))
def test_a_view_beside_history_is_as_long_within_it(view: TimeRange, days: int) -> None:
    moved = in_history(TimeRange(view.start + timedelta(days=days), view.end + timedelta(days=days)), HISTORY)
    assert HISTORY.contains(moved)
    assert moved.length == view.length


def test_bundled_candles_open_with_the_first_and_close_with_the_last() -> None:
    days = candles_at(*every(Interval.M1440, "2024-01-01", 5)).with_columns(
        pl.Series("open", [1.0, 2.0, 3.0, 4.0, 5.0]),
        pl.Series("close", [1.5, 2.5, 3.5, 4.5, 5.5]),
        pl.Series("high", [9.0, 2.6, 3.6, 8.0, 5.6]),
        pl.Series("low", [0.5, 0.1, 2.9, 3.9, 4.9]),
    )
    two = bundled(days.filter(pl.col("open") != 3.0), Zoom(Interval.M1440, 2), at("2024-01-01"))
    assert two["timestamp"].to_list() == [at("2024-01-01"), at("2024-01-03"), at("2024-01-05")]
    assert two.select("open", "high", "low", "close", "trades").rows() == [
        (1.0, 9.0, 0.1, 2.5, 6),
        (4.0, 8.0, 3.9, 4.5, 3),
        (5.0, 5.6, 4.9, 5.5, 3),
    ]


def test_lanes_are_named_by_who_answered() -> None:
    assert lane_name(Evidence(Source.TRADES, proven=True, derived=True)) == "Trades, proven, derived"
    assert lane_name(Evidence(Source.API, provisional=True)) == "API, provisional"
