"""The report as text: the layout, what each line says, and that it fits."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from chandlery.candles.gap import Reason
from chandlery.candles.interval import Interval
from chandlery.reporting.completeness import WALK, CompletenessReport, GapEntry, gap_entry, remedy_for_nothing_known
from chandlery.reporting.terminal import print_report, render_report
from tests.reporting.reports import at, gap, real_files, report_of, series, unknown

PUBLISHED = "   Kraken's archives: https://assets.kraken.com/marketing/institutions/\n"
RERUN = (
    "python manage.py ingest_kraken_unified --source '../my data/kraken' --markets XBTUSD,ETHUSD,ADAUSD --intervals 60"
)


def hourly(*gaps: GapEntry, **counts: int) -> CompletenessReport:
    """XBTUSD by the hour from 2020 to 2024, with these gaps."""
    return report_of(series("XBTUSD", 60, "2020-01-01", "2025-01-01", gaps, known=False, **counts))


def test_the_title_stands_in_a_box_with_inclusive_dates() -> None:
    text = render_report(report_of(series("XBTUSD", 60, "2020-01-01", "2025-01-01"), tiers=("TIER1",)))

    assert text.splitlines()[:5] == [
        "╔══════════════════════════════════════════════════════════╗",
        "║  TIER1 Data Completeness Report                          ║",
        "║  Date Range: 2020-01-01 to 2024-12-31                    ║",
        "║  Intervals: 60min                                        ║",
        "╚══════════════════════════════════════════════════════════╝",
    ]


def test_many_markets_in_the_title_are_counted() -> None:
    many = report_of(*(series(f"M{i}USD", 60, "2020-01-01", "2020-01-02") for i in range(9)))

    assert "║  M0USD, M1USD, M2USD, M3USD, M4USD, M5USD and 3 more Data" in render_report(many)


def test_overall_statistics_count_assets_not_markets() -> None:
    text = render_report(real_files())

    assert (
        "Overall Statistics:\n"
        "• Total Assets: 3\n"
        "• Complete Assets: 1 (33%)\n"
        "• Partial Assets: 2 (67%)\n"
        "• Assets with Gaps: 2\n"
    ) in text


def test_overall_statistics_tell_the_share_of_all_slots_together() -> None:
    short = series("XBTUSD", 1440, "2025-01-01", "2025-01-03", [gap("XBTUSD", 1440, "2025-01-01", "2025-01-02")])
    long = series("ETHUSD", 1440, "2025-01-01", "2025-01-09")

    assert "• Completeness: 90.0% of all slots\n" in render_report(report_of(short, long))
    assert "• Completeness: 100% of all slots\n" in render_report(report_of(long))
    assert "• Completeness: 0% of all slots\n" in render_report(report_of(unknown("ADAUSD", 60)))
    some = render_report(report_of(long, unknown("ADAUSD", 60)))
    assert "• Completeness: 100% of all slots, beside 1 series of which nothing is stored\n" in some


def test_an_interval_shows_completeness_gaps_and_density() -> None:
    text = render_report(hourly(gap("XBTUSD", 60, "2023-06-15", "2023-06-18"), quiet_claimed=5_000))

    assert (
        "60min (Hourly):\n"
        "• Average Completeness: 99.8%\n"
        "• Complete Assets: 0/1\n"
        "• Total Gaps: 1\n"
        "  - API-Fillable: 0\n"
        "  - Require CSV: 1\n"
        "• Average Density: 88.4%\n"
        "• Slots: 43,848\n"
        "  - Traded: 38,776 (88.4%) — a candle is stored\n"
        "  - Quiet, claimed: 5,000 (11.4%) — a source answered, no trade\n"
        "  - Missing: 72 (0.2%) — no source has answered\n"
    ) in text


def test_density_of_the_real_hours_is_86_6_percent() -> None:
    hours = series("XBTUSD", 60, "2013-10-06 21:00", "2023-01-07 10:00", quiet_claimed=10_856)

    text = render_report(report_of(hours))

    assert "• Average Density: 86.6%" in text
    assert "Traded: 70,253 (86.6%)" in text
    assert "Quiet, claimed: 10,856 (13.4%)" in text


def test_every_verdict_is_explained_once_even_where_it_has_no_slots() -> None:
    text = render_report(hourly())

    for name in ("Traded", "Quiet, proven", "Quiet, confirmed", "Quiet, claimed", "Suspect", "Missing", "Unlisted"):
        assert text.count(f"• {name}: ") == 1


def test_a_gap_of_whole_days_shows_them_inclusive() -> None:
    text = render_report(hourly(gap("XBTUSD", 60, "2023-06-15", "2023-06-18")))

    assert (
        "Assets Requiring Attention:\n"
        "\n"
        "1. XBTUSD (BTC/USD)\n"
        "   60min: 99.8% complete (density 99.8%)\n"
        "   Gap: 2023-06-15 to 2023-06-17 (72 candles)\n"
        "   → API Fillable: No\n"
        "   → Action: Download XBTUSD_60.csv in Kraken_OHLCVT_2023Q2.zip; or run"
    ) in text


def test_a_gap_inside_the_window_is_closed_by_the_command_that_asks_the_api() -> None:
    recent = gap("XBTUSD", 60, "2025-11-22 06:00", "2025-11-23 19:00")

    text = render_report(report_of(series("XBTUSD", 60, "2020-01-01", "2025-11-23 19:00", [recent])), RERUN)

    assert (
        "   Gap: 2025-11-22 06:00 to 2025-11-23 19:00 UTC (37 candles)\n"
        "   → API Fillable: Yes\n"
        "   → Action: Run ingest_kraken_unified: Kraken's API still answers for it\n"
    ) in text
    assert text.endswith(
        f"Recommended Actions:\n\n1. Run ingestion: Kraken's API still answers for 1 gap:\n   {RERUN}\n"
    )


def test_the_command_that_asks_the_api_does_not_forbid_it() -> None:
    recent = gap("XBTUSD", 60, "2025-11-22 06:00", "2025-11-23 19:00")
    old = gap("XBTUSD", 60, "2023-06-15", "2023-06-18")
    report = report_of(series("XBTUSD", 60, "2020-01-01", "2025-11-23 19:00", [old, recent]))

    text = render_report(report, f"{RERUN} --no-api-backfill --no-auto-gap-fill")

    assert f"still answers for 1 gap:\n   {RERUN}\n2. Download" in text
    assert f"3. Re-run ingestion after CSV download:\n   {RERUN} --no-api-backfill --no-auto-gap-fill\n" in text


def test_a_gap_that_straddles_the_window_is_partly_fillable_and_says_why_the_rest_is_not() -> None:
    straddling = gap("XBTUSD", 60, "2025-10-01", "2025-11-23 19:00")

    text = render_report(report_of(series("XBTUSD", 60, "2020-01-01", "2025-11-23 19:00", [straddling])), RERUN)

    assert "→ API Fillable: Partly (720 of 1,291 candles)" in text
    action = (
        "→ Action: Download XBTUSD_60.csv in Kraken_OHLCVT_2025Q4.zip (not published yet: due 2026-01-29 to "
        "2026-03-19); the API reaches back 720 candles, to 2025-10-24 19:00 UTC, and answers from there "
        "on: run ingest_kraken_unified"
    )
    assert action in " ".join(text.split())
    assert "1. Run ingestion: Kraken's API still answers for the newest part of 1 gap:\n" in text
    assert (
        f"2. Download 1 CSV file for the unfillable gap:\n{PUBLISHED}   • XBTUSD_60.csv in Kraken_OHLCVT_2025Q4.zip\n"
        in text
    )


def test_a_gap_before_the_window_says_how_far_the_api_reaches_where_no_archive_is_out_yet() -> None:
    hole = gap("XBTUSD", 60, "2025-10-01", "2025-10-08")

    text = render_report(report_of(series("XBTUSD", 60, "2020-01-01", "2025-11-23 19:00", [hole])), RERUN)

    assert "→ API Fillable: No" in text
    assert "2026-03-19); the API reaches back 720 candles, to 2025-10-24 19:00 UTC; or run" in " ".join(text.split())


def test_12_hours_are_told_by_the_window_of_4_hours() -> None:
    inside, across = gap("XBTUSD", 720, "2025-07-27", "2025-07-28"), gap("XBTUSD", 720, "2025-07-01", "2025-08-01")

    assert inside.api_fillable
    assert across.overflow == 2 * 26
    assert "the API reaches back 720 candles of 240min, to 2025-07-27 00:00 UTC" in across.remedy.action


def test_a_gap_that_the_api_gave_no_answer_for_says_so() -> None:
    refused = gap("XBTUSD", 60, "2025-11-22", "2025-11-23", status="FAILED", error="Kraken answers 503")
    silent = gap("XBTUSD", 60, "2025-11-20", "2025-11-21", status="FAILED")

    text = render_report(report_of(series("XBTUSD", 60, "2020-01-01", "2025-11-23 19:00", [silent, refused])))

    assert "   → API Fillable: Yes\n   → Asked without success: Kraken answers 503\n   → Action: Run ingest" in text
    assert "   → Asked without success: the API gave no answer\n" in text


def test_of_a_market_that_is_not_listed_the_api_is_not_asked() -> None:
    recent = gap("XMRUSD", 60, "2025-11-22", "2025-11-23", listed=False)
    old = gap("XMRUSD", 60, "2023-06-15", "2023-06-18", listed=False)

    assert not recent.api_fillable
    assert recent.remedy.action.endswith(
        "; the API is not asked, for Kraken does not list the market (sync_markets looks again)"
    )
    assert recent.required_csv_file == "XMRUSD_60_2025Q4.csv"
    assert old.remedy.action == "download XMRUSD_60.csv in Kraken_OHLCVT_2023Q2.zip"


def test_an_incomplete_series_is_never_shown_as_100_percent() -> None:
    text = render_report(hourly(gap("XBTUSD", 60, "2023-06-15 05:00", "2023-06-15 06:00")))

    assert "   60min: 99.9% complete (density 99.9%)\n   Gap: 2023-06-15 05:00 to 06:00 UTC (1 candle)" in text
    assert "Average Completeness: 99.9%" in text


def test_a_contradicted_gap_says_so() -> None:
    text = render_report(hourly(gap("XBTUSD", 60, "2023-06-15", "2023-06-16", reason=Reason.SUSPECT)))

    assert "Gap: 2023-06-15 (24 candles, contradicted by a finding)" in text
    assert "→ Action: Run ingest_kraken_unified --complete: what is contradicted is made" in " ".join(text.split())
    assert "  - Suspect: 24 (0.1%) — contradicted by a finding" in text


def test_of_many_gaps_the_five_largest_are_shown_in_order_of_time() -> None:
    gaps = [gap("XBTUSD", 60, f"2023-07-{day:02} 01:00", f"2023-07-{day:02} {day:02}:00") for day in range(2, 19)]

    text = render_report(hourly(*gaps))

    shown = [line.split()[1] for line in text.splitlines() if line.startswith("   Gap: ")]
    assert shown == [f"2023-07-{day}" for day in range(14, 19)]
    assert "   … and 12 more gaps, none larger (report_completeness --json lists all)" in text


def test_a_series_of_which_nothing_is_stored_says_so() -> None:
    text = render_report(report_of(unknown("XBTUSD", 60)))

    assert "║  Date Range: nothing stored yet " in text
    assert "   60min: nothing stored, first trade unknown\n   → Action: Download XBTUSD_60.csv in Kraken_OHLC" in text
    assert "• Average Completeness: 0%" in text
    assert "   • XBTUSD_60.csv in Kraken_OHLCVT.zip\n" in text


def test_of_a_series_of_which_nothing_is_stored_the_api_can_be_asked_again() -> None:
    market = replace(unknown("XBTUSD", 60), remedy=remedy_for_nothing_known("XBTUSD", Interval.M60, api=True))
    half_days = remedy_for_nothing_known("XBTUSD", Interval.M720, api=True)

    text = " ".join(render_report(report_of(market), "chandlery again").split())

    assert (
        "→ Action: Download XBTUSD_60.csv in Kraken_OHLCVT.zip, or run ingest_kraken_unified again: Kraken's API tells "
        "the newest 720 candles"
    ) in text
    assert (
        "1. Run ingestion: Kraken's API tells the newest 720 candles of 1 series of which nothing is stored: "
        "chandlery again 2. Download 1 CSV file"
    ) in text
    assert half_days.action.endswith("the newest 720 candles of 240min")


def test_an_unknown_first_trade_makes_earlier_dates_missing() -> None:
    text = render_report(report_of(series("XBTUSD", 60, "2013-10-06 21:00", "2023-01-08")), width=120)

    assert "At the first stored slot (first trade unknown: earlier dates are MISSING, not UNLISTED" in text
    assert "• XBTUSD 60min from 2013-10-06 21:00" in text


def test_a_known_first_trade_makes_earlier_dates_unlisted() -> None:
    text = render_report(report_of(series("XBTUSD", 60, "2013-10-06 21:00", "2023-01-08", known=True)), width=120)

    assert "At the first trade (told by a complete release or by the exchange: what came before is" in text
    assert "is MISSING" not in text


def test_dates_asked_for_before_the_first_stored_slot_are_explained() -> None:
    before = gap("XBTUSD", 60, "2013-01-01", "2013-10-06 21:00")
    unlisted = series("ETHUSD", 60, "2013-01-01", "2023-01-08", known=True, unlisted=22_000)

    report = report_of(series("XBTUSD", 60, "2013-01-01", "2023-01-08", [before]), unlisted, start_was_asked=True)

    text = render_report(report)
    assert "• XBTUSD 60min MISSING up to 2013-10-06 21:00" in text
    assert "• ETHUSD 60min 22,000 slots UNLISTED" in text


def test_ranges_that_differ_are_said_to_differ() -> None:
    note = "The date range is that of all series together; each has its own."

    assert note in render_report(real_files())
    assert note not in render_report(hourly())


def test_files_to_download_say_where_they_are_and_when_they_are_due() -> None:
    gaps = [gap("XBTUSD", 60, "2023-06-15", "2023-06-18"), gap("XBTUSD", 60, "2025-10-02", "2025-10-03")]

    text = render_report(report_of(series("XBTUSD", 60, "2020-01-01", "2025-11-23", gaps)), RERUN)

    assert text.endswith(
        "Recommended Actions:\n"
        "\n"
        "1. Download 2 CSV files for unfillable gaps:\n"
        f"{PUBLISHED}"
        "   • XBTUSD_60.csv in Kraken_OHLCVT_2023Q2.zip\n"
        "   • XBTUSD_60.csv in Kraken_OHLCVT_2025Q4.zip\n"
        "     not published yet: due 2026-01-29 to 2026-03-19\n"
        "2. Re-run ingestion after CSV download:\n"
        f"   {RERUN}\n"
        "3. Or: let ingestion rebuild 2 gaps from trades, which takes requests and time\n   but no download:\n"
        f"   {RERUN} --complete\n"
    )


def test_each_archive_of_a_gap_has_its_own_remark() -> None:
    now = at("2025-11-23 19:30")
    over_three = gap("XBTUSD", 60, "2025-06-10", "2025-10-03")

    assert over_three.remedy.action.startswith(
        "download XBTUSD_60.csv in Kraken_OHLCVT_2025Q2.zip, "
        "Kraken_OHLCVT_2025Q3.zip (due 2025-10-29 to 2025-12-17: may be out by now) and "
        "Kraken_OHLCVT_2025Q4.zip (not published yet: due 2026-01-29 to 2026-03-19); the API reaches back"
    )
    assert gap_entry("XBTUSD", over_three.gap, now) == over_three


def test_the_complete_set_exists_and_only_its_newest_part_may_follow() -> None:
    years, recent = gap("XBTUSD", 60, "2021-01-01", "2024-01-01"), gap("XBTUSD", 60, "2021-01-01", "2025-10-03")
    nearly = gap("XBTUSD", 60, "2021-01-01", "2025-08-01")
    until_now = report_of(series("XBTUSD", 60, "2020-01-01", "2025-11-23", [recent]))

    assert years.remedy.action == f"download XBTUSD_60.csv in Kraken_OHLCVT.zip; {WALK}"
    assert "Kraken_OHLCVT.zip (the newest part follows 2026-01-29 to 2026-03-19); the API" in recent.remedy.action
    assert "(the newest part follows 2025-10-29 to 2025-12-17: may be out by now); the API" in nearly.remedy.action
    assert (
        "   • XBTUSD_60.csv in Kraken_OHLCVT.zip\n     the newest part follows 2026-01-29 to 2026-03-19\n"
    ) in render_report(until_now)


def test_one_gap_over_two_quarters_is_one_unfillable_gap() -> None:
    text = render_report(hourly(gap("XBTUSD", 60, "2023-06-29", "2023-07-02")))

    assert "1. Download 2 CSV files for the unfillable gap:\n" in text


def test_of_many_files_ten_are_named_and_the_option_that_lists_them() -> None:
    gaps = [
        gap("XBTUSD", 60, f"{year}-0{month}-10", f"{year}-0{month}-12")
        for year in (2021, 2022, 2023)
        for month in (1, 4, 7, 9)
    ]

    text = render_report(hourly(*gaps))

    assert text.count("   • XBTUSD_60.csv in ") == 9  # two gaps of a year lie in its third quarter
    more = [
        gap("ETHUSD", 60, f"{year}-0{month}-10", f"{year}-0{month}-12")
        for year in (2021, 2022, 2023)
        for month in (1, 4, 7)
    ]
    both = report_of(
        series("XBTUSD", 60, "2020-01-01", "2025-01-01", gaps), series("ETHUSD", 60, "2020-01-01", "2025-01-01", more)
    )
    text = render_report(both)
    assert "1. Download 18 CSV files for unfillable gaps:" in text
    assert "   … and 8 more: --export-unfillable FILE lists them all" in text
    assert "   • Kraken_OHLCVT_2021Q1.zip: 2 files" in text


def test_where_all_is_answered_there_is_nothing_to_do() -> None:
    text = render_report(hourly(quiet_claimed=5_000), RERUN)

    assert "Assets Requiring Attention: none" in text
    assert text.endswith("Recommended Actions:\n\nNothing to do: every expected slot has an answer.\n")


def test_a_selection_without_markets_says_so() -> None:
    assert "Nothing to do: no market matches the selection." in render_report(report_of(tiers=("TIER1",)))


def test_a_table_shows_each_series_where_there_are_few() -> None:
    text = render_report(real_files(), width=120)

    assert "Market  Interval  From        To           Slots  Traded   Quiet  Missing  Completeness  Density\n" in text
    assert "XBTUSD  60min     2013-10-06  2023-01-07  81,123  70,253  10,856       14         99.9%    86.6%\n" in text


def test_the_table_puts_dates_on_their_own_line_where_it_is_narrow() -> None:
    text = render_report(real_files())

    assert (
        "XBTUSD  60min     81,123  70,253  10,856       14         99.9%    86.6%\n  2013-10-06 to 2023-01-07\n" in text
    )


def test_a_command_too_long_for_the_terminal_is_broken_so_that_it_can_be_pasted() -> None:
    text = render_report(real_files(), RERUN, width=80)

    command = text.partition("Re-run ingestion after CSV download:\n")[2].partition("\n3. ")[0]
    assert [line.endswith(" \\") for line in command.splitlines()] == [True, False]
    assert " ".join(command.replace("\\\n", " ").split()) == RERUN


@pytest.mark.parametrize("width", [None, 80, 120])
def test_no_line_is_wider_than_the_terminal(width: int | None) -> None:
    recent = [gap("XBTUSD", 60, "2025-09-18 01:00", "2025-11-23 19:00"), gap("XBTUSD", 60, "2025-01-01", "2025-01-03")]
    short = "chandlery ingest_kraken_unified --tier TIER1"
    for report in (real_files(), report_of(series("XBTUSD", 60, "2020-01-01", "2025-11-23 19:00", recent, known=True))):
        assert max(map(len, render_report(report, short, width=width).splitlines())) <= (width or 80)


def test_1400_markets_stay_readable() -> None:
    entries = []
    for i in range(1400):
        name = f"M{i:04}USD"
        for minutes in (60, 1440):
            gaps = [gap(name, minutes, f"2021-0{month}-01", f"2021-0{month}-0{2 + i % 7}") for month in range(1, 8)]
            entries.append(series(name, minutes, "2020-01-01", "2025-11-23", gaps if i % 2 else ()))
    report = report_of(*entries, tiers=("TIER1", "TIER2", "TIER3", "TIER4"))

    text = render_report(report)

    assert len(text.splitlines()) < 500
    assert "… and 675 more markets, with less open (report_completeness --json lists all)" in text
    # Those with the longest gaps come first: seven days each.
    assert "1. M0013USD (unclassified)" in text


def test_names_of_markets_cannot_steer_the_terminal() -> None:
    text = render_report(
        report_of(series("X\x1b[2JUSD", 60, "2020-01-01", "2020-01-02"), unclassified=("X\x1b[2JUSD",))
    )

    assert "\x1b" not in text
    assert "X\\x1b[2JUSD" in text


def test_on_a_terminal_the_same_text_has_colour_and_its_width() -> None:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=100, color_system="standard", legacy_windows=False)

    print_report(console, real_files(), RERUN)

    assert "\n\x1b[1mOverall Statistics:\x1b[0m\n• Total" in stream.getvalue()
    plain = io.StringIO()
    print_report(Console(file=plain, width=100), real_files(), RERUN)
    assert plain.getvalue() == render_report(real_files(), RERUN, width=100)
