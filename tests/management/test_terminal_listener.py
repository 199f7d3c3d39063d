"""A run on a terminal, and which listener a stream gets."""

import io
import os
import pty
import re
from collections.abc import Iterable

import pytest
from django.core.management.base import OutputWrapper
from rich.console import Console

from chandlery.management.listeners import LogListener, TerminalListener, listener_for
from chandlery.pipeline.events import (
    AskDone,
    AskStarted,
    Event,
    FileDone,
    FilesDone,
    FilesStarted,
    FillDone,
    FillStarted,
    GapsFound,
    Noticed,
    SeriesFilled,
    SourcesFound,
)
from tests.management.runs import (
    DAILY,
    HOURLY,
    JOB,
    asked,
    completed,
    edge_moved,
    ended,
    failed,
    incremental_run,
    no_sources,
    planned,
    resumed,
    sources,
    started,
    whole_run,
)

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def drawn(events: Iterable[Event], verbosity: int = 1, width: int = 80) -> str:
    """Everything that was written to the terminal, bars and codes included."""
    stream = io.StringIO()
    console = Console(
        file=stream, force_terminal=True, width=width, color_system="standard", legacy_windows=False, _environ={}
    )
    with TerminalListener(console, verbosity, clock=lambda: 0.0) as listen:
        for event in events:
            listen(event)
    return stream.getvalue()


def lines(events: Iterable[Event], verbosity: int = 1, width: int = 80) -> list[str]:
    """What is read there, without codes."""
    text = ESCAPES.sub("", drawn(events, verbosity, width)).replace("\r", "\n")
    return [line.rstrip() for line in text.splitlines()]


def test_a_run_shows_its_title_its_job_and_six_steps_each_once() -> None:
    shown = lines(whole_run())

    assert "║  XBTUSD, ETHUSD Ingestion                                ║" in shown
    assert f"║  Job: {JOB}               ║" in shown
    steps = [line for line in shown if line.startswith("Step ")]
    assert steps == [
        "Step 1/6: Sources",
        "Step 2/6: Plan",
        "Step 3/6: CSV",
        "Step 4/6: Gaps",
        "Step 5/6: Fill",
        "Step 6/6: Report",
    ]


def test_sources_show_what_they_hold() -> None:
    shown = lines([sources(unclassified=("FOOBAR",))], width=140)

    assert "  ✓ /srv/kraken (folder): 7 files, 6 of them of the chosen markets" in shown
    zipped = "/srv/Kraken_OHLCVT_Q1_2024.zip (ZIP): release of 2024-01-01 to 2024-03-31"
    assert f"  ✓ {zipped}; 10,123 files, 8 of them of the chosen markets" in shown
    assert "  ! In no table of names, imported as unclassified: FOOBAR" in shown


def test_where_nothing_is_found_the_places_are_named() -> None:
    assert "  No archive found in /srv/archives" in lines([no_sources()])


def test_where_no_place_was_named_the_line_leaves_it_to_the_command_to_name_one() -> None:
    assert "  No archive found" in lines([SourcesFound((), (), (), ())])


def test_without_a_file_nothing_is_counted() -> None:
    assert "  ✓ no files to read" in lines([FilesDone(0, 0, 0, 0, 0.0)])
    assert "  ✓ stopped before the first file" in lines([FilesStarted(4, 100), FilesDone(0, 0, 0, 0, 0.0)])


def test_where_nothing_is_stored_no_gaps_are_no_good_news() -> None:
    assert "  Nothing stored yet of 10 series" in lines([GapsFound(0, 0, 0, 0, 0, unknown=10)])
    assert "  Found no gaps" in lines([GapsFound(0, 0, 0, 0, 0)])
    assert any(
        line.startswith("  Found 1 gap (20 candles): ") and line.endswith("; nothing stored yet of 2 series")
        for line in lines([GapsFound(1, 20, 1, 0, 0, unknown=2)], width=120)
    )


def test_asking_that_was_stopped_says_how_far_it_came() -> None:
    shown = lines([AskStarted(20), AskDone(10, 0, 40, 0, 10, 3.0, of=20), FillDone(0, 0, 0)])

    assert "  ! 10 of 20 series asked of the API: 40 new candles; 10 requests in 3.0 s" in shown
    assert "  ✓ nothing derived" in shown


def test_the_plan_says_which_dates_come_from_where() -> None:
    shown = lines([planned()], width=120)

    assert "  • From CSV: 2013-10-06 to 2023-03-31" in shown
    assert "  • From the API: 1 request, about 40 seconds (2025-10-24 to 2025-11-23)" in shown
    assert "  60min     223,456  10,000  200,000        0  720  12,736" in shown


def test_the_bar_shows_files_rate_time_left_and_what_is_being_read() -> None:
    done = FileDone(
        "/srv/a.csv", 25, "COMPLETED", rows=10, current=("/srv/Kraken.zip:ETHUSD_60.csv", "/srv/x/ADAUSD_1.csv")
    )

    shown = lines([FilesStarted(4, 100), done])

    assert any(re.search(r"━+ 1 of 4 files, 0 rows/s, ETA -:--$", line) for line in shown)
    assert "  ETHUSD_60.csv, ADAUSD_1.csv" in shown


def test_the_bar_of_filling_shows_series_and_candles() -> None:
    shown = lines([FillStarted(2), SeriesFilled("XBTUSD", DAILY, HOURLY, 640, 646)])

    assert any(re.search(r"━+ 1 of 2 series, 640 candles, ETA -:--$", line) for line in shown)


def test_the_bar_of_asking_shows_series_candles_time_left_and_whom_it_asks() -> None:
    shown = lines([AskStarted(4, 42.0), asked("XBTUSD", 640, "ETHUSD 60min", "ADAUSD 60min")])

    assert "  Asking Kraken's API for 4 series, about 50 seconds" in shown
    assert any(re.search(r"━+ 0 of 4 series, 0 candles, ETA 0:42$", line) for line in lines([AskStarted(4, 42.0)]))
    assert any(re.search(r"━+ 1 of 4 series, 640 candles, ETA -:--$", line) for line in shown)
    assert "  ETHUSD 60min, ADAUSD 60min" in shown


def test_failures_and_waits_of_asking_are_told_as_they_come() -> None:
    shown = lines(whole_run(), width=120)

    wait, failure = "  ! Kraken is in maintenance; asking again in 30 s", "  ✗ BADUSD 60min: Kraken answers 503"
    done = "  ✗ 3 series asked of the API, 1 without an answer: 1,254 new candles, 1 revised; 5 requests in 42.0 s"
    assert shown.count(wait) == shown.count(failure) == shown.count(done) == 1
    assert shown.index(wait) < shown.index(failure) < shown.index(done)


def test_a_resumed_job_shows_how_far_it_had_come() -> None:
    assert "Resuming job 1f2e3d4c (PAUSED 2026-11-23 22:30 UTC): files 25/40, 1,234,567 records so far" in lines(
        [started(), resumed()], width=120
    )


def test_an_incremental_run_tells_what_is_new_beside_its_steps() -> None:
    shown = lines([*incremental_run(asked(), moved=edge_moved(revised=2)), ended()])

    assert shown[shown.index("Last data point: 2026-11-23 20:00 UTC") :][:5] == [
        "Last data point: 2026-11-23 20:00 UTC",
        "Range fetched: 2026-11-23 20:00 to 2026-11-23 22:00 UTC",
        "New candles: 60min 40, 1440min 20",
        "Revised: 2",
        "TIER1 remains 95.2% complete",
    ]
    assert "Step 5/6: Fill" in shown


def test_what_one_should_know_is_one_line() -> None:
    assert "! the clock is off" in lines([Noticed("the clock is off")])


def test_bars_end_with_the_run_whatever_ends_it() -> None:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=80, legacy_windows=False)

    def interrupted() -> None:
        with TerminalListener(console) as listen:
            listen(FilesStarted(4, 100))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()

    hidden, shown = "\x1b[?25l", "\x1b[?25h"
    assert stream.getvalue().rfind(shown) > stream.getvalue().rfind(hidden) >= 0


def test_a_failure_is_one_clear_line_and_told_once() -> None:
    bad = failed()

    shown = lines([FilesStarted(1, 10_000), bad, ended("COMPLETED", (bad.label, bad.error))], width=120)

    assert shown.count("  ✗ /srv/kraken/BADUSD_60.csv:17: price is '12x4'; expected a number above zero") == 1
    assert f"  Job {JOB} COMPLETED, 1 file failed" in shown


def test_names_of_files_are_no_markup_and_no_codes() -> None:
    text = drawn([failed("/srv/[red]a\x1b[2J[/red].csv", "why"), started("[bold]X[/bold]")])

    assert "[red]a\\x1b[2J[/red].csv: why" in text
    assert "\x1b[2J" not in text
    assert "[bold]X[/bold] Ingestion" in text


def test_verbosity_0_tells_errors_only() -> None:
    shown = [line for line in lines(whole_run(), verbosity=0, width=120) if line]

    assert shown == [
        "  ✗ /srv/kraken/BADUSD_60.csv:17: price is '12x4'; expected a number above zero",
        "  ✗ BADUSD 60min: Kraken answers 503",
    ]


def test_verbosity_2_tells_each_file_and_series() -> None:
    shown = lines(whole_run(), verbosity=2)

    assert "  ✓ /srv/kraken/M0USD_60.csv: 500 rows, 493 new, 7 replaced" in shown
    assert "  ✓ XBTUSD 60min: 20 new, 1 revised" in shown
    assert "  ✓ XBTUSD 1440min from 60min: 640 candles for 646 slots" in shown


def test_a_failed_job_says_why() -> None:
    assert f"Job {JOB} FAILED: the disk is full" in lines([ended("FAILED", error="the disk is full")], verbosity=0)


@pytest.mark.parametrize("width", [80, 120])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    wide = completed("M" * 30 + ".csv", rows=1_234_567)

    shown = lines([*whole_run(), FilesStarted(9_999, 10**12), wide], verbosity=3, width=width)

    assert max(map(len, shown)) <= width


def test_a_file_or_a_pipe_gets_the_log() -> None:
    assert isinstance(listener_for(io.StringIO()), LogListener)


def test_a_terminal_gets_bars_and_a_command_s_output_is_drawn_past(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "rb", buffering=0) as shown, os.fdopen(theirs, "w", encoding="utf-8") as stream:
        listen = listener_for(OutputWrapper(stream))
        assert isinstance(listen, TerminalListener)
        listen(FilesStarted(1, 100))
        with listen:
            listen(ended())
        text = b""
        while b"\x1b[?25h" not in text:
            text += shown.read(100_000)
        monkeypatch.setenv("TERM", "dumb")
        assert isinstance(listener_for(stream), LogListener)


def test_quiet_tells_errors_only() -> None:
    stream = io.StringIO()

    listen = listener_for(stream, verbosity=2, quiet=True)
    for event in whole_run():
        listen(event)

    assert stream.getvalue() == (
        "FAILED /srv/kraken/BADUSD_60.csv:17: price is '12x4'; expected a number above zero\n"
        "FAILED BADUSD 60min: Kraken answers 503\n"
    )


def test_where_nobody_watches_an_incremental_run_is_quiet() -> None:
    stream = io.StringIO()

    with listener_for(stream, incremental=True) as listen:
        for event in [*incremental_run(asked(inserted=0), moved=edge_moved(0)), ended()]:
            listen(event)

    assert stream.getvalue() == ""
