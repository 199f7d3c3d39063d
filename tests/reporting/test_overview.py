"""The overview: what the API forgets next, what needs attention first, and the command that mends it."""

from collections.abc import Sequence
from datetime import timedelta

import pytest

from chandlery.candles.gap import Reason
from chandlery.candles.interval import Interval
from chandlery.exchanges.kraken.window import ohlc_window
from chandlery.reporting.completeness import GapEntry, SeriesEntry
from chandlery.reporting.concerns import Failed, concerns
from chandlery.reporting.gap_cost import gap_cost
from chandlery.reporting.overview import Overview, Standing, Standings
from tests.reporting.reports import NOW, at, gap, series, unknown

END = "2025-11-23 19:00"
PROGRAM = "manage.py"


def standing(entry: SeriesEntry, tier: str = "TIER1", quote: str = "USD", **facts: bool) -> Standing:
    return Standing(entry, tier, quote, facts.get("listed", True), facts.get("ended", False), at(END), 1000)


def hours(market: str, *gaps: GapEntry) -> SeriesEntry:
    return series(market, 60, "2025-01-01", END, gaps)


def seen(*standings: Standing, wanted: Sequence[Interval] = tuple(Interval), later: float = 0) -> Overview:
    return Standings(standings).at(NOW + timedelta(hours=later), ("USD",), wanted)


def test_slots_that_close_are_missing_and_close_in_a_month() -> None:
    (deadline,) = seen(standing(hours("XBTUSD")), standing(hours("ETHUSD")), later=2).deadlines
    assert (deadline.interval, deadline.number, deadline.markets) == (Interval.M60, 2, ("ETHUSD", "XBTUSD"))
    # As long as the window begins no later than the slot, the API tells it.
    assert deadline.closes == at(END) + timedelta(hours=720)
    assert ohlc_window(Interval.M60, deadline.closes).start == at(END)
    assert not deadline.is_soon(NOW)
    assert deadline.is_soon(deadline.closes - timedelta(hours=179))


def test_the_first_to_be_forgotten_is_told_of_the_markets_that_have_it() -> None:
    early = standing(hours("XBTUSD", gap("XBTUSD", 60, "2025-10-25 00:00", "2025-10-25 03:00")))
    late = standing(hours("ETHUSD", gap("ETHUSD", 60, "2025-11-20 00:00", "2025-11-20 03:00")))
    (deadline,) = seen(early, late).deadlines
    assert (deadline.markets, deadline.closes) == (("XBTUSD",), at("2025-10-25") + timedelta(hours=720))


def test_what_lies_across_the_edge_is_forgotten_now() -> None:
    (deadline,) = seen(standing(hours("XBTUSD", gap("XBTUSD", 60, "2025-10-01", "2025-11-01")))).deadlines
    assert timedelta(0) <= NOW - deadline.closes < timedelta(hours=1)


def test_nobody_is_told_of_what_the_api_cannot_tell() -> None:
    lost = hours("XBTUSD", gap("XBTUSD", 60, "2025-10-01", "2025-10-02"))
    gone = standing(hours("ETHUSD", gap("ETHUSD", 60, "2025-11-20", "2025-11-21")), listed=False)
    accepted = hours("ADAUSD", gap("ADAUSD", 60, "2025-11-20", "2025-11-21", status="ACCEPTED"))
    assert seen(standing(lost), gone, standing(accepted)).deadlines == ()


def test_a_market_that_has_ended_misses_nothing_more() -> None:
    (row,) = seen(standing(hours("XBTUSD"), ended=True), later=48).rows
    assert (row.tally.missing, row.tally.unlisted, row.complete) == (0, 48, 1)


def test_attention_is_asked_for_wanted_intervals_only() -> None:
    minutes = series("XBTUSD", 1, "2025-11-20", END, [gap("XBTUSD", 1, "2025-11-20", "2025-11-21")])
    found = seen(standing(minutes), standing(hours("XBTUSD")), wanted=[Interval.M60], later=1)
    assert [row.interval for row in found.rows] == [Interval.M1, Interval.M60]
    assert {deadline.interval for deadline in found.deadlines} == {Interval.M60}
    assert {group.intervals for group in found.groups} == {(Interval.M60,)}


def test_other_quotes_have_an_overview_of_their_own() -> None:
    euros, dollars = standing(hours("XBTEUR"), quote="EUR"), standing(hours("XBTUSD"))
    assert seen(euros, dollars).rows[0].markets == 1


def told(*standings: Standing, failed: Sequence[Failed] = ()) -> list[tuple[str, str]]:
    return [(one.title, one.command) for one in concerns(seen(*standings), failed, PROGRAM, ("USD",))]


def test_the_most_urgent_comes_first_each_with_what_mends_it() -> None:
    suspect = gap("XBTUSD", 60, "2025-05-01", "2025-05-02", reason=Reason.SUSPECT)
    across, beyond = gap("ETHUSD", 60, "2025-10-01", "2025-11-01"), gap("ADAUSD", 60, "2025-02-01", "2025-02-02")
    inside = gap("XMRUSD", 60, "2025-11-20", "2025-11-21")
    found = told(
        standing(hours("ADAUSD", beyond)),
        standing(hours("XMRUSD", inside)),
        standing(hours("ETHUSD", across)),
        standing(hours("XBTUSD", suspect)),
        failed=[Failed("Job 1a2b3c4d failed", "the disk is full", "1a2b3c4d")],
    )
    asked = "manage.py ingest_kraken_unified --markets {} --intervals 60"
    assert found == [
        ("Job 1a2b3c4d failed", "manage.py ingest_kraken_unified --resume 1a2b3c4d"),
        ("TIER1: 1 gap of XBTUSD at 60min (24 candles)", asked.format("XBTUSD") + " --complete"),
        ("TIER1: 1 gap of ETHUSD at 60min (744 candles)", asked.format("ETHUSD") + " --complete"),
        ("TIER1: 1 gap of XMRUSD at 60min (24 candles)", asked.format("XMRUSD")),
        ("TIER1: 1 gap of ADAUSD at 60min (24 candles)", asked.format("ADAUSD") + " --complete"),
    ]


def test_many_markets_are_asked_for_by_their_tier() -> None:
    many = [
        standing(hours(f"C{n}USD", gap(f"C{n}USD", 60, "2025-11-20", "2025-11-21")), tier="TIER3") for n in range(9)
    ]
    asked = "manage.py ingest_kraken_unified --tier TIER3 --intervals 60"
    assert told(*many) == [("TIER3: 9 gaps of 9 markets at 60min (216 candles)", asked)]


def test_series_of_which_nothing_is_stored_are_told_once_their_tier_is_there() -> None:
    missing = Standing(unknown("ADAUSD", 60), "TIER1", "USD", True, False, None, None)
    title = "TIER1: nothing stored yet of 1 series at 60min"
    assert [one for one, _ in told(standing(hours("XBTUSD")), missing)] == [title]
    assert told(missing) == []


@pytest.mark.parametrize(
    ("start", "end", "trades", "expected"),
    [
        ("2025-11-20", "2025-11-21", 5_000.0, "1 request"),
        ("2025-05-01", "2025-05-02", 5_400.0, "about 7 requests for trades, a few seconds"),
        ("2025-05-01", "2025-05-02", None, "1 request for each 1,000 trades; how many there were is not known yet"),
    ],
)
def test_a_gap_has_its_price(start: str, end: str, trades: float | None, expected: str) -> None:
    assert gap_cost(gap("XBTUSD", 60, start, end), trades) == expected


def test_what_only_a_file_closes_costs_no_request() -> None:
    assert gap_cost(gap("XBTUSD", 60, "2025-05-01", "2025-05-02", listed=False), 10.0) == ""
