"""A KeyboardInterrupt that is raised where Python lets none pass is sent again."""

import signal
import weakref
from collections.abc import Iterator
from threading import Event, Thread

import pytest

from chandlery.management import interrupts
from chandlery.management.interrupts import no_interrupt_lost, stop_flag

PATIENCE = 30.0
HANDLED = (signal.SIGINT, signal.SIGTERM)


@pytest.fixture(autouse=True)
def own_signals() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in HANDLED}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


class Watched:
    """Something that a weak reference can point at."""


def press_where_nothing_passes(number: int = signal.SIGINT) -> None:
    """Press Ctrl-C while a weak reference is told that what it points at has gone."""
    gone: list[object] = []

    def told(reference: object) -> None:
        gone.append(reference)
        signal.raise_signal(number)

    watched = Watched()
    kept = weakref.ref(watched, told)
    del watched
    assert gone == [kept]


def wait_for_it() -> None:
    """As a run that waits for its workers."""
    assert Event().wait(PATIENCE), "nothing has stopped the run"


@pytest.mark.parametrize("number", HANDLED)
def test_a_second_one_that_came_to_nothing_stops_the_run_nevertheless(
    number: int, capsys: pytest.CaptureFixture[str]
) -> None:
    def run() -> None:
        with stop_flag() as should_stop:
            signal.raise_signal(number)
            assert should_stop()
            press_where_nothing_passes(number)
            wait_for_it()

    with pytest.raises(KeyboardInterrupt):
        run()
    assert capsys.readouterr().err == "\nStopping after what is in hand; press Ctrl-C again to stop at once.\n"


def test_pressed_once_more_while_it_is_being_sent_again_it_still_stops_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Pressed(Thread):
        def start(self) -> None:
            signal.raise_signal(signal.SIGINT)
            super().start()

    def run() -> None:
        with stop_flag():
            signal.raise_signal(signal.SIGINT)
            press_where_nothing_passes()
            wait_for_it()

    monkeypatch.setattr(interrupts, "Thread", Pressed)
    with pytest.raises(KeyboardInterrupt):
        run()


def test_any_command_is_stopped_nevertheless() -> None:
    @no_interrupt_lost()
    def run() -> None:
        press_where_nothing_passes()
        wait_for_it()

    signal.signal(signal.SIGINT, signal.default_int_handler)
    with pytest.raises(KeyboardInterrupt):
        run()


def test_other_errors_that_come_to_nothing_are_told_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[type[BaseException]] = []
    monkeypatch.setattr("sys.unraisablehook", lambda unraisable: told.append(unraisable.exc_type))

    def fails(reference: object) -> None:
        raise ValueError

    with no_interrupt_lost():
        watched = Watched()
        reference = weakref.ref(watched, fails)
        del watched
    assert (reference(), told) == (None, [ValueError])
