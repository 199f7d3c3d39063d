"""--trade-budget: what it takes, what it is where nobody says, and that a job remembers it."""

from typing import Any

import pytest
from django.core.management import call_command

from chandlery.management.base import Error
from chandlery.management.commands.ingest_kraken_unified import Command, _request
from chandlery.pipeline.request import TRADE_BUDGET

MAIN = "ingest_kraken_unified"


def options(*typed: str) -> dict[str, Any]:
    parser = Command().create_parser("manage.py", MAIN)
    return vars(parser.parse_args(["--markets", "XBTUSD", *typed]))


def budget(*typed: str) -> int | None:
    return _request(options(*typed)).trade_budget


@pytest.mark.parametrize(("typed", "requests"), [("0", 0), ("1", 1), ("3600", 3_600), ("1000000", 1_000_000)])
def test_a_number_of_requests_is_taken_as_it_is(typed: str, requests: int) -> None:
    assert budget("--trade-budget", typed) == requests
    assert budget("--trade-budget", typed, "--complete") == requests


def test_where_nobody_says_it_is_an_hour_s_requests() -> None:
    assert budget() == budget("--incremental") == TRADE_BUDGET == 3_600


def test_with_complete_it_is_as_many_as_it_takes() -> None:
    assert budget("--complete") is None


@pytest.mark.parametrize("typed", ["-1", "x", "1.5", "", " 3", "1e3", "½"])
def test_anything_else_is_one_line_that_says_what_would_be_right(
    typed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        options(f"--trade-budget={typed}")

    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert f"{typed!r} is no number of requests; give a whole number from 0 on" in said


def test_a_number_below_zero_is_refused_as_a_word_of_its_own_too(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        options("--trade-budget", "-1")

    assert capsys.readouterr().err.count("\n") == 1


def test_without_a_number_it_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        options("--trade-budget")

    assert "--trade-budget: expected one argument" in capsys.readouterr().err


@pytest.mark.django_db
@pytest.mark.parametrize("typed", ["0", "1", "3600"])
def test_a_job_that_goes_on_takes_no_other_budget(typed: str) -> None:
    with pytest.raises(Error) as refused:
        call_command(MAIN, "--resume", "1a2b3c4d", "--trade-budget", typed)

    assert str(refused.value) == "--resume goes on with what the job was asked for; leave out --trade-budget"
    assert refused.value.returncode == 2
