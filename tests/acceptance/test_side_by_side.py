"""Two runs at once on one state leave what they would have left one after the other."""

from collections.abc import Iterator
from datetime import UTC
from pathlib import Path

import polars as pl
import pytest

from chandlery.candles.series import Series
from chandlery.candles.timerange import TimeRange
from chandlery.sandbox.rest import SandboxApi
from chandlery.sandbox.server import serve
from tests.acceptance.against_truth import assert_same_lake
from tests.acceptance.deployments import SERVERS, Deployment
from tests.acceptance.survival import EXCHANGE, MAIN, NOW, Gate, archive_in, assert_tidy, jobs_in, left_in, ran, started
from tests.acceptance.walked import check_rows
from tests.databases import Row, queried

pytestmark = pytest.mark.slow

COMMON = ("--workers", "1", "--yes", "-v", "2")
#: No market is in both.
TIERS = '[tiers]\nTIER1 = ["BTC"]\nTIER2 = ["ADA"]\n'
DISJOINT = (("--tier", "TIER1", "--intervals", "5,60,1440"), ("--tier", "TIER2", "--intervals", "5,60,1440"))
#: The same markets; what is derived of hours is no interval of the other.
INTERWOVEN = (
    ("--markets", ",".join(EXCHANGE.names), "--intervals", "60,240"),
    ("--markets", ",".join(EXCHANGE.names), "--intervals", "5,15"),
)

#: What belongs to a market as a whole, and to the exchange.
_SHARED = {
    "audits": "select altname, whole, due from chandlery_candleaudit join chandlery_market m on market_id = m.id",
    "outages": 'select exchange, start, "end", markets from chandlery_outage',
    "findings": 'select altname, interval_minutes, kind, start, "end", f.state from chandlery_qualityfinding f '
    "join chandlery_market m on market_id = m.id",
    "releases": "select name, rank, complete, whole from chandlery_archiverelease",
}


@pytest.fixture(scope="module")
def exchange() -> Iterator[tuple[Gate, str]]:
    gate = Gate(SandboxApi(EXCHANGE, lambda: NOW))
    with serve(gate) as server:
        yield gate, server.url
        gate.open()


def shared(home: Path) -> dict[str, list[Row]]:
    return {name: sorted(queried(home, query), key=repr) for name, query in _SHARED.items()}


def both_at_once(
    home: Path, exchange: tuple[Gate, str], asked: tuple[tuple[str, ...], tuple[str, ...]], **environment: str
) -> str:
    """All that they said."""
    gate, url = exchange
    with (
        gate.held(0),
        started(home, url, MAIN, *asked[0], *COMMON, **environment) as first,
        started(home, url, MAIN, *asked[1], *COMMON, **environment) as second,
    ):
        # Both have begun, and neither has recorded an answer: from here on they write at the same time.
        gate.wait_for(2)
        gate.open()
        assert (first.ended(), second.ended()) == (0, 0), first.text + second.text
    assert [status for _, status in jobs_in(home)] == ["COMPLETED", "COMPLETED"]
    assert_tidy(home)
    return first.text + second.text


def test_disjoint_tiers_at_once_leave_what_one_after_the_other_leaves(
    tmp_path: Path, exchange: tuple[Gate, str]
) -> None:
    tiers = tmp_path / "tiers.toml"
    tiers.write_text(TIERS)
    one_by_one, at_once = tmp_path / "one by one", tmp_path / "at once"
    for home in (one_by_one, at_once):
        archive_in(home)
    for words in DISJOINT:
        done = ran(one_by_one, exchange[1], MAIN, *words, *COMMON, TIERS_FILE=str(tiers))
        assert (done.status, done.err) == (0, "")
    both_at_once(at_once, exchange, DISJOINT, TIERS_FILE=str(tiers))
    (lake, state), (expected_lake, expected_state) = left_in(at_once), left_in(one_by_one)
    assert {series.market for series in lake} == {"ADAUSD", "XBTUSD"}
    assert_same_lake(lake, expected_lake)
    assert state == expected_state
    assert shared(at_once) == shared(one_by_one)


def test_of_other_intervals_of_the_same_markets_state_says_what_the_lake_holds(
    tmp_path: Path, exchange: tuple[Gate, str]
) -> None:
    home = tmp_path / "home"
    archive_in(home)
    both_at_once(home, exchange, INTERWOVEN)
    lake, state = left_in(home)
    counted = {(name, minutes): candles for name, minutes, *_, candles in state["days"]}
    assert counted == {(one.market, int(one.interval)): rows.height for one, rows in lake.items()}
    opens: dict[tuple[object, object], pl.Series] = {
        (one.market, int(one.interval)): rows["timestamp"].dt.strftime("%F %T") for one, rows in lake.items()
    }
    for name, minutes, start, end, *kind, candles in state["coverage"]:
        held = opens.get((name, minutes))
        inside = int(((held >= start) & (held < end)).sum()) if held is not None else 0
        assert candles == inside, (name, minutes, start, end, kind)
    # Whatever was changed by the one is audited, or due to be.
    assert len(shared(home)["audits"]) == len(EXCHANGE.names)


def truth_of(series: Series, stored: pl.DataFrame) -> pl.DataFrame:
    """Of the time since its first stored candle: of minutes the API tells the newest alone."""
    first = stored["timestamp"][0].replace(tzinfo=UTC)
    return EXCHANGE.truth(series, TimeRange(first, series.interval.floor(NOW)))


@pytest.mark.parametrize("deployment", [SERVERS], indirect=True)
def test_disjoint_tiers_at_once_on_servers_lose_no_candle(
    deployment: Deployment, exchange: tuple[Gate, str], tmp_path: Path
) -> None:
    tiers = tmp_path / "tiers.toml"
    tiers.write_text(TIERS)
    archive_in(deployment.home)

    both_at_once(deployment.home, exchange, DISJOINT, TIERS_FILE=str(tiers), **deployment.settings)

    stored = deployment.candles()
    assert {(one.market, int(one.interval)) for one in stored} == {
        (market, minutes) for market in ("ADAUSD", "XBTUSD") for minutes in (5, 60, 1440)
    }
    for series, rows in stored.items():
        check_rows(rows, truth_of(series, rows), str(series))
    counted = {(name, minutes): candles for name, minutes, *_, candles in counted_in(deployment.home)}
    assert counted == {(one.market, int(one.interval)): rows.height for one, rows in stored.items()}


@pytest.mark.parametrize("deployment", [SERVERS], indirect=True)
def test_of_two_on_the_same_series_on_servers_one_is_refused(
    deployment: Deployment, exchange: tuple[Gate, str]
) -> None:
    gate, url = exchange
    home, asked = deployment.home, (MAIN, *INTERWOVEN[0], *COMMON)
    archive_in(home)
    with gate.held(0), started(home, url, *asked, **deployment.settings) as first:
        gate.wait_for(1)
        second = ran(home, url, *asked, **deployment.settings)
        gate.open()
        assert first.ended() == 0, first.text
    assert (second.status, second.err.count("\n")) == (1, 1), second.err
    assert " being written by job " in second.err
    assert [status for _, status in jobs_in(home)] == ["COMPLETED"]


def counted_in(home: Path) -> list[Row]:
    """(market, minutes, candles) by what state knows."""
    return queried(
        home,
        "select altname, interval_minutes, candles from chandlery_tradeddays "
        "join chandlery_market m on market_id = m.id where candles > 0",
    )
