"""What other markets tell of a time in which one was quiet, or its price stood still."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from chandlery.candles.audit.outage import MarketSilence
from chandlery.candles.audit.silence import Silence
from chandlery.candles.evidence import Coverage, Evidence, Origin, Source
from chandlery.candles.interval import Interval
from chandlery.candles.series import Series
from chandlery.candles.timerange import RangeSet, TimeRange
from chandlery.candles.verdict import Knowledge, Life
from chandlery.pipeline import testimony
from chandlery.pipeline.knowledge import MarketFacts
from chandlery.stores.parquet import ParquetLake
from tests.candles.builders import at, between, candles_at, every
from tests.factories import MarketFactory

HOURS, HALVES, QUARTERS = Interval.M60, Interval.M30, Interval.M15
#: Forty days, so that each side of the middle has hours enough to tell a pace.
SPAN = between("2024-03-01", "2024-04-10")
QUIET = between("2024-03-20 10:00", "2024-03-20 16:00")
CSV = Evidence(Source.CSV)


class NoCandles:
    """Nobody is asked by testimony."""

    def count(self, within: TimeRange) -> int:
        return 0

    def opens(self, within: TimeRange) -> Sequence[datetime]:
        return ()


@dataclass
class Venue:
    """Stored markets by name, bases being their first three letters, and how often they were looked up."""

    lake: ParquetLake
    facts: dict[str, MarketFacts] = field(default_factory=dict)
    looked_up: int = 0

    def add(
        self,
        name: str,
        interval: Interval = HOURS,
        *,
        trades: int = 10,
        low: int = 0,
        price: float = 100.0,
        still: bool = False,
        coverage: Coverage | None = None,
    ) -> None:
        """A market with candles in every slot of SPAN; in QUIET with `low` trades, or none. Its price moves unless it
        is `still` there.
        """
        rows = candles_at(*every(interval, f"{SPAN.start:%F}", SPAN.slots(interval)), price=price, trades=trades)
        quiet = pl.col("timestamp").is_between(QUIET.start, QUIET.end, closed="left")
        rows = rows.with_columns(trades=pl.when(quiet).then(low).otherwise(pl.col("trades")).cast(pl.Int64))
        if still:
            rows = rows.with_columns(
                pl.when(quiet).then(pl.lit(price)).otherwise(pl.col(name)).alias(name)
                for name in ("open", "high", "low", "close")
            )
        self.lake.write(Series("kraken", name, interval), rows.filter(pl.col("trades") > 0), Origin(Source.CSV))
        self.answer(name, interval, coverage if coverage is not None else {CSV: RangeSet([SPAN])})

    def answer(self, name: str, interval: Interval, coverage: Coverage) -> None:
        if name not in self.facts:
            market = MarketFactory.build(base__ticker=name[:3], altname=name)
            nothing = {one: Knowledge(one, Life(), {}, NoCandles()) for one in Interval}
            self.facts[name] = MarketFacts(market, nothing, None)
        self.facts[name].series[interval] = Knowledge(interval, Life(), coverage, NoCandles())

    def everybody(self) -> Mapping[str, MarketFacts]:
        self.looked_up += 1
        return self.facts

    def asked(self, contradicted: Mapping[tuple[str, Interval], RangeSet] | None = None) -> testimony.Testimony:
        return testimony.Testimony(self.lake, self.everybody, contradicted or {})


@pytest.fixture
def venue(tmp_path: Path) -> Venue:
    lake = ParquetLake(tmp_path / "candles")
    lake.create()
    return Venue(lake)


def silence(market: str = "XBTUSD", within: TimeRange = QUIET, interval: Interval = HOURS) -> MarketSilence:
    return MarketSilence(market, market[:3], Silence(interval, within, pace=100.0))


def told(
    venue: Venue,
    one: MarketSilence | None = None,
    contradicted: Mapping[tuple[str, Interval], RangeSet] | None = None,
) -> dict[str, tuple[float, int]]:
    """(due, seen) of each witness."""
    return {w.market: (w.due, w.seen) for w in venue.asked(contradicted)(one or silence())}


# -------------------------------------------------------------------------------------------------------- who witnesses


def test_a_witness_tells_what_was_due_and_what_it_traded(venue: Venue) -> None:
    venue.add("ETHUSD", trades=10, low=3)

    assert told(venue) == {"ETHUSD": (60.0, 18)}


def test_a_witness_is_known_by_its_base(venue: Venue) -> None:
    venue.add("ETHUSD")

    assert [w.base for w in venue.asked()(silence())] == ["ETH"]


def test_a_market_is_no_witness_of_itself(venue: Venue) -> None:
    venue.add("XBTUSD")

    assert told(venue) == {}


def test_a_market_that_stores_no_such_interval_answers_at_its_widest_finer_one(venue: Venue) -> None:
    venue.add("ETHUSD", HALVES, trades=10)
    venue.add("ETHUSD", QUARTERS, trades=1)

    assert told(venue) == {"ETHUSD": (120.0, 0)}


def test_its_own_interval_comes_before_finer_ones(venue: Venue) -> None:
    venue.add("ETHUSD", HOURS, trades=10)
    venue.add("ETHUSD", HALVES, trades=1)

    assert told(venue) == {"ETHUSD": (60.0, 0)}


def test_a_wider_interval_says_nothing_of_hours(venue: Venue) -> None:
    venue.add("ETHUSD", Interval.M240, trades=100)

    assert told(venue) == {}


def test_a_market_that_was_not_answered_for_all_of_the_run_is_no_witness(venue: Venue) -> None:
    venue.add("ETHUSD", coverage={CSV: RangeSet([SPAN]) - RangeSet([between("2024-03-20 15:00", "2024-03-21")])})

    assert told(venue) == {}


def test_two_answers_side_by_side_are_an_answer_for_all_of_the_run(venue: Venue) -> None:
    noon = at("2024-03-20 12:00")
    first, rest = TimeRange(SPAN.start, noon), TimeRange(noon, SPAN.end)
    venue.add("ETHUSD", coverage={CSV: RangeSet([first]), Evidence(Source.API): RangeSet([rest])})

    assert told(venue) == {"ETHUSD": (60.0, 0)}


def test_a_provisional_answer_is_no_testimony(venue: Venue) -> None:
    venue.add("ETHUSD", coverage={Evidence(Source.CSV, provisional=True): RangeSet([SPAN])})

    assert told(venue) == {}


def test_where_its_own_interval_was_not_answered_a_finer_one_tells(venue: Venue) -> None:
    venue.add("ETHUSD", HOURS, trades=10, coverage={CSV: RangeSet([SPAN]) - RangeSet([QUIET])})
    venue.add("ETHUSD", HALVES, trades=10, low=1)

    assert told(venue) == {"ETHUSD": (120.0, 12)}


def test_slots_that_are_contradicted_are_no_witness(venue: Venue) -> None:
    venue.add("ETHUSD")
    doubted = {("ETHUSD", HOURS): RangeSet([between("2024-03-20 15:00", "2024-03-20 18:00")])}

    assert told(venue, contradicted=doubted) == {}


def test_where_hours_are_contradicted_finer_slots_tell(venue: Venue) -> None:
    venue.add("ETHUSD", HOURS)
    venue.add("ETHUSD", HALVES, trades=10, low=7)

    assert told(venue, contradicted={("ETHUSD", HOURS): RangeSet([QUIET])}) == {"ETHUSD": (120.0, 84)}


def test_slots_contradicted_at_another_time_or_of_another_market_do_not_matter(venue: Venue) -> None:
    venue.add("ETHUSD")
    doubted = {("ETHUSD", HOURS): RangeSet([between("2024-03-20 16:00", "2024-03-21")]), ("SOL", HOURS): RangeSet()}

    assert told(venue, contradicted=doubted) == {"ETHUSD": (60.0, 0)}


def test_a_market_with_too_few_candles_around_to_tell_its_pace_is_no_witness(venue: Venue) -> None:
    venue.add("ETHUSD")
    early = between("2024-03-01 20:00", "2024-03-02 02:00")

    # Of its first twenty hours one is left out.
    assert told(venue, silence(within=early)) == {}


# ------------------------------------------------------------------------------------------------------ how it is asked


def test_who_else_is_stored_is_looked_up_once_and_not_before_somebody_asks(venue: Venue) -> None:
    venue.add("ETHUSD")
    ask = venue.asked()
    assert venue.looked_up == 0

    ask(silence())
    ask(silence("SOLUSD"))
    ask.movers("XBTUSD", "XBT", HOURS, QUIET)

    assert venue.looked_up == 1


@contextmanager
def reads_counted(lake: ParquetLake, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Series]]:
    """Every series that is read inside."""
    counted: list[Series] = []
    read = ParquetLake.read

    def counting(
        self: ParquetLake, series: Series, within: TimeRange | None = None, *, origin: bool = False
    ) -> pl.DataFrame:
        counted.append(series)
        return read(self, series, within, origin=origin)

    with monkeypatch.context() as patched:
        patched.setattr(ParquetLake, "read", counting)
        yield counted


def test_runs_near_each_other_share_what_is_read(venue: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    venue.add("ETHUSD")
    ask = venue.asked()

    with reads_counted(venue.lake, monkeypatch) as reads:
        for hour in range(10, 16):
            ask(silence(within=between(f"2024-03-20 {hour}:00", f"2024-03-20 {hour + 1}:00")))

    assert reads == [Series("kraken", "ETHUSD", HOURS)]


# --------------------------------------------------------------------------------------------------------------- movers


def movers(venue: Venue, market: str = "XBTUSD", within: TimeRange = QUIET) -> list[str]:
    return venue.asked().movers(market, market[:3], HOURS, within)


def test_markets_whose_prices_moved_are_named(venue: Venue) -> None:
    venue.add("ETHUSD", low=5)
    venue.add("SOLUSD", low=5, still=True)

    assert movers(venue) == ["ETHUSD"]


def test_markets_of_the_same_base_are_named_first_then_by_name(venue: Venue) -> None:
    for name in ("SOLUSD", "XBTGBP", "ETHUSD", "XBTUSD"):
        venue.add(name, low=5)

    assert movers(venue) == ["XBTGBP", "ETHUSD", "SOLUSD"]


def test_at_most_three_that_moved_are_named(venue: Venue) -> None:
    for name in ("ADAUSD", "DOTUSD", "ETHUSD", "SOLUSD", "XBTEUR"):
        venue.add(name, low=5)

    assert movers(venue) == ["XBTEUR", "ADAUSD", "DOTUSD"]


def test_those_that_stood_still_take_no_place_of_the_three(venue: Venue) -> None:
    for name in ("ADAUSD", "DOTUSD", "ETHUSD", "SOLUSD"):
        venue.add(name, low=5, still=name == "ADAUSD")

    assert movers(venue) == ["DOTUSD", "ETHUSD", "SOLUSD"]


def test_a_market_that_did_not_trade_did_not_move(venue: Venue) -> None:
    venue.add("ETHUSD", low=0)

    assert movers(venue) == []


def test_a_market_is_no_mover_beside_itself(venue: Venue) -> None:
    venue.add("XBTUSD", low=5)

    assert movers(venue) == []


def test_a_mover_is_told_by_its_finer_candles_where_it_has_no_hours(venue: Venue) -> None:
    venue.add("ETHUSD", HALVES, low=5)

    assert movers(venue) == ["ETHUSD"]


def test_a_market_that_was_not_answered_for_all_of_the_run_is_no_mover(venue: Venue) -> None:
    venue.add("ETHUSD", low=5, coverage={CSV: RangeSet([SPAN]) - RangeSet([QUIET])})

    assert movers(venue) == []


# ----------------------------------------------------------------------------------------------------------------- base


def test_the_base_of_an_unclassified_market_is_its_name() -> None:
    market = MarketFactory.build(base=None, quote=None, altname="FOOBAR")

    assert testimony.base_of(MarketFacts(market, {}, None)) == "FOOBAR"
