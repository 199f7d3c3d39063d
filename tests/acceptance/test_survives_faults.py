"""Whatever goes wrong with requests: no candle is wrong, what could not be had is said, and asking has an end."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

import polars as pl
import pytest
from _pytest.mark import ParameterSet

from chandlery.candles.frame import PRICES
from chandlery.candles.interval import Interval
from chandlery.candles.series import Series
from chandlery.candles.timerange import TimeRange
from chandlery.exchanges.kraken.api.settings import ApiSettings
from chandlery.models import DataCoverageRange, IngestionJob, Market
from chandlery.pipeline.events import AskDone, Event, JobEnded, Noticed
from chandlery.pipeline.request import Selection
from chandlery.sandbox.exchange import SandboxExchange
from chandlery.sandbox.faults import Fault, Faults
from chandlery.sandbox.rest import SandboxApi, Status
from chandlery.sandbox.server import serve
from tests.acceptance.against_truth import assert_same_lake
from tests.acceptance.in_process import Runs, coverage_rows, forgotten, lake_contents
from tests.candles.builders import at

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

NOW = at("2024-04-20 06:17") + timedelta(seconds=23)
EXCHANGE = SandboxExchange.small()
#: The last is made of the one before.
INTERVALS = (Interval.M1, Interval.M5, Interval.M60, Interval.M240, Interval.M720)
ASKED = len(EXCHANGE.names) * (len(INTERVALS) - 1)
ATTEMPTS = 3
SELECTION = Selection(intervals=INTERVALS, markets=EXCHANGE.names)
#: With so many in a row unanswered nobody goes on asking; as many may be under way at that moment.
IN_A_ROW, CONNECTIONS = 8, 4
#: Seconds until a request counts as unanswered: without end, in effect, except where answers are to stall.
PATIENT, IMPATIENT = 30.0, 1.0
#: These change nothing of what is told.
HARMLESS = frozenset({Fault.OTHER_KEY})


#: One of each kind; the others differ from these in what is said.
KINDS = frozenset({Fault.RATE_LIMIT, Fault.HTTP_403, Fault.HTML, Fault.DROP, Fault.CUT, Fault.OTHER_KEY, Fault.EMPTY})


def faults_of(faults: Iterable[Fault]) -> list[ParameterSet]:
    """All of them, those that are more of a kind in the slow set."""
    return [pytest.param(fault, marks=() if fault in KINDS else pytest.mark.slow) for fault in faults]


@dataclass
class Asking:
    """A lake that is filled from a sandbox whose faults can be switched."""

    runs: Runs
    api: SandboxApi

    def with_settings(self, **others: Any) -> "Asking":
        assert self.runs.api is not None
        return Asking(replace(self.runs, api=replace(self.runs.api, **others)), self.api)

    def run(self, faults: Faults | None = None) -> JobEnded:
        ended = self.told(faults)[-1]
        assert isinstance(ended, JobEnded)
        return ended

    def told(self, faults: Faults | None = None) -> list[Event]:
        """Every event of a run, of which the number of requests holds whatever befell them."""
        assert self.runs.api is not None
        self.api.faults = faults = faults or Faults()
        self.api.forget_requests()
        stalls = Fault.STALL in faults.script or Fault.STALL in faults.shares
        told = replace(self.runs, api=replace(self.runs.api, timeout=IMPATIENT if stalls else PATIENT)).told()
        asked = Counter((request.path, *sorted(request.query.items())) for request in self.api.requests)
        assert all(count <= ATTEMPTS for count in asked.values()), asked
        assert len(asked) <= ASKED + 3
        made = sum(e.requests for e in told if isinstance(e, AskDone))
        # What goes out on a connection that was hung up a moment before is made, and never arrives.
        assert asked.total() <= made <= asked.total() + len(self.api.requests) // 5
        [job] = [event.job_id for event in told if isinstance(event, JobEnded)]
        assert IngestionJob.objects.get(pk=job).requests_made == made
        return told


def settings_of(url: str) -> ApiSettings:
    return ApiSettings(
        url, rate=0, connections=CONNECTIONS, timeout=PATIENT, attempts=ATTEMPTS, retry_wait=0, maintenance_wait=0
    )


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[SandboxApi, str]]:
    """One for all tests: it remembers what it has worked out."""
    api = SandboxApi(EXCHANGE, lambda: NOW)
    with serve(api) as server:
        yield api, server.url


@pytest.fixture
def asking(served: tuple[SandboxApi, str], tmp_path: Path) -> Asking:
    api, url = served
    return Asking(Runs(tmp_path, SELECTION, NOW, settings_of(url)), api)


@pytest.fixture(scope="module")
def kept() -> dict[Series, pl.DataFrame]:
    """What a run without faults left behind, once there was one."""
    return {}


@pytest.fixture
def undisturbed(
    kept: dict[Series, pl.DataFrame], served: tuple[SandboxApi, str], tmp_path_factory: pytest.TempPathFactory
) -> dict[Series, pl.DataFrame]:
    """What a run without faults leaves behind."""
    api, url = served
    if not kept:
        runs = Runs(tmp_path_factory.mktemp("undisturbed"), SELECTION, NOW, settings_of(url))
        api.faults = Faults()
        with forgotten():
            assert runs.ingest().failures == ()
        kept.update(lake_contents(runs.lake))
        assert len(kept) == len(EXCHANGE.names) * len(INTERVALS)
    return kept


def check_candles(lake: Path) -> set[Series]:
    """Every candle stored is that of the truth, of a slot that is over; the series that hold some."""
    contents = lake_contents(lake)
    for series, rows in contents.items():
        first, last = (rows["timestamp"][place].replace(tzinfo=UTC) for place in (0, -1))
        within = TimeRange(first, last + series.interval.delta)
        assert within.end <= NOW, series
        true = EXCHANGE.truth(series, within)
        met = true.join(rows, on="timestamp", suffix="_stored", how="full", coalesce=True)
        wrong = met.filter(
            pl.any_horizontal(*(pl.col(c).ne_missing(pl.col(f"{c}_stored")) for c in (*PRICES, "trades")))
            | ~((pl.col("volume") / pl.col("volume_stored") - 1).abs() <= 1e-9).fill_null(False)
        )
        assert wrong.is_empty(), (series, wrong)
    return set(contents)


def check_said(ended: JobEnded) -> None:
    """A series is answered for, or it is said of it or of them all why not."""
    answered = {
        Series("kraken", name, Interval(minutes))
        for name, minutes in DataCoverageRange.objects.filter(derived=False).values_list(
            "market__altname", "interval_minutes"
        )
    }
    wanted = {Series("kraken", name, i) for name in EXCHANGE.names for i in INTERVALS if i is not Interval.M720}
    labels = [label for label, _ in ended.failures]
    assert len(labels) == len(set(labels))
    unsaid = {str(series) for series in wanted - answered} - set(labels)
    assert not unsaid or "Kraken's API" in labels
    assert not {str(series) for series in answered} & set(labels)


def check_made_up_for(asking: Asking, undisturbed: dict[Series, pl.DataFrame]) -> None:
    """After another run there is a candle wherever there would be one, and each is that of the truth. What was asked
    for in vain and then made of a finer series stays so, and its volumes are sums.
    """
    assert asking.run().failures == ()
    assert check_candles(asking.runs.lake) == set(undisturbed)
    for series, rows in lake_contents(asking.runs.lake).items():
        assert rows["timestamp"].equals(undisturbed[series]["timestamp"]), series


@pytest.mark.parametrize("fault", faults_of(Fault))
def test_one_fault_now_and_then_spoils_no_candle_and_the_next_run_makes_up_for_it(
    asking: Asking, undisturbed: dict[Series, pl.DataFrame], fault: Fault
) -> None:
    ended = asking.run(Faults({fault: 0.2}))
    assert asking.api.outcomes[fault] > 0
    check_candles(asking.runs.lake)
    check_said(ended)
    check_made_up_for(asking, undisturbed)


@pytest.mark.parametrize(
    "seed", [0, 1, pytest.param(2, marks=pytest.mark.slow), pytest.param(3, marks=pytest.mark.slow)]
)
def test_all_faults_together_spoil_no_candle_and_the_next_run_makes_up_for_it(
    asking: Asking, undisturbed: dict[Series, pl.DataFrame], seed: int
) -> None:
    ended = asking.run(Faults.every(0.2, seed))
    assert asking.api.outcomes["ok"] < len(asking.api.requests)
    check_candles(asking.runs.lake)
    check_said(ended)
    check_made_up_for(asking, undisturbed)


def test_with_two_requests_in_three_failing_every_series_is_got_or_named(
    asking: Asking, undisturbed: dict[Series, pl.DataFrame]
) -> None:
    shares = {fault: 0.65 / (len(Fault) - 1) for fault in Fault if fault not in HARMLESS}
    ended = asking.run(Faults(shares, seed=3))
    assert 0 < len(ended.failures) < ASKED
    check_candles(asking.runs.lake)
    check_said(ended)
    check_made_up_for(asking, undisturbed)


@pytest.mark.parametrize("fault", faults_of(fault for fault in Fault if fault not in HARMLESS))
def test_where_every_request_fails_a_run_gives_up_after_a_few(asking: Asking, fault: Fault) -> None:
    ended = asking.run(Faults.always(fault))
    assert set(asking.api.outcomes) == {fault}
    # Its state, which need not be known, and then series.
    assert len(asking.api.requests) <= ATTEMPTS * (1 + IN_A_ROW + CONNECTIONS)
    [(_, of_all)] = [one for one in ended.failures if one[0] == "Kraken's API"]
    assert "Given up" in of_all
    assert "\n" not in of_all
    assert lake_contents(asking.runs.lake) == {}
    check_said(ended)


@pytest.mark.parametrize("fault", faults_of(fault for fault in Fault if fault not in HARMLESS))
def test_what_fails_less_often_than_it_is_tried_is_not_missed(
    asking: Asking, undisturbed: dict[Series, pl.DataFrame], fault: Fault
) -> None:
    """One connection at a time, so that the faults befall one thing."""
    ended = asking.with_settings(connections=1).run(Faults.first(fault, fault, None, fault, fault, None, fault, fault))
    assert asking.api.outcomes[fault] == 6
    assert ended.failures == ()
    assert_same_lake(lake_contents(asking.runs.lake), undisturbed)


def test_an_answer_beyond_all_measure_is_not_taken_in(tmp_path: Path) -> None:
    """Sound JSON, after blanks without end."""
    told = json.dumps({"error": [], "result": {"status": "online", "timestamp": "2024-04-20T06:17:23Z"}}).encode()

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Length", str(5_000_000 + len(told)))])
        return [b" " * 5_000_000 + told]

    with serve(app) as server:
        ended = Runs(tmp_path, SELECTION, NOW, settings_of(server.url)).ingest()
    assert ended.failures
    assert all("an answer of more than 4 MB" in why for _, why in ended.failures)


def test_an_exchange_in_maintenance_is_not_asked_for_candles_and_the_next_run_makes_up_for_it(
    asking: Asking, undisturbed: dict[Series, pl.DataFrame]
) -> None:
    asking.api.status = Status.MAINTENANCE
    try:
        ended = asking.run()
    finally:
        asking.api.status = Status.ONLINE
    assert [label for label, _ in ended.failures] == ["Kraken's API"]
    assert "maintenance" in ended.failures[0][1]
    assert {request.path for request in asking.api.requests} == {"/0/public/SystemStatus"}
    assert asking.run().failures == ()
    assert_same_lake(lake_contents(asking.runs.lake), undisturbed)


def test_a_market_that_is_gone_is_told_once_and_its_candles_stay(tmp_path: Path) -> None:
    api = SandboxApi(EXCHANGE, lambda: NOW)
    with serve(api) as server:
        asking = Asking(Runs(tmp_path, SELECTION, NOW, settings_of(server.url)), api)
        asking.run()
        before, covered = lake_contents(asking.runs.lake), coverage_rows()
        api.delist("ETHEUR")
        # Every series of it has closed slots to ask for.
        asking.runs = asking.runs.at(NOW + timedelta(minutes=1))
        told = asking.told(Faults.every(0.2, seed=2))
        noticed = [event.text for event in told if isinstance(event, Noticed) and "ETHEUR" in event.text]
        assert noticed == ["ETHEUR: Kraken no longer lists it; it is not asked for until sync_markets finds it again"]
        assert not Market.objects.get(altname="ETHEUR").is_listed
        after = lake_contents(asking.runs.lake)
        gone = {series: rows for series, rows in before.items() if series.market == "ETHEUR"}
        assert_same_lake({series: after[series] for series in gone}, gone)
        of_gone = [row for row in covered if row[0] == "ETHEUR"]
        assert [row for row in coverage_rows() if row[0] == "ETHEUR"] == of_gone
        asking.run()
        assert "ETHEUR" not in {request.query.get("pair") for request in api.requests}
