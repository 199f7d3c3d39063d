"""Planning with trades: what is walked, what of it spares a request, and what is derived from the minutes of a walk."""

from collections.abc import Mapping
from datetime import datetime

from chandlery.candles.evidence import Coverage, Evidence, Source
from chandlery.candles.interval import Interval
from chandlery.candles.series import Series
from chandlery.candles.timerange import RangeSet, TimeRange
from chandlery.candles.verdict import Life
from chandlery.pipeline.edge import Edge
from chandlery.pipeline.on_hand import FileOnHand
from chandlery.pipeline.plan import Plan, Wanted, plan
from chandlery.pipeline.walks import Trail
from tests.candles.builders import at, between
from tests.pipeline.test_plan import loose

NOW = at("2024-08-31 08:20")
MARKETS = frozenset({"XBTUSD"})
CSV, API = Evidence(Source.CSV), Evidence(Source.API)
#: What trades answer, and what is made of their minutes.
WALKED = Evidence(Source.TRADES, proven=True)
MADE = Evidence(Source.TRADES, derived=True, proven=True)
START = "2024-06-01"


def series(minutes: int, market: str = "XBTUSD") -> Series:
    return Series("kraken", market, Interval(minutes))


def trail(
    *,
    budget: int | None = None,
    markets: frozenset[str] = MARKETS,
    walked: RangeSet | None = None,
    standing: Mapping[str, datetime] | None = None,
    price: float = 100.0,
) -> Trail:
    held = {"XBTUSD": walked} if walked is not None else {}
    return Trail(NOW, markets, lambda market, within: price, budget, held, standing or {})


def planned(
    *minutes: int,
    coverage: Mapping[Series, Coverage] | None = None,
    files: tuple[FileOnHand, ...] = (),
    trail: Trail | None = trail(),  # noqa: B008 - a value
    start: str = START,
    end: str = "",
    first_trade: str = "",
    derive: bool = True,
    edge: Edge | None = Edge(NOW, MARKETS),  # noqa: B008 - a value
) -> Plan:
    life = Life(at(first_trade) if first_trade else None)
    wanted = {}
    for width in minutes:
        interval = Interval(width)
        until = interval.floor(at(end) if end else NOW)
        wanted[series(width)] = Wanted(TimeRange(interval.floor(at(start)), until), life)
    return plan(wanted, coverage or {}, files, edge=edge, trail=trail, derive=derive)


def walks(found: Plan) -> dict[str, list[TimeRange]]:
    assert all(walk.series.interval == Interval.M1 for walk in found.walks)
    return {walk.market: list(walk.ranges) for walk in found.walks}


def made(found: Plan) -> list[tuple[int, int, RangeSet, Evidence]]:
    """(width, made of, slots, evidence)."""
    return [(int(d.series.interval), int(d.finer), ranges, kind) for d in found.derivations for ranges, kind in d.parts]


# ------------------------------------------------------------------------------------------------------- what is walked


def test_what_lies_before_the_window_is_walked_and_the_window_with_it() -> None:
    found = planned(60)

    assert walks(found) == {"XBTUSD": [TimeRange(at(START), NOW)]}
    assert found.asks == ()
    assert made(found) == [(60, 1, RangeSet([between(START, "2024-08-31 08:00")]), MADE)]
    assert not found.open[series(60)]


def test_what_the_api_tells_is_asked_for_and_nothing_is_walked() -> None:
    found = planned(60, start="2024-08-20")

    assert (found.walks, [ask.series for ask in found.asks]) == ((), [series(60)])


def test_what_finer_candles_give_is_not_walked() -> None:
    held: Coverage = {CSV: RangeSet([between(START, "2024-08-31 08:00")])}
    found = planned(240, coverage={series(60): held})

    assert (found.walks, found.asks) == ((), ())
    assert made(found) == [
        (240, 60, RangeSet([between(START, "2024-08-31 08:00")]), Evidence(Source.CSV, derived=True))
    ]


def test_what_a_file_on_hand_holds_is_not_walked() -> None:
    within = between(START, "2024-08-31 08:00")
    found = planned(60, files=(loose(60, within),))

    assert ([file.member.label for file in found.files], found.walks) == (["XBTUSD_60.csv"], ())


def test_before_the_first_trade_nothing_is_walked() -> None:
    found = planned(60, first_trade="2024-07-05 11:00")

    assert walks(found) == {"XBTUSD": [TimeRange(at("2024-07-05 11:00"), NOW)]}


def test_the_hole_between_an_archive_and_now_is_walked() -> None:
    archive: Coverage = {CSV: RangeSet([between(START, "2024-07-01")])}
    found = planned(1, 60, 1440, coverage={series(width): archive for width in (1, 60, 1440)})

    assert walks(found) == {"XBTUSD": [TimeRange(at("2024-07-01"), NOW)]}
    assert {(width, finer) for width, finer, _, _ in made(found)} == {(60, 1), (1440, 1)}
    assert found.asks == ()


def test_every_width_is_made_of_the_minutes_of_one_walk() -> None:
    found = planned(*(int(width) for width in Interval))

    assert walks(found) == {"XBTUSD": [TimeRange(at(START), NOW)]}
    assert {width for width, _, _, _ in made(found)} == {int(width) for width in Interval} - {1}
    assert {kind for *_, kind in made(found)} == {MADE}
    assert not any(found.open.values())


def test_an_end_that_was_asked_for_bounds_the_walk() -> None:
    assert walks(planned(60, end="2024-07-01")) == {"XBTUSD": [between(START, "2024-07-01")]}


def test_half_days_and_what_the_api_tells_of_them_as_four_hours_are_walked_whole() -> None:
    """The window of four hours begins in May: what is older is the gap."""
    found = planned(720, start="2024-04-01")

    assert walks(found) == {"XBTUSD": [TimeRange(at("2024-04-01"), NOW)]}
    assert found.asks == ()


# ----------------------------------------------------------------------------------------------- where it is not walked


def test_without_a_trail_what_the_api_does_not_tell_stays_open() -> None:
    found = planned(60, trail=None)

    assert found.walks == ()
    assert found.open[series(60)] == RangeSet([between(START, "2024-08-01 08:00")])
    assert [ask.series for ask in found.asks] == [series(60)]


def test_a_market_that_is_not_listed_is_not_walked() -> None:
    assert planned(60, trail=trail(markets=frozenset())).walks == ()


def test_where_the_budget_is_spent_the_api_is_asked_for_what_it_tells() -> None:
    found = planned(60, trail=trail(budget=0))

    assert (found.walks, [ask.series for ask in found.asks]) == ((), [series(60)])
    assert found.open[series(60)] == RangeSet([between(START, "2024-08-01 08:00")])


def test_what_was_walked_in_vain_is_asked_for_where_the_api_tells_it() -> None:
    """As by a walk that ended early: its minutes are not tried again in this run."""
    found = planned(60, trail=trail(walked=RangeSet([TimeRange(at(START), NOW)])))

    assert (found.walks, [ask.series for ask in found.asks]) == ((), [series(60)])


def test_what_is_walked_of_one_gap_spares_no_request_for_another() -> None:
    """The hours of yesterday are open too, and nothing joins them with the old gap."""
    held: Coverage = {CSV: RangeSet([between("2024-07-01", "2024-08-30"), between("2024-08-31", "2024-08-31 08:00")])}
    found = planned(60, coverage={series(60): held})

    assert walks(found) == {"XBTUSD": [between(START, "2024-07-01")]}
    assert [(ask.series, ask.ranges) for ask in found.asks] == [
        (series(60), RangeSet([between("2024-08-30", "2024-08-31")]))
    ]


def test_a_walk_that_was_interrupted_takes_the_place_of_the_request() -> None:
    half = between(START, "2024-08-10 11:13")
    found = planned(
        1,
        60,
        coverage={series(1): {WALKED: RangeSet([half])}},
        trail=trail(walked=RangeSet([half]), standing={"XBTUSD": half.end}),
    )

    assert walks(found) == {"XBTUSD": [TimeRange(half.end, NOW)]}
    assert found.asks == ()
    assert made(found) == [(60, 1, RangeSet([between(START, "2024-08-31 08:00")]), MADE)]


def test_where_nothing_is_to_be_derived_minutes_alone_are_answered_by_a_walk() -> None:
    found = planned(1, derive=False)

    assert (walks(found), found.asks, found.derivations) == ({"XBTUSD": [TimeRange(at(START), NOW)]}, (), ())
    assert not found.open[series(1)]


# --------------------------------------------------------------------------------------------------------- contradicted


def test_slots_that_are_contradicted_are_made_of_finer_ones_where_these_stand() -> None:
    """A day's candle counts too few trades, and the hours do not."""
    whole = RangeSet([between(START, "2024-08-31")])
    doubted = RangeSet([between("2024-07-05", "2024-07-06")])
    found = planned(
        1440,
        end="2024-08-31",
        coverage={series(1440): {CSV: whole - doubted}, series(60): {CSV: whole}},
    )

    assert (found.walks, found.asks) == ((), ())
    assert made(found) == [(1440, 60, doubted, Evidence(Source.CSV, derived=True))]


def test_slots_that_are_contradicted_at_every_width_are_walked_alone() -> None:
    whole, doubted = RangeSet([between(START, "2024-08-31")]), RangeSet([between("2024-07-05", "2024-07-06")])
    coverage: dict[Series, Coverage] = {series(width): {CSV: whole - doubted} for width in (1, 60, 1440)}
    found = planned(60, 1440, end="2024-08-31", coverage=coverage)

    assert walks(found) == {"XBTUSD": list(doubted)}
    assert [(width, finer, ranges) for width, finer, ranges, _ in made(found)] == [
        (60, 1, doubted),
        (1440, 1, doubted),
    ]


def test_contradicted_slots_in_the_window_are_asked_for() -> None:
    whole, doubted = RangeSet([between(START, "2024-08-31")]), RangeSet([between("2024-08-25", "2024-08-26")])
    found = planned(60, end="2024-08-31", coverage={series(60): {CSV: whole - doubted}})

    assert (found.walks, [ask.ranges for ask in found.asks]) == ((), [doubted])


def test_once_walked_contradicted_slots_are_made_of_its_minutes() -> None:
    whole, doubted = RangeSet([between(START, "2024-08-31")]), RangeSet([between("2024-07-05", "2024-07-06")])
    coverage: dict[Series, Coverage] = {
        series(1440): {CSV: whole - doubted},
        series(1): {CSV: whole - doubted, WALKED: doubted},
    }
    found = planned(1440, end="2024-08-31", coverage=coverage, trail=trail(walked=doubted))

    assert found.walks == ()
    assert made(found) == [(1440, 1, doubted, MADE)]


def test_the_price_of_a_walk_is_that_of_its_minutes() -> None:
    [walk] = planned(60, trail=trail(price=12_000.0)).walks

    assert (walk.trades, walk.requests) == (12_000.0, 13 + 1)
