"""A run as structured logs."""

import io
import json
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chandlery.management.file_log import MOST_ITEMS, FileLog, LogFileNotWritable, LogNotWritten
from chandlery.management.listeners import listener_for
from chandlery.pipeline.events import AskStarted, AskWaiting, Event, Noticed
from tests.management.runs import JOB, asked, ended, failed, planned, sources, started, unanswered, whole_run
from tests.reporting.reports import at

NOW = at("2026-11-23 20:00")


def logged(path: Path, events: Iterable[Event]) -> list[dict[str, Any]]:
    with FileLog(path, lambda: NOW) as listen:
        for event in events:
            listen(event)
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_each_event_is_one_object_with_its_time_and_its_facts(tmp_path: Path) -> None:
    first, second = logged(tmp_path / "logs" / "run.jsonl", [started(), asked()])

    assert first == {
        "time": "2026-11-23T20:00:00Z",
        "level": "INFO",
        "event": "JobStarted",
        "job_id": str(JOB),
        "title": "XBTUSD, ETHUSD",
        "intervals": [60, 1440],
        "markets": 2,
        "at": "2025-11-23T19:30:00Z",
    }
    assert (second["event"], second["interval"]) == ("SeriesAsked", 60)
    assert second["covered"] == {"start": "2025-10-24T19:00:00Z", "end": "2025-11-23T19:00:00Z"}


def test_what_failed_is_an_error_and_what_one_should_know_a_warning(tmp_path: Path) -> None:
    events: list[Event] = [failed(), unanswered(), sources("bad.zip is no ZIP"), ended("FAILED"), ended("PAUSED")]
    events += [ended("COMPLETED", ("a", "b")), AskWaiting("maintenance", 3.0), Noticed("clock"), AskStarted(1), ended()]

    levels = [line["level"] for line in logged(tmp_path / "run.jsonl", events)]

    assert levels == ["ERROR"] * 4 + ["WARNING"] * 4 + ["INFO"] * 2


def test_a_second_run_is_added(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"

    logged(path, whole_run())

    assert len(logged(path, whole_run())) == 2 * len(whole_run())


def test_a_long_list_is_cut_and_says_so(tmp_path: Path) -> None:
    [line] = logged(tmp_path / "run.jsonl", [planned(files=10_000)])

    assert (len(line["files"]), line["files_left_off"]) == (MOST_ITEMS, 10_000 - MOST_ITEMS)
    assert "asks_left_off" not in line


def test_what_ends_a_run_without_an_event_is_logged(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"

    def broken() -> None:
        with FileLog(path, lambda: NOW) as listen:
            listen(started())
            raise RuntimeError("the disk is full")

    with pytest.raises(RuntimeError):
        broken()

    assert json.loads(path.read_text().splitlines()[-1]) == {
        "time": "2026-11-23T20:00:00Z",
        "level": "ERROR",
        "event": "Stopped",
        "error": "the disk is full",
    }


def test_lines_of_runs_side_by_side_are_whole(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    script = (
        "import sys; from pathlib import Path; from chandlery.management.file_log import FileLog;"
        "from chandlery.pipeline.events import Noticed; log = FileLog(Path(sys.argv[1]));"
        "[log(Noticed(sys.argv[2] * 20_000)) for _ in range(50)]"
    )

    writers = [subprocess.Popen([sys.executable, "-c", script, str(path), letter]) for letter in "ab"]

    assert [writer.wait(60) for writer in writers] == [0, 0]
    texts = [json.loads(line)["text"] for line in path.read_text().splitlines()]
    assert sorted(texts) == ["a" * 20_000] * 50 + ["b" * 20_000] * 50


@pytest.mark.parametrize("name", ["a-folder", "a-file/run.jsonl"])
def test_a_file_that_cannot_be_is_wrong_usage_before_any_work(tmp_path: Path, name: str) -> None:
    (tmp_path / "a-folder").mkdir()
    (tmp_path / "a-file").touch()

    with pytest.raises(LogFileNotWritable, match="^LOG_FILE .* cannot be written: .*; name another file, or none$"):
        listener_for(sys.stderr, log_file=tmp_path / name)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_full_disk_is_one_line() -> None:
    with (
        FileLog(Path("/dev/full")) as listen,
        pytest.raises(LogNotWritten, match="^LOG_FILE /dev/full .* No space left"),
    ):
        listen(started())


def test_the_file_is_written_beside_what_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"

    with listener_for(io.StringIO(), 0, log_file=path) as listen:
        listen(replace(started(), markets=7))

    assert json.loads(path.read_text())["markets"] == 7
