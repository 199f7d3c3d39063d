"""One store into another: whoever waits for a long series goes on saying that it is alive."""

from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from chandlery.candles.evidence import Origin, Source
from chandlery.candles.interval import Interval
from chandlery.candles.series import Series
from chandlery.pipeline import copy
from chandlery.pipeline.copy import Copied, copy_all
from chandlery.stores.parquet import ParquetLake
from tests.candles.builders import at, candles_at

SERIES = [Series("kraken", name, Interval.M60) for name in ("ETHUSD", "SOLUSD", "XBTUSD")]


class WaitedFor(Executor):
    """Is through with a task each time that it has been waited for three times."""

    def __init__(self) -> None:
        self.times = 0
        self._tasks: list[tuple[Future[Any], Callable[[], Any]]] = []

    def submit(self, work: Callable[..., Any], /, *args: Any, **options: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self._tasks.append((future, lambda: work(*args, **options)))
        return future

    def wait(self) -> None:
        self.times += 1
        if self.times % 3 == 0:
            future, work = self._tasks.pop(0)
            future.set_result(work())


@pytest.fixture
def lake(tmp_path: Path) -> ParquetLake:
    store = ParquetLake(tmp_path / "here")
    for series in SERIES:
        store.write(series, candles_at(at("2024-03-31 12:00")), Origin(Source.TRADES))
    return store


def copied(tmp_path: Path, executor: Executor, meanwhile: Callable[[], None]) -> list[Copied]:
    return list(copy_all(SERIES, "parquet:here", "parquet:there", tmp_path, executor, meanwhile))


def test_each_series_is_told_once(tmp_path: Path, lake: ParquetLake) -> None:
    with ThreadPoolExecutor(2) as executor:
        found = copied(tmp_path, executor, lambda: None)
    assert sorted(one.series for one in found) == SERIES
    assert all(one.written and one.identical for one in found)
    assert list(ParquetLake(tmp_path / "there").series()) == list(lake.series())


def test_it_is_heard_of_while_a_series_is_copied(
    tmp_path: Path, lake: ParquetLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copy, "MEANWHILE_SECONDS", 0)
    executor = WaitedFor()
    assert [one.series for one in copied(tmp_path, executor, executor.wait)] == SERIES
    assert executor.times == 3 * len(SERIES) + 1
