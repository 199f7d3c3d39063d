"""Which of two answers for one slot is kept. Pure; for archive rows the order of work makes no difference."""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import polars as pl

from chandlery.candles.evidence import Source
from chandlery.candles.frame import PRICES, VOLUME_TOLERANCE
from chandlery.stores.partition import NO_EDGES, Edges
from chandlery.stores.stored import STORED_SCHEMA

#: What tells two rows of one release (or of files that rank alike) apart: more trades first, then any fixed order.
_CONTENT = ("trades", *PRICES, "volume")


@dataclass(frozen=True, slots=True)
class Merged:
    """The rows to store, and what became of the incoming ones. `changed`: whether the rows differ from those stored.

    laid: the rows that are new, or take the place of a stored one; gone: the slots whose row is dropped.
    inserted, replaced, unchanged, conflicting, first_conflict, removed, first_removed: as in `Written`.
    """

    rows: pl.DataFrame
    laid: pl.DataFrame
    gone: pl.Series
    changed: bool
    inserted: int
    replaced: int
    unchanged: int
    conflicting: int
    first_conflict: datetime | None
    removed: int
    first_removed: datetime | None


def merge(stored: pl.DataFrame, incoming: pl.DataFrame, cleared: Edges = NO_EDGES) -> Merged:
    """`stored` with the answers of `incoming` that are better. Both have STORED_SCHEMA and strictly increasing times.

    A slot's winner is stored whole, with its origin. A row of `stored` is dropped only where it opens in a `cleared`
    range and `incoming` has none for its slot: of two answers for a slot the better stands there as anywhere.
    """
    gone = _not_answered(stored, incoming, cleared)
    fresh = incoming.join(stored, on="timestamp", how="anti")
    met = stored.join(incoming, on="timestamp", how="inner", suffix="_new", maintain_order="left").select(
        "timestamp",
        *(f"{column}_new" for column in STORED_SCHEMA if column != "timestamp"),
        wins=_wins(),
        equal=_equal(),
        identical=_identical(),
        settled=~(pl.col("provisional") | pl.col("provisional_new")),
    )
    winners = met.filter(pl.col("wins") & ~pl.col("identical"))
    laid = pl.concat([_as_stored(winners), fresh])
    conflicts = met.filter(~pl.col("equal") & pl.col("settled"))["timestamp"]
    return Merged(
        rows=_laid_over(_without(stored, gone), laid, replacing=winners.height > 0),
        laid=laid,
        gone=gone,
        changed=bool(laid.height or len(gone)),
        inserted=fresh.height,
        replaced=winners.filter(~pl.col("equal")).height,
        unchanged=int(met["equal"].sum()),
        conflicting=len(conflicts),
        first_conflict=_first(conflicts),
        removed=len(gone),
        first_removed=_first(gone),
    )


def _not_answered(stored: pl.DataFrame, incoming: pl.DataFrame, cleared: Edges) -> pl.Series:
    """The stored slots that open in one of the ranges and for which nothing comes in."""
    times = stored["timestamp"]
    if not len(cleared):
        return times.clear()
    # Behind a start and before an end: an odd number of edges lies at or before it.
    inside = np.searchsorted(cleared, times.to_physical().to_numpy(), side="right") % 2 == 1
    inside &= ~np.isin(times.to_physical().to_numpy(), incoming["timestamp"].to_physical().to_numpy())
    return times.filter(pl.Series(inside))


def _without(stored: pl.DataFrame, gone: pl.Series) -> pl.DataFrame:
    return stored.join(gone.to_frame(), on="timestamp", how="anti", maintain_order="left") if len(gone) else stored


def _first(times: pl.Series) -> datetime | None:
    return times[0].replace(tzinfo=UTC) if len(times) else None


def _as_stored(winners: pl.DataFrame) -> pl.DataFrame:
    return winners.select("timestamp", *(pl.col(f"{c}_new").alias(c) for c in STORED_SCHEMA if c != "timestamp"))


def _laid_over(stored: pl.DataFrame, laid: pl.DataFrame, *, replacing: bool) -> pl.DataFrame:
    if laid.is_empty():
        return stored
    kept = stored.join(laid, on="timestamp", how="anti") if replacing else stored
    return pl.concat([kept, laid]).sort("timestamp")


def _wins() -> pl.Expr:
    """Whether the incoming row (`…_new`) beats the stored one."""
    stronger, weaker = _strength("_new") > _strength(""), _strength("_new") < _strength("")
    direct, was_direct = ~pl.col("derived_new"), ~pl.col("derived")
    archive = (pl.col("source") == Source.CSV) & (pl.col("source_new") == Source.CSV)
    later_release = pl.col("release_new") > pl.col("release")
    earlier_release = pl.col("release_new") < pl.col("release")
    return (
        pl.when(stronger | weaker)
        .then(stronger)
        .when(direct != was_direct)
        .then(direct)
        .when(archive & (later_release | earlier_release))
        .then(later_release)
        .when(archive & direct)
        .then(_greater_content())
        .otherwise(True)  # of two API, walked or derived answers the later one stands
    )


def _greater_content() -> pl.Expr:
    """Whether (trades, open, high, low, close, volume) of the incoming row sorts after those of the stored one."""
    greater = pl.lit(False)
    for column in reversed(_CONTENT):
        new, old = pl.col(f"{column}_new"), pl.col(column)
        greater = (new > old) | ((new == old) & greater)
    return greater


def _equal() -> pl.Expr:
    """Prices and counts exactly, volumes within VOLUME_TOLERANCE relative."""
    new, old = pl.col("volume_new"), pl.col("volume")
    return pl.all_horizontal(
        *(pl.col(f"{column}_new") == pl.col(column) for column in (*PRICES, "trades")),
        (new - old).abs() <= VOLUME_TOLERANCE * pl.max_horizontal(new.abs(), old.abs()),
    )


def _identical() -> pl.Expr:
    return pl.all_horizontal(
        *(pl.col(f"{column}_new") == pl.col(column) for column in STORED_SCHEMA if column != "timestamp")
    )


def _strength(suffix: str) -> pl.Expr:
    strengths = {source.value: source.strength for source in Source}
    settled = pl.col(f"source{suffix}").replace_strict(strengths, return_dtype=pl.Int8)
    return pl.when(pl.col(f"provisional{suffix}")).then(pl.lit(0, pl.Int8)).otherwise(settled)
