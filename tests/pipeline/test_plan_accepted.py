"""Planning with gaps that a person has accepted: no request is spent on them, and what costs none closes them still."""

from collections.abc import Mapping

from chandlery.candles.evidence import Coverage, Evidence, Source
from chandlery.candles.interval import Interval
from chandlery.candles.series import Series
from chandlery.candles.timerange import RangeSet, TimeRange
from chandlery.pipeline.edge import Ask, Edge
from chandlery.pipeline.on_hand import FileOnHand
from chandlery.pipeline.plan import Plan, Wanted, plan
from chandlery.pipeline.walks import Trail
from tests.candles.builders import at, between
from tests.pipeline.test_plan import loose

NOW = at("2024-08-31 08:20")
MARKETS = frozenset({"XBTUSD"})
CSV = Evidence(Source.CSV)
WANTED = between("2024-06-01", "2024-08-31 08:00")
#: From here on the API tells hours.
WINDOW = at("2024-08-01 08:00")


def series(minutes: int) -> Series:
    return Series("kraken", "XBTUSD", Interval(minutes))


def planned(
    *gaps: TimeRange,
    accepted: Mapping[Series, RangeSet],
    more: Mapping[Series, Coverage] | None = None,
    files: tuple[FileOnHand, ...] = (),
    walking: bool = True,
) -> Plan:
    """Hours of which everything but these gaps is answered."""
    held: dict[Series, Coverage] = {series(60): {CSV: RangeSet([WANTED]) - RangeSet(gaps)}, **(more or {})}
    trail = Trail(NOW, MARKETS, lambda market, within: 100.0) if walking else None
    wanted = {series(60): Wanted(WANTED)}
    return plan(wanted, held, files, edge=Edge(NOW, MARKETS), trail=trail, accepted=accepted)


def hours(*ranges: TimeRange) -> dict[Series, RangeSet]:
    return {series(60): RangeSet(ranges)}


OLD, YOUNG = between("2024-06-10", "2024-06-12"), between("2024-08-20", "2024-08-21")
ACROSS = between("2024-07-30", "2024-08-03")


def test_an_accepted_gap_is_not_walked_and_stays_open() -> None:
    found = planned(OLD, accepted=hours(OLD))
    assert (found.walks, found.asks) == ((), ())
    assert found.open[series(60)] == RangeSet([OLD])
    assert [list(walk.ranges) for walk in planned(OLD, accepted={}).walks] == [[OLD]]


def test_nor_is_it_asked_for() -> None:
    assert planned(YOUNG, accepted=hours(YOUNG)).asks == ()
    assert planned(YOUNG, accepted={}).asks == (Ask(series(60), RangeSet([YOUNG])),)


def test_nor_is_one_across_the_edge_of_the_window() -> None:
    found = planned(ACROSS, accepted=hours(ACROSS))
    assert (found.walks, found.asks) == ((), ())


def test_a_request_that_is_due_anyway_serves_it_too() -> None:
    newest = between("2024-08-31 05:00", "2024-08-31 08:00")
    assert planned(YOUNG, newest, accepted=hours(YOUNG)).asks == (Ask(series(60), RangeSet([YOUNG, newest])),)


def test_a_walk_leaves_it_out() -> None:
    other = between("2024-07-01", "2024-07-02")
    found = planned(OLD, other, accepted=hours(OLD))
    assert [list(walk.ranges) for walk in found.walks] == [[other]]


def test_of_a_gap_that_has_grown_only_the_rest_is_walked() -> None:
    grown = TimeRange(OLD.start, at("2024-06-13"))
    assert [list(walk.ranges) for walk in planned(grown, accepted=hours(OLD)).walks] == [
        [between("2024-06-12", "2024-06-13")]
    ]


def test_what_another_interval_lacks_of_that_time_is_walked() -> None:
    assert planned(OLD, accepted={series(1440): RangeSet([OLD])}).walks != ()


def test_finer_candles_that_are_stored_close_it() -> None:
    found = planned(OLD, accepted=hours(OLD), more={series(15): {CSV: RangeSet([OLD])}})
    assert [made.ranges for made in found.derivations] == [RangeSet([OLD])]


def test_a_file_closes_it() -> None:
    file = loose(60, between("2024-06-09", "2024-06-15"))
    assert planned(OLD, accepted=hours(OLD), files=(file,)).files == (file,)
