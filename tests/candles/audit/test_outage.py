"""Venue outages: what other markets did while one was silent."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chandlery.candles.audit.outage import MarketSilence, Witness, Word, judge_silences, unexplained, word_of
from chandlery.candles.audit.silence import IMPROBABLE, Silence, TradeCounts, improbable_silences
from chandlery.candles.interval import Interval
from chandlery.candles.timerange import RangeSet, TimeRange
from tests.candles.audit.silences import Venue, counted, real_counts, steady, whole
from tests.candles.builders import at, between

MINUTE, FIVE, HOUR, DAY = Interval.M1, Interval.M5, Interval.M60, Interval.M1440
NAMES = ("XBTUSD", "ETHUSD", "XRPUSD", "ADAUSD", "XBTEUR")
TEN_TO_TWO = between("2024-03-05 10:00", "2024-03-05 14:00")
LOST_DAY = between("2024-03-05", "2024-03-06")


def low(market: str = "XBTUSD", due: float = 100) -> Witness:
    return Witness(market, market[:3], due, 3)


def busy(market: str = "ETHUSD", due: float = 100) -> Witness:
    return Witness(market, market[:3], due, 140)


def venue(**quiet: list[TimeRange]) -> Venue:
    """Five busy markets by the hour, silent in these ranges."""
    return Venue({name: [steady(HOUR, *quiet.get(name, []))] for name in NAMES})


def days_from_hours(counts: TradeCounts) -> TradeCounts:
    """The daily series of an hourly one."""
    days: dict[int, int] = {}
    for slot, trades in zip(counts.slots.tolist(), counts.trades.tolist(), strict=True):
        days[slot // 24] = days.get(slot // 24, 0) + trades
    return counted(days, DAY)


# ------------------------------------------------------------------------------------------------- what witnesses say


@pytest.mark.parametrize(("due", "seen", "is_low"), [(100, 10, True), (100, 11, False), (30, 0, True), (30, 3, True)])
def test_a_witness_is_low_that_saw_at_most_a_tenth_of_what_was_due(due: float, seen: int, is_low: bool) -> None:
    assert Witness("XBTUSD", "XBT", due, seen).is_low is is_low


@pytest.mark.parametrize(
    ("witnesses", "word"),
    [
        ([], Word.UNWITNESSED),
        ([low(due=29.9)], Word.UNWITNESSED),
        ([low()], Word.WEAK),
        ([low(due=30), low("ETHUSD")], Word.WEAK),
        ([low(), busy()], Word.SUSPECT),
        ([busy()], Word.SUSPECT),
        ([low(), low("ETHUSD"), low("XRPUSD")], Word.OUTAGE),
        ([low(), low("ETHUSD"), busy("XRPUSD")], Word.OUTAGE),
        ([low(), low("ETHUSD"), busy("XRPUSD"), busy("ADAUSD")], Word.SUSPECT),
        ([low(), low("XBTEUR"), low("XBTGBP")], Word.SUSPECT),
        ([low(), low("ETHUSD"), busy("XRPUSD", due=29)], Word.WEAK),
    ],
)
def test_the_word_of_witnesses(witnesses: list[Witness], word: Word) -> None:
    assert word_of(witnesses) is word


# ------------------------------------------------------------------------------------------------------- one outage


def test_no_silences_are_no_outage() -> None:
    judged = judge_silences([], Venue({}).testimony)
    assert (judged.outages, judged.open) == ((), ())


def test_a_silence_of_all_markets_is_one_outage() -> None:
    world = venue(**{name: [TEN_TO_TWO] for name in NAMES})
    judged = judge_silences(world.silences, world.testimony)
    assert [(one.range, one.markets, one.weak) for one in judged.outages] == [(TEN_TO_TWO, tuple(sorted(NAMES)), False)]
    assert judged.open == ()


def test_an_outage_once_established_is_asked_about_no_more() -> None:
    world = venue(**{name: [TEN_TO_TWO] for name in NAMES})
    judge_silences(world.silences, world.testimony)
    assert len(world.asked) == 1


def test_a_market_that_was_only_low_is_one_of_the_outage() -> None:
    world = venue(XBTUSD=[TEN_TO_TWO], ETHUSD=[TEN_TO_TWO], XRPUSD=[TEN_TO_TWO])
    world.markets["ADAUSD"] = [steady(HOUR, TEN_TO_TWO, low=2)]
    (outage,) = judge_silences(world.silences, world.testimony).outages
    assert outage.markets == ("ADAUSD", "ETHUSD", "XBTUSD", "XRPUSD")


def test_the_witnesses_of_an_outage_are_told() -> None:
    world = venue(**{name: [TEN_TO_TWO] for name in NAMES})
    (outage,) = judge_silences(world.silences, world.testimony).outages
    assert {(one.due, one.seen) for one in outage.witnesses} == {(400.0, 0)}
    assert len(outage.witnesses) == 4


def test_an_outage_has_the_bounds_that_half_of_the_markets_tell() -> None:
    ends = ("13:00", "14:00", "14:00", "15:00", "17:00")
    quiet = {name: [between("2024-03-05 10:00", f"2024-03-05 {end}")] for name, end in zip(NAMES, ends, strict=True)}
    world = venue(**quiet)
    judged = judge_silences(world.silences, world.testimony)
    assert [one.range for one in judged.outages] == [TEN_TO_TWO]
    assert judged.open == ()


def test_the_finest_interval_tells_the_bounds() -> None:
    span = between("2024-02-20", "2024-03-20")
    quiet = between("2024-03-05 09:35", "2024-03-05 14:20")
    hours = between("2024-03-05 10:00", "2024-03-05 14:00")
    world = Venue({name: [steady(FIVE, quiet, span=span), steady(HOUR, hours, trades=1200)] for name in NAMES})
    judged = judge_silences(world.silences, world.testimony)
    assert [one.range for one in judged.outages] == [quiet]
    assert judged.open == ()
    assert len(world.asked) == 1


def test_stray_trades_cut_silences_but_not_the_outage() -> None:
    pieces = [between("2024-03-05 10:00", "2024-03-05 13:00"), between("2024-03-05 14:00", "2024-03-05 18:00")]
    world = venue(**dict.fromkeys(NAMES, pieces))
    judged = judge_silences(world.silences, world.testimony)
    assert [one.range for one in judged.outages] == [between("2024-03-05 10:00", "2024-03-05 18:00")]
    assert len(world.asked) == 1


def test_two_days_apart_are_two_outages() -> None:
    again = between("2024-03-07 10:00", "2024-03-07 12:00")
    world = venue(**{name: [TEN_TO_TWO, again] for name in NAMES})
    assert [one.range for one in judge_silences(world.silences, world.testimony).outages] == [TEN_TO_TWO, again]


def test_all_intervals_of_one_event_come_to_one_outage() -> None:
    event = between("2024-03-04 16:00", "2024-03-06 20:00")
    hours = {name: steady(HOUR, event) for name in NAMES}
    world = Venue({name: [counts, days_from_hours(counts)] for name, counts in hours.items()})
    assert {one.silence.interval for one in world.silences} == {HOUR, DAY}
    judged = judge_silences(world.silences, world.testimony)
    assert [one.range for one in judged.outages] == [event]
    assert judged.open == ()
    assert len(world.asked) == 1


# ---------------------------------------------------------------------------------------------- what is not an outage


def test_a_market_silent_alone_is_suspect() -> None:
    world = venue(XBTUSD=[TEN_TO_TWO])
    judged = judge_silences(world.silences, world.testimony)
    assert judged.outages == ()
    assert [(one.market, one.silence.range, one.word) for one in judged.open] == [("XBTUSD", TEN_TO_TWO, Word.SUSPECT)]


def test_two_markets_silent_while_three_others_traded_are_suspect() -> None:
    world = venue(XBTUSD=[TEN_TO_TWO], ETHUSD=[TEN_TO_TWO])
    judged = judge_silences(world.silences, world.testimony)
    assert judged.outages == ()
    assert [(one.market, one.word) for one in judged.open] == [("ETHUSD", Word.SUSPECT), ("XBTUSD", Word.SUSPECT)]


def test_a_market_without_company_is_unwitnessed() -> None:
    world = Venue({"XBTUSD": [steady(HOUR, TEN_TO_TWO)]})
    judged = judge_silences(world.silences, world.testimony)
    assert [(one.word, one.witnesses) for one in judged.open] == [(Word.UNWITNESSED, ())]


def test_of_two_markets_both_silent_the_outage_is_weak() -> None:
    world = Venue({name: [steady(HOUR, TEN_TO_TWO)] for name in NAMES[:2]})
    judged = judge_silences(world.silences, world.testimony)
    assert [(one.range, one.markets, one.weak) for one in judged.outages] == [(TEN_TO_TWO, ("ETHUSD", "XBTUSD"), True)]
    assert judged.open == ()


def test_a_strong_outage_takes_in_a_weak_one() -> None:
    # Most are due in the days, but only two markets have days.
    world = venue(**{name: [LOST_DAY] for name in NAMES})
    for name in NAMES[:2]:
        world.markets[name].append(steady(DAY, LOST_DAY, trades=9000))
    judged = judge_silences(world.silences, world.testimony)
    assert [one.silence.interval for one in world.asked] == [DAY, HOUR]
    assert [(one.range, one.weak, len(one.witnesses)) for one in judged.outages] == [(LOST_DAY, False, 4)]


def test_within_a_weak_outage_nobody_need_witness_every_piece() -> None:
    world = Venue({"XBTUSD": [steady(HOUR, TEN_TO_TWO, trades=900)], "ETHUSD": [steady(HOUR, TEN_TO_TWO)]})
    minutes = MarketSilence("XBTUSD", "XBT", Silence(MINUTE, between("2024-03-05 11:00", "2024-03-05 11:40"), 15.0))
    judged = judge_silences([*world.silences, minutes], world.testimony)
    assert [one.range for one in judged.outages] == [TEN_TO_TWO]
    assert judged.open == ()


# --------------------------------------------------------------------------------------- a loss around a real outage

AN_HOUR = between("2024-03-05 10:00", "2024-03-05 11:00")
REST_OF_THE_DAY = [between("2024-03-05", "2024-03-05 04:00"), between("2024-03-05 17:00", "2024-03-06")]


def lost_day_around_an_hour() -> Venue:
    world = Venue({name: [steady(HOUR, AN_HOUR, trades=400)] for name in NAMES})
    world.markets["XBTUSD"] = [steady(HOUR, LOST_DAY, trades=400)]
    return world


def test_a_day_lost_around_an_outage_does_not_widen_it() -> None:
    world = lost_day_around_an_hour()
    (outage,) = judge_silences(world.silences, world.testimony).outages
    assert (outage.range, outage.markets) == (AN_HOUR, tuple(sorted(NAMES)))


def test_the_rest_of_a_day_lost_around_an_outage_stays_suspect() -> None:
    world = lost_day_around_an_hour()
    judged = judge_silences(world.silences, world.testimony)
    assert [(one.market, one.silence.range, one.word) for one in judged.open] == [
        ("XBTUSD", rest, Word.SUSPECT) for rest in REST_OF_THE_DAY
    ]


def test_the_rests_are_asked_about_once_each() -> None:
    world = lost_day_around_an_hour()
    judge_silences(world.silences, world.testimony)
    assert [one.silence.range for one in world.asked] == [LOST_DAY, AN_HOUR, *reversed(REST_OF_THE_DAY)]


def test_a_rest_in_which_little_was_due_is_not_judged() -> None:
    world = venue(**{name: [TEN_TO_TWO] for name in NAMES})
    world.markets["XBTUSD"] = [steady(HOUR, between("2024-03-05 10:00", "2024-03-05 21:00"), trades=100)]
    judged = judge_silences(world.silences, world.testimony)
    assert [one.range for one in judged.outages] == [TEN_TO_TWO]
    assert judged.open == ()


def test_a_day_that_is_lost_at_one_interval_is_not_explained_by_an_hour_in_the_same_week() -> None:
    lost = between("2024-03-07", "2024-03-08")
    world = Venue({name: [steady(HOUR, AN_HOUR, trades=400), steady(DAY, trades=9000)] for name in NAMES})
    world.markets["XBTUSD"][1] = steady(DAY, lost, trades=9000)
    judged = judge_silences(world.silences, world.testimony)
    assert [one.range for one in judged.outages] == [AN_HOUR]
    assert [(one.silence, one.word) for one in judged.open] == [(Silence(DAY, lost, 9000.0), Word.SUSPECT)]


def test_a_loss_in_minutes_within_an_outage_measured_in_hours_is_explained() -> None:
    world = venue(**{name: [TEN_TO_TWO] for name in NAMES})
    minutes = Silence(MINUTE, between("2024-03-05 09:20", "2024-03-05 14:40"), 8.0)
    judged = judge_silences([*world.silences, MarketSilence("XBTUSD", "XBT", minutes)], world.testimony)
    assert judged.open == ()


# -------------------------------------------------------------------------------------------------- whatever comes in

quarters = st.integers(0, 4 * 24)


@st.composite
def silences(draw: st.DrawFn) -> list[MarketSilence]:
    """Of one series they neither overlap nor touch."""
    found: list[MarketSilence] = []
    for _ in range(draw(st.integers(0, 12))):
        market = draw(st.sampled_from(NAMES))
        interval = draw(st.sampled_from([MINUTE, Interval.M15, HOUR, Interval.M240, DAY]))
        start = interval.floor(at("2024-03-05") + draw(quarters) * timedelta(minutes=15))
        silence = Silence(interval, TimeRange(start, start + draw(st.integers(1, 30)) * interval.delta), 0.0)
        pace = IMPROBABLE * draw(st.integers(1, 40)) / silence.slots
        if all(
            (one.market, one.silence.interval) != (market, interval) or _apart(one.silence, silence) for one in found
        ):
            found.append(MarketSilence(market, market[:3], Silence(interval, silence.range, pace)))
    return found


def _apart(one: Silence, other: Silence) -> bool:
    return one.range.end < other.range.start or other.range.end < one.range.start


def by_the_hour(one: MarketSilence) -> list[Witness]:
    """Low or busy by the hour in which a silence begins: a venue that changes its mind."""
    hour = one.silence.range.start.hour
    others = [name for name in NAMES if name != one.market]
    return [low(name) if (hour + i) % 5 else busy(name) for i, name in enumerate(others[: hour % 4])] + (
        [low(name) for name in others] if hour % 7 == 3 else []
    )


@settings(max_examples=200)
@given(silences(), st.randoms(use_true_random=False))
def test_the_order_of_the_silences_does_not_matter(given: list[MarketSilence], random: Random) -> None:
    shuffled = random.sample(given, len(given))
    assert judge_silences(shuffled, by_the_hour) == judge_silences(given, by_the_hour)


@settings(max_examples=200)
@given(silences())
def test_outages_are_disjoint_and_in_order(given: list[MarketSilence]) -> None:
    outages = judge_silences(given, by_the_hour).outages
    assert all(before.range.end < after.range.start for before, after in pairwise(outages))


@settings(max_examples=200)
@given(silences())
def test_what_stays_open_is_a_part_of_a_silence_that_is_improbable_still(given: list[MarketSilence]) -> None:
    for one in judge_silences(given, by_the_hour).open:
        assert one.silence.due >= IMPROBABLE * (1 - 1e-12)
        assert any(
            (other.market, other.silence.interval) == (one.market, one.silence.interval)
            and other.silence.range.contains(one.silence.range)
            for other in given
        )


@settings(max_examples=200)
@given(silences())
def test_nobody_is_asked_twice_about_the_same(given: list[MarketSilence]) -> None:
    asked: list[MarketSilence] = []

    def testimony(one: MarketSilence) -> list[Witness]:
        asked.append(one)
        return by_the_hour(one)

    judge_silences(given, testimony)
    assert len(asked) == len(set(asked))


@settings(max_examples=200)
@given(silences())
def test_where_others_traded_every_silence_stays_open(given: list[MarketSilence]) -> None:
    judged = judge_silences(given, lambda one: [busy(name) for name in NAMES if name != one.market])
    assert judged.outages == ()
    assert sorted(one.silence.range for one in judged.open) == sorted(one.silence.range for one in given)


# --------------------------------------------------------------------------------------------------------- real files


def test_the_real_outages_are_weak_for_two_markets_and_leave_nothing_open(shared_data: Path) -> None:
    world = Venue(
        {name: [real_counts(shared_data, f"{name}_{width}") for width in (60, 1440)] for name in ("XBTUSD", "ETHUSD")}
    )
    found = [
        MarketSilence(market, market[:3], one)
        for market, series in world.markets.items()
        for counts in series
        for one in improbable_silences(counts, whole(counts))
    ]
    judged = judge_silences(found, world.testimony)
    assert judged.open == ()
    assert {(one.markets, one.weak) for one in judged.outages} == {(("ETHUSD", "XBTUSD"), True)}
    assert [one.range for one in judged.outages] == [
        between("2017-12-10 06:00", "2017-12-10 08:00"),
        between("2018-01-11 07:00", "2018-01-13 14:00"),
        between("2018-04-21 17:00", "2018-04-21 18:00"),
        between("2019-07-14 22:00", "2019-07-15 01:00"),
        between("2020-10-24 17:00", "2020-10-24 18:00"),
        between("2021-01-29 16:00", "2021-01-29 17:00"),
        between("2021-07-22 22:00", "2021-07-23 02:00"),
        between("2021-07-23 13:00", "2021-07-23 14:00"),
    ]


def test_what_a_known_outage_leaves_of_a_silence_is_cut_off() -> None:
    day = Silence(Interval.M60, between("2024-03-05", "2024-03-06"), 100.0)
    outage = RangeSet([between("2024-03-05 12:00", "2024-03-05 13:00")])

    assert [rest.range for rest in unexplained(day, outage)] == [
        between("2024-03-05 00:00", "2024-03-05 06:00"),
        between("2024-03-05 19:00", "2024-03-06 00:00"),
    ]
    slow = replace(day, pace=25.0)
    assert unexplained(slow, outage) == [slow.part(between("2024-03-05 00:00", "2024-03-05 06:00"))]
    assert unexplained(day, RangeSet([between("2024-03-07", "2024-03-08")])) == [day]
