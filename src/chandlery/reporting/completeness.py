"""Completeness as data: what every rendering and the JSON answer are made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from chandlery.candles.gap import Gap, Reason, split_at_window
from chandlery.candles.interval import Interval
from chandlery.candles.timerange import TimeRange
from chandlery.candles.verdict import Tally
from chandlery.exchanges.kraken.window import WINDOW_SLOTS, asked_as, ohlc_window, quarters_of
from chandlery.reporting.publication import COMPLETE_SET, complete_set, due_text, quarterly_archives

#: A gap over more quarters than this is better fetched from the complete set than quarter by quarter.
MANY_QUARTERS = 4
#: What the API closes, by the command that asks it.
ASK = "run ingest_kraken_unified: Kraken's API still answers for it"
#: What needs no download, where the exchange still lists the market.
WALK = "or run ingest_kraken_unified --complete: it rebuilds it from trades"
#: What closes a gap that is none of coverage: what is stored is contradicted.
ANSWER_ANEW = (
    "run ingest_kraken_unified --complete: what is contradicted is made of finer candles, or rebuilt from trades"
)
#: What nothing closes: so many weeks are contradicted that their cause is another than lost slots.
READ_FINDING = (
    "many weeks hold fewer trades than the exchange counts, so one of them is rebuilt and no more: read the finding in "
    "the admin, and accept it or fetch another archive"
)
#: Why a slot inside the API's window is not asked for.
NOT_LISTED = "the API is not asked, for Kraken does not list the market (sync_markets looks again)"


@dataclass(frozen=True, slots=True)
class Remedy:
    """What would close a gap. `files` are in the short form (ETHUSD_60_2021Q1.csv), `archives` where each is found,
    and `download` says both as a person reads it. `api`: Kraken's API tells the newest part. `trades`: its trades tell
    all of it.
    """

    action: str
    files: tuple[str, ...] = ()
    archives: tuple[str, ...] = ()
    download: str = ""
    api: bool = False
    trades: bool = False


@dataclass(frozen=True, slots=True)
class GapEntry:
    """One gap as reported: `api_fillable` = wholly inside the API's window, `overflow` = its slots outside.

    `error`: why the last attempt to close it, if any, did not.
    """

    gap: Gap
    api_fillable: bool
    overflow: int
    remedy: Remedy
    status: str = "DETECTED"
    error: str = ""

    @property
    def accepted(self) -> bool:
        """A person has accepted it: it stays open, and no request is spent on it."""
        return self.status == "ACCEPTED"

    @property
    def partly_fillable(self) -> bool:
        """The gap lies across the edge of the API's window."""
        return 0 < self.overflow < self.gap.candles

    @property
    def required_csv_file(self) -> str:
        """The files to fetch, joined; empty where the API can answer."""
        return ", ".join(self.remedy.files)


@dataclass(frozen=True, slots=True)
class SeriesEntry:
    """One series. `range` is None where nothing is stored and no start was asked for: then nothing is known of it.

    `first_trade_known` says whether what came before `range` is UNLISTED, or only unknown.
    """

    market: str
    pair: str
    asset: str
    interval: Interval
    range: TimeRange | None
    tally: Tally
    gaps: tuple[GapEntry, ...] = ()
    first_trade_known: bool = False
    remedy: Remedy | None = None

    @property
    def complete(self) -> bool:
        return self.range is not None and self.tally.complete

    @property
    def left(self) -> tuple[GapEntry, ...]:
        """The gaps that nobody has accepted."""
        return tuple(gap for gap in self.gaps if not gap.accepted)

    @property
    def completeness(self) -> float:
        """From 0 to 1; 0 where nothing is known."""
        return self.tally.completeness if self.range is not None else 0.0

    @property
    def density(self) -> float:
        return self.tally.density if self.range is not None else 0.0


@dataclass(frozen=True, slots=True)
class CompletenessReport:
    """What is there of a selection. `title` is the tiers or markets; `start` and `end` half-open UTC, None where
    nothing is known.
    """

    title: str
    intervals: tuple[Interval, ...]
    series: tuple[SeriesEntry, ...]
    now: datetime
    start_was_asked: bool = False
    unclassified: tuple[str, ...] = ()
    tiers: tuple[str, ...] = ()
    quotes: tuple[str, ...] = ()

    @property
    def start(self) -> datetime | None:
        return min((s.range.start for s in self.series if s.range), default=None)

    @property
    def end(self) -> datetime | None:
        return max((s.range.end for s in self.series if s.range), default=None)

    @property
    def assets(self) -> tuple[str, ...]:
        return tuple(sorted({s.asset for s in self.series}))

    @property
    def complete_assets(self) -> tuple[str, ...]:
        partial = {s.asset for s in self.series if not s.complete}
        return tuple(asset for asset in self.assets if asset not in partial)

    @property
    def complete(self) -> bool:
        return bool(self.series) and all(s.complete for s in self.series)

    @property
    def accepted(self) -> int:
        """How many gaps a person has accepted."""
        return sum(len(s.gaps) - len(s.left) for s in self.series)

    @property
    def without_accepted(self) -> CompletenessReport:
        """The same, of the gaps that are to be closed."""
        return replace(self, series=tuple(replace(s, gaps=s.left) for s in self.series)) if self.accepted else self

    @property
    def has_all_it_should(self) -> bool:
        """Whether every gap that is open has been accepted. `complete` is more: then there is none."""
        return bool(self.series) and all(s.complete or (s.gaps and not s.left) for s in self.series)

    @property
    def tally(self) -> Tally:
        return sum((s.tally for s in self.series), Tally())

    def of(self, interval: Interval) -> tuple[SeriesEntry, ...]:
        return tuple(s for s in self.series if s.interval == interval)


def mean_completeness(series: Sequence[SeriesEntry]) -> float:
    """The mean over series, each weighing the same; 0 for none."""
    return sum(s.completeness for s in series) / len(series) if series else 0.0


def gap_entry(
    market: str,
    gap: Gap,
    now: datetime,
    status: str = "DETECTED",
    error: str = "",
    *,
    listed: bool = True,
    left_open: bool = False,
) -> GapEntry:
    """What can be said of a gap at `now`: the API window is split off, the rest needs files. Of a market
    that is not `listed` the API is not asked. `left_open`: nothing more is done about what contradicts it.
    """
    window = ohlc_window(gap.interval, now)
    inside, outside = split_at_window(gap.range, window if listed else None)
    overflow = outside.slots(gap.interval) if outside else 0
    if gap.reason is Reason.SUSPECT:
        anew = Remedy(READ_FINDING) if left_open else Remedy(ANSWER_ANEW, trades=listed)
        return GapEntry(gap, False, overflow, anew, status, error)
    remedy = remedy_for(market, gap.interval, inside, outside, now)
    if listed and outside is not None:
        remedy = replace(remedy, action=f"{remedy.action}; {WALK}", trades=True)
    if not listed and gap.range.overlaps(window):
        remedy = replace(remedy, action=f"{remedy.action}; {NOT_LISTED}")
    return GapEntry(gap, outside is None, overflow, remedy, status, error)


def remedy_for(
    market: str,
    interval: Interval,
    inside: TimeRange | None,
    outside: TimeRange | None,
    now: datetime,
) -> Remedy:
    """The cheapest way to close what lies inside the API's window and what lies outside."""
    if outside is None:
        return Remedy(ASK if inside else "nothing to do", api=inside is not None)
    quarters = quarters_of(outside)
    member = f"{market}_{int(interval)}.csv"
    if len(quarters) > MANY_QUARTERS:
        files: tuple[str, ...] = (member,)
        archives: tuple[str, ...] = (COMPLETE_SET,)
        download = f"{member} in {complete_set(quarters[-1], now)}"
    else:
        files = tuple(f"{market}_{int(interval)}_{quarter}.csv" for quarter in quarters)
        archives = tuple(quarter.archive for quarter in quarters)
        download = f"{member} in {quarterly_archives(quarters, now)}"
    action = f"download {download}"
    if inside is not None or due_text(quarters[-1], now):
        action += f"; {_reach(interval, now)}"
    if inside is not None:
        action += ", and answers from there on: run ingest_kraken_unified"
    return Remedy(action, files, archives, download, api=inside is not None)


def _reach(interval: Interval, now: datetime) -> str:
    """How far back the API tells of an interval, and why no further."""
    start = ohlc_window(interval, now).start
    return f"the API reaches back {_answer(interval)}, to {start:%Y-%m-%d %H:%M} UTC"


def _answer(interval: Interval) -> str:
    """What one answer tells: 720 candles, of the width that is asked for."""
    asked = asked_as(interval)
    return f"{WINDOW_SLOTS} candles" + (f" of {int(asked)}min" if asked != interval else "")


def remedy_for_nothing_known(market: str, interval: Interval, *, api: bool = False) -> Remedy:
    """Where no file and no candle of a series was ever seen. `api`: the next run asks for the newest ones."""
    name = f"{market}_{int(interval)}.csv"
    download = f"{name} in {COMPLETE_SET}"
    action = f"download {download}"
    if api:
        action += f", or run ingest_kraken_unified again: Kraken's API tells the newest {_answer(interval)}"
    return Remedy(action, (name,), (COMPLETE_SET,), download, api)
