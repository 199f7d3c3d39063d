"""Markets and what befalls them."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import polars as pl
import pytest

from chandlery.candles.interval import Interval
from chandlery.candles.series import Series
from chandlery.candles.timerange import TimeRange
from chandlery.sandbox.cast import OUTAGE
from chandlery.sandbox.exchange import ImpossibleTrickle, SandboxExchange, UnknownMarket, series_of
from chandlery.sandbox.market import LOTS, ImpossibleMarket, SandboxMarket
from tests.candles.builders import at, between

EXCHANGE = SandboxExchange()
MONTH = between("2024-08-13", "2024-09-13")


def share_of_minutes(altname: str, within: TimeRange) -> float:
    return EXCHANGE.candles(altname, Interval.M1, within).height / within.slots(Interval.M1)


def moody(**moods: float) -> SandboxExchange:
    """One market that trades often, with some rhythm."""
    market = SandboxMarket("AUSD", "A/USD", "A", "ZUSD", listed=at("2023-06-01"), share=0.5, depth=1)
    return SandboxExchange(cast=(replace(market, **moods),), outages=())  # type: ignore[arg-type]


def trades_by(part: pl.Expr, **moods: float) -> Mapping[int, float]:
    """How many trades an hour has on average, by some part of its time: for half a year of `moody`."""
    hours = moody(**moods).candles("AUSD", Interval.M60, between("2024-01-01", "2024-07-01"))
    return dict(hours.group_by(part.alias("part")).agg(pl.col("trades").sum() / (24 * 182)).iter_rows())


def test_the_cast_has_twelve_markets_and_some_in_euro() -> None:
    assert len(EXCHANGE.names) == len(set(EXCHANGE.names)) == 12
    assert sum(market.quote == "ZEUR" for market in EXCHANGE.cast) >= 2


def test_busy_markets_trade_in_most_minutes_and_thin_ones_in_one_of_twenty() -> None:
    for busy in ("XBTUSD", "ETHUSD", "XBTEUR", "SOLUSD"):
        assert share_of_minutes(busy, MONTH) > 0.5
    for thin in ("XMREUR", "ICXUSD", "KSMUSD"):
        assert 0.035 < share_of_minutes(thin, MONTH) < 0.065


def test_trades_come_in_bursts_and_follow_the_hours_of_the_day() -> None:
    hours = EXCHANGE.candles("XBTUSD", Interval.M60, between("2024-03-01", "2024-07-01"))
    by_hour = hours.group_by(pl.col("timestamp").dt.hour().alias("hour")).agg(pl.col("trades").mean())
    pace = dict(by_hour.iter_rows())
    assert pace[15] > 1.5 * pace[4]
    minutes = EXCHANGE.candles("XBTUSD", Interval.M1, MONTH)["trades"]
    assert minutes.var() > 3 * minutes.mean()  # type: ignore[operator]


@pytest.mark.parametrize("altname", EXCHANGE.names)
def test_no_market_trades_in_the_outage(altname: str) -> None:
    assert EXCHANGE.trades(altname, OUTAGE).is_empty()
    assert EXCHANGE.candles(altname, Interval.M60, between("2024-02-10 22:00", "2024-02-11 02:00")).is_empty()


TRICKLING = replace(EXCHANGE, trickle=0.02)


@pytest.mark.parametrize("altname", ["XBTUSD", "ETHUSD", "XBTEUR"])
def test_an_outage_that_trickles_leaves_each_market_a_few_trades(altname: str) -> None:
    stopped = replace(EXCHANGE, outages=()).trades(altname, OUTAGE).height
    assert stopped > 100
    assert 0.002 * stopped < TRICKLING.trades(altname, OUTAGE).height < 0.05 * stopped


def test_each_market_trickles_at_moments_of_its_own() -> None:
    minutes = {
        name: TRICKLING.candles(name, Interval.M1, OUTAGE)["timestamp"].to_list() for name in ("XBTUSD", "ETHUSD")
    }
    assert minutes["XBTUSD"]
    assert minutes["ETHUSD"]
    assert minutes["XBTUSD"] != minutes["ETHUSD"]


def test_a_trickle_is_a_share_of_the_trades_that_an_outage_stops() -> None:
    month = between("2024-08-13", "2024-09-13")
    honest = replace(EXCHANGE, outages=()).trades("XBTUSD", month).height
    assert replace(EXCHANGE, outages=(month,), trickle=0.25).trades("XBTUSD", month).height == pytest.approx(
        honest / 4, rel=0.02
    )


def test_a_trickle_changes_nothing_outside_of_the_outage() -> None:
    for around in (between("2024-02-08", "2024-02-10 21:30"), between("2024-02-11 02:40", "2024-02-13")):
        candles = TRICKLING.candles("XBTUSD", Interval.M1, around)
        assert candles.equals(EXCHANGE.candles("XBTUSD", Interval.M1, around))


def test_every_interval_and_every_id_tells_a_trickle_alike() -> None:
    day = between("2024-02-10", "2024-02-12")
    trades = TRICKLING.trades("XBTUSD", day)
    assert trades["id"].diff().drop_nulls().unique().to_list() == [1]
    for interval in Interval:
        assert TRICKLING.candles("XBTUSD", interval, day)["trades"].sum() == trades.height


def test_outages_that_overlap_trickle_once() -> None:
    halves = (TimeRange(OUTAGE.start, OUTAGE.end - timedelta(hours=1)), TimeRange(OUTAGE.start, OUTAGE.end))
    twice = replace(TRICKLING, outages=halves)
    assert twice.trades("XBTUSD", OUTAGE).equals(TRICKLING.trades("XBTUSD", OUTAGE))


def test_a_trickle_that_is_no_share_is_refused() -> None:
    for trickle in (-0.1, 1.0):
        with pytest.raises(ImpossibleTrickle, match="is no share of the trades that an outage stops"):
            SandboxExchange(trickle=trickle)


def test_busy_markets_trade_right_before_and_after_the_outage() -> None:
    hour = timedelta(hours=1)
    for around in (TimeRange(OUTAGE.start - hour, OUTAGE.start), TimeRange(OUTAGE.end, OUTAGE.end + hour)):
        assert EXCHANGE.candles("XBTUSD", Interval.M1, around).height > 40


def test_a_market_has_no_trade_before_its_first() -> None:
    first = EXCHANGE.first_trade("SOLUSD")
    assert first is not None
    assert first >= EXCHANGE.market("SOLUSD").listed
    assert EXCHANGE.trades("SOLUSD", TimeRange(at("2023-01-01"), first)).is_empty()
    assert EXCHANGE.trades("SOLUSD", TimeRange(first, first + timedelta(microseconds=1)))["id"].to_list() == [0]


def test_a_delisted_market_has_no_trade_after_its_last() -> None:
    last = EXCHANGE.last_trade("MATICUSD")
    delisted = EXCHANGE.market("MATICUSD").delisted
    assert last is not None
    assert delisted is not None
    assert delisted - timedelta(days=1) < last < delisted
    after = TimeRange(last + timedelta(microseconds=1), at("2026-01-01"))
    assert EXCHANGE.trades("MATICUSD", after).is_empty()
    assert EXCHANGE.candles("MATICUSD", Interval.M1, TimeRange(delisted, after.end)).is_empty()
    assert EXCHANGE.trades("MATICUSD", TimeRange(last, after.start)).height == 1


def test_a_market_that_trades_on_has_no_last_trade() -> None:
    assert EXCHANGE.last_trade("XBTUSD") is None


def test_the_truth_of_a_series_is_its_candles() -> None:
    series = series_of("XBTUSD", Interval.M60)
    assert series == Series("kraken", "XBTUSD", Interval.M60)
    assert EXCHANGE.truth(series, MONTH).equals(EXCHANGE.candles("XBTUSD", Interval.M60, MONTH))


def test_a_revision_adds_one_trade_to_each_minute_that_traded_and_to_no_other() -> None:
    revised_day = between("2024-08-20", "2024-08-21")
    revised = EXCHANGE.revised(revised_day, "XMREUR")
    before = EXCHANGE.candles("XMREUR", Interval.M1, MONTH)
    after = revised.candles("XMREUR", Interval.M1, MONTH)
    within = pl.col("timestamp").is_between(revised_day.start, revised_day.end, closed="left")
    assert after["timestamp"].equals(before["timestamp"])
    assert (after.filter(within)["trades"] - before.filter(within)["trades"]).unique().to_list() == [1]
    assert (after.filter(within)["volume"] != before.filter(within)["volume"]).all()
    assert after.filter(~within).equals(before.filter(~within))


def test_a_revision_of_one_market_leaves_the_others_alone() -> None:
    revised = EXCHANGE.revised(MONTH, "XMREUR")
    assert revised.candles("XBTUSD", Interval.M60, MONTH).equals(EXCHANGE.candles("XBTUSD", Interval.M60, MONTH))


def test_overlapping_revisions_are_one() -> None:
    twice = EXCHANGE.revised(MONTH).revised(MONTH)
    assert twice.book("XBTUSD") == EXCHANGE.revised(MONTH).book("XBTUSD")


def test_daily_volumes_are_small_enough_to_be_exact() -> None:
    for altname in EXCHANGE.names:
        days = EXCHANGE.candles(altname, Interval.M1440, between("2024-06-01", "2024-12-01"))
        assert days["volume"].max() * LOTS < 2**53  # type: ignore[operator]


def test_an_unknown_market_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UnknownMarket, match="'FOOUSD' does not play in the sandbox; choose from XBTUSD, ETHUSD"):
        EXCHANGE.market("FOOUSD")


def test_an_exchange_with_some_markets_has_the_same_truth() -> None:
    one = EXCHANGE.only("ICXUSD")
    assert one.names == ("ICXUSD",)
    assert one.candles("ICXUSD", Interval.M60, MONTH).equals(EXCHANGE.candles("ICXUSD", Interval.M60, MONTH))


def test_an_impossible_market_is_refused() -> None:
    with pytest.raises(ImpossibleMarket, match=r"a share of 1\.5 is not between 0 and 1"):
        SandboxMarket("AUSD", "A/USD", "A", "ZUSD", listed=at("2024-01-01"), share=1.5)
    with pytest.raises(ImpossibleMarket, match="it is delisted before it is listed"):
        SandboxMarket("AUSD", "A/USD", "A", "ZUSD", listed=at("2024-01-01"), delisted=at("2023-01-01"))
    with pytest.raises(ImpossibleMarket, match=r"nights of -1 are not between 0 and 8"):
        SandboxMarket("AUSD", "A/USD", "A", "ZUSD", listed=at("2024-01-01"), nights=-1)
    with pytest.raises(ImpossibleMarket, match=r"bursts of nan are not between 0 and 8"):
        SandboxMarket("AUSD", "A/USD", "A", "ZUSD", listed=at("2024-01-01"), bursts=float("nan"))


def test_thin_hours_can_be_deeper_or_not_be() -> None:
    hour = pl.col("timestamp").dt.hour()
    ratios = []
    for nights in (0.0, 1.0, 2.5):
        pace = trades_by(hour, nights=nights, bursts=0.0)
        ratios.append(pace[15] / pace[4])
    assert ratios[0] == pytest.approx(1.0, rel=0.1)
    assert ratios[1] > 1.5
    assert ratios[2] > 2 * ratios[1]


def test_weekends_can_be_quieter_or_not_be() -> None:
    day = pl.col("timestamp").dt.weekday()
    ratios = []
    for weekends in (0.0, 1.0, 8.0):
        pace = trades_by(day, weekends=weekends, bursts=0.0)
        ratios.append(pace[7] / pace[2])
    assert 0.9 < ratios[0] < 1.1
    assert ratios[1] < ratios[0]
    assert ratios[2] < 0.6 * ratios[1]


def test_spells_can_differ_more_or_not_at_all() -> None:
    month = between("2024-03-01", "2024-04-01")
    spread = []
    for bursts in (0.0, 1.0, 3.0):
        trades = moody(bursts=bursts).candles("AUSD", Interval.M15, month)["trades"]
        spread.append(float(trades.std()) / float(trades.mean()))  # type: ignore[arg-type]
    assert spread[0] < 0.8 * spread[1] < 0.5 * spread[2]


def test_a_rhythm_leaves_the_average_pace_about_as_it_is() -> None:
    pace = {
        name: sum(trades_by(pl.lit(0), **moods).values())
        for name, moods in {"usual": {}, "even": {"nights": 0.0, "weekends": 0.0}, "uneven": {"weekends": 4.0}}.items()
    }
    assert pace["even"] == pytest.approx(pace["usual"], rel=0.1)
    assert pace["uneven"] == pytest.approx(pace["usual"], rel=0.1)


def test_prices_do_not_depend_on_the_rhythm() -> None:
    month = between("2024-03-01", "2024-04-01")
    usual, uneven = (moody(nights=n).candles("AUSD", Interval.M1440, month)["close"] for n in (1.0, 3.0))
    assert usual.to_list() == pytest.approx(uneven.to_list(), rel=0.05)
