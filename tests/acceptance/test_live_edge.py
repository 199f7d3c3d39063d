"""Archives up to the last quarter, then the API: every slot has the verdict, every candle the values of the truth."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import hypothesis
import polars as pl
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from chandlery.candles.frame import PRICES
from chandlery.candles.interval import Interval
from chandlery.candles.timerange import TimeRange
from chandlery.exchanges.kraken.api.settings import ApiSettings
from chandlery.models import DataCoverageRange
from chandlery.pipeline.events import Event, JobEnded, Noticed
from chandlery.pipeline.request import Selection
from chandlery.sandbox.archives import write_archive
from chandlery.sandbox.editions import Container, Edition, Shape
from chandlery.sandbox.exchange import SandboxExchange
from chandlery.sandbox.market import SandboxMarket
from chandlery.sandbox.ohlc import QuietRows, Quirks
from chandlery.sandbox.rest import SandboxApi
from chandlery.sandbox.server import serve
from tests.acceptance.against_truth import check_report, check_verdicts
from tests.acceptance.commands import Commands
from tests.acceptance.edge_truth import EdgeTruth
from tests.acceptance.in_process import Runs, forgotten, lake_contents, lake_rows
from tests.candles.builders import at, between
from tests.sandbox.asked import Hands

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

#: A busy one, one that is listed while the archive's quarter runs, one that is listed half a day before NOW, and one
#: that has gone since the quarter ended.
BUSY = SandboxMarket("XBTUSD", "XBT/USD", "XXBT", "ZUSD", listed=at("2024-05-20 10:07"), share=0.5, depth=1)
THIN = SandboxMarket("ETHEUR", "ETH/EUR", "XETH", "ZEUR", listed=at("2024-06-14 10:07"), share=0.05, depth=0.5)
YOUNG = SandboxMarket("SOLUSD", "SOL/USD", "SOL", "ZUSD", listed=at("2024-08-20 03:11"), share=0.1, depth=0.5)
GONE = SandboxMarket(
    *("ADAUSD", "ADA/USD", "ADA", "ZUSD"), listed=at("2024-05-21"), delisted=at("2024-07-15 14:00"), share=0.05
)
ALL = SandboxExchange(cast=(BUSY, THIN, YOUNG, GONE), outages=())
THREE = ALL.only("ETHEUR", "SOLUSD", "ADAUSD")
TWO = ALL.only("ETHEUR", "SOLUSD")
ONE = ALL.only("ETHEUR")
ORIGIN, UNTIL = at("2024-06-01"), at("2025-01-01")
NOW = at("2024-08-20 14:07") + timedelta(seconds=23)
EVERY = tuple(Interval)
M1, M5, M15, M30, M60, M240, M720, M1440 = Interval
SIX = tuple(interval for interval in EVERY if interval not in (M30, M240))

ARCHIVES = {
    "none": [],
    "complete": [Edition.complete("2024Q2")],
    "complete with six intervals": [Edition.complete("2024Q2", intervals=SIX)],
    "quarterly": [Edition.quarterly("2024Q2")],
    "loose": [Edition.loose(between("2024-06-20", "2024-07-10"))],
    "loose up to the window": [Edition.loose(between("2024-08-01", "2024-08-20"))],
    "complete and loose": [Edition.complete("2024Q2"), Edition.loose(between("2024-06-20", "2024-07-10"))],
}


@dataclass
class Edge:
    """One lake that is kept current: a sandbox that is asked, runs of the pipeline, and what they must bring about."""

    runs: Runs
    truth: EdgeTruth
    api: SandboxApi
    hands: Hands
    editions: list[Edition] = field(default_factory=list)
    archives: list[Path] = field(default_factory=list)

    def publish(self, *editions: Edition) -> None:
        for edition in editions:
            shape = Shape() if edition.quarter is not None else Shape(Container.LOOSE)
            folder = self.runs.home / "archives" / str(edition.quarter or "loose")
            self.archives.append(write_archive(self.truth.exchange, edition, folder, shape).path)
            self.editions.append(edition)

    def run(self, intervals: Sequence[Interval], now: datetime | None = None, **how: bool) -> list[Event]:
        """One run, and everything that must hold after it."""
        self.hands.now = now or self.hands.now
        self.api.forget_requests()
        asking = replace(self.runs.selection, intervals=tuple(intervals))
        runs = self.runs = self.runs.of(asking).at(self.hands.now)
        gone = set(self.truth.gone)
        told = runs.told(*self.archives, **how)
        self.truth.run(self.hands.now, intervals, self.editions)
        self.check()
        self.check_requests(gone)
        return told

    def check(self) -> None:
        now, asked = self.hands.now, self.runs.selection.intervals
        series = [self.truth.series(market, i, now) for market in self.truth.exchange.names for i in asked]
        for one in series:
            check_verdicts(self.runs, one)
        check_report(self.runs.report(), series)
        check_candles(self.runs, self.truth, now)
        check_settled(self.runs, self.truth, now)

    def check_requests(self, gone: set[str]) -> None:
        """Each series was asked for once at most, and a market that the exchange does not know not at all."""
        asked = [(r.query["pair"], r.query["interval"]) for r in self.api.requests if r.path.endswith("/OHLC")]
        assert len(asked) == len(set(asked)), asked
        assert not gone & {market for market, _ in asked}


def check_candles(runs: Runs, truth: EdgeTruth, now: datetime) -> None:
    """Every candle of the lake is that of the truth; of the series asked for, none is missing and none too many."""
    for series, rows in lake_contents(runs.lake).items():
        first, last = rows["timestamp"][0], rows["timestamp"][-1]
        within = TimeRange(
            first.replace(tzinfo=ORIGIN.tzinfo), last.replace(tzinfo=ORIGIN.tzinfo) + series.interval.delta
        )
        true = truth.exchange.candles(series.market, series.interval, within)
        met = rows.join(true, on="timestamp", suffix="_true", how="left", maintain_order="left")
        wrong = met.filter(
            pl.any_horizontal(*(pl.col(c).ne_missing(pl.col(f"{c}_true")) for c in (*PRICES, "trades")))
            | ((pl.col("volume") / pl.col("volume_true") - 1).abs() > pl.when("derived").then(1e-9).otherwise(0.0))
        )
        assert wrong.is_empty(), (series, wrong)
        if series.interval in runs.selection.intervals:
            expected = truth.series(series.market, series.interval, now).rows["timestamp"]
            stored = rows.filter(pl.col("timestamp") >= ORIGIN)["timestamp"]
            assert stored.to_list() == expected.to_list(), series


def check_settled(runs: Runs, truth: EdgeTruth, now: datetime) -> None:
    """Of what the API can still tell only the newest three slots are open to change."""
    asked = runs.selection.intervals
    for row in DataCoverageRange.objects.filter(provisional=True, interval_minutes__in=asked).select_related("market"):
        interval = Interval(row.interval_minutes)
        told = None if row.market.altname in truth.gone else truth.window(row.market.altname, interval, now)
        old = TimeRange.maybe(told.start, now - 4 * interval.delta) if told else None
        assert old is None or not old.overlaps(row.range), row


@contextmanager
def edge_of(home: Path, exchange: SandboxExchange, quirks: Quirks | None = None, now: datetime = NOW) -> Iterator[Edge]:
    hands, quirks = Hands(now), quirks or Quirks()
    api = SandboxApi(exchange, hands, quirks=quirks, monotonic=hands.seconds)
    with serve(api) as server:
        asked = Selection(EVERY, markets=exchange.names, start=ORIGIN)
        settings = ApiSettings(base_url=server.url, rate=0, retry_wait=0)
        yield Edge(Runs(home, asked, now, settings), EdgeTruth(exchange, ORIGIN, UNTIL, quirks), api, hands)


def goes_on(home: Path, exchange: SandboxExchange, archives: str, quiet: QuietRows) -> None:
    """Three runs: the first, one at the same time, and one eleven minutes later."""
    with edge_of(home, exchange, Quirks(quiet)) as edge:
        edge.publish(*ARCHIVES[archives])
        edge.run(EVERY)
        edge.run(EVERY)
        edge.run(EVERY, edge.hands.now + timedelta(minutes=11))


@pytest.mark.parametrize(("archives", "quiet"), [("complete", QuietRows.FLAT), ("none", QuietRows.ABSENT)])
def test_all_intervals_have_the_verdicts_of_the_truth(home: Path, archives: str, quiet: QuietRows) -> None:
    goes_on(home, THREE, archives, quiet)


@pytest.mark.slow
@pytest.mark.parametrize("archives", ARCHIVES)
def test_whatever_archives_there_are(home: Path, archives: str) -> None:
    goes_on(home, ALL, archives, QuietRows.MIXED)


@pytest.mark.parametrize("interval", [M1, M30, M720, M1440])
def test_one_interval_alone(home: Path, interval: Interval) -> None:
    with edge_of(home, TWO) as edge:
        edge.publish(Edition.complete("2024Q2"))
        edge.run([interval])
        edge.run([interval], NOW + timedelta(days=1, hours=3))


@pytest.mark.slow
@pytest.mark.parametrize("quiet", list(QuietRows))
@pytest.mark.parametrize(
    "steps",
    [
        (timedelta(seconds=37), timedelta(minutes=1), timedelta(minutes=4), timedelta(minutes=16)),
        (timedelta(hours=1), timedelta(hours=11, minutes=58), timedelta(hours=12, minutes=1)),
        (timedelta(days=1), timedelta(days=2, hours=13), timedelta(days=8)),
        (timedelta(days=16), timedelta(days=31), timedelta(minutes=10)),
    ],
    ids=["minutes", "hours", "days", "a month"],
)
def test_as_time_goes_on(home: Path, steps: tuple[timedelta, ...], quiet: QuietRows) -> None:
    with edge_of(home, TWO, Quirks(quiet)) as edge:
        edge.publish(Edition.complete("2024Q2"))
        edge.run(EVERY)
        for step in steps:
            edge.run(EVERY, edge.hands.now + step)


@pytest.mark.slow
def test_a_quarter_that_is_published_later_closes_the_hole(home: Path) -> None:
    with edge_of(home, TWO) as edge:
        edge.publish(Edition.complete("2024Q2"))
        edge.run(EVERY)
        edge.run(EVERY, at("2024-10-25 09:30"))
        edge.publish(Edition.quarterly("2024Q3"))
        edge.run(EVERY, at("2024-11-20 22:59"))


STEPS = st.one_of(
    st.timedeltas(timedelta(0), timedelta(minutes=20)),
    st.timedeltas(timedelta(0), timedelta(hours=30)),
    st.timedeltas(timedelta(0), timedelta(days=25)),
)
#: 240 is what 720 is asked for as: whether it was, or 720 made of something finer, makes a difference only later.
ASKED = st.sets(st.sampled_from(EVERY), min_size=1, max_size=4).map(
    lambda chosen: tuple(sorted(chosen | ({M240} if M720 in chosen else set())))
)


@pytest.mark.slow
@hypothesis.settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(quiet=st.sampled_from(QuietRows), runs=st.lists(st.tuples(STEPS, ASKED), min_size=2, max_size=4))
def test_whatever_is_asked_whenever(
    tmp_path_factory: pytest.TempPathFactory, quiet: QuietRows, runs: list[tuple[timedelta, tuple[Interval, ...]]]
) -> None:
    with forgotten(), edge_of(tmp_path_factory.mktemp("home"), TWO, Quirks(quiet)) as edge:
        edge.publish(Edition.complete("2024Q2"))
        for step, asked in runs:
            edge.run(asked, edge.hands.now + step)


@pytest.mark.parametrize("asked", [(M1, M60, M1440), EVERY], ids=["three", "all"])
def test_what_was_revised_is_true_after_the_next_run(home: Path, asked: tuple[Interval, ...]) -> None:
    """Asked just after midnight, when the newest candle of every width still lacks its last trades."""
    with edge_of(home, ONE, Quirks(revises_after=timedelta(seconds=40)), at("2024-08-20 00:00:10")) as edge:
        edge.runs = edge.runs.of(replace(edge.runs.selection, intervals=asked))
        edge.runs.told()
        edge.run(asked, at("2024-08-20 00:00:50"))


@pytest.mark.slow
@hypothesis.settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(steps=st.lists(st.timedeltas(timedelta(0), timedelta(hours=11)), min_size=1, max_size=3))
def test_whatever_was_revised_between_runs_is_true_in_the_end(
    tmp_path_factory: pytest.TempPathFactory, steps: list[timedelta]
) -> None:
    """Each run asks in the moment in which a slot of every width up to an hour has just closed."""
    quirks = Quirks(revises_after=timedelta(seconds=40))
    with forgotten(), edge_of(tmp_path_factory.mktemp("home"), ONE, quirks, at("2024-08-20 00:00:10")) as edge:
        for step in [timedelta(0), *steps]:
            hour = (edge.hands.now + step).replace(minute=0, second=10, microsecond=0)
            edge.hands.now = max(edge.hands.now, hour)
            edge.runs = edge.runs.at(edge.hands.now)
            edge.runs.told()
            edge.truth.run(edge.hands.now, EVERY)
        edge.run(EVERY, edge.hands.now + timedelta(seconds=40))


@pytest.mark.parametrize("seconds", [50, 70, 600])
def test_a_day_that_was_derived_from_a_revised_candle_is_derived_again(home: Path, seconds: int) -> None:
    with edge_of(home, ONE, Quirks(revises_after=timedelta(seconds=40)), at("2024-08-20 00:00:10")) as edge:
        edge.publish(Edition.loose(between("2024-08-19", "2024-08-20")))
        edge.runs.of(replace(edge.runs.selection, intervals=(M240, M720))).told()
        edge.truth.run(edge.hands.now, (M240, M720))
        edge.run((M240, M720), at("2024-08-20") + timedelta(seconds=seconds))


def test_a_market_that_the_exchange_no_longer_knows_is_told_and_not_asked_for_again(home: Path) -> None:
    with edge_of(home, ALL.only("ETHEUR", "ADAUSD")) as edge:
        first = edge.run((M60, M1440))
        [ended] = [event for event in first if isinstance(event, JobEnded)]
        [noticed] = [event.text for event in first if isinstance(event, Noticed)]

        assert noticed.startswith("ADAUSD: Kraken no longer lists it")
        assert (ended.status, ended.failures) == ("COMPLETED", ())
        assert "ADAUSD" in {request.query["pair"] for request in edge.api.requests if request.path.endswith("/OHLC")}

        edge.run((M60, M1440), NOW + timedelta(hours=2))
        assert {r.query["pair"] for r in edge.api.requests if r.path.endswith("/OHLC")} == {"ETHEUR"}


def test_the_command_over_all_intervals(fresh: Commands, tmp_path: Path) -> None:
    """The same by the real command, workers and all, in a database of its own."""
    cast, hands = THREE, Hands(NOW)
    api = SandboxApi(cast, hands, monotonic=hands.seconds)
    edition = Edition.complete("2024Q2")
    archive = write_archive(cast, edition, tmp_path / "archives").path
    truth = EdgeTruth(cast, ORIGIN, UNTIL)
    asked = ("--markets", ",".join(cast.names), "--intervals", ",".join(str(int(i)) for i in EVERY))
    options = ("--source", archive, *asked, "--start-date", "2024-06-01", "--json", "--yes")
    with serve(api) as server:
        for moment in (NOW, NOW + timedelta(hours=7)):
            hands.now = moment
            clock = f"{moment:%Y-%m-%dT%H:%M:%SZ}"
            done = fresh("ingest_kraken_unified", *options, KRAKEN_API=server.url, KRAKEN_RATE="0", CLOCK=clock)
            truth.run(moment, EVERY, [edition])

            assert done.status == 0, done.err
            check_report(
                json.loads(done.out), [truth.series(market, i, moment) for market in cast.names for i in EVERY]
            )
            for market in cast.names:
                for interval in EVERY:
                    stored = lake_rows(fresh.lake, market, interval)
                    expected = truth.series(market, interval, moment).rows.drop("volume")
                    if stored.height or expected.height:
                        stored = stored.filter(pl.col("timestamp") >= ORIGIN).select(expected.columns)
                        assert stored.equals(expected)
