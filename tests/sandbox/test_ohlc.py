"""Windows of candles: what is served is the truth, but for what Kraken itself leaves out or serves too early."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from chandlery.candles.interval import EPOCH, Interval
from chandlery.candles.timerange import TimeRange
from chandlery.sandbox.exchange import SandboxExchange
from chandlery.sandbox.market import LOTS, SandboxMarket
from chandlery.sandbox.ohlc import WIDTHS
from chandlery.sandbox.quirks import QuietRows, Quirks
from chandlery.sandbox.rest import SandboxApi
from tests.candles.builders import at, between
from tests.sandbox.asked import SMALL, Hands, ask, candles_of, is_quiet, rows_of

NOW = at("2024-04-03 07:44:30")
API = SandboxApi(SMALL, Hands(NOW))
#: Daily candles have the widths that are whole days.
BASE = {width: Interval(min(width, 1440)) for width in WIDTHS}


def window(width: int, now: datetime) -> TimeRange:
    """The newest 720 slots that have closed."""
    length = timedelta(minutes=width)
    end = now - (now - EPOCH) % length
    return TimeRange(max(end - 720 * length, EPOCH), end)


def truth(exchange: SandboxExchange, altname: str, width: int, within: TimeRange) -> pl.DataFrame:
    """The candles of any width; weeks and fortnights are made of days."""
    fine = exchange.candles(altname, BASE[width], within)
    if width <= 1440:
        return fine
    slot = (pl.col("timestamp").dt.epoch("s") // (width * 60) * width * 60 * 1_000_000).cast(pl.Datetime("us", "UTC"))
    return (
        fine.group_by(slot.alias("timestamp"), maintain_order=True)
        .agg(
            pl.col("open").first(),
            pl.col("high").max(),
            pl.col("low").min(),
            pl.col("close").last(),
            (pl.col("volume") * LOTS).round().cast(pl.Int64).sum(),
            pl.col("trades").sum(),
        )
        .with_columns(pl.col("volume").map_batches(lambda lots: pl.Series(lots.to_numpy() / LOTS)))
    )


def opens(rows: Iterable[list[Any]]) -> list[int]:
    return [row[0] for row in rows]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("altname", SMALL.names)
def test_closed_rows_are_the_truth_at_every_interval(altname: str, width: int) -> None:
    rows = rows_of(API, altname, width)
    assert_frame_equal(
        candles_of(rows[:-1]), truth(SMALL, altname, width, window(width, NOW)), check_exact=True, check_dtypes=True
    )


@settings(max_examples=25)
@given(
    st.sampled_from(SMALL.names),
    st.sampled_from(WIDTHS[:6]),
    st.integers(0, 90 * 86_400_000 - 1).map(lambda ms: at("2024-02-15") + timedelta(milliseconds=ms)),
)
def test_at_any_moment_closed_rows_are_the_truth(altname: str, width: int, now: datetime) -> None:
    rows = rows_of(SandboxApi(SMALL, Hands(now)), altname, width)
    within = window(width, now)
    assert_frame_equal(candles_of(rows[:-1]), truth(SMALL, altname, width, within), check_exact=True)
    assert opens(rows)[-1] == int(within.end.timestamp())


def test_an_answer_is_720_closed_slots_and_the_forming_one_which_comes_last() -> None:
    for width in (1, 5, 15, 30, 60, 240):
        body = ask(API, "OHLC", pair="XBTUSD", interval=width)
        found = opens(body["result"]["XXBTZUSD"])
        forming = int(NOW.timestamp()) // (width * 60) * (width * 60)
        assert found == list(range(forming - 720 * width * 60, forming + 1, width * 60))
        assert body["result"]["last"] == forming - width * 60


def test_the_interval_is_one_minute_unless_asked_for() -> None:
    assert ask(API, "OHLC", pair="XBTUSD") == ask(API, "OHLC", pair="XBTUSD", interval=1)


def test_a_slot_is_closed_from_the_moment_at_which_it_ends() -> None:
    clock = Hands(at("2024-04-03 07:59:59"))
    api = SandboxApi(SMALL, clock)
    before = ask(api, "OHLC", pair="XBTUSD", interval=60)["result"]
    clock.pass_by(1)
    after = ask(api, "OHLC", pair="XBTUSD", interval=60)["result"]
    assert after["last"] - before["last"] == 3600
    assert opens(after["XXBTZUSD"])[-1] == int(at("2024-04-03 08:00").timestamp())


def test_a_market_listed_lately_begins_with_the_slot_of_its_first_trade() -> None:
    first = SMALL.first_trade("ETHEUR")
    assert first is not None
    for width in (240, 1440, 10_080, 21_600):
        rows = rows_of(API, "ETHEUR", width)
        assert rows[0][0] == int(first.timestamp()) // (width * 60) * (width * 60)
        assert rows[0][7] > 0


def test_a_market_that_has_not_traded_yet_has_no_rows() -> None:
    first = SMALL.first_trade("ETHEUR")
    assert first is not None
    api = SandboxApi(SMALL, Hands(first - timedelta(microseconds=1)))
    assert SMALL.market("ETHEUR").listed < first
    assert rows_of(api, "ETHEUR", 1) == []


@pytest.mark.parametrize("width", [1, 60, 1440, 10_080])
def test_the_forming_candle_has_the_trades_up_to_now(width: int) -> None:
    minutes = SMALL.candles("XBTUSD", Interval.M1, between("2024-04-03", "2024-04-04"))
    now = minutes.filter(pl.col("trades") > 5)["timestamp"][9].replace(tzinfo=UTC) + timedelta(seconds=45)
    start = window(width, now).end
    trades = SMALL.trades("XBTUSD", TimeRange(start, now))
    forming = rows_of(SandboxApi(SMALL, Hands(now)), "XBTUSD", width)[-1]
    assert forming[0] == int(start.timestamp())
    assert [float(price) for price in forming[1:5]] == [
        trades["price"][0],
        trades["price"].max(),
        trades["price"].min(),
        trades["price"][-1],
    ]
    assert forming[6] == f"{trades['volume'].sum():.8f}"
    assert forming[7] == trades.height


def test_the_forming_candle_grows_to_what_it_is_when_closed() -> None:
    clock = Hands(at("2024-04-03 07:00"))
    api = SandboxApi(SMALL, clock)
    counted = []
    for _ in range(6):
        counted.append(rows_of(api, "XBTUSD", 60)[-1][7])
        clock.pass_by(719.999)
    assert counted[0] == 0
    assert counted == sorted(counted)
    assert rows_of(api, "XBTUSD", 60)[-2][7] >= counted[4] > counted[1] > 0


def test_the_average_price_is_that_of_the_trades() -> None:
    rows = rows_of(API, "XBTUSD", 60)
    slot = EPOCH + timedelta(seconds=rows[700][0])
    trades = SMALL.trades("XBTUSD", TimeRange(slot, slot + timedelta(hours=1)))
    average = trades.select((pl.col("price") * pl.col("volume")).sum() / pl.col("volume").sum()).item()
    assert float(rows[700][5]) == pytest.approx(average, abs=0.051)


@pytest.mark.parametrize("width", WIDTHS)
def test_the_average_price_lies_between_low_and_high(width: int) -> None:
    for altname in SMALL.names:
        traded = [row for row in rows_of(API, altname, width) if row[7]]
        assert traded
        assert all(float(low) <= float(average) <= float(high) for _, _, high, low, _, average, _, _ in traded)


# -------------------------------------------------------------------------------------------------- weeks, fortnights

#: Older than 720 weeks, and than 720 times fifteen days it is not.
OLD = SandboxMarket(
    "OLDUSD", "OLD/USD", "OLD", "ZUSD", listed=at("2009-05-06 07:08"), share=0.01, depth=1, size=300, volatility=0.0005
)
LONG_AGO = SandboxExchange(cast=(OLD,), outages=(between("2012-02-02", "2012-02-10"),))


def sums_of(exchange: SandboxExchange, altname: str, width: int) -> dict[int, tuple[float, int]]:
    """Volume and number of all trades up to now, of each slot of so many minutes that opens before the forming one."""
    minutes = exchange.candles(altname, Interval.M1, TimeRange(at("2009-01-01"), window(width, NOW).end))
    slots = (pl.col("timestamp").dt.epoch("s") // (width * 60) * (width * 60)).alias("slot")
    sums = minutes.group_by(slots).agg(pl.col("volume").sum(), pl.col("trades").sum())
    return {slot: (volume, trades) for slot, volume, trades in sums.iter_rows()}


@pytest.mark.parametrize("width", [10_080, 21_600])
@pytest.mark.parametrize(("exchange", "altname"), [(LONG_AGO, "OLDUSD"), (SMALL, "XBTUSD")])
def test_a_week_counts_the_trades_and_the_volume_of_its_minutes(
    exchange: SandboxExchange, altname: str, width: int
) -> None:
    rows = rows_of(SandboxApi(exchange, Hands(NOW)), altname, width)[:-1]
    sums = sums_of(exchange, altname, width)
    assert {row[0]: row[7] for row in rows if row[7]} == {
        slot: trades for slot, (_, trades) in sums.items() if slot >= rows[0][0]
    }
    assert [float(row[6]) for row in rows if row[7]] == [
        pytest.approx(sums[row[0]][0], rel=1e-12, abs=1e-12) for row in rows if row[7]
    ]


def test_weeks_open_on_thursdays_and_the_last_row_is_the_forming_one() -> None:
    body = ask(SandboxApi(LONG_AGO, Hands(NOW)), "OHLC", pair="OLDUSD", interval=10_080)["result"]
    found = opens(body["OLDUSD"])
    forming = int(at("2024-03-28").timestamp())
    week = 7 * 86_400
    assert found == list(range(forming - 720 * week, forming + week, week))
    assert {(EPOCH + timedelta(seconds=seconds)).strftime("%a %H:%M") for seconds in found} == {"Thu 00:00"}
    assert body["last"] == forming - week


def test_a_window_wider_than_a_life_begins_with_the_first_trade() -> None:
    first = LONG_AGO.first_trade("OLDUSD")
    assert first is not None
    rows = rows_of(SandboxApi(LONG_AGO, Hands(NOW)), "OLDUSD", 21_600)
    length = 21_600 * 60
    assert rows[0][0] == int(first.timestamp()) // length * length
    assert rows[0][7] > 0
    assert opens(rows) == list(range(rows[0][0], int(NOW.timestamp()), length))
    assert len(rows) < 720


def test_weeks_are_those_of_the_book_that_is_asked_for() -> None:
    revised = LONG_AGO.revised(between("2015-01-01", "2015-01-08"))
    before, after = (rows_of(SandboxApi(told, Hands(NOW)), "OLDUSD", 10_080) for told in (LONG_AGO, revised))
    (changed,) = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert changed[0][0] == int(at("2015-01-01").timestamp())
    assert changed[0][7] < changed[1][7]


# -------------------------------------------------------------------------------------------------------- quiet slots


def test_quiet_slots_are_flat_rows_at_the_last_price() -> None:
    rows = rows_of(API, "ETHEUR", 1)
    quiet = [(before, row) for before, row in pairwise(rows) if row[7] == 0]
    assert len(quiet) > 500
    assert all(is_quiet(row, before[4]) for before, row in quiet)


def test_a_window_begins_quietly_with_the_last_price_before_it() -> None:
    api = SandboxApi(SMALL, Hands(at("2024-02-11 01:00:30")))
    rows = rows_of(api, "XBTUSD", 1)
    last = SMALL.trades("XBTUSD", between("2024-02-10 20:00", "2024-02-10 21:30"))["price"][-1]
    assert is_quiet(rows[-1], f"{last:.1f}")
    long = replace(SMALL, outages=(between("2024-02-10 21:30", "2024-02-12"),))
    rows = rows_of(SandboxApi(long, Hands(at("2024-02-11 22:00:30"))), "XBTUSD", 1)
    assert len(rows) == 721
    assert all(is_quiet(row, f"{last:.1f}") for row in rows)


def test_quiet_slots_may_be_absent() -> None:
    api = SandboxApi(SMALL, Hands(NOW), quirks=Quirks(QuietRows.ABSENT))
    rows, full = rows_of(api, "ETHEUR", 1), rows_of(API, "ETHEUR", 1)
    assert rows == [row for row in full if row[7]]
    assert 0 < len(rows) < 200
    assert ask(api, "OHLC", pair="ETHEUR")["result"]["last"] == ask(API, "OHLC", pair="ETHEUR")["result"]["last"]


def test_quiet_slots_may_be_now_there_and_now_not_and_always_the_same_ones() -> None:
    clock = Hands(NOW)
    api = SandboxApi(SMALL, clock, quirks=Quirks(QuietRows.MIXED))
    rows, full = rows_of(api, "ETHEUR", 1), rows_of(API, "ETHEUR", 1)
    assert [row for row in rows if row[7]] == [row for row in full if row[7]]
    quiet = [row for row in full if not row[7]]
    assert 0.4 < sum(row in rows for row in quiet) / len(quiet) < 0.6
    assert all(row in full for row in rows)
    clock.pass_by(3600)
    later = rows_of(api, "ETHEUR", 1)
    assert [row for row in later if row[0] < rows[-1][0]] == [row for row in rows if later[0][0] <= row[0]][:-1]


# ---------------------------------------------------------------------------------------------------------------- since


def test_an_older_since_is_silently_cut() -> None:
    assert rows_of(API, "XBTUSD", 60, since=0) == rows_of(API, "XBTUSD", 60)
    assert rows_of(API, "XBTUSD", 60, since=1_600_000_000) == rows_of(API, "XBTUSD", 60)


def test_a_later_since_leaves_what_opens_after_it() -> None:
    full = ask(API, "OHLC", pair="XBTUSD", interval=60)["result"]
    part = ask(API, "OHLC", pair="XBTUSD", interval=60, since=full["XXBTZUSD"][700][0])["result"]
    assert part == {"XXBTZUSD": full["XXBTZUSD"][701:], "last": full["last"]}


def test_paging_by_last_gives_the_forming_row_for_ever() -> None:
    last = ask(API, "OHLC", pair="XBTUSD")["result"]["last"]
    again = ask(API, "OHLC", pair="XBTUSD", since=last)["result"]
    assert again["last"] == last
    assert len(again["XXBTZUSD"]) == 1


# ---------------------------------------------------------------------------------------------------- late revisions


def test_the_newest_closed_candle_lacks_its_last_trades_until_it_is_revised() -> None:
    clock = Hands(at("2024-04-03 08:00"))
    api = SandboxApi(SMALL, clock, quirks=Quirks(revises_after=timedelta(seconds=30)))
    (right,) = SMALL.candles("XBTUSD", Interval.M60, between("2024-04-03 07:00", "2024-04-03 08:00")).rows()
    early = rows_of(api, "XBTUSD", 60)[-2]
    clock.pass_by(29.999)
    assert rows_of(api, "XBTUSD", 60)[-2] == early
    clock.pass_by(0.001)
    late = rows_of(api, "XBTUSD", 60)[-2]
    assert candles_of([late]).rows() == [right]
    assert 0.8 * late[7] < early[7] < late[7]
    assert early[1] == late[1]
    assert float(late[3]) <= float(early[3]) <= float(early[4]) <= float(early[2]) <= float(late[2])
    assert float(early[6]) < float(late[6])


def test_only_the_newest_closed_candle_is_ever_revised() -> None:
    now = at("2024-04-03 08:00")
    late = SandboxApi(SMALL, Hands(now), quirks=Quirks(revises_after=timedelta(seconds=30)))
    right = SandboxApi(SMALL, Hands(now))
    both = zip(rows_of(late, "XBTUSD", 60)[:-1], rows_of(right, "XBTUSD", 60)[:-1], strict=True)
    assert [early[0] for early, closed in both if early != closed] == [int(at("2024-04-03 07:00").timestamp())]


def test_a_candle_of_one_trade_is_quiet_until_it_is_revised() -> None:
    trades = SMALL.candles("ETHEUR", Interval.M1, between("2024-04-03", "2024-04-04"))
    (slot,) = trades.filter(pl.col("trades") == 1)["timestamp"][:1]
    clock = Hands(slot + timedelta(seconds=61))
    api = SandboxApi(SMALL, clock, quirks=Quirks(revises_after=timedelta(seconds=30)))
    *_, before, early, forming = rows_of(api, "ETHEUR", 1)
    assert is_quiet(early, before[4])
    assert forming[7] > 0 or is_quiet(forming, before[4])
    clock.pass_by(29)
    assert rows_of(api, "ETHEUR", 1)[-2][7] == 1
    absent = SandboxApi(
        SMALL, Hands(slot + timedelta(seconds=61)), quirks=Quirks(QuietRows.ABSENT, timedelta(seconds=30))
    )
    assert int(slot.timestamp()) not in opens(rows_of(absent, "ETHEUR", 1))
