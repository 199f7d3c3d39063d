"""Set a store beside another store, or beside archives and CSV files, series by series."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from chandlery.candles.compare import Comparison, compare
from chandlery.candles.series import Series
from chandlery.candles.timerange import TimeRange
from chandlery.errors import UsageError
from chandlery.exchanges.kraken.archive import Member, find_sources, open_rows
from chandlery.stores import SCHEMES, open_store
from chandlery.stores.base import CandleStore


class NothingThere(UsageError):
    """{path} holds neither a candle store nor files of candles; name a lake, or a folder, ZIP or CSV of Kraken rows"""


class SeveralFiles(UsageError):
    """{path} holds {series} in more than one file ({one} and {other}); name one source at a time"""


@dataclass(frozen=True, slots=True)
class Files:
    """Files of candles, one a series."""

    members: dict[Series, Member]

    def series(self) -> Iterator[Series]:
        return iter(self.members)

    def frames(self, series: Series) -> Iterator[pl.DataFrame]:
        with open_rows(self.members[series]) as reader:
            yield from reader


@dataclass(frozen=True, slots=True)
class Lake:
    """A candle store, read a year at a time."""

    store: CandleStore

    def series(self) -> Iterator[Series]:
        return self.store.series()

    def frames(self, series: Series) -> Iterator[pl.DataFrame]:
        span = self.store.span(series)
        for year in range(span.start.year, span.end.year + 1) if span else ():
            part = TimeRange(datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC))
            yield self.store.read(series, part)


def other_side(named: str, home: Path) -> Files | Lake:
    """The store or the files that `named` is. Raises UsageError."""
    path = Path(named)
    url = named if named.partition(":")[0] in SCHEMES else f"parquet:{path.absolute()}"
    if url == named or (path / "_lake.json").exists():
        store = open_store(url, home)
        if store.identity() is None:
            raise NothingThere(path=store.url if url == named else named)
        return Lake(store)
    members: dict[Series, Member] = {}
    for source in find_sources(path):
        for problem in source.problems:
            raise problem
        for member in source.members:
            series = Series("kraken", member.altname, member.interval)
            if series in members:
                raise SeveralFiles(path=named, series=series, one=members[series].label, other=member.label)
            members[series] = member
    if not members:
        raise NothingThere(path=named)
    return Files(members)


def compare_all(
    here: CandleStore, there: Files | Lake, markets: Collection[str]
) -> Iterator[tuple[Series, Comparison]]:
    """Every series of these markets that either side holds, in order."""
    stored, others = set(here.series()), set(there.series())
    for series in sorted(one for one in stored | others if one.market in markets):
        yield series, _compare(here, there, series) if series in others else Comparison(only_here=here.count(series))


def _compare(here: CandleStore, there: Files | Lake, series: Series) -> Comparison:
    total = Comparison()
    for frame in there.frames(series):
        if frame.height:
            opens = frame["timestamp"]
            start, last = opens[0].replace(tzinfo=UTC), opens[-1].replace(tzinfo=UTC)
            met = compare(here.read(series, TimeRange(start, last + series.interval.delta)), frame)
            total = total + Comparison(met.equal, met.different, 0, met.only_there, met.first_difference)
    return total + Comparison(only_here=here.count(series) - total.equal - total.different)
