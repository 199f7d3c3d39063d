"""A run in a log."""

import io
from collections.abc import Iterable, Iterator

from chandlery.management.listeners import LogListener
from chandlery.pipeline.events import Event, FileDone, FilesDone, FilesStarted, FillDone, FillStarted, GapsFound
from tests.management.runs import JOB, completed, ended, failed, no_sources, planned, sources, started, whole_run


def seconds() -> Iterator[float]:
    now = 0.0
    while True:
        yield now
        now += 1


def logged(events: Iterable[Event], verbosity: int = 1) -> list[str]:
    stream, clock = io.StringIO(), seconds()
    with LogListener(stream, verbosity, clock=lambda: next(clock)) as listen:
        for event in events:
            listen(event)
    return stream.getvalue().splitlines()


def test_each_step_is_one_line() -> None:
    lines = [line for line in logged(whole_run()) if "%" not in line]

    plan = (
        "2 files to read (6.0 MB); 2 unchanged; from CSV 2013-10-06 to 2023-03-31; "
        "left to the API 2025-10-24 to 2025-11-23; 1 series to derive; 1 range left open"
    )
    assert lines == [
        f"Job {JOB}: XBTUSD, ETHUSD, 2 markets, 60min, 1440min",
        "Step 1/6: Sources: 2 sources, 10,130 files, 14 of the chosen markets; 1 unclassified market: FOOBAR",
        f"Step 2/6: Plan: {plan}",
        "FAILED /srv/kraken/BADUSD_60.csv:17: price is '12x4'; expected a number above zero",
        "Step 3/6: CSV: 5 ingested, 2 skipped, 1 failed; 2,500 rows in 2.0 s (1.25k rows/s)",
        "Step 4/6: Gaps: 3 gaps (1,234 candles): 1 derivable, 1 API-fillable, 1 requires CSV",
        "Step 5/6: Fill: 2 series derived: 1,240 candles for 1,286 slots, 46 of them quiet",
        f"Job {JOB} COMPLETED, 1 file failed",
    ]


def test_progress_is_told_at_most_every_tenth_of_the_bytes() -> None:
    files = [completed(f"M{i}USD_60.csv", size=1_000, rows=1_000) for i in range(1_000)]

    lines = logged([FilesStarted(1_000, 1_000_000), *files])

    assert [line.split(",")[0] for line in lines] == [f"Step 3/6: CSV: {tenth}0%" for tenth in range(1, 10)]
    assert lines[4] == "Step 3/6: CSV: 50%, 500 of 1,000 files, 1.00k rows/s, ETA 8:20"


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
        "FAILED /srv/kraken/BADUSD_60.csv:17: price is '12x4'; expected a number above zero"
    ]
    assert logged([ended("FAILED", error="the disk is full")], 0) == [f"Job {JOB} FAILED: the disk is full"]


def test_verbosity_2_tells_each_file_and_series() -> None:
    lines = logged(whole_run(), verbosity=2)

    assert "  COMPLETED /srv/kraken/M0USD_60.csv: 500 rows" in lines
    assert "  XBTUSD 1440min from 60min: 640 candles for 646 slots" in lines


def test_verbosity_3_tells_the_plan_in_full() -> None:
    lines = logged([planned()], verbosity=3)

    assert "  XBTUSD 1440min from 60min: 2021-04-01 to 2023-01-06 (646 slots)" in lines
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
    assert logged([FillStarted(0, "--no-auto-gap-fill: nothing is derived")]) == [
        "Step 5/6: Fill: skipped, --no-auto-gap-fill: nothing is derived"
    ]


def test_nothing_found_and_nothing_done_is_said_plainly() -> None:
    assert logged([FilesDone(0, 7, 0, 0, 0.01), GapsFound(0, 0, 0, 0, 0), FillDone(0, 0, 0)]) == [
        "Step 3/6: CSV: 0 ingested, 7 skipped, 0 failed; 0 rows in 0.0 s",
        "Step 4/6: Gaps: no gaps",
        "Step 5/6: Fill: nothing to derive",
    ]


def test_a_log_in_ascii_takes_any_file_name() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")

    LogListener(stream)(FileDone("/srv/Übersicht.csv", 1, "FAILED", error="not a number"))

    assert raw.getvalue() == b"FAILED /srv/\\xdcbersicht.csv: not a number\n"
