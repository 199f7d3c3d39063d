"""Planning what the API is asked: what neither files nor finer series settle of the slots that it still tells."""

from datetime import timedelta

from chandlery.candles.evidence import Coverage, Evidence, Source
from chandlery.candles.interval import Interval
from chandlery.candles.series import Series
from chandlery.candles.timerange import RangeSet, TimeRange
from chandlery.pipeline.edge import Ask, Edge
from chandlery.pipeline.plan import Plan, Wanted, plan, renewals
from tests.candles.builders import at, between
from tests.pipeline.test_plan import loose

NOW = at("2024-08-31 08:20")
CSV, API = Evidence(Source.CSV), Evidence(Source.API)
YOUNG = Evidence(Source.API, provisional=True)
MADE, MADE_OF_YOUNG = Evidence(Source.API, derived=True), Evidence(Source.API, derived=True, provisional=True)
#: What one answer at NOW tells of hours: settled up to 05:00, three more for now.
SETTLED, NEWEST = between("2024-08-01 08:00", "2024-08-31 05:00"), between("2024-08-31 05:00", "2024-08-31 08:00")
WINDOW = TimeRange(SETTLED.start, NEWEST.end)


def series(minutes: int) -> Series:
    return Series("kraken", "XBTUSD", Interval(minutes))


def edge(*asked: Series, markets: tuple[str, ...] = ("XBTUSD",), now: str = "2024-08-31 08:20") -> Edge:
    return Edge(at(now), frozenset(markets), frozenset(asked))


def planned(
    *minutes: int,
    start: str | None = "2024-06-01",
    coverage: dict[Series, Coverage] | None = None,
    edge: Edge = edge(),  # noqa: B008 - a value
) -> Plan:
    wanted = {}
    for width in minutes:
        interval = Interval(width)
        within = TimeRange(interval.floor(at(start)), interval.floor(edge.now)) if start else None
        wanted[series(width)] = Wanted(within)
    return plan(wanted, coverage or {}, (), edge=edge)


def hours(*, until: TimeRange = WINDOW) -> Coverage:
    return {API: RangeSet([SETTLED]) & RangeSet([until]), YOUNG: RangeSet([NEWEST]) & RangeSet([until])}


def test_a_gap_across_the_edge_of_the_window_is_split_there() -> None:
    found = planned(60)

    assert found.asks == (Ask(series(60), RangeSet([WINDOW])),)
    assert found.open[series(60)] == RangeSet([between("2024-06-01", "2024-08-01 08:00")])


def test_one_request_serves_every_gap_of_its_series() -> None:
    held: Coverage = {CSV: RangeSet([between("2024-08-05", "2024-08-10"), between("2024-08-20", "2024-08-31 08:00")])}
    gaps = RangeSet([between("2024-08-01 08:00", "2024-08-05"), between("2024-08-10", "2024-08-20")])

    assert planned(60, coverage={series(60): held}).asks == (Ask(series(60), gaps),)


def test_what_is_settled_is_not_asked_for_again_and_the_newest_slots_are() -> None:
    settled: Coverage = {CSV: RangeSet([WINDOW])}

    assert planned(60, coverage={series(60): settled}).asks == ()
    assert planned(60, coverage={series(60): hours()}).asks == (Ask(series(60), RangeSet([NEWEST])),)


def test_half_days_are_asked_for_as_four_hours() -> None:
    [ask] = planned(720).asks

    assert ask.series == series(240)
    assert ask.ranges == RangeSet([between("2024-06-01", "2024-08-31")])


def test_half_days_and_four_hours_together_take_one_request() -> None:
    assert [ask.series for ask in planned(240, 720).asks] == [series(240)]


def test_what_finer_answers_will_make_costs_no_request() -> None:
    """Days up to yesterday are known, the hours of today come anyway."""
    days: Coverage = {API: RangeSet([between("2024-06-01", "2024-08-30")])}
    found = planned(60, 1440, coverage={series(1440): days})

    assert [ask.series for ask in found.asks] == [series(60)]
    [made] = found.derivations
    assert (made.series, made.ranges) == (series(1440), RangeSet([between("2024-08-30", "2024-08-31")]))


def test_where_a_request_is_due_anyway_it_serves_all_that_is_open() -> None:
    found = planned(60, 1440)

    assert [ask.series for ask in found.asks] == [series(60), series(1440)]
    assert found.derivations == ()


def test_an_answer_that_may_still_change_is_asked_for_again_although_finer_ones_are_there() -> None:
    """Nothing that is made of finer slots takes its place before these are settled."""
    newest = RangeSet([between("2024-08-31 07:00", "2024-08-31 08:00")])
    held: Coverage = {API: RangeSet([between("2024-06-01", "2024-08-31 07:00")]), YOUNG: newest}
    found = planned(1, 60, coverage={series(60): held}, edge=edge(now="2024-08-31 08:01"))

    assert Ask(series(60), newest) in found.asks


def test_what_was_made_of_young_minutes_waits_for_them() -> None:
    newest = RangeSet([between("2024-08-31 07:00", "2024-08-31 08:00")])
    held: Coverage = {API: RangeSet([between("2024-06-01", "2024-08-31 07:00")]), MADE_OF_YOUNG: newest}
    found = planned(1, 60, coverage={series(60): held}, edge=edge(now="2024-08-31 08:01"))

    assert [ask.series for ask in found.asks] == [series(1)]


def test_what_was_made_of_minutes_that_nobody_tells_any_more_is_asked_for() -> None:
    """They were young when they were answered, and have left the window since."""
    stale = RangeSet([between("2024-08-30 07:00", "2024-08-30 08:00")])
    held: Coverage = {API: RangeSet([between("2024-06-01", "2024-08-31 08:00")]) - stale, MADE_OF_YOUNG: stale}
    minutes: Coverage = {
        API: RangeSet([between("2024-08-29 20:00", "2024-08-30 07:58")]),
        YOUNG: RangeSet([between("2024-08-30 07:58", "2024-08-30 08:01")]),
    }
    found = planned(1, 60, coverage={series(60): held, series(1): minutes})

    assert Ask(series(60), stale) in found.asks


def test_a_market_that_is_not_listed_and_a_series_that_was_asked_are_left_alone() -> None:
    assert planned(60, edge=edge(markets=())).asks == ()
    assert planned(60, edge=edge(series(60))).asks == ()
    assert planned(720, edge=edge(series(240))).asks == ()


def test_without_an_edge_nobody_is_asked() -> None:
    within = between("2024-06-01", "2024-08-31 08:00")
    found = plan({series(60): Wanted(within)}, {}, ())

    assert (found.asks, found.open[series(60)]) == ((), RangeSet([within]))


def test_where_nothing_is_known_the_whole_window_is_asked_for() -> None:
    assert planned(60, start=None).asks == (Ask(series(60), RangeSet([WINDOW])),)


def test_where_nothing_is_known_a_file_is_read_first() -> None:
    found = plan({series(60): Wanted(None)}, {}, [loose(60)], edge=edge())

    assert [file.member.label for file in found.files] == ["XBTUSD_60.csv"]
    assert found.asks == ()


def test_what_was_made_of_young_slots_is_made_again_while_these_may_change() -> None:
    young = between("2024-08-30", "2024-08-31")
    coverage: dict[Series, Coverage] = {
        series(1440): {MADE: RangeSet([between("2024-06-01", "2024-08-30")]), MADE_OF_YOUNG: RangeSet([young])},
        series(60): {API: RangeSet([between("2024-08-01", "2024-08-30 22:00")])}
        | {YOUNG: RangeSet([TimeRange(at("2024-08-30 22:00"), at("2024-08-30 22:00") + timedelta(hours=3))])},
    }
    life = Wanted(young).life
    [made] = renewals({series(1440): RangeSet([young])}, {series(1440): life}, coverage)

    assert (made.finer, made.parts) == (Interval.M60, ((RangeSet([young]), MADE_OF_YOUNG),))
