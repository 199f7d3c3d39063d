"""Processes that write state at the same time: nothing that one of them has recorded is lost, and none waits for ever.

Each does its part again and again, and all begin at once. On SQLite one transaction comes after the other anyway.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import CHECKOUT, clean_environment

ROUNDS = 60
LISTEN = "import django; django.setup(); from tests.pipeline.side_by_side import main; main()"


@dataclass(frozen=True, slots=True)
class Other:
    """`other("change", 0, 10)` tells it, and returns what it answers."""

    process: "subprocess.Popen[str]"

    def __call__(self, *told: object) -> Any:
        self.tell(*told)
        return self.answer()

    def tell(self, *told: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{json.dumps(told)}\n")
        self.process.stdin.flush()

    def answer(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "it has ended; what it had to say of that is above"
        return json.loads(line)


Start = Callable[[], Other]


@pytest.fixture
def start(home: Path) -> Iterator[Start]:
    """`start()`: a process on the state of `home`."""
    environment = clean_environment(home) | {"DJANGO_SETTINGS_MODULE": "chandlery.config.settings"}
    with ExitStack() as started:

        def start() -> Other:
            process = subprocess.Popen(
                [sys.executable, "-c", LISTEN],
                cwd=CHECKOUT,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            started.callback(process.communicate)
            started.callback(process.kill)
            other = Other(process)
            assert other.answer() == "ready"
            return other

        yield start


@pytest.fixture
def two(start: Start) -> tuple[Other, Other]:
    one, other = start(), start()
    one("prepare", 20)
    return one, other


def at_once(*told: tuple[Other, tuple[object, ...]]) -> list[Any]:
    """Tell all of them, then hear all of them."""
    for other, words in told:
        other.tell(*words)
    return [other.answer() for other, _ in told]


def test_what_two_intervals_of_a_market_change_is_all_audited(two: tuple[Other, Other]) -> None:
    one, other = two
    at_once((one, ("change", 0, ROUNDS)), (other, ("change", 1, ROUNDS)))
    assert one("changed") == [2 * ROUNDS, 2 * ROUNDS]


def test_weeks_of_a_market_that_two_were_told_are_all_in_its_ledger(two: tuple[Other, Other]) -> None:
    one, other = two
    at_once((one, ("tell_weeks", 2000, 2, ROUNDS)), (other, ("tell_weeks", 2001, 2, ROUNDS)))
    assert one("told_weeks") == 7 * 2 * ROUNDS


def test_days_derived_by_one_while_another_answers_their_hours_anew_are_covered_once(two: tuple[Other, Other]) -> None:
    one, other = two
    at_once((one, ("answer_hours", ROUNDS)), (other, ("derive_days", ROUNDS)))
    assert one("covered") == {"60": [ROUNDS, ROUNDS], "1440": [ROUNDS, ROUNDS]}


def test_an_outage_that_two_find_is_recorded_once(two: tuple[Other, Other]) -> None:
    one, other = two
    at_once((one, ("find_outages", ROUNDS)), (other, ("find_outages", ROUNDS)))
    assert one("outages") == ROUNDS


def test_names_that_two_register_become_one_market_each(two: tuple[Other, Other]) -> None:
    one, other = two
    names = [f"QQ{a}{b}USD" for a in "ABCDEFGH" for b in "ABCDEFGH"] + [f"{a}NOBODYKNOWS" for a in "ABCDEFGH"]
    answers = at_once((one, ("register_names", names)), (other, ("register_names", names[::-1])))
    assert answers == [sorted(names)] * 2


def test_a_release_that_one_has_whole_stays_whole(two: tuple[Other, Other]) -> None:
    one, other = two
    at_once((one, ("find_release", ROUNDS, True)), (other, ("find_release", ROUNDS, False)))
    assert one("releases") == [ROUNDS, ROUNDS]


def test_a_finding_that_a_person_accepts_while_an_audit_takes_it_back_stays_accepted(two: tuple[Other, Other]) -> None:
    one, other = two
    _, said = at_once((one, ("find_doubts", ROUNDS)), (other, ("accept_doubts", 4 * ROUNDS)))
    assert one("accepted") == said


def test_a_gap_that_a_person_accepts_while_a_run_fills_it_is_filled(two: tuple[Other, Other]) -> None:
    one, other = two
    found, overwritten = at_once((one, ("find_gaps", 2 * ROUNDS)), (other, ("accept_gaps", 20 * ROUNDS)))
    assert (found, overwritten) == ([2 * ROUNDS, 0], 0)


def test_a_killed_job_is_resumed_or_marked_and_nobody_waits_for_ever(two: tuple[Other, Other]) -> None:
    one, other = two
    killed = one("leave_killed", 20)
    resumed, _ = at_once((one, ("resume", killed)), (other, ("settle", ROUNDS)))
    assert resumed == [True] * 20


def test_two_who_want_markets_in_common_take_turns(two: tuple[Other, Other]) -> None:
    one, other = two
    won = at_once((one, ("hold_in_turn", ROUNDS, 0, 1)), (other, ("hold_in_turn", ROUNDS, 0, 3)))
    # Who comes too early is refused; whoever is the last is alone.
    assert sum(won) > 0, won
    assert one("leases") == 0
