"""What a manifest tells, in whatever spelling, and what is said of one that tells nothing."""

import json
from typing import Any

import pytest

from chandlery.exchanges.kraken.archive.errors import MalformedManifest
from chandlery.exchanges.kraken.archive.manifest import MANIFEST_LIMIT, from_manifest
from chandlery.exchanges.kraken.archive.release import ReleaseFacts, recognise
from tests.candles.builders import at

BY_NAME = recognise("Kraken_OHLCVT_2026Q2.zip")


def facts(manifest: Any, by_name: ReleaseFacts | None = None) -> ReleaseFacts:
    return from_manifest(json.dumps(manifest).encode(), "x.zip:MANIFEST.json", by_name)


@pytest.mark.parametrize(
    "coverage",
    [
        {"coverage": {"start": "2026-04-01", "end": "2026-06-30"}},
        {"coverage": {"from": "2026-04-01", "to": "2026-06-30"}},
        {"Coverage": {"Start_Date": "2026-04-01", "End_Date": "2026-06-30"}},
        {"coverage": ["2026-04-01", "2026-06-30"]},
        {"coverage": "2026-04-01 to 2026-06-30"},
        {"coverage_start": "2026-04-01", "coverage_end": "2026-06-30"},
        {"period_start_date": "2026-04-01", "period_end_date": "2026-06-30"},
        {"start_date": "2026-04-01", "end_date": "2026-06-30"},
        {"coverage": {"start": "2026-04-01T00:00:00Z", "end": "2026-06-30T23:59:59Z"}},
    ],
)
def test_coverage_days_are_inclusive_in_every_spelling(coverage: dict[str, Any]) -> None:
    found = facts({"release": "2026Q2", **coverage})
    assert (found.period_start, found.period_end, found.complete) == (at("2026-04-01"), at("2026-07-01"), False)


def test_the_manifest_wins_over_the_name() -> None:
    found = facts({"release": "2026Q3", "coverage": {"start": "2026-07-01", "end": "2026-09-30"}}, BY_NAME)
    assert (found.name, found.period_end) == ("2026Q3", at("2026-10-01"))


def test_a_release_is_complete_by_its_name() -> None:
    found = facts({"release": "Full_2026Q2", "coverage": {"start": "2026-04-01", "end": "2026-06-30"}})
    assert found.complete
    assert (found.period_start, found.period_end) == (None, at("2026-07-01"))


def test_a_release_is_complete_when_it_covers_more_than_a_quarter() -> None:
    assert facts({"release": "2026Q2", "coverage": {"start": "2013-10-01", "end": "2026-06-30"}}).complete
    assert not facts({"release": "2026Q3", "coverage": {"start": "2026-07-01", "end": "2026-09-30"}}).complete


def test_without_coverage_the_release_it_names_decides_and_then_the_name_of_the_archive() -> None:
    assert facts({"release": "Kraken_OHLCVT_2025Q1"}, BY_NAME).period_end == at("2025-04-01")
    assert facts({"pairs": 3}, BY_NAME).period_end == at("2026-07-01")
    assert facts({"pairs": 3}, BY_NAME).name == "Kraken_OHLCVT_2026Q2"


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("2026-08-01", "2026-08-01T00:00:00Z"),
        ("2026-08-01T12:00:00+02:00", "2026-08-01T10:00:00Z"),
        ("2026-08-01T12:00:00.123456Z", "2026-08-01T12:00:00Z"),
        ("last summer", None),
        (17, None),
    ],
)
def test_the_date_of_generation_sorts_as_text(said: Any, kept: str | None) -> None:
    assert facts({"generated": said}, BY_NAME).generated == kept


@pytest.mark.parametrize(("said", "files"), [(12, 12), (["a.csv", "b.csv"], 2), ("many", None), (True, None)])
def test_files_may_be_a_number_or_a_list(said: Any, files: int | None) -> None:
    assert facts({"files": said}, BY_NAME).files == files


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"<html>", "it is not JSON"),
        (b"\xff\xfe\x00", "it is not JSON"),
        (b"[" * 100_000, "it is not JSON"),
        (b"[1, 2]", "it is not a JSON object"),
        (b" " * (MANIFEST_LIMIT + 1), "it is larger than 16 MiB"),
        (b"{}", "it tells no coverage dates"),
        (b'{"coverage": {"end": "2026-06-30"}, "release": "x"}', "it tells no first day of coverage"),
        (b'{"coverage": {"start": "2026-06-30", "end": "2026-04-01"}}', "its coverage ends (2026-04-01) before"),
        (b'{"coverage": {"start": "2026-02-30", "end": "2026-04-01"}}', "'2026-02-30' is not a day"),
        (b'{"coverage": {"start": 1, "end": "2026-04-01"}}', "'1' is not a day"),
    ],
)
def test_a_malformed_manifest_is_one_clear_line(content: bytes, why: str) -> None:
    with pytest.raises(MalformedManifest) as caught:
        from_manifest(content, "x.zip:MANIFEST.json", None)
    assert str(caught.value).startswith("x.zip:MANIFEST.json is no manifest to go by: ")
    assert why in str(caught.value)
