"""Turns at writing and clearing, and what a dict would hold after each."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count

from hypothesis import strategies as st

from chandlery.candles.evidence import Origin, Source
from chandlery.candles.interval import Interval
from chandlery.candles.series import Series
from chandlery.candles.timerange import TimeRange
from chandlery.stores.base import CandleStore, Written
from chandlery.stores.stored import with_origin
from tests.candles.builders import at, candles_at
from tests.stores.rule import Row, beats, rows_of

OLD = Origin(Source.CSV, release="2024-04-01T00:00Z quarterly - aaaa")
NEW = Origin(Source.CSV, release="2024-07-01T00:00Z quarterly - bbbb")
TRADES = Origin(Source.TRADES)
API = Origin(Source.API)
DERIVED = Origin(Source.CSV, derived=True)
CUT_OFF = Origin(Source.CSV, provisional=True, release="- 2024-04-01T00:00Z cccc")
LIVE = Origin(Source.STREAM, provisional=True)


@dataclass(frozen=True, slots=True)
class Turn:
    """One writer's work: which slots it appends (at one price) and clears, and whether its first outcome was lost."""

    slots: Sequence[int]
    price: float
    origin: Origin
    before: Sequence[tuple[int, int]]
    after: Sequence[tuple[int, int]]
    lost: bool


#: Slots of three stretches, each across a midnight at which a month ends, and a year with two of them.
STRETCH = 5
MIDNIGHTS = (at("2022-01-01"), at("2022-02-01"), at("2024-01-01"))
PLACES = STRETCH * len(MIDNIGHTS)
ranges_of_places = st.lists(
    st.tuples(st.integers(0, PLACES - 1), st.integers(0, PLACES)).filter(lambda pair: pair[0] < pair[1]), max_size=2
)
turns = st.builds(
    Turn,
    st.lists(st.integers(0, PLACES - 1), unique=True, max_size=4).map(sorted),
    st.sampled_from([100.0, 200.0]),
    st.sampled_from([TRADES, NEW, OLD, API, DERIVED, CUT_OFF]),
    ranges_of_places,
    ranges_of_places,
    st.booleans(),
)
#: A store is not made anew for every example, so each has a market of its own.
examples = count()


def opens_of(interval: Interval) -> list[datetime]:
    return [midnight + (n - 2) * interval.delta for midnight in MIDNIGHTS for n in range(STRETCH)]


def take(store: CandleStore, series: Series, turn: Turn) -> Written:
    opens = opens_of(series.interval)

    def clear(places: Sequence[tuple[int, int]]) -> None:
        for first, end in places:
            writer.clear(TimeRange(opens[first], opens[end - 1] + series.interval.delta))

    with store.writer(series) as writer:
        clear(turn.before)
        writer.append(candles_at(*(opens[slot] for slot in turn.slots), price=turn.price), turn.origin)
        clear(turn.after)
        return writer.commit()


def expected_of(model: dict[datetime, Row], turn: Turn, interval: Interval) -> dict[datetime, Row]:
    """What a dict of rows by slot holds after it."""
    opens = opens_of(interval)
    appended = rows_of(with_origin(candles_at(*(opens[n] for n in turn.slots), price=turn.price), turn.origin))
    cleared = {opens[place] for first, end in [*turn.before, *turn.after] for place in range(first, end)}
    kept = {t: row for t, row in model.items() if t not in cleared or t in appended}
    return kept | {t: row for t, row in appended.items() if t not in kept or beats(row, kept[t])}
