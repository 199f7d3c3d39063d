"""What is accepted stays accepted; what is in order again says since when."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from chandlery.candles.interval import Interval
from chandlery.models import CandleAudit, FindingState, QualityFinding
from chandlery.pipeline.events import AuditStarted, CandlesAudited
from chandlery.pipeline.request import Selection
from chandlery.sandbox.archives import write_archive
from chandlery.sandbox.defects import MissingDay
from chandlery.sandbox.editions import Edition, Shape
from chandlery.sandbox.exchange import SandboxExchange
from tests.acceptance.commands import Commands
from tests.acceptance.in_process import Runs
from tests.acceptance.walked import market
from tests.candles.builders import at

EXCHANGE = SandboxExchange(
    cast=(market("XBTUSD", "2024-01-02 10:07", 0.5), market("ETHUSD", "2024-01-05 10:07", 0.4)), outages=()
)
LOST = date(2024, 2, 14)
SELECTION = ("--markets", "XBTUSD,ETHUSD", "--intervals", "60,720,1440", "--end-date", "2024-03-31")
CLOCK = {"CLOCK": "2024-05-02T06:00:00+00:00"}
INTERVALS = (Interval.M60, Interval.M720, Interval.M1440)


def found_by(commands: Commands, *arguments: object) -> list[dict[str, Any]]:
    told = commands("audit_candles", *SELECTION, *arguments, "--json", **CLOCK)
    assert told.status == 0, told.err
    findings: list[dict[str, Any]] = json.loads(told.out)["findings"]
    return findings


@pytest.fixture
def commands(tmp_path: Path) -> Commands:
    """A lake that lacks a day of days, and has not been filled."""
    edition = Edition.complete("2024Q1", intervals=INTERVALS, defects=(MissingDay(LOST, "XBTUSD", Interval.M1440),))
    write_archive(EXCHANGE, edition, tmp_path / "data" / "archives")
    run = Commands(tmp_path)
    done = run("ingest_kraken_unified", *SELECTION, "--yes", "--no-auto-gap-fill", **CLOCK)
    assert done.status == 0, done.err
    return run


@pytest.mark.slow
def test_an_accepted_finding_stays_accepted_and_its_slots_count_as_they_are(commands: Commands) -> None:
    [finding] = found_by(commands)

    accepted = commands("accept_finding", finding["id"], "--why", "known to us", **CLOCK)

    assert accepted.status == 0, accepted.err
    assert f"Accepted #{finding['id']}: XBTUSD 1440min" in accepted.out
    for arguments in ((), ("--anew",)):
        [again] = found_by(commands, *arguments)
        assert (again["id"], again["state"], again["why"]) == (finding["id"], "ACCEPTED", "known to us")
    report = commands("report_completeness", *SELECTION, "--json", **CLOCK)
    days = {(s["market"], s["interval_minutes"]): s for s in json.loads(report.out)["series"]}["XBTUSD", 1440]
    assert (days["suspect"], days["quiet_claimed"], days["completeness"]) == (0, 1, 1.0)
    # And no run fills it.
    done = commands("ingest_kraken_unified", *SELECTION, "--yes", **CLOCK)
    assert done.status == 0, done.err
    assert found_by(commands)[0]["state"] == "ACCEPTED"


@pytest.mark.slow
def test_an_audit_alone_reads_as_a_report_and_no_step_of_a_run(commands: Commands) -> None:
    told = commands("audit_candles", *SELECTION, "--anew", **CLOCK)

    assert told.status == 0, told.err
    assert told.err.splitlines() == ["audit: candles of 6 series looked through: nothing amiss"]
    assert "SUSPECT: what is stored is contradicted (1):" in told.out
    assert "#1 XBTUSD 1440min, 2024-02-14: another interval counts more trades (0 here, 686 at 720min)" in " ".join(
        told.out.split()
    )


@pytest.mark.slow
def test_a_finding_whose_cause_is_gone_is_resolved_with_its_time(commands: Commands) -> None:
    [finding] = found_by(commands)

    done = commands("ingest_kraken_unified", *SELECTION, "--yes", CLOCK="2024-05-03T07:00:00+00:00")

    assert done.status == 0, done.err
    assert found_by(commands) == []
    [resolved] = found_by(commands, "--all")
    assert (resolved["id"], resolved["state"]) == (finding["id"], "RESOLVED")
    assert resolved["resolved_at"] == "2024-05-03T07:00:00Z"
    refused = commands("accept_finding", finding["id"], "--why", "too late", **CLOCK)
    assert refused.status == 2
    [line] = refused.err.splitlines()
    assert line.startswith(f"Error: Finding {finding['id']} is RESOLVED since 2024-05-03 07:00 UTC")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("999", "--why", "x"), "Error: There is no finding 999; audit_candles lists them with their numbers"),
        (("999",), "Error: the following arguments are required: --why; see manage.py accept_finding --help"),
        (("first", "--why", "x"), "is no number of a finding; audit_candles lists them"),
        (("1", "--why", " "), "Error: --why is empty; say in a few words why it is as it should be"),
    ],
)
def test_what_cannot_be_accepted_is_told_in_one_line(tmp_path: Path, arguments: tuple[str, ...], line: str) -> None:
    refused = Commands(tmp_path)("accept_finding", *arguments)

    assert refused.status == 2
    [told] = refused.err.splitlines()
    assert line in told


@pytest.fixture
def runs(home: Path) -> Runs:
    return Runs(home, Selection(INTERVALS, markets=("XBTUSD", "ETHUSD"), end=at("2024-04-01")), at("2024-05-02 06:00"))


@pytest.mark.django_db
def test_the_admin_accepts_a_finding_and_keeps_why(home: Path, runs: Runs) -> None:
    edition = Edition.complete("2024Q1", intervals=INTERVALS, defects=(MissingDay(LOST, "XBTUSD", Interval.M1440),))
    runs.ingest(write_archive(EXCHANGE, edition, home / "archives").path, auto_gap_fill=False)
    finding = QualityFinding.objects.get()
    admin = Client()
    admin.force_login(get_user_model().objects.create_superuser("admin", password="admin"))

    admin.post(
        "/admin/chandlery/qualityfinding/",
        {"action": "accept", "_selected_action": [finding.pk]},
    )
    admin.post(f"/admin/chandlery/qualityfinding/{finding.pk}/change/", {"why": "known to us"})
    runs.ingest(home / "archives")

    finding.refresh_from_db()
    assert (finding.state, finding.why) == (FindingState.ACCEPTED, "known to us")
    assert QualityFinding.objects.count() == 1


@pytest.mark.django_db
def test_only_what_has_changed_is_looked_through(home: Path, runs: Runs) -> None:
    first = write_archive(EXCHANGE, Edition.complete("2024Q1", intervals=INTERVALS), home / "first").path
    told = runs.told(first)
    assert [(e.markets, e.series) for e in told if isinstance(e, CandlesAudited)] == [(2, 6)]
    assert [event for event in runs.told(first) if isinstance(event, AuditStarted)] == []

    later = Edition.quarterly("2024Q2", intervals=INTERVALS, markets=("ETHUSD",))
    again = runs.told(first, write_archive(EXCHANGE, later, home / "second", Shape()).path)

    assert [(e.markets, e.series) for e in again if isinstance(e, CandlesAudited)] == [(1, 3)]
    assert [row.due for row in CandleAudit.objects.all()] == [[], []]
