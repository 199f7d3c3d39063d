"""A plan in words."""

import json
from dataclasses import replace

from chandlery.candles.interval import Interval
from chandlery.management.listeners import render_plan
from chandlery.management.plan_json import plan_as_json
from chandlery.pipeline.events import OpenPlanned, PlanLine
from tests.management.runs import planned


def test_a_dry_run_shows_files_derivations_and_what_stays_open_and_why() -> None:
    assert render_plan(planned(), width=100) == (
        "Plan:\n"
        "\n"
        "• Files to read: 2 (6.0 MB); 2 unchanged, not read again\n"
        "• From CSV: 2013-10-06 to 2023-03-31\n"
        "• From the API: 1 request, about 40 seconds (2025-10-24 to 2025-11-23)\n"
        "• Derived from finer intervals: 1 series\n"
        "\n"
        "Interval    Slots   Known    Files  Derived  API    Open\n"
        "60min     223,456  10,000  200,000        0  720  12,736\n"
        "\n"
        "Files to read, 2:\n"
        "• /srv/kraken/M0USD_60.csv (3.0 MB)\n"
        "• /srv/kraken/M1USD_60.csv (3.0 MB)\n"
        "\n"
        "Requests, 1:\n"
        "• XBTUSD 60min: 2025-10-24 19:00 to 2025-11-23 19:00 UTC (720 slots)\n"
        "\n"
        "Derivations, 1:\n"
        "• XBTUSD 1440min from 60min: 2021-04-01 to 2023-01-06 (646 slots)\n"
        "\n"
        "Left open, 1:\n"
        "• XBTUSD 60min: 2023-01-07 10:00 to 2023-01-08 00:00 UTC (14 candles): download it\n"
        "\n"
        "Nothing was written.\n"
    )


def test_a_plan_with_nothing_to_do_says_so() -> None:
    empty = replace(planned(0, 0, 0), lines=(), derivations=(), files_serve=None, api_serves=None)

    text = render_plan(empty)

    for line in (
        "Files: none to read",
        "Requests: none",
        "Derivations: none",
        "Left open: nothing",
        "• From the API: nothing",
    ):
        assert f"{line}\n" in text
    assert text.endswith("\nNothing was written.\n")


def test_long_lists_say_how_many_more_there_are() -> None:
    text = render_plan(planned(files=1_000, left_open=300, asks=30))

    assert text.count("• /srv/kraken/") == 20
    assert "… and 980 more\n" in text
    assert "• From the API: 30 requests, about 40 seconds (2025-10-24 to 2025-11-23)\n" in text
    assert text.count("(720 slots)") == 20
    assert "… and 10 more\n" in text
    assert "… and 280 more (3,920 candles)\n" in text


def test_a_series_of_which_nothing_is_known_says_why() -> None:
    unknown = OpenPlanned("ADAUSD", Interval.M60, None, 0, "no file and no candle of it")

    assert "• ADAUSD 60min: no file and no candle of it\n" in render_plan(replace(planned(), open=(unknown,)))


def test_figures_too_wide_for_a_table_are_sentences() -> None:
    line = PlanLine(Interval.M1, 1_234_567_890, 10_000_000, 1_200_000_000, 7_200_000, 0, 12_000_000)

    text = render_plan(replace(planned(), lines=(line,)))

    answered = "10,000,000 known, 1,200,000,000 from files, 0 derived, 7,200,000 from the API"
    assert f"• 1min: 1,234,567,890 slots: {answered}; 12,000,000 stay open" in " ".join(text.split())
    assert max(map(len, text.splitlines())) <= 80


def test_an_incremental_run_says_which_files_it_leaves() -> None:
    left = "12 files in the archives are newer than what is known; a run without --incremental reads them"

    assert f"• {left}\n" in render_plan(replace(planned(), files_left=12), width=120)
    assert "1 file in the archives is newer" in render_plan(replace(planned(), files_left=1), width=120)
    assert "--incremental" not in render_plan(planned())


def test_requests_that_only_read_again_are_told() -> None:
    again = "5 requests (5 of them to read the newest candles again), about 40 seconds (2025-10-24 to 2025-11-23)"

    assert f"From the API: {again}\n" in render_plan(replace(planned(asks=5), rereads=5), width=120)
    assert "1 request (to read the newest candles again)" in render_plan(replace(planned(), rereads=1), width=120)
    assert "again)" not in render_plan(planned(asks=5), width=120)


def test_without_a_file_there_is_no_size() -> None:
    assert "• Files to read: none; 2 unchanged, not read again\n" in render_plan(planned(files=0))


def test_a_plan_as_json_is_plain() -> None:
    found = json.loads(plan_as_json(planned()))["plan"]

    assert found["asks"] == [
        {
            "market": "XBTUSD",
            "interval": 60,
            "slots": 720,
            "span": {"start": "2025-10-24T19:00:00Z", "end": "2025-11-23T19:00:00Z"},
        }
    ]
    assert (found["ask_seconds"], found["files_left"], found["lines"][0]["from_api"]) == (40.0, 0, 720)
