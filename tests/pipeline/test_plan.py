"""Planning is a function of values: what to read, what to derive, what stays open."""

from dataclasses import dataclass
from typing import cast

from chandlery.candles.evidence import Coverage, Evidence, Source
from chandlery.candles.interval import Interval
from chandlery.candles.series import Series
from chandlery.candles.timerange import RangeSet, TimeRange
from chandlery.candles.verdict import Life
from chandlery.exchanges.kraken.archive import Member
from chandlery.exchanges.kraken.archive_claims import Period
from chandlery.pipeline.on_hand import ALL_TIME, FileOnHand, foretold
from chandlery.pipeline.plan import Plan, Wanted, plan, renewals
from tests.candles.builders import at, between

CSV = Evidence(Source.CSV)
YEAR = between("2023-01-01", "2024-01-01")


@dataclass(frozen=True)
class FakeMember:
    """As much of a member as a plan looks at."""

    label: str
    size: int = 1000

    @property
    def signature(self) -> str:
        return self.label


def series(minutes: int) -> Series:
    return Series("kraken", "XBTUSD", Interval(minutes))


def quarter(minutes: int, number: int, *, unchanged: bool = False, size: int = 1000) -> FileOnHand:
    bounds = ["2023-01-01", "2023-04-01", "2023-07-01", "2023-10-01", "2024-01-01"]
    span = between(bounds[number - 1], bounds[number])
    member = cast(Member, FakeMember(f"Q{number}:XBTUSD_{minutes}.csv", size))
    return FileOnHand(series(minutes), member, Period(span.start, span.end, complete=False), "", unchanged, span)


def loose(minutes: int, expected: TimeRange = ALL_TIME) -> FileOnHand:
    member = cast(Member, FakeMember(f"XBTUSD_{minutes}.csv"))
    return FileOnHand(series(minutes), member, None, "", expected=expected)


def made(
    wanted: TimeRange | None,
    minutes: int,
    files: list[FileOnHand],
    coverage: dict[Series, Coverage] | None = None,
    *,
    derive: bool = True,
    done: tuple[str, ...] = (),
    life: Life | None = None,
) -> Plan:
    want = Wanted(wanted, life or Life())
    return plan({series(minutes): want}, coverage or {}, files, derive=derive, done=done)


def labels(found: Plan) -> list[str]:
    return [file.member.label for file in found.files]


def test_files_of_the_wanted_series_are_read_largest_first() -> None:
    found = made(YEAR, 60, [quarter(60, 1), quarter(60, 2, size=5000), quarter(1440, 1)])
    assert labels(found) == ["Q2:XBTUSD_60.csv", "Q1:XBTUSD_60.csv"]
    assert found.open[series(60)] == RangeSet([between("2023-07-01", "2024-01-01")])


def test_a_release_outside_the_wanted_dates_is_left_alone() -> None:
    assert labels(made(between("2023-05-01", "2023-06-01"), 60, [quarter(60, n) for n in (1, 2, 3)])) == [
        "Q2:XBTUSD_60.csv"
    ]


def test_an_unchanged_file_is_not_read_again() -> None:
    found = made(YEAR, 60, [quarter(60, 1, unchanged=True), quarter(60, 2)])
    assert labels(found) == ["Q2:XBTUSD_60.csv"]
    assert [file.member.label for file in found.unchanged] == ["Q1:XBTUSD_60.csv"]


def test_what_no_file_has_is_derived_from_the_widest_finer_series() -> None:
    found = made(YEAR, 720, [quarter(60, n) for n in (1, 2, 3, 4)] + [quarter(240, 1), quarter(1, 1)])
    assert [(d.finer, d.ranges) for d in found.derivations] == [
        (Interval.M240, RangeSet([between("2023-01-01", "2023-04-01")])),
        (Interval.M60, RangeSet([between("2023-04-01", "2024-01-01")])),
    ]
    assert "Q1:XBTUSD_1.csv" not in labels(found)
    assert not found.open[series(720)]


def test_stored_finer_candles_serve_without_a_file() -> None:
    found = made(YEAR, 1440, [], {series(60): {CSV: RangeSet([between("2023-02-01 05:00", "2023-03-01")])}})
    [derivation] = found.derivations
    assert derivation.ranges == RangeSet([between("2023-02-02", "2023-03-01")])
    assert found.files == ()


def test_without_deriving_no_finer_file_is_read() -> None:
    found = made(YEAR, 720, [quarter(60, 1)], derive=False)
    assert (found.files, found.derivations) == ((), ())
    assert found.open[series(720)] == RangeSet([YEAR])


def test_what_is_answered_already_is_not_open() -> None:
    found = made(YEAR, 60, [], {series(60): {CSV: RangeSet([between("2023-03-01", "2024-01-01")])}})
    assert found.open[series(60)] == RangeSet([between("2023-01-01", "2023-03-01")])


def test_unlisted_time_is_not_open() -> None:
    found = made(YEAR, 60, [], life=Life(first_trade=at("2023-11-01 07:00")))
    assert found.open[series(60)] == RangeSet([between("2023-11-01 07:00", "2024-01-01")])


def test_a_series_of_which_nothing_is_known_has_its_files_read() -> None:
    assert labels(made(None, 60, [loose(60)])) == ["XBTUSD_60.csv"]


def test_a_series_of_which_nothing_is_known_and_no_file_is_there_reads_a_finer_one() -> None:
    assert labels(made(None, 720, [loose(60), loose(15)])) == ["XBTUSD_60.csv"]


def test_a_file_that_failed_in_this_run_is_not_tried_again() -> None:
    assert made(YEAR, 60, [quarter(60, 1)], done=("Q1:XBTUSD_60.csv",)).files == ()


def test_the_plan_after_everything_is_in_holds_nothing_to_do() -> None:
    coverage: dict[Series, Coverage] = {series(60): {CSV: RangeSet([YEAR])}}
    found = made(YEAR, 60, [quarter(60, n, unchanged=True) for n in (1, 2, 3, 4)], coverage)
    assert (found.files, found.derivations, found.open[series(60)]) == ((), (), RangeSet())


def test_the_first_coarse_slot_is_derived_although_the_market_was_listed_inside_it() -> None:
    coverage: dict[Series, Coverage] = {series(60): {CSV: RangeSet([between("2023-02-01 15:00", "2023-02-03")])}}
    life = Life(first_trade=at("2023-02-01 15:00"))
    found = made(between("2023-02-01 12:00", "2023-02-03"), 720, [], coverage, life=life)
    assert not found.open[series(720)]
    assert [d.ranges for d in found.derivations] == [RangeSet([between("2023-02-01 12:00", "2023-02-03")])]


def test_the_last_coarse_slot_is_derived_although_the_market_was_delisted_inside_it() -> None:
    coverage: dict[Series, Coverage] = {series(60): {CSV: RangeSet([between("2023-02-01", "2023-02-02 15:00")])}}
    life = Life(delisted=at("2023-02-02 14:20"))
    found = made(between("2023-02-01", "2023-02-03"), 720, [], coverage, life=life)
    assert not found.open[series(720)]
    assert [d.ranges for d in found.derivations] == [RangeSet([between("2023-02-01", "2023-02-03")])]


def test_a_file_of_a_finer_series_serves_what_is_open_beside_what_is_stored_of_it() -> None:
    held: Coverage = {CSV: RangeSet([between("2023-01-01", "2023-04-01")])}
    found = made(between("2023-03-31", "2023-04-02"), 1440, [quarter(60, 2)], {series(60): held})
    assert [d.ranges for d in found.derivations] == [RangeSet([between("2023-03-31", "2023-04-02")])]
    assert labels(found) == ["Q2:XBTUSD_60.csv"]


DERIVED = Evidence(Source.CSV, derived=True)
PROVISIONAL = Evidence(Source.CSV, provisional=True)


def test_where_everything_is_asked_for_a_release_of_earlier_times_is_read() -> None:
    """What is known by now begins in the third quarter; the first has the series itself, the second a finer one."""
    files = [quarter(720, 1), quarter(60, 1), quarter(60, 2), quarter(15, 2)]
    want = {series(720): Wanted(between("2023-07-01", "2024-01-01"), from_first=True)}
    assert sorted(labels(plan(want, {}, files))) == ["Q1:XBTUSD_720.csv", "Q2:XBTUSD_60.csv"]
    dated = {series(720): Wanted(between("2023-07-01", "2024-01-01"))}
    assert labels(plan(dated, {}, files)) == []


def test_what_may_have_been_cut_off_is_derived_from_settled_candles_but_not_from_others() -> None:
    day = RangeSet([between("2023-02-01", "2023-02-02")])
    rest = RangeSet([YEAR]) - day
    held: Coverage = {CSV: rest, PROVISIONAL: day}
    [derivation] = made(YEAR, 1440, [], {series(1440): held, series(60): {CSV: RangeSet([YEAR])}}).derivations
    assert derivation.parts == ((day, DERIVED),)
    assert made(YEAR, 1440, [], {series(1440): held, series(60): {CSV: rest, PROVISIONAL: day}}).derivations == ()


def test_a_settled_narrow_series_serves_before_a_wide_one_that_may_have_been_cut_off() -> None:
    year = RangeSet([YEAR])
    coverage: dict[Series, Coverage] = {series(240): {PROVISIONAL: year}, series(15): {CSV: year}}
    assert [d.finer for d in made(YEAR, 720, [], coverage).derivations] == [Interval.M15]


def test_a_later_release_of_what_was_derived_from_is_read() -> None:
    year = RangeSet([YEAR])
    coverage: dict[Series, Coverage] = {series(720): {DERIVED: year}, series(60): {CSV: year}}
    found = made(YEAR, 720, [quarter(60, 1)], coverage)
    assert labels(found) == ["Q1:XBTUSD_60.csv"]
    assert (found.derivations, found.open[series(720)]) == ((), RangeSet())
    assert labels(made(YEAR, 720, [quarter(60, 1)], {**coverage, series(720): {CSV: year}})) == []


def test_what_was_derived_from_candles_that_have_changed_is_derived_again() -> None:
    stale = RangeSet([between("2023-02-01", "2023-03-01")])
    outdated = Evidence(Source.CSV, derived=True, provisional=True)
    coverage: dict[Series, Coverage] = {
        series(720): {DERIVED: RangeSet([YEAR]) - stale, outdated: stale},
        series(60): {CSV: RangeSet([YEAR])},
    }
    [derivation] = renewals({series(720): stale}, {series(720): Life()}, coverage)
    assert (derivation.finer, derivation.parts) == (Interval.M60, ((stale, DERIVED),))


def test_a_coarse_file_whose_first_slot_holds_the_known_first_trade_tells_nothing_new() -> None:
    known = at("2023-02-14 11:00")
    assert foretold(known, {Interval.M1440: at("2023-02-14")}) == known
    assert foretold(known, {Interval.M1440: at("2023-02-13")}) == at("2023-02-13")
    assert foretold(None, {Interval.M1440: at("2023-02-14"), Interval.M60: known}) == known
    assert foretold(known, {}) == known
    assert foretold(None, {}) is None
