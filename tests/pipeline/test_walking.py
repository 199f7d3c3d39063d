"""Walking over trades page by page: what is in the journal, in the store and told, wherever it is cut short."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from chandlery.candles.evidence import Coverage, Evidence, Origin, Source, extended
from chandlery.candles.frame import PRICES, span_of
from chandlery.candles.interval import Interval
from chandlery.candles.series import Series
from chandlery.candles.timerange import RangeSet, TimeRange
from chandlery.exchanges.kraken.api.settings import ApiSettings
from chandlery.exchanges.kraken.walk import FROM_FIRST, Walk, cursor_at
from chandlery.pipeline import walking
from chandlery.pipeline.conversation import Conversation, GaveUp
from chandlery.pipeline.journal import Journal, Replayed
from chandlery.pipeline.request import Surroundings
from chandlery.pipeline.walking import BatchStored, PageTaken, Purse, TradesOf, Walked, WalkEnded
from chandlery.pipeline.walks import TradeWalk
from chandlery.sandbox.exchange import SandboxExchange
from chandlery.sandbox.faults import Fault, Faults
from chandlery.sandbox.quirks import Quirks
from chandlery.sandbox.replies import Reply
from chandlery.sandbox.rest import SandboxApi
from chandlery.sandbox.server import serve
from chandlery.stores import open_store
from tests.acceptance.disturbed import Watched
from tests.acceptance.in_process import InlineExecutor
from tests.acceptance.walked import market
from tests.candles.builders import at, between, candles_at

NOW = at("2024-05-20 06:17") + timedelta(seconds=23)
EXCHANGE = SandboxExchange(
    cast=(market("XBTUSD", "2024-03-01 10:07", 0.5), market("ETHUSD", "2024-03-01 10:07", 0.5)), outages=()
)
#: Some 14,000 trades of each: 15 pages.
WANTED = between("2024-05-10", "2024-05-20")
PROVEN, UNPROVEN = Evidence(Source.TRADES, proven=True), Evidence(Source.TRADES)


def series(name: str) -> Series:
    return Series("kraken", name, Interval.M1)


@dataclass
class Walking:
    """Conversations with a sandbox about its trades. What is told of batches is on record at once."""

    home: Path
    watched: Watched
    settings: ApiSettings
    should_stop: Callable[[], bool] = lambda: False
    told: list[object] = field(default_factory=list)
    on_record: dict[str, Coverage] = field(default_factory=dict)
    #: What is looked at before a batch is on record.
    on_batch: Callable[[BatchStored], None] = lambda batch: None
    error: Exception | None = None

    def __call__(self, *questions: TradesOf) -> list[object]:
        """Everything that is told."""
        told: list[object] = []
        conversation = self.conversation()
        for one in conversation.about(questions):
            told.append(one)
            self.told.append(one)
            if isinstance(one, BatchStored):
                self.on_batch(one)
                self.record(one)
        self.error = conversation.error
        return told

    def conversation(self) -> Conversation[Walked]:
        around = Surroundings("parquet:lake", self.home, lambda: NOW, api=self.settings)
        return Conversation(around, InlineExecutor(), self.should_stop, timedelta(0))

    def record(self, batch: BatchStored) -> None:
        held = self.on_record.setdefault(batch.series.market, {})
        for kind, ranges in batch.answers.items():
            held = extended(held, kind, ranges)
        self.on_record[batch.series.market] = held
        batch.recorded()

    def question(self, name: str, *starts: Walk, purse: Purse | None = None) -> TradesOf:
        walks = starts or (begun(WANTED),)
        due = TradeWalk(series(name), RangeSet(walk.range for walk in walks))
        return TradesOf(due, walks, self.journal(name), purse or Purse(None))

    def journal(self, name: str) -> Journal:
        return Journal(self.home / "walks" / f"{name}.journal")

    def kept(self, name: str) -> Replayed:
        """What its journal holds."""
        found = self.journal(name).replay()
        assert found is not None
        return found

    def stored(self, name: str, within: TimeRange | None = None) -> pl.DataFrame:
        found = open_store("parquet:lake", self.home).read(series(name))
        return found if within is None else found.filter(_opens_in(within))

    @property
    def api(self) -> SandboxApi:
        return self.watched.api

    @property
    def arrived(self) -> Counter[tuple[str, str]]:
        """The same of requests that were dropped before they were answered, too."""
        queries = [parse_qs(one.partition("?")[2]) for one in self.watched.arrived if "Trades" in one]
        return Counter((query["pair"][0], query["since"][0]) for query in queries)

    @property
    def cursors(self) -> Counter[tuple[str, str]]:
        """How often each page was asked for."""
        return Counter((one.query["pair"], one.query["since"]) for one in self.api.requests if "since" in one.query)

    def pages(self, name: str) -> int:
        return sum(isinstance(one, PageTaken) and one.series == series(name) for one in self.told)

    def ended(self) -> list[WalkEnded]:
        return [one for one in self.told if isinstance(one, WalkEnded)]


def begun(within: TimeRange) -> Walk:
    """At a trade of the hour before."""
    return Walk.start(within, cursor_at(within.start - timedelta(hours=1)))


def _opens_in(within: TimeRange) -> pl.Expr:
    start, end = (moment.replace(tzinfo=None) for moment in (within.start, within.end))
    return pl.col("timestamp").dt.replace_time_zone(None).is_between(start, end, closed="left")


def check_stored(walking_: Walking, name: str, within: TimeRange = WANTED) -> None:
    """Every minute as the exchange's trades make it, and no other."""
    truth, found = EXCHANGE.truth(series(name), within), walking_.stored(name)
    exact = ["timestamp", *PRICES, "trades"]
    assert_frame_equal(found.select(exact), truth.select(exact), check_exact=True)
    assert ((found["volume"] / truth["volume"] - 1).abs() <= 1e-9).all()


@pytest.fixture
def walk(tmp_path: Path) -> Iterator[Walking]:
    api = SandboxApi(EXCHANGE, lambda: NOW)
    watched = Watched(api)
    with serve(watched) as server:
        try:
            yield Walking(tmp_path, watched, ApiSettings(server.url, rate=0, timeout=30, attempts=2, retry_wait=0))
        finally:
            watched.let_go()


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """About three pages each."""
    monkeypatch.setattr(walking, "BATCH_CANDLES", 1_000)


# ---------------------------------------------------------------------------------------------------------- undisturbed


def test_a_walk_asks_for_each_page_once_and_proves_every_minute(walk: Walking) -> None:
    walk(walk.question("XBTUSD"))

    check_stored(walk, "XBTUSD")
    assert walk.on_record == {"XBTUSD": {PROVEN: RangeSet([WANTED])}}
    assert set(walk.cursors.values()) == {1}
    assert walk.pages("XBTUSD") == len(walk.cursors) >= 10
    assert walk.ended() == [WalkEnded(series("XBTUSD"))]
    assert not list((walk.home / "walks").iterdir())


def test_each_page_is_told_with_its_trades_and_how_far_all_is_known(walk: Walking) -> None:
    walk(walk.question("XBTUSD"))

    pages = [one for one in walk.told if isinstance(one, PageTaken)]
    assert {page.part for page in pages} == {WANTED}
    reached = [page.reached for page in pages]
    assert (reached, reached[-1]) == (sorted(reached), WANTED.end)
    within = TimeRange(WANTED.start - timedelta(hours=1), WANTED.end)
    traded = EXCHANGE.trades("XBTUSD", within).height
    # The walk ends with one trade from after the range.
    assert sum(page.trades for page in pages) == traded + 1


@pytest.mark.usefixtures("small_batches")
def test_a_batch_is_on_record_before_its_pages_leave_the_journal(walk: Walking) -> None:
    batches: list[int] = []

    def look(batch: BatchStored) -> None:
        kept = walk.kept("XBTUSD")
        assert kept.answers == batch.answers
        [answered] = batch.answers[PROVEN]
        assert_frame_equal(walk.stored("XBTUSD", answered), kept.candles, check_exact=True)
        assert batch.candles == span_of(kept.candles, Interval.M1)
        assert batch.written.inserted == kept.candles.height
        batches.append(kept.pages)

    walk.on_batch = look
    walk(walk.question("XBTUSD"))

    assert len(batches) >= 4
    # Only pages since the batch before are still in it.
    assert sum(batches) == walk.pages("XBTUSD")
    check_stored(walk, "XBTUSD")


def test_two_parts_of_one_market_are_walked_one_after_the_other(walk: Walking) -> None:
    first, second = between("2024-05-02", "2024-05-04"), between("2024-05-15 03:00", "2024-05-16 11:30")
    walk(walk.question("XBTUSD", begun(first), begun(second)))

    assert walk.on_record == {"XBTUSD": {PROVEN: RangeSet([first, second])}}
    for part in (first, second):
        truth = EXCHANGE.truth(series("XBTUSD"), part)
        assert walk.stored("XBTUSD", part)["trades"].to_list() == truth["trades"].to_list()
    assert walk.stored("XBTUSD").height == sum(walk.stored("XBTUSD", part).height for part in (first, second))
    assert set(walk.cursors.values()) == {1}
    assert walk.ended() == [WalkEnded(series("XBTUSD"))]


def test_markets_are_walked_side_by_side_and_each_has_its_journal(walk: Walking) -> None:
    journals: dict[str, set[str]] = {}

    def look(batch: BatchStored) -> None:
        journals[batch.series.market] = {path.stem for path in (walk.home / "walks").iterdir()}
        walk.watched.let_go()

    walk.on_batch = look
    # The second page of one has to wait until all of the other is in the store.
    walk.watched.hold("pair=XBTUSD", after=1)
    walk(walk.question("XBTUSD"), walk.question("ETHUSD"))

    check_stored(walk, "XBTUSD")
    check_stored(walk, "ETHUSD")
    assert list(journals) == ["ETHUSD", "XBTUSD"]
    assert "XBTUSD" in journals["ETHUSD"]
    assert "ETHUSD" in journals["ETHUSD"]
    assert [one.series.market for one in walk.ended()] == ["ETHUSD", "XBTUSD"]


def test_from_the_first_trade_on_what_came_before_is_left_unanswered(walk: Walking) -> None:
    wanted = between("2024-03-01", "2024-03-02")
    walk(walk.question("XBTUSD", Walk.start(wanted, FROM_FIRST, from_first=True)))

    first = _first_minute(wanted)
    assert walk.on_record == {"XBTUSD": {PROVEN: RangeSet([TimeRange(first, wanted.end)])}}
    check_stored(walk, "XBTUSD", wanted)


def test_up_to_now_the_walk_ends_with_the_last_minute_that_is_closed(walk: Walking) -> None:
    wanted = TimeRange(at("2024-05-19"), at("2024-05-20 06:17"))
    walk(walk.question("XBTUSD", begun(wanted)))

    assert walk.on_record == {"XBTUSD": {PROVEN: RangeSet([wanted])}}
    check_stored(walk, "XBTUSD", wanted)


# --------------------------------------------------------------------------------------------------------- budget spent


def test_a_budget_that_is_spent_in_the_middle_keeps_what_was_fetched(walk: Walking) -> None:
    purse = Purse(4)
    walk(walk.question("XBTUSD", purse=purse))

    assert (walk.ended(), purse.left) == ([WalkEnded(series("XBTUSD"), unpaid=True)], 0)
    assert walk.cursors.total() == walk.pages("XBTUSD") == 4
    [known] = walk.on_record["XBTUSD"][PROVEN]
    assert known.start == WANTED.start
    check_stored(walk, "XBTUSD", known)
    standing = walk.kept("XBTUSD")
    assert (standing.walk.reached, standing.pages, standing.candles.height) == (known.end, 0, 0)


def test_from_there_the_next_budget_goes_on_and_no_page_is_asked_for_twice(walk: Walking) -> None:
    walk(walk.question("XBTUSD", purse=Purse(4)))
    walk(walk.question("XBTUSD", walk.kept("XBTUSD").walk))

    check_stored(walk, "XBTUSD")
    assert walk.on_record == {"XBTUSD": {PROVEN: RangeSet([WANTED])}}
    assert set(walk.cursors.values()) == {1}
    assert not list((walk.home / "walks").iterdir())


def test_one_budget_is_for_all_markets(walk: Walking) -> None:
    purse = Purse(5)
    walk(walk.question("XBTUSD", purse=purse), walk.question("ETHUSD", purse=purse))

    assert (walk.cursors.total(), purse.left) == (5, 0)
    assert [one.unpaid for one in walk.ended()] == [True, True]


def test_without_a_budget_nothing_is_asked_for(walk: Walking) -> None:
    walk(walk.question("XBTUSD", purse=Purse(0)))

    assert walk.ended() == [WalkEnded(series("XBTUSD"), unpaid=True)]
    assert (walk.cursors.total(), walk.on_record) == (0, {})


# ------------------------------------------------------------------------------------------------------------- failures


def test_an_error_in_the_middle_keeps_what_was_fetched(walk: Walking) -> None:
    walk.api.faults = Faults.first(None, None, None, Fault.HTML, Fault.HTML)
    walk(walk.question("XBTUSD"))

    [ended] = walk.ended()
    assert "Trades of XBTUSD" in ended.error
    [known] = walk.on_record["XBTUSD"][PROVEN]
    check_stored(walk, "XBTUSD", known)
    assert walk.kept("XBTUSD").walk.reached == known.end
    assert walk.pages("XBTUSD") == 3


def test_what_fails_in_one_market_ends_no_other(walk: Walking) -> None:
    walk.settings = replace(walk.settings, connections=1)
    walk.api.faults = Faults.first(None, Fault.HTML, Fault.HTML)
    walk(walk.question("ETHUSD"), walk.question("XBTUSD"))

    assert [(one.series.market, bool(one.error)) for one in walk.ended()] == [("ETHUSD", True), ("XBTUSD", False)]
    assert walk.error is None
    check_stored(walk, "XBTUSD")


def test_a_page_that_came_at_the_second_attempt_is_taken_once(walk: Walking) -> None:
    walk.api.faults = Faults.first(None, Fault.CUT, None, Fault.SERVICE, None, Fault.HTTP_503)
    walk(walk.question("XBTUSD"))

    check_stored(walk, "XBTUSD")
    assert sorted(Counter(walk.cursors.values()).items())[-1] == (2, 3)
    assert walk.pages("XBTUSD") == len(walk.cursors)


def test_a_market_that_goes_in_the_middle_is_told_to_be_unlisted_and_keeps_what_was_fetched(walk: Walking) -> None:
    def gone(batch: BatchStored) -> None:
        walk.api.delist("XBTUSD")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(walking, "BATCH_CANDLES", 1_000)
        walk.on_batch = gone
        walk(walk.question("XBTUSD"))

    [ended] = walk.ended()
    assert ended.unlisted
    [known] = walk.on_record["XBTUSD"][PROVEN]
    check_stored(walk, "XBTUSD", known)


def test_trades_that_never_go_on_end_no_other_walk(walk: Walking) -> None:
    """The exchange gives the same full page for whatever cursor."""
    walk.settings = replace(walk.settings, connections=1)
    inner, stuck = walk.api.answer, cursor_at(WANTED.start - timedelta(hours=1))

    def answer(path: str, query: Mapping[str, str]) -> Reply:
        return inner(path, {**query, "since": stuck} if query.get("pair") == "ETHUSD" else query)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(walk.api, "answer", answer)
        walk(walk.question("ETHUSD"), walk.question("XBTUSD"))

    assert [(one.series.market, bool(one.error)) for one in walk.ended()] == [("ETHUSD", True), ("XBTUSD", False)]
    assert "do not go on" in walk.ended()[0].error
    check_stored(walk, "XBTUSD")


# -------------------------------------------------------------------------------------------------------------- stopped


def test_a_stop_in_the_middle_keeps_everything_that_was_fetched(walk: Walking) -> None:
    """The fifth page of each market is on its way when the run is asked to stop."""
    names = ("XBTUSD", "ETHUSD")
    before = Counter[str]()

    def fifth(request: str) -> bool:
        name = next((name for name in names if "Trades" in request and name in request), "")
        before[name] += 1
        return bool(name) and before[name] == 5

    walk.watched.held = fifth
    walk.should_stop = lambda: all(walk.pages(name) >= 4 for name in names)
    walk(*map(walk.question, names))

    assert walk.ended() == []
    for name in names:
        kept = walk.kept(name)
        [known] = walk.on_record[name][PROVEN]
        assert (kept.walk.reached, kept.pages, kept.answers) == (known.end, 0, {})
        check_stored(walk, name, known)
        assert walk.pages(name) == 4

    walk.watched.let_go()
    walk.should_stop = lambda: False
    walk(*(walk.question(name, walk.kept(name).walk) for name in names))

    for name in names:
        check_stored(walk, name)
        assert walk.on_record[name] == {PROVEN: RangeSet([WANTED])}
        # The page that was on its way, and no other.
        assert sorted(n for (of, _), n in walk.arrived.items() if of == name)[-2:] == [1, 2]
    assert not list((walk.home / "walks").iterdir())


@pytest.mark.usefixtures("small_batches")
def test_a_batch_that_was_stored_and_is_not_on_record_stays_in_the_journal(walk: Walking) -> None:
    telling = walk.conversation().about([walk.question("XBTUSD")])
    batch = next(one for one in telling if isinstance(one, BatchStored))
    telling.close()

    kept = walk.kept("XBTUSD")
    assert kept.answers == batch.answers
    check_stored(walk, "XBTUSD", kept.answers[PROVEN].span or WANTED)
    assert kept.walk.next_cursor is not None


def test_whoever_leaves_before_the_end_loses_no_page(walk: Walking) -> None:
    """As by a second Ctrl-C, or where a lease was lost: nobody will put the batch on record."""
    telling = walk.conversation().about([walk.question("XBTUSD")])
    pages = (one for one in telling if isinstance(one, PageTaken))
    taken = [next(pages) for _ in range(3)]
    telling.close()

    kept = walk.kept("XBTUSD")
    assert kept.pages >= len(taken)
    [known] = kept.answers[PROVEN]
    truth = EXCHANGE.truth(series("XBTUSD"), known)
    assert kept.candles["trades"].to_list() == truth["trades"].to_list()


# ----------------------------------------------------------------------------------------------------- ids, and without


def test_trades_that_cannot_be_had_are_told_and_leave_their_minutes_unproven(walk: Walking) -> None:
    lost = between("2024-05-14 08:00", "2024-05-14 08:30")
    walk.api.quirks = Quirks(lost_trades=(lost,))
    missing = EXCHANGE.trades("XBTUSD", lost).height
    walk(walk.question("XBTUSD"))

    [broken] = [one for page in walk.told if isinstance(page, PageTaken) for one in page.breaks]
    assert broken.missing == missing
    assert broken.within.start <= lost.start < lost.end <= broken.within.end
    assert walk.on_record["XBTUSD"][UNPROVEN] == RangeSet([broken.within])
    assert walk.on_record["XBTUSD"][PROVEN] == RangeSet([WANTED]) - RangeSet([broken.within])
    assert walk.stored("XBTUSD", lost).is_empty()
    assert walk.ended() == [WalkEnded(series("XBTUSD"))]


def test_the_era_without_ids_is_answered_for_and_not_proven(walk: Walking) -> None:
    since = at("2024-05-14 08:00")
    walk.api.quirks = Quirks(ids_since=since)
    walk(walk.question("XBTUSD"))

    check_stored(walk, "XBTUSD")
    held = walk.on_record["XBTUSD"]
    [unproven], [proven] = held[UNPROVEN], held[PROVEN]
    assert (unproven.start, proven.end) == (WANTED.start, WANTED.end)
    # From the minute after the first trade with an id.
    first = _first_minute(TimeRange(since, since + timedelta(hours=2)))
    assert unproven.end == proven.start == first + timedelta(minutes=1)


def _first_minute(within: TimeRange) -> datetime:
    """The first one that traded."""
    traded = span_of(EXCHANGE.truth(series("XBTUSD"), within), Interval.M1)
    assert traded is not None
    return traded.start


# --------------------------------------------------------------------------------------------------------------- stored


def test_a_stored_candle_of_a_minute_that_is_proven_quiet_goes(walk: Walking) -> None:
    traded = set(EXCHANGE.truth(series("XBTUSD"), WANTED)["timestamp"].to_list())
    quiet = next(minute for minute in _minutes(WANTED) if minute not in traded)
    before = WANTED.start - timedelta(minutes=10)
    open_store("parquet:lake", walk.home).write(series("XBTUSD"), candles_at(before, quiet), Origin(Source.CSV))
    walk(walk.question("XBTUSD"))

    batches = [one.written for one in walk.told if isinstance(one, BatchStored)]
    assert [(one.removed, one.first_removed) for one in batches if one.removed] == [(1, quiet)]
    assert walk.stored("XBTUSD")["timestamp"][0] == before
    assert quiet not in walk.stored("XBTUSD")["timestamp"].to_list()


def _minutes(within: TimeRange) -> Iterable[datetime]:
    count = within.slots(Interval.M1)
    return (within.start + number * timedelta(minutes=1) for number in range(count))


def test_nobody_there_is_one_error_and_nothing_is_on_record(tmp_path: Path) -> None:
    settings = ApiSettings("http://127.0.0.1:9", rate=0, attempts=1, connections=1)
    walk = Walking(tmp_path, Watched(SandboxApi(EXCHANGE, lambda: NOW)), settings)
    names = ["XBTUSD", "ETHUSD", *(f"M{number}USD" for number in range(4))]
    walk(*(walk.question(name) for name in names))

    assert isinstance(walk.error, GaveUp)
    assert (len(walk.ended()), walk.on_record) == (3, {})
