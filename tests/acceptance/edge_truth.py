"""What must be known of every slot after archives were read and the API was asked: worked out slot by slot.

Nothing here uses the pipeline, the store or their arithmetic of ranges. A series is an array of slots, True where
somebody has spoken; a run sets some of them. Candles and what a window shows come from the sandbox.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import polars as pl

from chandlery.candles.interval import EPOCH, Interval
from chandlery.candles.timerange import TimeRange
from chandlery.sandbox.editions import Edition
from chandlery.sandbox.exchange import SandboxExchange
from chandlery.sandbox.ohlc import Quirks, ohlc_window
from tests.acceptance.truth import Expected, SeriesTruth

Slots = npt.NDArray[np.bool_]
#: The API has no 720 (Kraken REST reference, OHLC): it is made of 240.
ASKED_AS = {Interval.M720: Interval.M240}


@dataclass
class EdgeTruth:
    """The slots of [origin, until), both midnights, as they become known run by run. Archives are whole ZIPs, or loose
    files that end at a midnight.
    """

    exchange: SandboxExchange
    origin: datetime
    until: datetime
    quirks: Quirks = field(default_factory=Quirks)
    #: Markets of which the exchange has said that it does not know them.
    gone: set[str] = field(default_factory=set)
    dated: set[str] = field(default_factory=set)
    _known: dict[tuple[str, Interval], Slots] = field(default_factory=dict)
    #: Of these, what cannot change any more.
    _confirmed: dict[tuple[str, Interval], Slots] = field(default_factory=dict)
    _archived: dict[tuple[str, Interval], Slots] = field(default_factory=dict)

    def run(
        self,
        now: datetime,
        intervals: Iterable[Interval],
        editions: Iterable[Edition] = (),
        *,
        ask: bool = True,
        online: Iterable[str] | None = None,
    ) -> None:
        """One run of the main command at `now`, in which all of `editions` are there to be read. `online`: the markets
        that the API knows (those that are listed).
        """
        wanted = sorted(intervals)
        for market in self.exchange.names:
            for edition in editions:
                self._look_into(edition, market)
            for interval in wanted:
                self._set(market, interval, self._archive(market, interval))
                self._confirm(market, interval, self._archive(market, interval))
            asked = sorted({ASKED_AS.get(interval, interval) for interval in wanted})
            for interval in asked if ask and market not in self.gone else ():
                if not self._is_listed(market, now, online):
                    self.gone.add(market)
                    break
                self._set(market, interval, self._answer(market, interval, now))
                self._confirm(market, interval, self._answer(market, interval, now, young=False))
            for interval in wanted:
                self._derive(market, interval, now)

    def series(self, market: str, interval: Interval, now: datetime) -> SeriesTruth:
        """The verdicts of every slot that is closed at `now`, and the candles that must be stored of them."""
        size = (now - self.origin) // _width(interval)
        known, traded = self._of(market, interval), self._trades(market, interval)
        stored = known
        known = self._held(market, interval, now)
        verdicts = np.full(len(known), Expected.MISSING, dtype=object)
        verdicts[known] = Expected.QUIET_CLAIMED
        verdicts[stored & traded] = Expected.TRADED
        verdicts[self._unlisted(market, interval)] = Expected.UNLISTED
        closed = np.arange(len(known)) < size
        rows = self._candles(market, interval).filter(pl.Series((stored & closed)[traded]))
        return SeriesTruth(market, interval, (self.origin - EPOCH) // _width(interval), verdicts[:size], rows)

    # ---------------------------------------------------------------------------------------------------- archives

    def _look_into(self, edition: Edition, market: str) -> None:
        is_complete = edition.start is None
        within = TimeRange.maybe(edition.start or self.exchange.market(market).listed, edition.end)
        if within is None:
            return
        for interval in edition.intervals:
            slots = self._none(interval)
            start = EPOCH + (within.start - EPOCH) // _width(interval) * _width(interval)
            rows = candles_of(self.exchange, market, interval, TimeRange(start, edition.end))
            opens = [
                moment.replace(tzinfo=UTC)
                for moment in (rows["timestamp"].first(), rows["timestamp"].last())
                if isinstance(moment, datetime)
            ]
            if edition.quarter is None:
                if opens:
                    slots[self._span(interval, opens[0], opens[-1] + _width(interval))] = True
            elif opens or self._trades(market, interval)[: self._place(interval, within.start)].any():
                # A release answers for all of its period, and where it lacks a market that had traded, it was quiet.
                slots[self._span(interval, within.start, edition.end)] = True
            self._archived[market, interval] = self._archived.get((market, interval), self._none(interval)) | slots
            if is_complete and opens:
                self.dated.add(market)

    def _archive(self, market: str, interval: Interval) -> Slots:
        """What archives say of a series: its own files, or those of finer ones that cover whole slots."""
        found = self._archived.get((market, interval), self._none(interval)).copy()
        for finer in _finer(interval):
            if (market, finer) in self._archived:
                found |= self._whole(self._archived[market, finer] | self._unlisted(market, finer), interval, finer)
        return found

    # ------------------------------------------------------------------------------------------------------ the API

    def _is_listed(self, market: str, now: datetime, online: Iterable[str] | None) -> bool:
        life = self.exchange.market(market)
        is_alive = life.listed <= now and (life.delisted is None or now < life.delisted)
        return is_alive and (online is None or market in online)

    def window(self, market: str, interval: Interval, now: datetime) -> TimeRange | None:
        """What an answer tells at `now`: from the first row that is shown to the last closed slot."""
        asked = ASKED_AS.get(interval, interval)
        shown = ohlc_window(self.exchange.book(market), int(asked), now, self.quirks).opens
        closed = EPOCH + (now - EPOCH) // _width(asked) * _width(asked)
        return TimeRange.maybe(EPOCH + timedelta(seconds=shown[0]), closed) if shown else None

    def _answer(self, market: str, interval: Interval, now: datetime, *, young: bool = True) -> Slots:
        """The newest three can still change: they are `young`."""
        slots, told = self._none(interval), self.window(market, interval, now)
        if told is not None:
            slots[self._span(interval, told.start, told.end if young else told.end - 3 * _width(interval))] = True
        return slots

    def _held(self, market: str, interval: Interval, now: datetime) -> Slots:
        """What is answered for at `now`: of what could still change when it was told, what can be asked again."""
        asked = ASKED_AS.get(interval, interval)
        closed = EPOCH + (now - EPOCH) // _width(asked) * _width(asked)
        askable = self._none(interval)
        askable[self._span(interval, closed - 720 * _width(asked), self.until)] = True
        confirmed = self._confirmed.get((market, interval), self._none(interval))
        return confirmed | (self._of(market, interval) & askable)

    # --------------------------------------------------------------------------------------------------- derivation

    def _derive(self, market: str, interval: Interval, now: datetime) -> None:
        for finer in _finer(interval):
            unlisted = self._unlisted(market, finer)
            self._set(market, interval, self._whole(self._held(market, finer, now) | unlisted, interval, finer))
            confirmed = self._confirmed.get((market, finer), self._none(finer))
            self._confirm(market, interval, self._whole(confirmed | unlisted, interval, finer))

    def _whole(self, known: Slots, interval: Interval, finer: Interval) -> Slots:
        """The slots of which every finer one is known."""
        whole: Slots = np.logical_and.reduce(known.reshape(-1, int(interval) // int(finer)), axis=1)
        return whole

    # -------------------------------------------------------------------------------------------------------- slots

    def _unlisted(self, market: str, interval: Interval) -> Slots:
        """Slots that were over when the market first traded, where a complete release tells when that was."""
        slots = self._none(interval)
        first = self.exchange.first_trade(market)
        if market in self.dated and first is not None:
            slots[: max(0, (first - self.origin) // _width(interval))] = True
        return slots

    def _set(self, market: str, interval: Interval, slots: Slots) -> None:
        self._known[market, interval] = self._of(market, interval) | slots

    def _confirm(self, market: str, interval: Interval, slots: Slots) -> None:
        self._confirmed[market, interval] = self._confirmed.get((market, interval), self._none(interval)) | slots

    def _of(self, market: str, interval: Interval) -> Slots:
        return self._known.get((market, interval), self._none(interval))

    def _candles(self, market: str, interval: Interval) -> pl.DataFrame:
        return candles_of(self.exchange, market, interval, TimeRange(self.origin, self.until))

    def _trades(self, market: str, interval: Interval) -> Slots:
        minutes = self._candles(market, interval)["timestamp"].dt.epoch("s").to_numpy() // 60
        slots = self._none(interval)
        slots[(minutes - (self.origin - EPOCH) // timedelta(minutes=1)) // int(interval)] = True
        return slots

    def _none(self, interval: Interval) -> Slots:
        return np.zeros(self._size(interval), dtype=np.bool_)

    def _size(self, interval: Interval) -> int:
        return (self.until - self.origin) // _width(interval)

    def _place(self, interval: Interval, moment: datetime) -> int:
        return min(max((moment - self.origin) // _width(interval), 0), self._size(interval))

    def _span(self, interval: Interval, start: datetime, end: datetime) -> slice:
        return slice(self._place(interval, start), self._place(interval, end))


@lru_cache(maxsize=64)
def candles_of(exchange: SandboxExchange, market: str, interval: Interval, within: TimeRange) -> pl.DataFrame:
    """As the exchange tells them; half a year of minutes takes a while."""
    return exchange.candles(market, interval, within)


def _finer(interval: Interval) -> list[Interval]:
    return [one for one in Interval if one < interval and interval % one == 0]


def _width(interval: Interval) -> timedelta:
    return timedelta(minutes=int(interval))
