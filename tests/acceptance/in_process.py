"""The same runs as the commands make, in this process and against the test database: for tests of many of them."""

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import polars as pl
from django.db import transaction

from chandlery.candles.interval import Interval
from chandlery.candles.series import Series
from chandlery.candles.timerange import TimeRange
from chandlery.candles.verdict import Verdict, slot_verdicts
from chandlery.exchanges.kraken.api.settings import ApiSettings
from chandlery.exchanges.kraken.tiers import load_tiers
from chandlery.models import DataCoverageRange
from chandlery.pipeline.binding import checked_store
from chandlery.pipeline.events import Event, JobEnded
from chandlery.pipeline.job import run_job
from chandlery.pipeline.knowledge import know
from chandlery.pipeline.markets import ensure_markets, select
from chandlery.pipeline.report import report
from chandlery.pipeline.request import IngestRequest, Selection, Surroundings
from chandlery.reporting.as_json import report_as_json
from tests.candles.builders import at

P = ParamSpec("P")
T = TypeVar("T")

NOW = at("2024-09-01")
#: (market, minutes, source, derived, proven, provisional, start, end, candles)
CoverageRow = tuple[str, int, str, bool, bool, bool, datetime, datetime, int]


class InlineExecutor(Executor):
    """Does each task at once, in this process."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


@dataclass(frozen=True, slots=True)
class Runs:
    """`Runs(home, selection).ingest(archive, …)`: a lake in `home`, and what the test database knows of it.

    `api`: how the exchange is asked by `told`, None where nobody is. `trade_budget`: 0 leaves trades and the ledger
    alone.
    """

    home: Path
    selection: Selection
    now: datetime = NOW
    api: ApiSettings | None = None
    trade_budget: int | None = 0

    def of(self, selection: Selection) -> "Runs":
        """The same lake, asked for something else."""
        return replace(self, selection=selection)

    def at(self, now: datetime) -> "Runs":
        """The same lake, at another time."""
        return replace(self, now=now)

    def ingest(self, *sources: Path, auto_gap_fill: bool = True) -> JobEnded:
        """One run over all of `sources`."""
        ended = self.told(*sources, auto_gap_fill=auto_gap_fill)[-1]
        assert isinstance(ended, JobEnded)
        return ended

    def told(self, *sources: Path, auto_gap_fill: bool = True, incremental: bool = False) -> list[Event]:
        """Every event of one run over all of `sources`."""
        tiers = load_tiers(None)
        ensure_markets(tiers)
        request = IngestRequest(
            self.selection,
            sources,
            api_backfill=self.api is not None,
            auto_gap_fill=auto_gap_fill,
            incremental=incremental,
            trade_budget=self.trade_budget,
        )
        return list(run_job(request, self._around, InlineExecutor(), tiers))

    def report(self) -> dict[str, Any]:
        """As `report_completeness --json` prints it."""
        store = checked_store(self._around.store_url, self.home)
        return report_as_json(report(self.selection, select(self.selection), store, self.now))

    def verdicts(self, market: str, interval: Interval, within: TimeRange) -> list[tuple[TimeRange, Verdict]]:
        """Runs of equal verdict, by what state and store know."""
        store = checked_store(self._around.store_url, self.home)
        facts = know(select(replace(self.selection, markets=(market,))), store, self.now)[market]
        return slot_verdicts(facts.series[interval], within)

    @property
    def lake(self) -> Path:
        return self.home / "candles"

    @property
    def _around(self) -> Surroundings:
        api = self.api or ApiSettings()
        return Surroundings(f"parquet:{self.lake.name}", self.home, lambda: self.now, api=api)


def lake_rows(lake: Path, market: str, interval: Interval) -> pl.DataFrame:
    """A series of the lake with all its columns, by nothing of ours."""
    folder = lake / "exchange=kraken" / f"market={market}" / f"interval={int(interval)}"
    files = sorted(folder.glob("*.parquet"))
    return pl.concat([pl.read_parquet(file, hive_partitioning=False) for file in files]) if files else pl.DataFrame()


def lake_contents(lake: Path) -> dict[Series, pl.DataFrame]:
    """Every series of the lake."""
    found: dict[Series, pl.DataFrame] = {}
    for folder in sorted(lake.glob("exchange=*/market=*/interval=*")):
        exchange, market, minutes = (part.partition("=")[2] for part in folder.relative_to(lake).parts)
        rows = lake_rows(lake, market, Interval(int(minutes)))
        if rows.height:
            found[Series(exchange, market, Interval(int(minutes)))] = rows
    return found


def coverage_rows() -> list[CoverageRow]:
    """What the test database holds of coverage, without keys and times of recording."""
    fields = ("market__altname", "interval_minutes", "source", "derived", "proven", "provisional")
    rows = DataCoverageRange.objects.values_list(*fields, "start_date", "end_date", "record_count")
    return sorted(rows)


@contextmanager
def forgotten() -> Iterator[None]:
    """What is done inside is forgotten by the test database afterwards; files stay."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)
