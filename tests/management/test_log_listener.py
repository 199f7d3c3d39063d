"""A run in a log."""

import io
from collections.abc import Iterable, Iterator
from dataclasses import replace

from chandlery.management.listeners import LogListener
from chandlery.pipeline.events import (
    AskDone,
    AskStarted,
    AskWaiting,
    Event,
    FileDone,
    FilesDone,
    FilesStarted,
    FillDone,
    FillStarted,
    GapsFound,
    Noticed,
)
from tests.management.runs import (
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
    unanswered,
    whole_run,
)


def seconds() -> Iterator[float]:
    now = 0.0
    while True:
        yield now
        now += 1


def logged(events: Iterable[Event], verbosity: int = 1, *, incremental: bool = False) -> list[str]:
    stream, clock = io.StringIO(), seconds()
    with LogListener(stream, verbosity, clock=lambda: next(clock), incremental=incremental) as listen:
        for event in events:
            listen(event)
    return stream.getvalue().splitlines()


def test_each_step_is_one_line() -> None:
    lines = [line for line in logged(whole_run()) if "%" not in line]

    plan = (
        "2 files to read (6.0 MB); 2 unchanged; from CSV 2013-10-06 to 2023-03-31; "
        "from the API 1 request, about 40 seconds (2025-10-24 to 2025-11-23); 1 series to derive; 1 range left open"
    )
    answers = "3 series asked of the API, 1 without an answer: 1,254 new candles, 1 revised"
    assert lines == [
        f"Job {JOB}: XBTUSD, ETHUSD, 2 markets, 60min, 1440min",
        "Step 1/6: Sources: 2 sources, 10,130 files, 14 of them of the chosen markets; 1 unclassified market: FOOBAR",
        f"Step 2/6: Plan: {plan}",
        "FAILED /srv/kraken/BADUSD_60.csv:17: price is '12x4'; expected a number above zero",
        "Step 3/6: CSV: 5 ingested, 2 skipped, 1 failed; 2,500 rows in 2.0 s (1.25k rows/s)",
        "Step 4/6: Gaps: 3 gaps (1,234 candles): 1 derivable, 1 API-fillable, 1 requires CSV",
        "Step 5/6: Fill: asking Kraken's API for 3 series, about 50 seconds",
        "Step 5/6: Fill: Kraken is in maintenance; asking again in 30 s",
        "FAILED BADUSD 60min: Kraken answers 503",
        f"Step 5/6: Fill: {answers}; 5 requests in 42.0 s",
        "Step 5/6: Fill: 2 series derived: 1,240 candles for 1,286 slots, 46 of them quiet",
        f"Job {JOB} COMPLETED, 1 file failed, 1 API failure",
    ]


def test_progress_is_told_at_most_every_tenth_of_the_bytes() -> None:
    files = [completed(f"M{i}USD_60.csv", size=1_000, rows=1_000) for i in range(1_000)]

    lines = logged([FilesStarted(1_000, 1_000_000), *files])

    assert [line.split(",")[0] for line in lines] == [f"Step 3/6: CSV: {tenth}0%" for tenth in range(1, 10)]
    assert lines[4] == "Step 3/6: CSV: 50%, 500 of 1,000 files, 1.00k rows/s, ETA 8:20"


def test_progress_of_requests_is_told_at_most_every_tenth() -> None:
    lines = logged([FilesStarted(1, 1_000), completed(size=1_000), AskStarted(200), *(asked(),) * 200])

    assert [line.split(",")[0] for line in lines[1:]] == [f"Step 5/6: Fill: {tenth}0%" for tenth in range(1, 10)]
    assert lines[5] == "Step 5/6: Fill: 50%, 100 of 200 series, 2.00k candles, ETA 1:40"


def test_no_line_has_an_escape_code() -> None:
    label = "/srv/a\x1b[31m\nb.csv"

    lines = logged(
        [started("X\x1b[2J"), sources("bad \x1b]0;title\x07.zip"), failed(label, "why \x1b[1m")], verbosity=3
    )

    assert len(lines) == 6
    assert not any("\x1b" in line or "\x07" in line for line in lines)
    assert "FAILED /srv/a\\x1b[31m\\nb.csv: why \\x1b[1m" in lines


def test_verbosity_0_tells_errors_only() -> None:
    assert logged(whole_run(), verbosity=0) == [
        "FAILED /srv/kraken/BADUSD_60.csv:17: price is '12x4'; expected a number above zero",
        "FAILED BADUSD 60min: Kraken answers 503",
    ]
    assert logged([ended("FAILED", error="the disk is full")], 0) == [f"Job {JOB} FAILED: the disk is full"]


def test_verbosity_2_tells_each_file_and_series() -> None:
    lines = logged(whole_run(), verbosity=2)

    assert "  COMPLETED /srv/kraken/M0USD_60.csv: 500 rows" in lines
    assert "  XBTUSD 60min: 20 new, 1 revised" in lines
    assert "  ETHUSD 60min: 1,234 new" in lines
    assert "  XBTUSD 1440min from 60min: 640 candles for 646 slots" in lines


def test_verbosity_3_tells_the_plan_in_full() -> None:
    lines = logged([planned()], verbosity=3)

    assert "  XBTUSD 1440min from 60min: 2021-04-01 to 2023-01-06 (646 slots)" in lines
    assert "  ask: XBTUSD 60min: 2025-10-24 19:00 to 2025-11-23 19:00 UTC (720 slots)" in lines
    assert "  open: XBTUSD 60min: 2023-01-07 10:00 to 2023-01-08 00:00 UTC (14 candles): download it" in lines


def test_a_failure_is_told_once() -> None:
    bad = failed()
    problem = "/srv/bad.zip is not a ZIP file"

    lines = logged([sources(problem), bad, ended("COMPLETED", (bad.label, bad.error), ("/srv/bad.zip", problem))], 0)

    assert lines == [f"PROBLEM {problem}", f"FAILED {bad.error}"]


def test_a_failure_known_only_at_the_end_is_told_then() -> None:
    assert logged([ended("COMPLETED", ("a.csv", "broken"))], 0) == ["FAILED a.csv: broken"]


def test_where_nothing_is_found_the_places_are_named() -> None:
    assert logged([no_sources()]) == ["Step 1/6: Sources: no archive found in /srv/archives"]


def test_a_skipped_fill_says_why() -> None:
    assert logged([AskStarted(0, skipped="no request is to be made")]) == [
        "Step 5/6: Fill: API skipped, no request is to be made"
    ]
    assert logged([FillStarted(0, "no gap is to be filled")]) == [
        "Step 5/6: Fill: derivation skipped, no gap is to be filled"
    ]


def test_nothing_found_and_nothing_done_is_said_plainly() -> None:
    nothing: list[Event] = [GapsFound(0, 0, 0, 0, 0), AskStarted(0), AskDone(0, 0, 0, 0, 0, 0.0), FillDone(0, 0, 0)]

    assert logged([FilesDone(0, 7, 0, 0, 0.01), *nothing]) == [
        "Step 3/6: CSV: 0 ingested, 7 skipped, 0 failed; 0 rows in 0.0 s",
        "Step 4/6: Gaps: no gaps",
        "Step 5/6: Fill: nothing to ask the API for",
        "Step 5/6: Fill: nothing to derive",
    ]


def test_without_a_file_nothing_is_counted() -> None:
    assert logged([FilesDone(0, 0, 0, 0, 0.0)]) == ["Step 3/6: CSV: no files to read"]
    assert logged([planned(files=0)])[0].startswith("Step 2/6: Plan: no files to read; 2 unchanged; ")


def test_gaps_that_the_api_closes_in_part_are_told_apart() -> None:
    assert logged([GapsFound(12, 400, 2, 3, 2, partly=5)]) == [
        "Step 4/6: Gaps: 12 gaps (400 candles): 2 derivable, 3 API-fillable, 5 partly, 2 require CSV"
    ]


def test_asking_that_was_stopped_says_how_far_it_came() -> None:
    assert logged([AskStarted(20), AskDone(0, 0, 0, 0, 0, 0.1, of=20), FillDone(0, 0, 0)])[1:] == [
        "Step 5/6: Fill: 0 of 20 series asked of the API: 0 new candles; 0 requests in 0.1 s",
        "Step 5/6: Fill: nothing derived",
    ]


def test_a_failure_names_its_market_once() -> None:
    error = "Kraken gave no usable answer to OHLC of XBTUSD at 60 minutes in 5 attempts; the last time: HTTP 503."

    assert logged([unanswered("XBTUSD", error)], 0) == [f"FAILED {error}"]
    assert logged([unanswered("ETHUSD", error)], 0) == [f"FAILED ETHUSD 60min: {error}"]


def test_a_log_in_ascii_takes_any_file_name() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")

    LogListener(stream)(FileDone("/srv/Übersicht.csv", 1, "FAILED", error="not a number"))

    assert raw.getvalue() == b"FAILED /srv/\\xdcbersicht.csv: not a number\n"


def test_a_resumed_job_shows_how_far_it_had_come() -> None:
    told = "Resuming job 1f2e3d4c (PAUSED 2026-11-23 22:30 UTC): files 25/40, 1,234,567 records"

    assert logged([started(), resumed()])[1] == f"{told} so far"
    assert logged([started(), resumed(720, 30)])[1] == f"{told}, 720 candles from the API, 30 derived so far"


def test_what_one_should_know_is_a_warning() -> None:
    assert logged([Noticed("the clock is off")]) == ["WARNING the clock is off"]
    assert logged([Noticed("the clock is off")], incremental=True) == ["WARNING the clock is off"]


def test_a_wait_that_goes_on_is_told_once() -> None:
    wait, doubt = AskWaiting("Kraken is in maintenance", 30.0), AskWaiting("no answer to Time", 0.0)

    assert logged([GapsFound(1, 1, 0, 1, 0), wait, wait, doubt, asked(), wait])[1:] == [
        "Step 5/6: Fill: Kraken is in maintenance; asking again in 30 s",
        "Step 5/6: Fill: no answer to Time",
        "Step 5/6: Fill: Kraken is in maintenance; asking again in 30 s",
    ]


def test_before_gaps_are_found_it_is_the_ledger_that_waits() -> None:
    assert logged([AskWaiting("Kraken is in maintenance", 30.0)]) == [
        "Step 4/6: Gaps: Kraken is in maintenance; asking again in 30 s"
    ]


def test_of_many_failures_the_rest_is_counted() -> None:
    many: list[Event] = [AskStarted(50), *(unanswered(f"M{i}USD", f"no answer to M{i}USD") for i in range(50))]

    lines = logged([*many, AskDone(50, 50, 0, 0, 250, 1.0)], 0)

    assert len(lines) == 21
    assert lines[-1] == "FAILED 30 more series (--verbosity 2 names each)"
    assert "FAILED M49USD 60min: no answer to M49USD" in logged([*many, AskDone(50, 50, 0, 0, 250, 1.0)], 2)


def test_a_network_that_is_gone_is_one_line_and_all_series_are_without_an_answer() -> None:
    gone = "Kraken's API at http://127.0.0.1:9 cannot be reached"

    assert logged([AskStarted(40), AskDone(0, 40, 0, 0, 5, 3.0), ended("COMPLETED", ("Kraken's API", gone))]) == [
        "Step 5/6: Fill: asking Kraken's API for 40 series",
        "Step 5/6: Fill: 0 series asked of the API, 40 without an answer: 0 new candles; 5 requests in 3.0 s",
        f"FAILED {gone}",
        f"Job {JOB} COMPLETED, 1 API failure",
    ]


EDGE = [
    "Last data point: 2026-11-23 20:00 UTC",
    "Range fetched: 2026-11-23 20:00 to 2026-11-23 22:00 UTC",
    "New candles: 60min 40, 1440min 20",
    "TIER1 remains 95.2% complete",
]


def test_an_incremental_run_tells_what_is_new_and_nothing_else() -> None:
    run = [*incremental_run(asked("XBTUSD"), asked("ETHUSD"), moved=edge_moved()), ended()]

    assert logged(run, incremental=True) == EDGE
    assert logged(run, verbosity=2, incremental=True)[-5:] == [*EDGE, f"Job {JOB} COMPLETED"]
    assert logged(run)[-5:] == [*EDGE, f"Job {JOB} COMPLETED"]
    assert logged(run, verbosity=0, incremental=True) == []


def test_an_incremental_run_without_news_says_nothing() -> None:
    run = [*incremental_run(asked("XBTUSD", 0), moved=edge_moved(0)), ended()]

    assert logged(run, incremental=True) == []
    assert logged([*run[:-2], edge_moved(0, revised=2), ended()], incremental=True) == [
        "Last data point: 2026-11-23 20:00 UTC",
        "Range fetched: none",
        "New candles: none",
        "Revised: 2",
        "TIER1 remains 95.2% complete",
    ]


def test_an_incremental_run_that_failed_says_so_before_what_it_brought() -> None:
    gone = "Kraken's API cannot be reached"
    run = [*incremental_run(moved=edge_moved(0)), ended("COMPLETED", ("Kraken's API", gone))]

    lines = logged(run, incremental=True)

    assert (lines[0], lines[-1], len(lines)) == (f"FAILED {gone}", "TIER1 remains 95.2% complete", 5)
    assert logged(run, verbosity=0, incremental=True) == [f"FAILED {gone}"]


def test_a_share_that_has_changed_says_what_it_was() -> None:
    assert logged([edge_moved(before=0.9521, after=0.9534)])[-1] == "TIER1 is now 95.3% complete (was 95.2%)"
    assert logged([edge_moved(before=0.99991, after=0.99999)])[-1] == "TIER1 remains 99.9% complete"
    assert logged([edge_moved(before=0.99991, after=1.0)])[-1] == "TIER1 is now 100% complete (was 99.9%)"


def test_several_markets_remain_complete_and_a_tier_remains_so() -> None:
    markets = replace(edge_moved(before=1.0, after=1.0), title="XBTUSD, ETHUSD")

    assert logged([markets])[-1] == "XBTUSD, ETHUSD remain 100% complete"
    assert logged([replace(markets, completeness_before=0.5)])[-1] == "XBTUSD, ETHUSD are now 100% complete (was 50.0%)"


def test_an_incremental_run_in_which_only_the_share_moved_says_nothing() -> None:
    run = [*incremental_run(asked("XBTUSD", 0), moved=edge_moved(0, before=0.9521, after=0.9534)), ended()]

    assert logged(run, incremental=True) == []
