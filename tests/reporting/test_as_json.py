"""The report as one JSON object."""

import json

from chandlery.candles.gap import Reason
from chandlery.reporting.as_json import report_as_json
from tests.reporting.reports import gap, real_files, report_of, series, unknown


def as_read(report: object) -> dict[str, object]:
    """What a reader of the printed JSON has."""
    found = json.loads(json.dumps(report))
    assert isinstance(found, dict)
    return found


def test_a_series_has_the_keys_of_the_contract() -> None:
    june = gap("XBTUSD", 60, "2023-06-15", "2023-06-18", reason=Reason.SUSPECT)
    made = report_of(series("XBTUSD", 60, "2020-01-01", "2024-12-31", [june], quiet_claimed=100, unlisted=24))

    entry = made.series[0]
    assert as_read(report_as_json(made))["series"] == [
        {
            "market": "XBTUSD",
            "pair": "BTC/USD",
            "asset": "BTC",
            "interval_minutes": 60,
            "start": "2020-01-01T00:00:00Z",
            "end": "2024-12-31T00:00:00Z",
            "first_trade_known": False,
            "slots": 43824,
            "traded": 43824 - 72 - 124,
            "quiet_proven": 0,
            "quiet_confirmed": 0,
            "quiet_claimed": 100,
            "suspect": 72,
            "missing": 0,
            "unlisted": 24,
            "completeness": (43800 - 72) / 43800,
            "density": (43800 - 172) / 43800,
            "gaps": [
                {
                    "start": "2023-06-15T00:00:00Z",
                    "end": "2023-06-18T00:00:00Z",
                    "candles": 72,
                    "reason": "SUSPECT",
                    "api_fillable": False,
                    "overflow_candles": 72,
                    "action": entry.gaps[0].remedy.action,
                    "required_csv_file": "",
                    "status": "DETECTED",
                    "error": None,
                }
            ],
        }
    ]


def test_tier_is_null_where_markets_were_named() -> None:
    named = as_read(report_as_json(real_files()))
    tiers = as_read(
        report_as_json(report_of(series("XBTUSD", 60, "2020-01-01", "2021-01-01"), tiers=("TIER1", "TIER2")))
    )

    assert (named["tier"], named["markets"]) == (None, ["XBTUSD", "ETHUSD", "ADAUSD"])
    assert tiers["tier"] == "TIER1+TIER2"


def test_start_and_end_span_all_series() -> None:
    made = as_read(report_as_json(real_files()))

    assert (made["start"], made["end"]) == ("2013-10-06T00:00:00Z", "2023-01-08T00:00:00Z")


def test_overall_figures_are_the_sums_of_the_series() -> None:
    made = as_read(report_as_json(real_files()))

    overall, entries = made["overall"], made["series"]
    assert isinstance(overall, dict)
    assert isinstance(entries, list)
    for name in ("slots", "traded", "quiet_claimed", "missing", "unlisted"):
        assert overall[name] == sum(entry[name] for entry in entries)
    assert overall["density"] == overall["traded"] / overall["slots"]
    assert overall["completeness"] == (overall["slots"] - overall["missing"]) / overall["slots"]
    assert overall["average_completeness"] == sum(entry["completeness"] for entry in entries) / 6
    counts = ("assets", "complete_assets", "partial_assets", "gaps", "api_fillable", "require_csv", "unknown_series")
    assert [overall[name] for name in counts] == [3, 1, 2, 3, 0, 3, 1]


def test_a_series_of_which_nothing_is_known_is_complete_to_nothing() -> None:
    made = as_read(report_as_json(report_of(unknown("XBTUSD", 60))))

    assert (made["start"], made["end"]) == (None, None)
    overall = made["overall"]
    assert isinstance(overall, dict)
    assert (overall["completeness"], overall["average_completeness"], overall["complete"]) == (0.0, 0.0, False)


def test_what_the_api_can_fill_needs_no_file() -> None:
    recent = gap("XBTUSD", 60, "2025-11-22", "2025-11-23")
    made = report_as_json(report_of(series("XBTUSD", 60, "2025-11-01", "2025-11-23", [recent])))

    entries = as_read(made)["series"]
    assert isinstance(entries, list)
    assert (entries[0]["gaps"][0]["api_fillable"], entries[0]["gaps"][0]["required_csv_file"]) == (True, "")
