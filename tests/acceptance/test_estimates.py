"""What a walk over trades is said to take, before it begins, is within a factor of two of what it takes.

Where it lasts an hour, or a few, luck counts for much: within a week one may see six times as many trades as another.
"""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from chandlery.candles.interval import EPOCH, Interval
from chandlery.candles.timerange import TimeRange
from chandlery.sandbox.exchange import SandboxExchange
from chandlery.sandbox.market import SandboxMarket
from tests.acceptance.in_process import forgotten
from tests.acceptance.walks import Walking, walking
from tests.candles.builders import at, between

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
#: Of what came before a gap, so much is in the lake where the ledger cannot be had.
STORED = timedelta(days=7)
NOW = at("2024-07-09 06:17") + timedelta(seconds=23)


def market(name: str, share: float, depth: float) -> SandboxMarket:
    listed = at("2023-09-20 10:07")
    return SandboxMarket(name, f"{name[:3]}/USD", name[:3], "ZUSD", listed=listed, share=share, depth=depth)


#: From 5,000 trades a day to 5.
EXCHANGE = SandboxExchange(
    cast=(
        market("XBTUSD", 0.95, 3),
        market("ETHUSD", 0.5, 2),
        market("ADAUSD", 0.2, 1),
        market("DOTUSD", 0.02, 1),
        market("SOLUSD", 0.002, 0.5),
    ),
    outages=(),
)
#: Long closed: no week of them is the newest. Of a long one there is one, of a short one some at several hours.
GAPS = [
    between("2024-06-11 04:00", "2024-06-11 05:00"),
    between("2024-06-13 15:30", "2024-06-13 16:30"),
    between("2024-06-15 21:00", "2024-06-16 03:00"),
    between("2024-06-10", "2024-06-11"),
    between("2024-06-05 13:20", "2024-06-15 08:43"),
    pytest.param(between("2024-03-10 08:00", "2024-06-18 08:00"), marks=pytest.mark.slow),
]
#: From so long ago up to the newest minute, where a page has to say that nothing follows. The API's window answers the
#: last 12 hours, so that no gap that is walked is much shorter.
AGO = [18 * HOUR, 1 * DAY, 2 * DAY, 7 * DAY, 30 * DAY]


def name_of(value: object) -> str | None:
    return str(value.length if isinstance(value, TimeRange) else value)


@pytest.fixture(scope="module")
def with_ledger() -> Iterator[Walking]:
    with walking(EXCHANGE, NOW) as found:
        yield found


@pytest.fixture(scope="module")
def without_ledger() -> Iterator[Walking]:
    with walking(EXCHANGE, NOW, ledger=False) as found:
        yield found


def check(world: Walking, gap: TimeRange, folder: pytest.TempPathFactory, stored: timedelta | None = None) -> None:
    with forgotten():
        walks = world.over(gap, folder.mktemp("home"), stored=stored)
    assert [walk for walk in walks if not walk.is_as_told] == [], walks


def up_to_now(ago: timedelta) -> TimeRange:
    newest = Interval.M1.floor(NOW)
    return TimeRange(newest - ago, newest)


@pytest.mark.parametrize("gap", GAPS, ids=name_of)
def test_the_ledger_tells_it_of_any_gap(
    with_ledger: Walking, gap: TimeRange, tmp_path_factory: pytest.TempPathFactory
) -> None:
    check(with_ledger, gap, tmp_path_factory)


@pytest.mark.parametrize("ago", AGO, ids=name_of)
def test_the_ledger_tells_it_of_the_newest_time(
    with_ledger: Walking, ago: timedelta, tmp_path_factory: pytest.TempPathFactory
) -> None:
    check(with_ledger, up_to_now(ago), tmp_path_factory)


@pytest.mark.parametrize("gap", GAPS, ids=name_of)
def test_without_the_ledger_candles_nearby_tell_it_of_any_gap(
    without_ledger: Walking, gap: TimeRange, tmp_path_factory: pytest.TempPathFactory
) -> None:
    check(without_ledger, gap, tmp_path_factory, STORED)


@pytest.mark.parametrize("ago", AGO, ids=name_of)
def test_without_the_ledger_candles_nearby_tell_it_of_the_newest_time(
    without_ledger: Walking, ago: timedelta, tmp_path_factory: pytest.TempPathFactory
) -> None:
    check(without_ledger, up_to_now(ago), tmp_path_factory, STORED)


@pytest.mark.parametrize("name", ["ADAUSD", "DOTUSD"])
def test_a_trade_in_the_running_minute_ends_a_walk_sooner(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whether there is one is luck: what is told is within a factor of two with it as without it."""
    trades = EXCHANGE.trades(name, TimeRange(NOW - DAY, NOW))["time"]
    just_now = EPOCH + timedelta(microseconds=int(trades.to_physical()[-1]) // 1000) + timedelta(milliseconds=1)

    with walking(EXCHANGE.only(name), just_now) as world:
        newest = Interval.M1.floor(just_now)
        check(world, TimeRange(newest - 13 * HOUR, newest), tmp_path_factory)
