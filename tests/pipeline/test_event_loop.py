"""Signals that come while an event loop runs."""

import asyncio
import signal
from collections.abc import Iterator

import pytest

from chandlery.pipeline.event_loop import EventLoop

Calls = list[int]


@pytest.fixture
def calls() -> Iterator[Calls]:
    """Which signals a handler was called for: from the second on it raises, as that of a command does."""
    found: Calls = []

    def handler(number: int, frame: object) -> None:
        found.append(number)
        if len(found) > 1:
            raise KeyboardInterrupt

    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    yield found
    for number, old in before.items():
        signal.signal(number, old)


async def pressed(loop: EventLoop, calls: Calls, *numbers: int) -> tuple[bool, Calls]:
    """What is to be seen in the middle of a step."""
    for number in numbers:
        signal.raise_signal(number)
    await asyncio.sleep(0)
    return loop.is_called, list(calls)


def test_a_step_returns_its_result() -> None:
    with EventLoop() as loop:
        assert loop.run(asyncio.sleep(0, "done")) == "done"
        assert not loop.is_called


def test_a_signal_is_handled_after_the_step_in_which_it_came(calls: Calls) -> None:
    with EventLoop() as loop:
        assert loop.run(pressed(loop, calls, signal.SIGTERM)) == (True, [])
        assert calls == [signal.SIGTERM]
        assert not loop.is_called


def test_an_exception_of_a_handler_comes_out_of_the_step_and_the_loop_is_sound(calls: Calls) -> None:
    with EventLoop() as loop:
        with pytest.raises(KeyboardInterrupt):
            loop.run(pressed(loop, calls, signal.SIGINT, signal.SIGINT))
        assert loop.run(asyncio.sleep(0, "sound")) == "sound"


def test_between_steps_a_signal_is_handled_at_once(calls: Calls) -> None:
    with EventLoop() as loop:
        loop.run(asyncio.sleep(0))
        signal.raise_signal(signal.SIGINT)
        assert calls == [signal.SIGINT]


def test_a_step_that_fails_fails_and_its_signal_is_handled_all_the_same(calls: Calls) -> None:
    async def failing() -> None:
        signal.raise_signal(signal.SIGINT)
        raise OSError("gone")

    with EventLoop() as loop:
        with pytest.raises(OSError, match="gone"):
            loop.run(failing())
        assert calls == [signal.SIGINT]


def test_tasks_that_are_left_are_cancelled_when_it_closes(calls: Calls) -> None:
    ends: list[str] = []

    async def waits() -> None:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            signal.raise_signal(signal.SIGINT)
            ends.append("cancelled")
            raise

    async def leaves() -> asyncio.Task[None]:
        task = asyncio.create_task(waits())
        await asyncio.sleep(0)
        return task

    with EventLoop() as loop:
        left = loop.run(leaves())
    assert left.cancelled()
    assert (ends, calls) == (["cancelled"], [signal.SIGINT])
