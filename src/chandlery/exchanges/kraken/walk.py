"""A walk over the trades of one market, page by page: where it stands, and what each page adds.

Pure: pages come in, values go out. Who asks for the pages, and when, is not known here.
"""

from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import polars as pl

from chandlery.candles.evidence import Evidence, Source
from chandlery.candles.frame import CANDLE_SCHEMA, empty_candles
from chandlery.candles.interval import EPOCH
from chandlery.candles.timerange import RangeSet, TimeRange
from chandlery.candles.trades import MINUTE, fold, joined
from chandlery.errors import ChandleryError
from chandlery.exchanges.kraken.api.trades import PAGE_ROWS, TradesPage

PROVEN = Evidence(Source.TRADES, proven=True)
UNPROVEN = Evidence(Source.TRADES, proven=False)
#: The cursor before a market's first trade (design 2.6).
FROM_FIRST = "0"
#: Looking for a trade before the range: so many times further back each time, so often at most, an hour at least.
FURTHER, MOST_LOOKS, SHORTEST_LOOK = 8, 4, 60 * MINUTE

Integers = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
#: The columns of a candle, its open in microseconds since the epoch.
OpenMinute = tuple[int, float, float, float, float, float, int]


class CursorStuck(ChandleryError):
    """Kraken's Trades do not go on from {cursor}: {problem}."""


class UnreadableWalk(ChandleryError):
    """This is no state of a walk over trades: {problem}."""


@dataclass(frozen=True, slots=True)
class Break:
    """Trades that the exchange has numbered and does not give: those between two ids.

    `within`: the minutes from that of the trade before to that of the trade after, as far as they were wanted.
    """

    before: int
    after: int
    within: TimeRange

    @property
    def missing(self) -> int:
        return self.after - self.before - 1


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """What a page came to: the walk after it, and what is new.

    `candles`: 1-minute candles, whole minutes of the range, each handed out once. `answers`: the minutes answered for
    that were not before. `trades`: how many were new, those outside of the range included.
    """

    walk: "Walk"
    candles: pl.DataFrame = field(default_factory=empty_candles)
    answers: dict[Evidence, RangeSet] = field(default_factory=dict)
    breaks: tuple[Break, ...] = ()
    trades: int = 0


class _Rows(NamedTuple):
    """Trades in order; ids 0 where there is none."""

    time: Integers
    price: Numbers
    volume: Numbers
    id: Integers

    def where(self, chosen: "Flags | slice") -> "_Rows":
        return _Rows(self.time[chosen], self.price[chosen], self.volume[chosen], self.id[chosen])


@dataclass(frozen=True, slots=True)
class Walk:
    """Where a walk stands. Make one with Walk.start; ask for `next_cursor`, hand the page to `taken`, until it is None.

    Times are nanoseconds since the epoch. The state is bounded: an open minute, and the trades of the last nanosecond.

    - A page that shows a gap in the ids for the first time is put aside and asked for once more: from just before the
      last trade where the gap lies between two pages, else from where it came from. A gap seen twice is a Break.
    - The cursor goes back as it came. But where the last trade has no id, the next page is asked from just before it,
      since nothing else would tell of trades that share its time and did not fit; so it is where a gap between pages
      was closed in that way before, and once where a page says that nothing follows.
    - The walk ends with a trade at or after the end of the range, or where nothing follows the last trade: neither
      later than it nor at its very time.
    """

    range: TimeRange
    cursor: str
    from_first: bool = False
    looked_back: int = 0
    done: bool = False
    told: int = 0  # up to here candles and answers have been handed out
    unproven_until: int = 0  # minutes from `told` to here are not proven
    edge: str = ""  # `last` of the page that ended with the last trade taken
    last_time: int | None = None  # of the last trade taken
    last_id: int = 0  # the greatest taken
    numbered: bool = False  # whether the last trade taken has an id
    tail: tuple[tuple[float, float], ...] = ()  # price and volume of trades without id at `last_time`
    forming: OpenMinute | None = None  # the minute of the last trade
    ties_lost: bool = False  # trades at the very time of a page's end were left out of the next one
    doubts: tuple[int, ...] = ()  # ids after which a gap has been seen once
    edge_seen: bool = False  # a page began before or with the last trade and held nothing new
    quiet_until: int | None = None  # a page said that nothing follows until then

    @classmethod
    def start(cls, range: TimeRange, cursor: str, from_first: bool = False) -> Self:  # noqa: A002 - as the field
        """A walk for the minutes of `range`, which lies on the minute grid, first asking for what follows `cursor`.

        `from_first`: nothing came before the first trade of the first page (as after "0"). Otherwise a trade before the
        range is looked for: from 8 times further back than the cursor, four times at most, and in the end from "0".
        """
        return cls(range, cursor, from_first, told=_first_whole(range, cursor))

    @property
    def next_cursor(self) -> str | None:
        """What to ask for next; None where the walk is done."""
        return None if self.done else self.cursor

    @property
    def reached(self) -> datetime:
        """Up to here the range has been answered for (UTC), but for what came before the market's first trade."""
        return _moment(self.told)

    def taken(self, page: TradesPage, until: datetime) -> Step:
        """The walk after the page that was asked for with `next_cursor` when the exchange's clock showed `until`.

        Raises CursorStuck where more than 1000 trades share one time, or the exchange's cursor leads nowhere.
        """
        if self.done:
            raise ValueError("a walk that is done takes no page")
        rows = self._new(page.trades)
        if self._looks_further(rows):
            return Step(self._further_back())
        if not len(rows.time):
            return self._without_new(page, until)
        if self.edge and int(page.last) < int(self.edge):
            raise CursorStuck(cursor=self.cursor, problem=f"the next one, {page.last}, lies before {self.edge}")
        end = _ns(self.range.end)
        beyond = int(np.searchsorted(rows.time, end))
        rows = rows.where(slice(beyond + 1))
        links = _Links.of(self, rows)
        fresh_doubts = links.before_id[links.gaps & ~np.isin(links.before_id, self.doubts)]
        if len(fresh_doubts):
            return Step(self._asking_again(fresh_doubts))
        return self._with(rows, links, page.last)

    def to_json(self) -> dict[str, Any]:
        """As values that JSON knows."""
        return asdict(self) | {"range": [self.range.start.isoformat(), self.range.end.isoformat()]}

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Raises UnreadableWalk."""
        try:
            start, end = (datetime.fromisoformat(text).astimezone(UTC) for text in value["range"])
            forming = None if value["forming"] is None else tuple(value["forming"])
            tail = tuple((price, volume) for price, volume in value["tail"])
            changed = {"range": TimeRange(start, end), "forming": forming, "tail": tail}
            return cls(**{**value, **changed, "doubts": tuple(value["doubts"])})
        except (TypeError, ValueError, KeyError, ChandleryError) as problem:
            raise UnreadableWalk(problem=f"{type(problem).__name__}, {problem}") from problem

    def _new(self, trades: pl.DataFrame) -> _Rows:
        """The trades that were not there yet. Time never goes backwards: a trade that is late counts when it comes."""
        rows = _Rows(
            trades["time"].to_numpy(),
            trades["price"].to_numpy(),
            trades["volume"].to_numpy(),
            trades["id"].fill_null(0).to_numpy(),
        )
        highest = np.maximum.accumulate(np.concatenate(([self.last_id], rows.id)))[:-1]
        new = rows.id > highest
        if not rows.id.all():
            new |= (rows.id == 0) & self._unseen(rows)
        rows = rows if new.all() else rows.where(new)
        if len(rows.time):
            floor = rows.time[0] if self.last_time is None else self.last_time
            rows = rows._replace(time=np.maximum.accumulate(np.maximum(rows.time, floor)))
        return rows

    def _unseen(self, rows: _Rows) -> Flags:
        """Of trades without id those later than the last trade, and at its time those that were not on a page yet."""
        if self.last_time is None:
            return np.ones(len(rows.time), dtype=bool)
        unseen: Flags = rows.time > self.last_time
        seen = list(self.tail)
        for place in np.flatnonzero((rows.time == self.last_time) & (rows.id == 0)).tolist():
            trade = (float(rows.price[place]), float(rows.volume[place]))
            if trade in seen:
                seen.remove(trade)
            else:
                unseen[place] = True
        return unseen

    def _looks_further(self, rows: _Rows) -> bool:
        """Whether no trade before the range has been seen, and it is worth looking for one."""
        if self.last_time is not None or self.from_first or self.cursor == FROM_FIRST:
            return False
        none_before = not len(rows.time) or int(rows.time[0]) >= _ns(self.range.start)
        return none_before and self.looked_back < MOST_LOOKS

    def _further_back(self) -> Self:
        start = _ns(self.range.start)
        back = start - max(SHORTEST_LOOK, FURTHER * (start - int(self.cursor)))
        cursor = str(back) if back > 0 else FROM_FIRST
        told = _first_whole(self.range, cursor)
        looks = self.looked_back + 1
        return replace(self, cursor=cursor, from_first=cursor == FROM_FIRST, told=told, looked_back=looks)

    def _asking_again(self, doubts: Integers) -> Self:
        """The page is put aside. What did not fit on the page before comes from just before that page's end."""
        at_edge = int(doubts[0]) == self.last_id and self.edge
        cursor = _moved(self.edge, -1) if at_edge else self.cursor
        return replace(self, cursor=cursor, doubts=(*self.doubts, *doubts.tolist()), edge_seen=False, quiet_until=None)

    def _without_new(self, page: TradesPage, until: datetime) -> Step:
        """Nothing follows, if both a page from before the last trade and one from after it say so."""
        repeats = page.trades.height
        moved = int(self.cursor) - int(self.edge) if self.edge else 0
        if repeats >= PAGE_ROWS:
            raise CursorStuck(cursor=self.cursor, problem=f"{repeats:,} trades, all of them known")
        if repeats and moved > 0:
            raise CursorStuck(cursor=self.cursor, problem="it gives trades of before")
        edge_seen = self.edge_seen or bool(repeats) or moved < 0 or not self.edge
        quiet_until = self.quiet_until if repeats else _ns(until) // MINUTE * MINUTE
        walk = replace(self, edge_seen=edge_seen, quiet_until=quiet_until)
        if edge_seen and quiet_until is not None:
            return walk._ended(quiet_until)
        # A page that begins with the last trade once more tells nothing of what is later, an empty one nothing of what
        # shares its time: the one is followed by a question for what is later, the other by one from just before it.
        onwards = moved + 1 if repeats else -1
        return Step(replace(walk, cursor=_moved(self.edge, onwards)))

    def _ended(self, quiet_until: int) -> Step:
        upto = max(self.told, min(_ns(self.range.end), quiet_until))
        if self.last_time is None and self.from_first:
            return Step(replace(self, done=True))
        unproven_until = self.unproven_until if self.numbered else upto
        candles, _ = _split(_open_candle(self.forming), self.told, upto)
        answers = _answers(self.told, upto, [(self.told, unproven_until)])
        walk = replace(self, done=True, told=upto, unproven_until=unproven_until, forming=None)
        return Step(walk, candles, answers)

    def _with(self, rows: _Rows, links: "_Links", last: str) -> Step:
        """The walk after these new trades, of which there is at least one."""
        start, end = _ns(self.range.start), _ns(self.range.end)
        last_time, minute = int(rows.time[-1]), int(rows.time[-1]) // MINUTE * MINUTE
        told = self.told
        if self.last_time is None and self.from_first:
            # Before its first trade the market was not there to be asked about.
            told = max(start, min(end, int(rows.time[0]) // MINUTE * MINUTE))
        upto = max(told, min(end, minute))
        unproven = [(told, self.unproven_until), *links.unproven()]
        minutes = joined(_open_candle(self.forming), fold(pl.DataFrame(rows._asdict())))
        candles, forming = _split(minutes, told, upto)
        numbered = bool(rows.id[-1])
        last_id = max(self.last_id, int(rows.id.max()))
        ties_lost = self.ties_lost or (self.last_id in self.doubts and bool(links.proven[0]))
        walk = replace(
            self,
            cursor=last if numbered and not ties_lost else _moved(last, -1),
            done=last_time >= end,
            told=upto,
            unproven_until=max(last_minute for _, last_minute in unproven),
            edge=last,
            last_time=last_time,
            last_id=last_id,
            numbered=numbered,
            tail=self._tail(rows),
            forming=_figures(forming) if minute < end and forming.height else None,
            ties_lost=ties_lost,
            doubts=tuple(doubt for doubt in self.doubts if doubt >= last_id),
            edge_seen=False,
            quiet_until=None,
        )
        return Step(walk, candles, _answers(told, upto, unproven), links.breaks(self.range), len(rows.time))

    def _tail(self, rows: _Rows) -> tuple[tuple[float, float], ...]:
        """The trades without id at the time of the last one, as far as they are known."""
        same = rows.where((rows.id == 0) & (rows.time == rows.time[-1]))
        earlier = self.tail if self.last_time == int(rows.time[-1]) else ()
        return (*earlier, *zip(same.price.tolist(), same.volume.tolist(), strict=True))


class _Links(NamedTuple):
    """New trades, each with the one before it. `proven`: nothing was traded between them, their ids tell.
    `gaps`: their ids tell that something was, in or around a minute that is wanted.
    """

    before_time: Integers
    before_id: Integers
    time: Integers
    id: Integers
    proven: Flags
    gaps: Flags

    @classmethod
    def of(cls, walk: Walk, rows: _Rows) -> "_Links":
        if walk.last_time is None:
            # Nobody knows what came before the first trade, unless it is the market's first.
            first_time, first_id = min(walk.told, int(rows.time[0])), 0
        else:
            first_time, first_id = walk.last_time, walk.last_id if walk.numbered else 0
        before_time = np.concatenate(([first_time], rows.time[:-1]))
        before_id = np.concatenate(([first_id], rows.id[:-1]))
        numbered = (rows.id > 0) & (before_id > 0)
        proven = numbered & (rows.id == before_id + 1)
        gaps = numbered & ~proven & (rows.time >= _ns(walk.range.start))
        if walk.last_time is None and walk.from_first:
            before_time[0], proven[0] = rows.time[0], rows.id[0] > 0
        return cls(before_time, before_id, rows.time, rows.id, proven, gaps)

    def unproven(self) -> list[tuple[int, int]]:
        """The minutes between trades that prove nothing, theirs included, as disjoint ranges of nanoseconds in order;
        an empty one at the start of time where there is none.
        """
        if self.proven.all():
            return [(0, 0)]
        starts = self.before_time[~self.proven] // MINUTE * MINUTE
        ends = (self.time[~self.proven] // MINUTE + 1) * MINUTE
        apart = np.flatnonzero(starts[1:] > ends[:-1]) + 1
        firsts, lasts = np.concatenate(([0], apart)), np.append(apart, len(ends)) - 1
        return list(zip(starts[firsts].tolist(), ends[lasts].tolist(), strict=True))

    def breaks(self, wanted: TimeRange) -> tuple[Break, ...]:
        found = []
        for place in np.flatnonzero(self.gaps).tolist():
            start = _moment(int(self.before_time[place]) // MINUTE * MINUTE)
            end = _moment((int(self.time[place]) // MINUTE + 1) * MINUTE)
            within = TimeRange(start, end).intersection(wanted)
            if within is not None:
                found.append(Break(int(self.before_id[place]), int(self.id[place]), within))
        return tuple(found)


def cursor_at(moment: datetime) -> str:
    """The cursor just before `moment` (UTC), so that a trade at that very nanosecond follows it."""
    return str(max(0, _ns(moment) - 1))


def _first_whole(wanted: TimeRange, cursor: str) -> int:
    """The first minute of the range of which everything follows `cursor`."""
    return max(_ns(wanted.start), -(-(int(cursor) + 1) // MINUTE) * MINUTE)


def _moved(cursor: str, nanoseconds: int) -> str:
    """Exact: Python's integers have no end."""
    return str(max(0, int(cursor) + nanoseconds)) if nanoseconds else cursor


def _split(minutes: pl.DataFrame, start: int, end: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """(candles of [start, end), those after); times in ns."""
    opens = minutes["timestamp"].to_physical().to_numpy()
    first, beyond = np.searchsorted(opens, (start // 1000, end // 1000)).tolist()
    return minutes[first:beyond], minutes[beyond:]


def _open_candle(forming: OpenMinute | None) -> pl.DataFrame:
    return empty_candles() if forming is None else pl.DataFrame([forming], schema=CANDLE_SCHEMA, orient="row")


def _figures(candle: pl.DataFrame) -> OpenMinute:
    """Its open in microseconds, prices, volume and trades."""
    return (int(candle["timestamp"].to_physical()[0]), *candle.row(0)[1:])


def _answers(start: int, end: int, unproven: list[tuple[int, int]]) -> dict[Evidence, RangeSet]:
    """Each minute of [start, end) as proven or not."""
    whole = TimeRange.maybe(_moment(start), _moment(end))
    if whole is None:
        return {}
    cut = [(max(start, first), min(end, last)) for first, last in unproven]
    doubtful = RangeSet(TimeRange(_moment(first), _moment(last)) for first, last in cut if first < last)
    answers = {PROVEN: RangeSet([whole]) - doubtful, UNPROVEN: doubtful}
    return {kind: ranges for kind, ranges in answers.items() if ranges}


def _ns(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1) * 1000


def _moment(nanoseconds: int) -> datetime:
    return EPOCH + timedelta(microseconds=nanoseconds // 1000)
