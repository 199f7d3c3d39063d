"""Gaps by what closes them, and what has become of them: as values, and in words."""

from dataclasses import replace

from chandlery.candles.gap import Reason
from chandlery.candles.interval import Interval
from chandlery.candles.timerange import RangeSet
from chandlery.reporting.completeness import CompletenessReport
from chandlery.reporting.gap_groups import GapGroups, Key, Way, grouped, outcome
from chandlery.reporting.gap_list import MOST_GAPS, found_lines, outcome_lines, unfillable_lines
from chandlery.reporting.unfillable import needed_files
from tests.reporting.reports import between, gap, report_of, series, unknown

#: It is 2025-11-23 19:30: the API tells hours from 2025-10-24 19:00 on.
RECENT = gap("XBTUSD", 60, "2025-11-20", "2025-11-23 19:00")
STRADDLING = gap("ETHUSD", 60, "2025-10-24 09:00", "2025-10-25 19:00")
OLD = gap("XBTUSD", 60, "2023-01-07 10:00", "2023-01-08")
HOURS_OF_ETH = between("2025-10-24 09:00", "2025-10-24 19:00")
HOURS_OF_XBT = between("2023-01-07 10:00", "2023-01-08")
LEFT: dict[Key, RangeSet] = {
    ("ETHUSD", Interval.M60): RangeSet([HOURS_OF_ETH]),
    ("XBTUSD", Interval.M60): RangeSet([HOURS_OF_XBT]),
}


def a_report() -> CompletenessReport:
    return report_of(
        series("XBTUSD", 60, "2023-01-01", "2025-11-23 19:00", [OLD, RECENT]),
        series("ETHUSD", 60, "2025-01-01", "2025-11-23 19:00", [STRADDLING]),
    )


def groups() -> GapGroups:
    return grouped(a_report(), LEFT)


def test_a_gap_belongs_to_what_closes_it() -> None:
    found = groups()
    assert [gap.entry for gap in found.of(Way.API)] == [RECENT]
    assert [gap.entry for gap in found.of(Way.ACROSS)] == [STRADDLING]
    assert [gap.entry for gap in found.of(Way.FILES)] == [OLD]
    assert found.candles == 91 + 34 + 14


def test_what_finer_candles_give_needs_neither_the_api_nor_a_file() -> None:
    half_days = gap("XBTUSD", 720, "2023-01-10", "2023-01-12")
    [found] = grouped(report_of(series("XBTUSD", 720, "2023-01-01", "2023-02-01", [half_days])), {}).gaps
    assert (found.way, found.left_candles) == (Way.DERIVED, 0)


def test_of_a_gap_across_the_edge_only_the_older_part_needs_a_file() -> None:
    [across] = groups().of(Way.ACROSS)
    assert [part.gap.range for part in across.left] == [HOURS_OF_ETH]
    assert (across.candles, across.left_candles) == (34, 10)
    files = {needed.file: needed.part for needed in needed_files(groups().unfillable)}
    assert files == {"ETHUSD_60_2025Q4.csv": HOURS_OF_ETH, "XBTUSD_60_2023Q1.csv": HOURS_OF_XBT}


def test_a_contradicted_gap_is_not_closed_by_asking_for_the_same_again() -> None:
    suspect = gap("XBTUSD", 60, "2025-11-20", "2025-11-21", reason=Reason.SUSPECT)
    found = grouped(report_of(series("XBTUSD", 60, "2025-01-01", "2025-11-23 19:00", [suspect])), {})
    assert [gap.way for gap in found.gaps] == [Way.FILES]
    assert not found.fillable


def test_the_newest_are_those_that_reach_up_to_the_last_closed_slot() -> None:
    newest = grouped(a_report(), LEFT, newest=True)
    assert [gap.entry for gap in newest.gaps] == [RECENT]
    assert found_lines(newest, 200)[0] == "Gaps of XBTUSD, ETHUSD (60min): 1 gap (91 candles); 2 older gaps left aside"


def test_of_a_series_of_which_nothing_is_stored_the_api_may_tell_the_newest() -> None:
    report = report_of(unknown("ADAUSD", 60), unknown("XMRUSD", 60))
    found = grouped(report, {}, untold={("XMRUSD", Interval.M60)})
    assert ([entry.market for entry in found.begun], [entry.market for entry in found.unknown]) == (
        ["ADAUSD"],
        ["XMRUSD"],
    )
    assert found.fillable
    text = "\n".join(found_lines(found, 200))
    assert "Nothing stored yet: 1 series; the API tells the newest 720 candles of each\n• ADAUSD 60min" in text
    assert "• XMRUSD 60min: XMRUSD_60.csv in Kraken_OHLCVT.zip" in text
    assert text.startswith("Gaps of ADAUSD, XMRUSD (60min): nothing stored yet\n")


def test_the_outcome_counts_what_was_closed_and_what_shrank() -> None:
    meanwhile = gap("XBTUSD", 60, "2025-11-23 19:00", "2025-11-23 20:00")
    older = gap("ETHUSD", 60, "2025-10-24 09:00", "2025-10-24 19:00")
    after = report_of(
        series("XBTUSD", 60, "2023-01-01", "2025-11-23 20:00", [OLD, meanwhile]),
        series("ETHUSD", 60, "2025-01-01", "2025-11-23 20:00", [older]),
    )
    became = outcome(groups(), after)
    assert (became.closed, became.shrunk, became.candles) == (1, 1, 91 + 24)
    # The hour that closed in the meantime is no gap of this backfill.
    assert [gap.entry.gap.range for gap in became.stays.gaps] == [HOURS_OF_XBT, HOURS_OF_ETH]
    lines = outcome_lines(became, groups(), 200)
    assert lines[:2] == [
        "Filled: 1 gap and part of 1 more gap (115 of 139 candles)",
        "Still open: 2 gaps (24 candles)",
    ]


def test_what_was_asked_for_in_vain_says_why_it_stays() -> None:
    failed = replace(RECENT, status="FAILED", error="Kraken answers 503")
    report = report_of(series("XBTUSD", 60, "2023-01-01", "2025-11-23 19:00", [RECENT]))
    after = replace(report, series=(replace(report.series[0], gaps=(failed,)),))
    became = outcome(grouped(report, {}), after)
    assert (became.closed, became.shrunk, became.candles) == (0, 0, 0)
    text = " ".join(outcome_lines(became, grouped(report, {}), 200))
    assert "Filled: 0 gaps (0 of 91 candles)" in text
    assert "asked without success: Kraken answers 503; the API still tells it" in text


def test_a_list_names_the_file_of_each_gap_within_the_terminal() -> None:
    lines = found_lines(groups(), 80)
    text = " ".join(" ".join(lines).split())
    assert max(map(len, lines)) <= 80
    assert lines[0] == "Gaps of XBTUSD, ETHUSD (60min): 3 gaps (139 candles)"
    assert "24 can be filled, 10 need ETHUSD_60.csv in Kraken_OHLCVT_2025Q4.zip (not published yet" in text
    assert "(14 candles): XBTUSD_60.csv in Kraken_OHLCVT_2023Q1.zip" in text
    assert lines[-1] == "Kraken's archives: https://assets.kraken.com/marketing/institutions/"


def test_where_no_file_is_needed_nothing_says_where_files_are() -> None:
    closed = report_of(series("XBTUSD", 60, "2023-01-01", "2025-11-23 19:00", [RECENT]))
    assert "https" not in " ".join(found_lines(grouped(closed, {}), 80))
    assert "https" not in " ".join(unfillable_lines(grouped(closed, {}), 80))


def test_with_only_fillable_gaps_those_that_need_a_file_are_left_out() -> None:
    text = "\n".join(found_lines(groups(), 200, only_fillable=True))
    assert "Require CSV" not in text
    assert "Across the API's edge" in text


def test_the_list_of_what_needs_files_has_the_parts_that_stay() -> None:
    lines = unfillable_lines(groups(), 200)
    assert lines[0] == "Gaps of XBTUSD, ETHUSD (60min): 2 gaps (24 candles) require CSV"
    assert lines[2].startswith("• ETHUSD 60min: 2025-10-24 09:00 to 19:00 UTC (10 candles): ETHUSD_60.csv in")
    assert unfillable_lines(grouped(report_of(series("XBTUSD", 60, "2025-01-01", "2025-02-01")), {}), 200) == [
        "Gaps of XBTUSD (60min): no gap requires CSV"
    ]


def test_a_market_that_kraken_does_not_list_says_that_nobody_is_asked() -> None:
    unasked = gap("XBTUSD", 60, "2025-11-20", "2025-11-23 19:00", listed=False)
    report = report_of(series("XBTUSD", 60, "2023-01-01", "2025-11-23 19:00", [unasked]))
    left = {("XBTUSD", Interval.M60): RangeSet([unasked.gap.range])}
    text = " ".join(found_lines(grouped(report, left, unlisted={"XBTUSD"}), 300))
    assert "the API is not asked, for Kraken does not list the market" in text


def test_of_many_gaps_the_first_are_named_and_the_rest_is_counted() -> None:
    many = [gap("XBTUSD", 60, f"2025-11-{day:02} 00:00", f"2025-11-{day:02} 01:00") for day in range(1, 23)]
    lines = found_lines(grouped(report_of(series("XBTUSD", 60, "2025-01-01", "2025-11-23 19:00", many)), {}), 80)
    assert sum(line.startswith("• ") for line in lines) == MOST_GAPS
    assert lines[-1] == "… and 2 more (2 candles); report_completeness --json lists all"
