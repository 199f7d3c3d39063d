"""What is said of a run beside its steps."""

import pytest

from chandlery.management.step_text import incomplete_text, waiting_text
from chandlery.pipeline.events import AskWaiting
from chandlery.reporting.completeness import CompletenessReport
from tests.reporting.reports import gap, report_of, series, unknown

ONE = series("XBTUSD", 60, "2025-01-01", "2025-02-01", [gap("XBTUSD", 60, "2025-01-05", "2025-01-06")])
TWO = series(
    "ETHUSD", 60, "2025-01-01", "2025-02-01", [gap("ETHUSD", 60, f"2025-01-0{d}", f"2025-01-0{d + 1}") for d in (3, 6)]
)
TAKEN = series(
    "ADAUSD", 60, "2025-01-01", "2025-02-01", [gap("ADAUSD", 60, "2025-01-05", "2025-01-06", status="ACCEPTED")]
)


@pytest.mark.parametrize(
    ("report", "said"),
    [
        (report_of(ONE), "--complete: 1 gap remains (status 3)"),
        (report_of(ONE, TWO), "--complete: 3 gaps remain (status 3)"),
        (report_of(unknown("ADAUSD", 60)), "--complete: nothing is stored of 1 series (status 3)"),
        (report_of(TWO, unknown("ADAUSD", 60)), "--complete: 2 gaps remain, nothing is stored of 1 series (status 3)"),
        (report_of(TWO, TAKEN), "--complete: 2 gaps remain, 1 more is accepted (status 3)"),
        (report_of(), "--complete: 0 gaps remain (status 3)"),
    ],
)
def test_what_keeps_a_run_from_being_complete_is_counted(report: CompletenessReport, said: str) -> None:
    assert incomplete_text(report) == said


def test_a_long_wait_is_told_in_minutes() -> None:
    assert waiting_text(AskWaiting("Kraken is in maintenance", 90.0)) == (
        "Kraken is in maintenance; asking again in 1 min 30 s"
    )
