import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chandlery.candles.evidence import Evidence, Source, answered
from chandlery.candles.frame import CANDLE_SCHEMA, first_bad_row
from chandlery.candles.interval import Interval
from chandlery.candles.timerange import RangeSet
from chandlery.exchanges.kraken.api.errors import UnsoundAnswer
from chandlery.exchanges.kraken.api.ohlc import Committed, OhlcAnswer, commit, parse_ohlc
from tests.candles.builders import at, between
from tests.exchanges.kraken.api.builders import Row, ohlc_result, row, rows_from

M60 = Interval.M60
SETTLED = Evidence(Source.API)
PROVISIONAL = Evidence(Source.API, provisional=True)
MIDNIGHT = 1_762_819_200  # 2025-11-11 00:00 UTC


def parsed(rows: list[Row], last: object = None) -> OhlcAnswer:
    return parse_ohlc(ohlc_result(rows, last), M60)


def committed(rows: list[Row], asked_at: str, last: object = None) -> Committed:
    return commit(parsed(rows, last), M60, at(asked_at))


def opens(frame: pl.DataFrame) -> list[datetime]:
    return [moment.replace(tzinfo=UTC) for moment in frame["timestamp"]]


def seconds(text: str) -> int:
    return int(at(text).timestamp())


# -------------------------------------------------------------------------------------------------- taking it apart


def test_a_row_becomes_a_candle_with_its_open_in_utc() -> None:
    rows = parsed([[MIDNIGHT, "105.5", "106.0", "104.25", "105.0", "105.1", "2.50000000", 7]]).rows
    assert rows.schema == pl.Schema(CANDLE_SCHEMA)
    assert opens(rows) == [at("2025-11-11")]
    assert rows.drop("timestamp").row(0) == (105.5, 106.0, 104.25, 105.0, 2.5, 7)


def test_numbers_are_as_good_as_strings() -> None:
    text = [MIDNIGHT, "105.5", "106.0", "104.25", "105.0", "105.1", "2.5", 7]
    mixed = [MIDNIGHT, 105.5, 106, "104.25", 105, 105.1, 2.5, 7]
    assert parsed([text]).rows.equals(parsed([mixed]).rows)


def test_the_rows_are_under_whatever_key_is_not_last() -> None:
    assert parse_ohlc({"anything": rows_from("2025-11-11", 2)}, M60).rows.height == 2


def test_every_row_is_kept_in_order_quiet_and_forming_ones_too() -> None:
    rows = [row(at("2025-11-11")), row(at("2025-11-11 01:00"), count=0), row(at("2025-11-11 05:00"))]
    assert parsed(rows).rows["trades"].to_list() == [3, 0, 3]


def test_a_quiet_row_may_have_prices_of_zero() -> None:
    assert parsed([row(MIDNIGHT, count=0, price=0.0)]).rows.height == 1


def test_an_empty_list_is_an_answer_without_rows() -> None:
    answer = parsed([], last=0)
    assert answer.rows.is_empty()
    assert answer.rows.schema == pl.Schema(CANDLE_SCHEMA)


@pytest.mark.parametrize("last", [MIDNIGHT, str(MIDNIGHT), float(MIDNIGHT)])
def test_last_may_be_a_number_or_its_digits(last: object) -> None:
    assert parsed([], last).last == at("2025-11-11")


@pytest.mark.parametrize("last", [None, True, "", "soon", -5, 0, float("nan"), 10**30, "9" * 19, [MIDNIGHT]])
def test_an_unusable_last_is_none(last: object) -> None:
    assert parsed([], last).last is None


@pytest.mark.parametrize(
    "result",
    [None, [], "rows", {}, {"last": 1}, {"A": [], "B": [], "last": 1}, {"A": None}, {"A": {}, "last": 1}],
)
def test_a_result_without_one_list_of_rows_is_unsound(result: object) -> None:
    with pytest.raises(UnsoundAnswer):
        parse_ohlc(result, M60)


def changed(place: int, value: object) -> Row:
    whole = row(at("2025-11-11 01:00"))
    whole[place] = value
    return whole


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (changed(0, "1762822800"), "row 1: time is '1762822800'; expected a whole number"),
        (changed(0, 1762822800.0), "row 1: time is 1762822800.0"),
        (changed(0, 1762822801), "row 1: timestamp is .*expected a multiple of 60 minutes"),
        (changed(0, MIDNIGHT), "row 1: timestamp is .*after that of the row before"),
        (changed(0, 10**18), "row 1: time is 1000000000000000000"),
        (changed(1, "abc"), "row 1: open is 'abc'; expected a finite number"),
        (changed(1, ""), "row 1: open is ''"),
        (changed(2, "inf"), "row 1: high is 'inf'"),
        (changed(2, float("inf")), "row 1: high is inf"),
        (changed(3, "NaN"), "row 1: low is 'NaN'"),
        (changed(4, None), "row 1: close is None"),
        (changed(4, True), "row 1: close is True"),
        (changed(4, ["1"]), "row 1: close is"),
        (changed(2, "99.0"), "row 1: high is .99.0.; expected a high"),
        (changed(3, "0.0"), "row 1: low is .0.0.; expected a finite price above zero"),
        (changed(6, "-1"), "row 1: volume is .-1.0."),
        (changed(6, "inf"), "row 1: volume is 'inf'"),
        (changed(7, -1), "row 1: count is -1"),
        (changed(7, "3"), "row 1: count is '3'"),
        (changed(7, 2.5), "row 1: count is 2.5"),
        (changed(7, 0), "row 1: volume is 1.5; expected no volume where nothing was traded"),
        (row(at("2025-11-11 01:00"))[:7], "row 1 is .*expected 8 values"),
    ],
)
def test_an_unsound_row_is_named_with_its_value(bad: Row, says: str) -> None:
    with pytest.raises(UnsoundAnswer, match=says):
        parsed([row(MIDNIGHT), bad])


def test_a_row_that_is_no_list_is_named() -> None:
    with pytest.raises(UnsoundAnswer, match="row 0 is None"):
        parse_ohlc({"A": [None]}, M60)


CELLS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.lists(st.none(), max_size=1)
)


@given(place=st.integers(0, 7), value=CELLS)
def test_whatever_stands_in_a_row_it_is_a_sound_candle_or_an_unsound_answer(place: int, value: object) -> None:
    try:
        rows = parsed([row(MIDNIGHT), changed(place, value)]).rows
    except UnsoundAnswer:
        return
    assert first_bad_row(rows.filter(pl.col("trades") > 0), M60) is None


JSON = st.recursive(CELLS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner))


@given(JSON)
def test_any_other_json_is_an_unsound_answer_or_one_without_rows(result: object) -> None:
    try:
        answer = parse_ohlc(result, M60)
    except UnsoundAnswer:
        return
    assert answer.rows.is_empty()


# ------------------------------------------------------------------------------------------------- what it establishes


def test_the_forming_candle_is_left_out_by_the_clock() -> None:
    rows = rows_from("2025-11-11 00:00", 6)
    found = committed(rows, "2025-11-11 05:30")
    assert opens(found.settled) + opens(found.provisional) == [at(f"2025-11-11 0{hour}:00") for hour in range(5)]


def test_the_last_row_counts_when_it_had_closed_before_it_was_asked_for() -> None:
    found = committed(rows_from("2025-11-11 00:00", 6), "2025-11-11 06:00")
    assert opens(found.provisional)[-1] == at("2025-11-11 05:00")


def test_the_newest_three_closed_slots_are_provisional() -> None:
    found = committed(rows_from("2025-11-11 00:00", 6), "2025-11-11 05:30")
    assert found.answers == {
        SETTLED: RangeSet([between("2025-11-11 00:00", "2025-11-11 02:00")]),
        PROVISIONAL: RangeSet([between("2025-11-11 02:00", "2025-11-11 05:00")]),
    }


def test_slots_after_the_exchanges_own_last_are_not_answered_for() -> None:
    found = committed(rows_from("2025-11-11 00:00", 8), "2025-11-11 08:00", last=seconds("2025-11-11 04:00"))
    assert found.answers == {
        SETTLED: RangeSet([between("2025-11-11 00:00", "2025-11-11 02:00")]),
        PROVISIONAL: RangeSet([between("2025-11-11 02:00", "2025-11-11 05:00")]),
    }
    assert opens(found.provisional)[-1] == at("2025-11-11 04:00")


def test_a_last_before_the_first_row_answers_nothing() -> None:
    found = committed(rows_from("2025-11-11 00:00", 8), "2025-11-11 08:00", last=seconds("2025-11-01"))
    assert found.answers == {}
    assert found.provisional.is_empty()


def test_slots_without_a_row_are_answered_for() -> None:
    rows = [row(at("2025-11-11 00:00")), row(at("2025-11-11 04:00"))]
    found = committed(rows, "2025-11-11 09:59", last=seconds("2025-11-11 08:00"))
    assert answered(found.answers) == RangeSet([between("2025-11-11 00:00", "2025-11-11 09:00")])
    assert found.settled.height == 2


def test_without_the_exchanges_own_last_an_answer_ends_with_its_last_row() -> None:
    rows = [row(at("2025-11-11 00:00")), row(at("2025-11-11 04:00"))]
    found = committed(rows, "2025-11-11 09:59", last=None)
    assert answered(found.answers) == RangeSet([between("2025-11-11 00:00", "2025-11-11 05:00")])


def test_rows_without_trades_are_answered_for_and_are_no_candles() -> None:
    rows = [row(at("2025-11-11 00:00"), count=0), *rows_from("2025-11-11 01:00", 7)]
    found = committed(rows, "2025-11-11 08:00")
    assert answered(found.answers) == RangeSet([between("2025-11-11 00:00", "2025-11-11 08:00")])
    assert opens(found.settled)[0] == at("2025-11-11 01:00")


@pytest.mark.parametrize("rows", [[], rows_from("2025-11-11 05:00", 1), rows_from("2025-11-11 06:00", 3)])
def test_without_a_closed_slot_nothing_is_answered(rows: list[Row]) -> None:
    found = committed(rows, "2025-11-11 05:30")
    assert found.answers == {}
    assert found.settled.is_empty()
    assert found.provisional.is_empty()


@given(
    slots=st.lists(st.tuples(st.integers(0, 40), st.booleans()), max_size=12, unique_by=lambda slot: slot[0]),
    minutes=st.integers(-300, 3000),
    last=st.none() | st.integers(-5, 50),
)
def test_what_an_answer_covers_fits_together(slots: list[tuple[int, bool]], minutes: int, last: int | None) -> None:
    rows = [row(MIDNIGHT + 3600 * slot, count=3 if traded else 0) for slot, traded in sorted(slots)]
    asked_at = at("2025-11-11") + timedelta(minutes=minutes)
    found = commit(parsed(rows, None if last is None else MIDNIGHT + 3600 * last), M60, asked_at)

    assert not any(
        settled.overlaps(open_)
        for settled in found.answers.get(SETTLED, ())
        for open_ in found.answers.get(PROVISIONAL, ())
    )
    whole = answered(found.answers)
    assert len(whole) <= 1, "the two kinds touch"
    assert whole.aligned_inwards(M60) == whole
    for kind, candles in ((SETTLED, found.settled), (PROVISIONAL, found.provisional)):
        ranges = found.answers.get(kind, RangeSet())
        assert all(any(moment in part for part in ranges) for moment in opens(candles))
        assert candles.filter(pl.col("trades") == 0).is_empty()
    traded = [at("2025-11-11") + slot * M60.delta for slot, is_traded in sorted(slots) if is_traded]
    newest = at("2025-11-11") + (max((s for s, _ in slots), default=0) if last is None else last) * M60.delta
    assert opens(found.settled) + opens(found.provisional) == [
        moment for moment in traded if moment + M60.delta <= asked_at and moment <= newest
    ]


# -------------------------------------------------------------------------------------------------------- the real one


def test_a_real_window_has_720_committed_slots_and_the_forming_one(shared_data: Path) -> None:
    body = json.loads((shared_data / "kraken-api" / "OHLC_XBTUSDT_1.json").read_text())
    answer = parse_ohlc(body["result"], Interval.M1)
    found = commit(answer, Interval.M1, datetime(2025, 11, 11, 0, 17, 30, tzinfo=UTC))
    assert (answer.rows.height, answer.last) == (721, at("2025-11-11 00:16"))
    assert answered(found.answers) == RangeSet([between("2025-11-10 12:17", "2025-11-11 00:17")])
    assert answered(found.answers).slots(Interval.M1) == 720
    assert found.settled.height + found.provisional.height == 505
