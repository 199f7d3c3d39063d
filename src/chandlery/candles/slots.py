"""Every slot of a range as a row: what is stored, what is known of it, and quiet slots filled where that is certain."""

from collections.abc import Collection, Iterable
from datetime import datetime

import numpy as np
import numpy.typing as npt
import polars as pl

from chandlery.candles.frame import PRICES, TIMESTAMP
from chandlery.candles.interval import EPOCH
from chandlery.candles.timerange import RangeSet, TimeRange
from chandlery.candles.verdict import Knowledge, Verdict, quiet_ranges

Codes = npt.NDArray[np.uint8]
#: In the order of their codes.
VERDICTS = tuple(Verdict)
VERDICT = pl.Enum([verdict.value for verdict in VERDICTS])
QUIET = (Verdict.QUIET_PROVEN, Verdict.QUIET_CONFIRMED, Verdict.QUIET_CLAIMED)
#: Across these nobody knows the price: what was last paid may be among what is not there.
_BREAKS = (Verdict.MISSING, Verdict.SUSPECT, Verdict.UNLISTED)


def verdict_codes(known: Knowledge, within: TimeRange, opens: pl.Series) -> Codes:
    """The verdict of every slot of `within` (on the grid), as its place in VERDICTS. `opens`: the stored slots there.

    The same as `slot_verdicts`, for millions of slots.
    """
    codes = np.full(within.slots(known.interval), _code(Verdict.MISSING), dtype=np.uint8)

    def paint(ranges: Iterable[TimeRange], verdict: Verdict) -> None:
        for one in ranges:
            first, end = _place(one.start, known, within), _place(one.end, known, within)
            codes[max(0, first) : max(0, end)] = _code(verdict)

    asked = RangeSet([within])
    for verdict, ranges in quiet_ranges(known).items():
        paint(ranges & asked, verdict)
    codes[_places(opens, known, within)] = _code(Verdict.TRADED)
    paint(known.suspected & asked, Verdict.SUSPECT)
    paint(known.life.unlisted(within, known.interval), Verdict.UNLISTED)
    return codes


def every_slot(known: Knowledge, within: TimeRange, candles: pl.DataFrame, *, fill: bool) -> pl.DataFrame:
    """A row a slot of `within`, with `filled` and `verdict`; `candles` are those stored there.

    Where nothing is stored, prices, volume and trades are null. `fill`: quiet slots have the close before them as
    their price, no volume and no trades. Across a slot that is open nobody knows that close, so there they stay null.
    """
    codes = verdict_codes(known, within, candles["timestamp"])
    step = known.interval.seconds * 1_000_000
    first = (within.start - EPOCH) // known.interval.delta * step
    opens = pl.Series("timestamp", first + np.arange(len(codes), dtype=np.int64) * step).cast(TIMESTAMP)
    rows = pl.DataFrame({"timestamp": opens}).join(candles, on="timestamp", how="left", maintain_order="left")
    rows = rows.with_columns(filled=pl.lit(False), verdict=pl.Series(codes).cat.to(VERDICT))
    return _filled(rows, codes) if fill else rows


def _filled(rows: pl.DataFrame, codes: Codes) -> pl.DataFrame:
    # What breaks the chain is carried on as NaN, which no stored price is.
    rows = rows.with_columns(breaks=_among(codes, _BREAKS), quiet=_among(codes, QUIET))
    carried = pl.when("breaks").then(float("nan")).otherwise(pl.col("close")).forward_fill().fill_nan(None)
    rows = rows.with_columns(carried=carried)
    rows = rows.with_columns(filled=pl.col("quiet") & pl.col("carried").is_not_null())
    values = {**dict.fromkeys(PRICES, pl.col("carried")), "volume": pl.lit(0.0), "trades": pl.lit(0)}
    filled = {name: pl.when("filled").then(value).otherwise(pl.col(name)) for name, value in values.items()}
    return rows.with_columns(**filled).drop("breaks", "quiet", "carried")


def _among(codes: Codes, verdicts: Collection[Verdict]) -> pl.Series:
    return pl.Series(np.isin(codes, [_code(verdict) for verdict in verdicts]))


def _code(verdict: Verdict) -> int:
    return VERDICTS.index(verdict)


def _place(moment: datetime, known: Knowledge, within: TimeRange) -> int:
    return (moment - within.start) // known.interval.delta


def _places(opens: pl.Series, known: Knowledge, within: TimeRange) -> npt.NDArray[np.int64]:
    first = (within.start - EPOCH) // known.interval.delta
    step = known.interval.seconds * 1_000_000
    places: npt.NDArray[np.int64] = opens.to_physical().to_numpy() // step - first
    return places
