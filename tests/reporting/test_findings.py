"""Findings and outages in words, and as JSON."""

import json
from dataclasses import replace
from typing import Any

import pytest

from chandlery.candles.interval import Interval
from chandlery.candles.timerange import TimeRange
from chandlery.models import FindingKind
from chandlery.reporting.findings import (
    FindingEntry,
    OutageEntry,
    finding_text,
    findings_as_json,
    findings_as_text,
    outage_text,
)
from tests.candles.builders import at, between

DAY = between("2024-03-31", "2024-04-01")
NIGHT = between("2024-02-10 21:30", "2024-02-11 02:40")
COUNTS = {"trades": 0, "other_trades": 6_623, "other_interval_minutes": 720}
VOLUMES = {"volume": 1.5, "other_volume": 1234.25, "other_interval_minutes": 60}
DUE = {
    "due": 4_711.4,
    "pace": 196.3,
    "witnesses": [
        {"market": "ETHUSD", "due": 3_100.4, "seen": 3_099},
        {"market": "SOLUSD", "due": 99.0, "seen": 101},
        {"market": "ADAUSD", "due": 88.0, "seen": 77},
        {"market": "DOTUSD", "due": 66.0, "seen": 55},
    ],
}
WITNESSED = (
    "4,711 trades were due; ETHUSD had 3,099 of 3,100; SOLUSD had 101 of 99; ADAUSD had 77 of 88"  # three will do
)
LEDGER = {"week": "2024-03-28", "ledger_trades": 12_345, "stored_trades": 9_876, "by": "DAYS"}
BY_LEDGER = "9,876 here, 12,345 by the exchange's own count"


def finding(
    kind: FindingKind = FindingKind.INTERVALS_SHORT,
    evidence: dict[str, Any] | None = None,
    *,
    within: TimeRange = DAY,
    **others: Any,
) -> FindingEntry:
    """Of XBTUSD's last day of March 2024, and open."""
    facts = {"id": 7, "market": "XBTUSD", "interval": Interval.M1440, "severity": "ERROR", "state": "OPEN", **others}
    told = COUNTS if evidence is None else evidence
    return FindingEntry(kind=kind, label=kind.label, range=within, evidence=told, **facts)


SUSPECT = finding(is_suspect=True)
SPIKE = finding(FindingKind.PRICE_SPIKE, {"price": 99_000.0, "factor": 2.0}, id=8, severity="WARNING")
OUTAGE = OutageEntry(NIGHT, ("ETHUSD", "SOLUSD", "XBTUSD"), weak=False)

# --------------------------------------------------------------------------------------------------- a finding in words


@pytest.mark.parametrize(
    ("kind", "evidence", "figures"),
    [
        (FindingKind.INTERVALS_SHORT, COUNTS, "0 here, 6,623 at 720min"),
        (FindingKind.INTERVALS_EXCESS, {**COUNTS, "trades": 7_000}, "7,000 here, 6,623 at 720min"),
        (FindingKind.INTERVALS_VOLUME, VOLUMES, "1.5 here, 1234.25 at 60min"),
        (
            FindingKind.INTERVALS_PRICES,
            {"high": 9.5, "other_high": 3.0, "low": 1.0, "other_low": 2.0, "other_interval_minutes": 60},
            "high 9.5 here, 3, low 1 here, 2 at 60min",
        ),
        (FindingKind.IMPROBABLE_SILENCE, DUE, WITNESSED),
        (FindingKind.UNWITNESSED_SILENCE, {"due": 150.0, "pace": 30.0, "witnesses": []}, "150 trades were due"),
        (
            FindingKind.LAST_SLOT_DROPPED,
            {"period_end": "2024-04-01T00:00:00Z", "contradicted_at": [30, 60, 1440]},
            "as 30min, 60min, 1440min do, though finer candles have trades there",
        ),
        (
            FindingKind.BAD_ROW,
            {"column": "low", "value": "9.5", "expected": "no more than the others", "candles": 1},
            "low is 9.5, expected: no more than the others",
        ),
        (FindingKind.PRICE_SPIKE, {"price": 99_000.0, "factor": 3.14159}, "99000, 3.14 times its neighbours"),
        (
            FindingKind.FROZEN_PRICE,
            {"price": 70.25, "candles": 48, "moved": ["XBTEUR", "ETHUSD"]},
            "48 candles at 70.25; XBTEUR, ETHUSD moved",
        ),
        (FindingKind.LEDGER_SHORT, LEDGER, BY_LEDGER),
        (FindingKind.LEDGER_SYSTEMATIC, LEDGER, BY_LEDGER),
        (FindingKind.LEDGER_DISAGREES, LEDGER, BY_LEDGER),
        (FindingKind.LEDGER_NEARLY, {**LEDGER, "weeks": 1}, BY_LEDGER),
        (FindingKind.LEDGER_EXCESS, {**LEDGER, "weeks": 1}, BY_LEDGER),
    ],
    ids=lambda value: value.value if isinstance(value, FindingKind) else "",
)
def test_a_finding_is_told_with_the_figures_that_disagree(
    kind: FindingKind, evidence: dict[str, Any], figures: str
) -> None:
    assert finding_text(finding(kind, evidence)) == f"XBTUSD 1440min, 2024-03-31: {kind.label} ({figures})"


@pytest.mark.parametrize("kind", FindingKind)
def test_every_kind_of_finding_has_words_of_its_own(kind: FindingKind) -> None:
    others = {other.label for other in FindingKind if other is not kind}

    assert kind.label
    assert kind.label != kind.value
    assert kind.label not in others


def test_prices_that_agree_are_not_among_the_figures() -> None:
    told = {"close": 9.5, "other_close": 3.0, "other_interval_minutes": 60}

    assert finding_text(finding(FindingKind.INTERVALS_PRICES, told)).endswith("(close 9.5 here, 3 at 60min)")


def test_hours_are_told_to_the_minute() -> None:
    hours = between("2024-03-31 22:00", "2024-03-31 23:30")

    assert finding_text(finding(within=hours, interval=Interval.M30)).startswith(
        "XBTUSD 30min, 2024-03-31 22:00 to 23:30 UTC: "
    )


def test_a_market_s_name_is_nothing_that_a_terminal_obeys() -> None:
    assert finding_text(finding(market="X\x1b[2J")).startswith("X\\x1b[2J 1440min, ")


def test_names_of_markets_that_moved_are_nothing_that_a_terminal_obeys() -> None:
    frozen = finding(FindingKind.FROZEN_PRICE, {"price": 1.0, "candles": 12, "moved": ["Y\x1b[2J"]})

    assert finding_text(frozen).endswith("(12 candles at 1; Y\\x1b[2J moved)")


# --------------------------------------------------------------------------------------------------- an outage in words


def test_an_outage_is_told_with_its_markets() -> None:
    assert outage_text(OUTAGE) == "2024-02-10 21:30 to 2024-02-11 02:40 UTC: ETHUSD, SOLUSD, XBTUSD"


def test_of_many_markets_six_are_named() -> None:
    many = replace(OUTAGE, markets=tuple(f"M{i}USD" for i in range(1_206)))

    assert outage_text(many).endswith(": M0USD, M1USD, M2USD, M3USD, M4USD, M5USD and 1,200 more")


def test_a_weak_outage_says_why_it_is_weak() -> None:
    assert outage_text(replace(OUTAGE, weak=True)).endswith("XBTUSD; weak: only one or two busy markets to witness it")


def test_names_of_markets_in_an_outage_are_nothing_that_a_terminal_obeys() -> None:
    assert outage_text(replace(OUTAGE, markets=("Z\x1b[2J",))).endswith(": Z\\x1b[2J")


# --------------------------------------------------------------------------------------------------------------- report


def test_a_report_tells_what_is_suspect_first_then_the_rest_then_outages() -> None:
    assert findings_as_text([SPIKE, SUSPECT], [OUTAGE], 160) == [
        "SUSPECT: what is stored is contradicted (1):",
        "",
        "  #7  XBTUSD 1440min, 2024-03-31: another interval counts more trades (0 here, 6,623 at 720min)",
        "",
        "Worth knowing (1):",
        "",
        "  #8  XBTUSD 1440min, 2024-03-31: a price far off that is back at once (99000, 2 times its neighbours)",
        "",
        "Outages of the exchange (1), in which silence is explained:",
        "",
        "  2024-02-10 21:30 to 2024-02-11 02:40 UTC: ETHUSD, SOLUSD, XBTUSD",
        "",
    ]


def test_within_a_part_findings_come_as_they_were_handed_in() -> None:
    told = findings_as_text([replace(SUSPECT, id=number) for number in (3, 1, 2)], [], 160)

    assert [line.split()[0] for line in told if "#" in line] == ["#3", "#1", "#2"]


def test_parts_without_a_finding_are_left_out() -> None:
    assert findings_as_text([SPIKE], [], 160)[0] == "Worth knowing (1):"
    assert findings_as_text([], [OUTAGE], 160)[0].startswith("Outages of the exchange (1)")


def test_where_nothing_is_on_record_the_report_says_so() -> None:
    assert findings_as_text([], [], 160) == ["No finding is on record, and no outage.", ""]


def test_many_findings_are_counted_with_commas() -> None:
    assert findings_as_text([SPIKE] * 1_234, [], 160)[0] == "Worth knowing (1,234):"


def test_what_a_line_cannot_hold_stands_under_its_text() -> None:
    assert findings_as_text([SUSPECT], [], 60)[2:] == [
        "  #7  XBTUSD 1440min, 2024-03-31: another interval counts",
        "      more trades (0 here, 6,623 at 720min)",
        "",
    ]


def test_outages_are_wrapped_as_well() -> None:
    many = replace(OUTAGE, markets=tuple(f"MARKET{i}USD" for i in range(9)), weak=True)

    told = findings_as_text([], [many], 60)[2:-1]

    assert max(map(len, told)) <= 60
    assert len(told) > 1
    assert all(line.startswith(" " * 6) for line in told[1:])


def test_a_report_shows_what_was_accepted_and_why() -> None:
    told = findings_as_text([finding(state="ACCEPTED", why="the exchange\nsays so")], [], 200)

    assert told[0] == "Worth knowing (1):"
    assert told[2].endswith("(0 here, 6,623 at 720min) [ACCEPTED: the exchange\\nsays so]")


def test_a_report_shows_what_is_resolved() -> None:
    assert findings_as_text([finding(state="RESOLVED")], [], 200)[2].endswith(" at 720min) [RESOLVED]")


# ----------------------------------------------------------------------------------------------------------------- JSON


def test_findings_as_json_have_the_shape_that_was_promised() -> None:
    """Issue 6 names the keys; `id`, `why` and the times are what accept_finding and a log want to know."""
    found_at, resolved_at = at("2024-05-02 06:00"), at("2024-05-03 07:00")
    one = finding(state="RESOLVED", why="known", found_at=found_at, resolved_at=resolved_at)

    assert findings_as_json([one], []) == {
        "findings": [
            {
                "id": 7,
                "market": "XBTUSD",
                "interval_minutes": 1440,
                "start": "2024-03-31T00:00:00Z",
                "end": "2024-04-01T00:00:00Z",
                "kind": "INTERVALS_SHORT",
                "severity": "ERROR",
                "evidence": COUNTS,
                "state": "RESOLVED",
                "why": "known",
                "found_at": "2024-05-02T06:00:00Z",
                "resolved_at": "2024-05-03T07:00:00Z",
            }
        ],
        "outages": [],
    }


def test_an_open_finding_has_no_time_of_its_end() -> None:
    [told] = findings_as_json([SUSPECT], [])["findings"]

    assert (told["state"], told["resolved_at"]) == ("OPEN", None)


def test_outages_as_json_say_when_whose_and_how_sure() -> None:
    assert findings_as_json([], [replace(OUTAGE, weak=True)])["outages"] == [
        {
            "start": "2024-02-10T21:30:00Z",
            "end": "2024-02-11T02:40:00Z",
            "markets": ["ETHUSD", "SOLUSD", "XBTUSD"],
            "weak": True,
        }
    ]


def test_findings_as_json_are_what_json_can_hold() -> None:
    told = findings_as_json([SUSPECT, SPIKE, finding(FindingKind.IMPROBABLE_SILENCE, DUE)], [OUTAGE])

    assert json.loads(json.dumps(told)) == told


# ------------------------------------------------------------------------------------------------------ odd figures


def test_names_of_witnesses_and_values_of_rows_are_nothing_that_a_terminal_obeys() -> None:
    witness = {"due": 200.0, "witnesses": [{"market": "W\x1b[2J", "due": 99.0, "seen": 88}]}
    value = {"column": "low", "value": "x\x1b[2J", "expected": "a number"}

    assert "\x1b" not in finding_text(finding(FindingKind.IMPROBABLE_SILENCE, witness))
    assert "\x1b" not in finding_text(finding(FindingKind.BAD_ROW, value))


@pytest.mark.parametrize(
    ("kind", "told", "figures"),
    [
        (
            FindingKind.INTERVALS_PRICES,
            {"high": "inf", "other_high": 57.5, "other_interval_minutes": 60},
            "(high inf here, 57.5 at 60min)",
        ),
        (
            FindingKind.INTERVALS_VOLUME,
            {"volume": 123.4567, "other_volume": 123.4568, "other_interval_minutes": 60},
            "123.4567 here, 123.4568 at 60min",
        ),
        (
            FindingKind.INTERVALS_PRICES,
            {"high": 61234.56, "other_high": 61234.57, "other_interval_minutes": 60},
            "high 61234.56 here, 61234.57 at 60min",
        ),
        (FindingKind.PRICE_SPIKE, {"price": 1_234_567.0, "factor": 2.0}, "1234567, 2 times"),
        (FindingKind.TRADES_DIFFER, {"differing": 4_321}, "4,321 minutes"),
        (FindingKind.TRADES_DIFFER, {"removed": 1}, "1 minute"),
        (FindingKind.ID_BREAK, {"id_before": 1, "id_after": 5_000, "missing": 4_998}, "4,998 trades"),
        (FindingKind.NO_TRADES, {"volume": 1.5, "trades": 0, "candles": 3}, "3 candles"),
        (FindingKind.NO_VOLUME, {"volume": 0.0, "trades": 7, "candles": 1}, "1 candle"),
    ],
)
def test_figures_are_told_in_full(kind: FindingKind, told: dict[str, Any], figures: str) -> None:
    assert figures in finding_text(finding(kind, told))
