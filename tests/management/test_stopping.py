"""Ctrl-C, wherever in a run it comes: in the middle of a step, or while one is being told."""

import io
import signal
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from chandlery.candles.interval import Interval
from chandlery.exchanges.kraken.tiers import load_tiers
from chandlery.management import ingestion
from chandlery.management.ingestion import follow
from chandlery.models import IngestionJob, JobStatus, Lease
from chandlery.pipeline.events import Event, FileDone, FilesDone, FillDone, JobEnded, JobStarted, PageWalked
from chandlery.pipeline.job import Interrupted
from chandlery.pipeline.markets import ensure_markets
from chandlery.pipeline.request import IngestRequest, Selection
from chandlery.sandbox.exchange import SandboxExchange
from tests.acceptance.in_process import InlineExecutor
from tests.acceptance.odd_world import odd_world
from tests.acceptance.walked import market
from tests.candles.builders import at
from tests.exchanges.kraken.archive.builders import hours, unpacked

pytestmark = pytest.mark.django_db


class Presses:
    """Listens to a run, and presses Ctrl-C so many times when it is told of the first `kind`."""

    def __init__(self, kind: type[Event], times: int) -> None:
        self.kind, self.left = kind, times
        self.told: list[Event] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.left = 0

    def __call__(self, event: Event) -> None:
        self.told.append(event)
        while self.left and isinstance(event, self.kind):
            self.left -= 1
            signal.raise_signal(signal.SIGINT)


@pytest.fixture
def request_(home: Path) -> IngestRequest:
    ensure_markets(load_tiers(None))
    files = unpacked(home / "files", {f"{name}_60.csv": hours(48) for name in ("XBTUSD", "ETHUSD", "XRPUSD")})
    selection = Selection((Interval.M60, Interval.M1440), markets=("XBTUSD", "ETHUSD", "XRPUSD"))
    return IngestRequest(selection, (files,), sources_named=True, api_backfill=False, workers=1)


@pytest.fixture(autouse=True)
def own_signals() -> Iterator[None]:
    """After a second Ctrl-C a command keeps ignoring more of them until its end, which is not ours."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


KINDS = [JobStarted, FileDone, FilesDone, FillDone]


@pytest.mark.parametrize("kind", KINDS)
def test_pressed_once_it_says_how_to_go_on(
    request_: IngestRequest, kind: type[Event], capsys: pytest.CaptureFixture[str]
) -> None:
    out = io.StringIO()
    assert follow(request_, InlineExecutor(), Presses(kind, 1), out) is None
    job = IngestionJob.objects.get()
    assert (job.status, Lease.objects.count()) == (JobStatus.PAUSED, 0)
    assert out.getvalue().endswith(f"ingest_kraken_unified --resume {str(job.pk)[:8]}\n")
    assert "press Ctrl-C again to stop at once" in capsys.readouterr().err


@pytest.mark.parametrize("times", [2, 5])
@pytest.mark.parametrize("kind", KINDS)
def test_pressed_again_it_stops_at_once_and_says_how_to_go_on(
    request_: IngestRequest, kind: type[Event], times: int
) -> None:
    presses = Presses(kind, times)
    with pytest.raises(Interrupted) as stopped:
        follow(request_, InlineExecutor(), presses, io.StringIO())
    job = IngestionJob.objects.get()
    assert (job.status, Lease.objects.count()) == (JobStatus.PAUSED, 0)
    assert str(stopped.value).endswith(f"ingest_kraken_unified --resume {str(job.pk)[:8]}")
    assert stopped.value.exit_status == 130
    assert isinstance(presses.told[-1], kind)


def test_pressed_again_when_it_has_stopped_already_it_says_how_to_go_on(request_: IngestRequest) -> None:
    class Late(Presses):
        def __call__(self, event: Event) -> None:
            if isinstance(event, FileDone) and self.left == 2:
                self.left = 1
                signal.raise_signal(signal.SIGINT)
            super().__call__(event)

    out = io.StringIO()
    assert follow(request_, InlineExecutor(), Late(JobEnded, 2), out) is None
    assert IngestionJob.objects.get().status == JobStatus.PAUSED
    assert "--resume" in out.getvalue()


def test_pressed_twice_when_all_is_done_the_job_is_completed(request_: IngestRequest) -> None:
    with pytest.raises(KeyboardInterrupt):
        follow(request_, InlineExecutor(), Presses(JobEnded, 2), io.StringIO())
    assert IngestionJob.objects.get().status == JobStatus.COMPLETED


def test_pressed_again_while_trades_are_walked_it_stops_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pages that are there are on record nowhere yet: nothing waits for that."""
    exchange = SandboxExchange(cast=(market("XBTUSD", "2024-03-26 10:07", 0.3),), outages=())
    ensure_markets(load_tiers(None))
    with odd_world(exchange, at("2024-04-10 06:17"), tmp_path) as world:
        monkeypatch.setattr(ingestion, "surroundings", lambda: world.around)
        request = IngestRequest(Selection((Interval.M1,), markets=("XBTUSD",)), (), trade_budget=None, workers=1)
        with pytest.raises(Interrupted):
            follow(request, InlineExecutor(), Presses(PageWalked, 2), io.StringIO())

        assert (IngestionJob.objects.get().status, Lease.objects.count()) == (JobStatus.PAUSED, 0)
        assert world.journals == ["XBTUSD.journal"]


class AtTheTerminal(io.StringIO):
    """Somebody is there, and presses Ctrl-C instead of answering."""

    def isatty(self) -> bool:
        return True

    def readline(self, size: int | None = -1, /) -> str:  # type: ignore[override]
        signal.raise_signal(signal.SIGINT)
        return ""


def test_ctrl_c_at_a_question_means_no_before_anything_has_begun_and_stops_a_run_that_is_under_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as there:
        there.setattr("sys.stdin", AtTheTerminal())
        there.setattr("sys.stderr", AtTheTerminal())

        assert not ingestion.confirmed("Start?")
        with pytest.raises(KeyboardInterrupt):
            ingestion.confirmed("Walk?", under_way=True)
