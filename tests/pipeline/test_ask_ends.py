"""When asking ends: after so many failures, at a stop in maintenance, and when nobody listens any more."""

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from chandlery.candles.interval import Interval
from chandlery.candles.series import Series
from chandlery.candles.timerange import RangeSet
from chandlery.exchanges.kraken.api.settings import ApiSettings
from chandlery.pipeline.ask import Asked, questions
from chandlery.pipeline.conversation import MOST_UNANSWERED, Conversation, GaveUp, Remark
from chandlery.pipeline.edge import Ask
from chandlery.pipeline.request import Surroundings
from chandlery.sandbox.faults import Fault, Faults
from chandlery.sandbox.rest import SandboxApi, Status
from chandlery.sandbox.server import serve
from tests.acceptance.disturbed import FOUR, NOW
from tests.acceptance.in_process import InlineExecutor, lake_contents
from tests.candles.builders import between

#: Of four markets: twenty series.
ASKS = [
    Ask(Series("kraken", name, width), RangeSet([between("2024-08-19", "2024-08-20")]))
    for name in FOUR.names
    for width in (Interval.M15, Interval.M30, Interval.M60, Interval.M240, Interval.M1440)
]
#: Without an answer so many in a row are borne.
BORNE = MOST_UNANSWERED - 1


@dataclass
class Talk:
    """Conversations with a sandbox, one request after the other, each made once."""

    api: SandboxApi
    around: Surroundings
    executor: Executor = field(default_factory=InlineExecutor)

    def __call__(self, should_stop: Callable[[], bool] = lambda: False) -> Conversation[Asked]:
        return Conversation(self.around, self.executor, should_stop)

    def answered(self, asks: list[Ask]) -> tuple[list[bool], Conversation[Asked]]:
        """Of each series whether there was an answer."""
        conversation = self()
        told = list(conversation.about(questions(asks)))
        return [not one.error for one in told if isinstance(one, Asked)], conversation


@pytest.fixture
def talk(tmp_path: Path) -> Iterator[Talk]:
    api = SandboxApi(FOUR, lambda: NOW)
    with serve(api) as server:
        settings = ApiSettings(server.url, rate=0, retry_wait=0, attempts=1, connections=1)
        yield Talk(api, Surroundings("parquet:candles", tmp_path, lambda: NOW, api=settings))


@pytest.mark.parametrize("fault", [Fault.HTML, Fault.HTTP_403, Fault.SERVICE, Fault.DROP, Fault.EMPTY])
def test_after_so_many_without_an_answer_the_rest_is_not_begun(talk: Talk, fault: Fault) -> None:
    talk.api.faults = Faults.always(fault)
    conversation = talk()
    told = list(conversation.about(questions(ASKS)))
    assert [type(one) for one in told] == [Remark, *[Asked] * MOST_UNANSWERED]
    assert isinstance(conversation.error, GaveUp)
    assert conversation.error.facts["unasked"] == len(ASKS) - MOST_UNANSWERED
    assert conversation.requests == len(talk.api.requests) == 1 + MOST_UNANSWERED


def test_an_answer_in_between_is_a_reason_to_go_on(talk: Talk) -> None:
    without = [Fault.HTML] * BORNE
    talk.api.faults = Faults.first(None, None, *without, None, *without)
    answered, conversation = talk.answered(ASKS)
    assert answered == [*[False] * BORNE, True, *[False] * BORNE, *[True] * (len(ASKS) - 2 * BORNE - 1)]
    assert conversation.error is None


def test_where_nothing_is_left_to_ask_there_is_nothing_to_give_up(talk: Talk) -> None:
    talk.api.faults = Faults.first(None, None, *[Fault.HTML] * MOST_UNANSWERED)
    answered, conversation = talk.answered(ASKS[:MOST_UNANSWERED])
    assert answered == [False] * MOST_UNANSWERED
    assert conversation.error is None


def test_a_run_that_waits_for_the_end_of_maintenance_can_be_stopped(talk: Talk) -> None:
    talk.api.status = Status.MAINTENANCE
    conversation = talk(lambda: bool(talk.api.requests))
    assert not [one for one in conversation.about(questions(ASKS)) if isinstance(one, Asked)]
    assert conversation.error is None
    assert {request.path for request in talk.api.requests} == {"/0/public/SystemStatus"}


class Frozen(Executor):
    """Begins each task, and finishes none."""

    begun = False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()
        self.begun = True
        return future


def test_whoever_leaves_before_the_end_waits_for_no_writer(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chandlery.pipeline.conversation.LOOKS_AT_ONCE", 1)  # it is told at each look that it goes on
    talk.executor = executor = Frozen()
    telling = talk().about(questions(ASKS))
    while not executor.begun:
        next(telling)
    telling.close()
    assert lake_contents(talk.around.home / "candles") == {}
