"""What every candle store must do. A store's own tests inherit `StoreContract` and give it a `store` fixture, empty."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chandlery.candles.evidence import Origin
from chandlery.candles.frame import CANDLE_SCHEMA, TIMESTAMP, empty_candles
from chandlery.candles.interval import Interval
from chandlery.candles.series import Series
from chandlery.candles.timerange import TimeRange
from chandlery.errors import ChandleryError
from chandlery.stores.base import ORIGIN_COLUMNS, CandleStore, DayCounts, Written
from tests.candles.builders import at, between, candles_at, every
from tests.stores.rule import Row
from tests.stores.turns import API, CUT_OFF, DERIVED, LIVE, NEW, OLD, TRADES, Turn, examples, expected_of, take, turns

HOURLY = Series("kraken", "XBTUSD", Interval.M60)

NOON = at("2024-03-31 12:00")
CHEAP, DEAR = candles_at(NOON, price=100.0), candles_at(NOON, price=200.0)


def opening(store: CandleStore, series: Series = HOURLY) -> list[float]:
    return store.read(series)["open"].to_list()


def days_of(counts: DayCounts | None) -> dict[str, int]:
    """Days with a traded slot, by date."""
    if counts is None:
        return {}
    days = {str(counts.first_day + timedelta(days=i)): int(n) for i, n in enumerate(counts.counts)}
    return {day: n for day, n in days.items() if n}


def write_all(store: CandleStore, series: Series, candles: pl.DataFrame, origin: Origin, *within: TimeRange) -> Written:
    """Write candles that are all there is in some ranges."""
    with store.writer(series) as writer:
        for cleared in within:
            writer.clear(cleared)
        writer.append(candles, origin)
        return writer.commit()


class StoreContract:
    """Inherit, and give it a fixture `store`."""

    def test_a_store_has_one_identity_from_its_creation_on(self, store: CandleStore) -> None:
        assert store.identity() is None
        identity = store.create()
        assert store.create() == identity == store.identity()

    def test_what_was_never_written_is_empty_and_no_error(self, store: CandleStore) -> None:
        assert store.read(HOURLY).schema == pl.Schema(CANDLE_SCHEMA)
        assert store.read(HOURLY).is_empty()
        assert store.count(HOURLY) == 0
        assert store.slots(HOURLY).dtype == TIMESTAMP
        assert (store.span(HOURLY), store.day_counts(HOURLY), list(store.series())) == (None, None, [])

    @pytest.mark.parametrize("interval", list(Interval))
    def test_candles_come_back_as_they_were_written(self, store: CandleStore, interval: Interval) -> None:
        series = Series("kraken", "XBTUSD", interval)
        opens = every(interval, "2023-12-30", 500) + every(interval, "2026-06-30", 3)
        candles = candles_at(*opens).with_columns(volume=pl.int_range(pl.len()) / 7, trades=pl.int_range(pl.len()))
        written = store.write(series, candles, OLD)
        assert (written.inserted, written.replaced, written.unchanged, written.conflicting) == (503, 0, 0, 0)
        assert store.read(series).equals(candles)
        assert store.count(series) == 503
        assert store.slots(series).to_list() == candles["timestamp"].to_list()

    @pytest.mark.parametrize("interval", list(Interval))
    def test_a_range_is_half_open_wherever_it_cuts(self, store: CandleStore, interval: Interval) -> None:
        series = Series("kraken", "XBTUSD", interval)
        opens = every(interval, "2023-12-30", 5000)
        store.write(series, candles_at(*opens), OLD)
        for first, end in ((0, 5000), (0, 1), (17, 3001), (4999, 5000), (2880, 2881)):
            within = between(str(opens[first])[:16], str(opens[end - 1] + interval.delta)[:16])
            assert store.read(series, within)["timestamp"].to_list() == opens[first:end]
            assert store.slots(series, within).to_list() == opens[first:end]
            assert store.count(series, within) == end - first
        assert store.count(series, between("2001-01-01", "2002-01-01")) == 0
        assert store.read(series, between("2001-01-01", "2002-01-01")).is_empty()

    def test_the_origin_is_told_when_asked_for(self, store: CandleStore) -> None:
        store.write(HOURLY, CHEAP, CUT_OFF)
        assert store.read(HOURLY).columns == list(CANDLE_SCHEMA)
        row = store.read(HOURLY, origin=True).row(0, named=True)
        assert {name: row[name] for name in ORIGIN_COLUMNS} == {
            "source": "CSV", "derived": False, "provisional": True, "release": CUT_OFF.release,
        }  # fmt: skip

    def test_a_span_reaches_to_the_end_of_the_last_slot(self, store: CandleStore) -> None:
        store.write(HOURLY, candles_at(at("2023-12-31 22:00"), at("2025-01-01 03:00")), OLD)
        assert store.span(HOURLY) == between("2023-12-31 22:00", "2025-01-01 04:00")

    def test_days_are_counted_with_zeros_between(self, store: CandleStore) -> None:
        store.write(HOURLY, candles_at(*every(Interval.M60, "2023-12-30 23:00", 2), at("2024-01-02 05:00")), OLD)
        counts = store.day_counts(HOURLY)
        assert counts is not None
        assert str(counts.first_day) == "2023-12-30"
        assert counts.counts.dtype == np.uint16
        assert counts.counts.tolist() == [1, 1, 0, 1]

    def test_a_write_tells_the_days_of_all_that_it_touched_as_they_are_now(self, store: CandleStore) -> None:
        store.write(HOURLY, candles_at(*every(Interval.M60, "2024-03-30", 24)), OLD)
        written = store.write(HOURLY, candles_at(at("2024-03-30 07:00"), at("2024-03-31 00:00")), NEW)
        told = {day: n for piece in written.days for day, n in days_of(piece).items()}
        assert told == days_of(store.day_counts(HOURLY)) == {"2024-03-30": 24, "2024-03-31": 1}

    def test_writing_again_changes_nothing(self, store: CandleStore) -> None:
        candles = candles_at(*every(Interval.M60, "2023-12-30", 100))
        for origin in (OLD, API, TRADES, DERIVED, CUT_OFF):
            store.write(HOURLY, candles, origin)
            before = store.read(HOURLY, origin=True)
            again = store.write(HOURLY, candles, origin)
            assert (again.inserted, again.replaced, again.unchanged, again.conflicting) == (0, 0, 100, 0)
            assert store.read(HOURLY, origin=True).equals(before)

    def test_absence_deletes_nothing(self, store: CandleStore) -> None:
        store.write(HOURLY, candles_at(*every(Interval.M60, "2024-03-30", 24)), API)
        store.write(HOURLY, candles_at(at("2024-03-30 00:00"), at("2024-03-30 23:00")), TRADES)
        assert store.count(HOURLY) == 24

    def test_of_a_cleared_range_only_what_was_appended_is_left(self, store: CandleStore) -> None:
        store.write(HOURLY, candles_at(*every(Interval.M60, "2024-03-30", 24)), OLD)
        walked = candles_at(at("2024-03-30 06:00"), at("2024-03-30 08:00"), price=200.0)
        written = write_all(store, HOURLY, walked, TRADES, between("2024-03-30 05:00", "2024-03-30 09:00"))
        assert (written.inserted, written.replaced, written.conflicting, written.removed) == (0, 2, 2, 2)
        assert written.first_removed == at("2024-03-30 05:00")
        assert [t.hour for t in store.slots(HOURLY).to_list()] == [h for h in range(24) if h not in (5, 7)]

    def test_a_range_is_cleared_from_its_start_to_just_before_its_end(self, store: CandleStore) -> None:
        store.write(HOURLY, candles_at(*every(Interval.M60, "2024-03-30", 4)), OLD)
        write_all(store, HOURLY, empty_candles(), TRADES, between("2024-03-30 01:00", "2024-03-30 02:00"))
        assert [t.hour for t in store.slots(HOURLY).to_list()] == [0, 2, 3]

    @pytest.mark.parametrize("origin", [TRADES, NEW, DERIVED, API, CUT_OFF, LIVE])
    def test_whatever_a_candle_was_made_from_it_goes_where_it_was_not_appended(
        self, store: CandleStore, origin: Origin
    ) -> None:
        store.write(HOURLY, CHEAP, origin)
        written = write_all(store, HOURLY, empty_candles(), TRADES, between("2024-03-31", "2024-04-01"))
        assert (written.removed, written.first_removed) == (1, NOON)
        assert (store.count(HOURLY), store.span(HOURLY), store.day_counts(HOURLY)) == (0, None, None)
        assert list(store.series()) == []

    def test_in_a_cleared_range_the_better_of_two_answers_stands_as_anywhere(self, store: CandleStore) -> None:
        store.write(HOURLY, CHEAP, TRADES)
        written = write_all(store, HOURLY, DEAR, API, between("2024-03-31", "2024-04-01"))
        assert (written.removed, written.replaced, written.conflicting) == (0, 0, 1)
        assert opening(store) == [100.0]

    def test_days_that_were_emptied_are_told_as_zeros(self, store: CandleStore) -> None:
        store.write(HOURLY, candles_at(*every(Interval.M60, "2023-12-30", 96)), OLD)
        within = between("2023-12-30", "2024-01-01 12:00")
        for _ in range(2):  # and again, for whoever could not record it the first time
            written = write_all(store, HOURLY, empty_candles(), TRADES, within)
            told = [(str(piece.first_day), piece.counts.tolist()) for piece in written.days]
            assert told == [("2023-12-30", [0, 0]), ("2024-01-01", [12, 24])]
        assert written.removed == 0
        assert days_of(store.day_counts(HOURLY)) == {"2024-01-01": 12, "2024-01-02": 24}
        assert store.span(HOURLY) == between("2024-01-01 12:00", "2024-01-03")

    def test_days_that_were_cleared_are_told_also_where_nothing_was_stored(self, store: CandleStore) -> None:
        for inserted in (1, 0):
            written = write_all(store, HOURLY, CHEAP, TRADES, between("2024-03-29", "2024-04-02"))
            assert (written.inserted, written.removed, written.first_removed) == (inserted, 0, None)
            assert [(str(p.first_day), p.counts.tolist()) for p in written.days] == [("2024-03-29", [0, 0, 1, 0])]

    def test_nothing_goes_before_the_commit_nor_without_it(self, store: CandleStore) -> None:
        store.write(HOURLY, CHEAP, OLD)
        with store.writer(HOURLY) as writer:
            writer.clear(between("2024-03-31", "2024-04-01"))
            assert opening(store) == [100.0]
        assert opening(store) == [100.0]

    def test_other_series_are_not_cleared(self, store: CandleStore) -> None:
        others = [Series("kraken", "ETHUSD", Interval.M60), Series("kraken", "XBTUSD", Interval.M30)]
        for series in others:
            store.write(series, CHEAP, OLD)
        written = write_all(store, HOURLY, empty_candles(), TRADES, between("2024-01-01", "2025-01-01"))
        assert written.removed == 0
        assert [opening(store, series) for series in others] == [[100.0], [100.0]]

    @pytest.mark.parametrize(
        "within", [between("2024-03-31 12:30", "2024-03-31 14:00"), between("2024-03-31 12:00", "2024-03-31 13:59")]
    )
    def test_only_whole_slots_can_be_cleared(self, store: CandleStore, within: TimeRange) -> None:
        store.write(HOURLY, CHEAP, OLD)
        with store.writer(HOURLY) as writer:
            with pytest.raises(ChandleryError, match="XBTUSD 60min: only whole slots can be cleared; 2024-03-31 12:"):
                writer.clear(within)
            writer.commit()
        assert opening(store) == [100.0]

    @pytest.mark.parametrize(
        ("better", "worse"),
        [
            (TRADES, NEW), (NEW, API), (API, LIVE), (API, CUT_OFF),
            (NEW, OLD), (OLD, DERIVED), (DERIVED, API), (OLD, CUT_OFF),
        ],
    )  # fmt: skip
    def test_the_better_answer_stands_in_either_order(self, store: CandleStore, better: Origin, worse: Origin) -> None:
        other = Series("kraken", "ETHUSD", Interval.M60)
        store.write(HOURLY, CHEAP, better)
        store.write(HOURLY, DEAR, worse)
        store.write(other, DEAR, worse)
        store.write(other, CHEAP, better)
        assert store.read(HOURLY, origin=True).equals(store.read(other, origin=True))
        assert opening(store) == [100.0]

    @pytest.mark.parametrize("origin", [API, DERIVED, TRADES, LIVE])
    def test_of_two_answers_worth_the_same_the_later_one_stands(self, store: CandleStore, origin: Origin) -> None:
        store.write(HOURLY, CHEAP, origin)
        assert store.write(HOURLY, DEAR, origin).replaced == 1
        assert opening(store) == [200.0]

    @pytest.mark.parametrize("origin", [OLD, CUT_OFF])
    def test_of_two_rows_of_one_release_the_one_with_more_trades_stands(
        self, store: CandleStore, origin: Origin
    ) -> None:
        more, fewer = candles_at(NOON, price=100.0, trades=5), candles_at(NOON, price=200.0, trades=4)
        other = Series("kraken", "ETHUSD", Interval.M60)
        for series, order in ((HOURLY, (more, fewer)), (other, (fewer, more))):
            for candles in order:
                store.write(series, candles, origin)
        assert opening(store) == opening(store, other) == [100.0]

    def test_a_contradiction_is_reported_whichever_is_kept(self, store: CandleStore) -> None:
        store.write(HOURLY, candles_at(NOON, NOON + timedelta(hours=1)), NEW)
        kept = store.write(HOURLY, candles_at(NOON, NOON + timedelta(hours=1), price=50.0), OLD)
        assert (kept.replaced, kept.unchanged, kept.conflicting, kept.first_conflict) == (0, 0, 2, NOON)
        taken = store.write(HOURLY, DEAR, TRADES)
        assert (taken.replaced, taken.unchanged, taken.conflicting, taken.first_conflict) == (1, 0, 1, NOON)

    def test_what_is_provisional_contradicts_nothing(self, store: CandleStore) -> None:
        store.write(HOURLY, CHEAP, CUT_OFF)
        settled = store.write(HOURLY, DEAR, API)
        assert (settled.replaced, settled.conflicting, settled.first_conflict) == (1, 0, None)
        provisional = store.write(HOURLY, CHEAP, CUT_OFF)
        assert (provisional.replaced, provisional.conflicting) == (0, 0)
        assert opening(store) == [200.0]

    def test_a_volume_in_the_thirteenth_digit_is_equal(self, store: CandleStore) -> None:
        store.write(HOURLY, candles_at(NOON, volume=1.0), OLD)
        written = store.write(HOURLY, candles_at(NOON, volume=1.0 + 1e-12), NEW)
        assert (written.replaced, written.unchanged, written.conflicting) == (0, 1, 0)
        assert store.read(HOURLY, origin=True)["release"].to_list() == [NEW.release]
        differing = store.write(HOURLY, candles_at(NOON, volume=1.0 + 1e-8), NEW)
        assert (differing.unchanged, differing.conflicting) == (0, 1)

    def test_one_writer_takes_many_frames_and_origins(self, store: CandleStore) -> None:
        opens = every(Interval.M60, "2023-12-31", 48)
        with store.writer(HOURLY) as writer:
            writer.append(candles_at(*opens[:10]), OLD)
            writer.append(empty_candles(), OLD)
            writer.append(candles_at(*opens[10:47]), OLD)
            writer.append(candles_at(opens[47]), CUT_OFF)
            written = writer.commit()
        assert written.inserted == 48
        stored = store.read(HOURLY, origin=True)
        assert stored["timestamp"].to_list() == opens
        assert stored["provisional"].to_list() == [False] * 47 + [True]
        assert stored["release"].to_list() == [OLD.release] * 47 + [CUT_OFF.release]

    def test_a_writer_without_candles_does_nothing(self, store: CandleStore) -> None:
        with store.writer(HOURLY) as writer:
            assert writer.commit() == Written()
        assert store.write(HOURLY, empty_candles(), OLD) == Written()
        assert list(store.series()) == []

    def test_nothing_is_seen_before_the_commit(self, store: CandleStore) -> None:
        with store.writer(HOURLY) as writer:
            writer.append(candles_at(*every(Interval.M60, "2021-01-01", 30_000)), OLD)
            assert store.count(HOURLY) == 0
            assert list(store.series()) == []
            writer.commit()
            assert store.count(HOURLY) == 30_000

    def test_without_a_commit_nothing_is_stored(self, store: CandleStore) -> None:
        with store.writer(HOURLY) as writer:
            writer.append(candles_at(*every(Interval.M60, "2021-01-01", 30_000)), OLD)
        assert (store.count(HOURLY), list(store.series())) == (0, [])

    @pytest.mark.parametrize(
        "hours",
        [["2024-03-31 02:00", "2024-03-31 01:00"], ["2024-03-31 01:00", "2024-03-31 01:00"]],
        ids=["backwards", "twice"],
    )
    def test_slots_must_come_in_order_and_once(self, store: CandleStore, hours: list[str]) -> None:
        opens = [at(hour) for hour in hours]
        with pytest.raises(ChandleryError, match="2024-03-31 01:00 does not come after 2024-03-31 0"):
            store.write(HOURLY, candles_at(at("2024-03-30"), *opens), OLD)
        with store.writer(HOURLY) as writer:
            writer.append(candles_at(opens[0]), OLD)
            with pytest.raises(ChandleryError, match="2024-03-31 01:00 does not come after 2024-03-31 0"):
                writer.append(candles_at(opens[1]), OLD)

    @pytest.mark.parametrize(
        "frame",
        [
            CHEAP.drop("trades"),
            CHEAP.cast({"trades": pl.Int32}),
            CHEAP.with_columns(source=pl.lit("CSV")),
            CHEAP.with_columns(close=pl.lit(None, pl.Float64)),
            candles_at(at("2024-03-31 12:30")),
        ],
        ids=["a column short", "another type", "a column more", "a value missing", "off the grid"],
    )
    def test_what_is_no_frame_of_candles_is_refused(self, store: CandleStore, frame: pl.DataFrame) -> None:
        with pytest.raises(ChandleryError, match="XBTUSD 60min"):
            store.write(HOURLY, frame, OLD)
        assert store.count(HOURLY) == 0

    def test_series_are_kept_apart(self, store: CandleStore) -> None:
        all_series = [
            Series("kraken", "ETHUSD", Interval.M60), Series("kraken", "XBTUSD", Interval.M1),
            Series("kraken", "XBTUSD", Interval.M60), Series("kraken", "XBTUSD.d", Interval.M1440),
            Series("other", "XBTUSD", Interval.M60),
        ]  # fmt: skip
        midnight = at("2024-03-31")
        for n, series in enumerate(all_series):
            store.write(series, candles_at(midnight, price=100.0 + n), OLD)
        assert sorted(store.series()) == all_series
        assert [opening(store, series) for series in all_series] == [[100.0], [101.0], [102.0], [103.0], [104.0]]


class AgainstModel:
    """Whatever is done to a store, it holds what the simplest thing that could hold it does."""

    @settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
    @given(st.sampled_from([Interval.M1, Interval.M60, Interval.M720]), st.lists(turns, min_size=1, max_size=5))
    def test_any_writes_and_clears_leave_what_a_dict_would_hold(
        self, store: CandleStore, interval: Interval, work: list[Turn]
    ) -> None:
        series = Series("kraken", f"M{next(examples)}", interval)
        model: dict[datetime, Row] = {}
        recorded: dict[str, int] = {}
        for turn in work:
            before, model = model, expected_of(model, turn, interval)
            written = take(store, series, turn)
            gone = sorted(set(before) - set(model))
            assert (written.inserted, written.removed) == (len(set(model) - set(before)), len(gone))
            assert written.first_removed == (gone[0] if gone else None)
            if turn.lost:
                written = take(store, series, turn)
                assert (written.inserted, written.replaced, written.removed) == (0, 0, 0)
            assert store.read(series, origin=True).to_dicts() == [model[t] for t in sorted(model)]
            assert store.slots(series).to_list() == sorted(model)
            assert store.count(series) == len(model)
            assert store.span(series) == (TimeRange(min(model), max(model) + interval.delta) if model else None)
            assert (series in store.series()) == bool(model)
            # Whoever lays what a write tells over what was told before always knows what is stored.
            for piece in written.days:
                told = {str(piece.first_day + timedelta(days=i)): int(n) for i, n in enumerate(piece.counts)}
                recorded |= told
            assert {day: n for day, n in recorded.items() if n} == days_of(store.day_counts(series))
