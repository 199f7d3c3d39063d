"""Two answers for one slot: which one stays. Pure, on frames, and the same in any order of work."""

from dataclasses import dataclass
from datetime import datetime

import polars as pl

from chandlery.candles.evidence import Source
from chandlery.candles.frame import CANDLE_SCHEMA, PRICES, VOLUME_TOLERANCE
from chandlery.stores.base import ORIGIN_COLUMNS

COLUMNS = (*CANDLE_SCHEMA, *ORIGIN_COLUMNS)
_STRENGTH = {source.value: source.strength for source in Source}


@dataclass(frozen=True, slots=True)
class Merged:
    """The outcome of a merge; `candles` is None where the stored frame stays as it is."""

    candles: pl.DataFrame | None
    inserted: int
    replaced: int
    unchanged: int
    conflicting: int
    first_conflict: datetime | None


def merge(stored: pl.DataFrame, answers: pl.DataFrame) -> Merged:
    """Both have COLUMNS and are sorted. Absence deletes nothing.

    The greater wins: strength, then direct over derived, then (of archives) the release's rank. Where all are equal, of
    two CSV rows the one with more trades, then greater prices and volume; of any others the later answer.
    """
    both = stored.join(answers, on="timestamp", how="full", coalesce=True, suffix="_new", maintain_order="none")
    old, new = pl.col("trades").is_not_null(), pl.col("trades_new").is_not_null()
    met, equal = old & new, _equal()
    settled = ~pl.col("provisional") & ~pl.col("provisional_new")
    judged = both.with_columns(
        _inserted=new & ~old,
        _wins=new & (~old | _wins()),
        _equal=met & equal,
        _conflict=met & ~equal & settled,
    ).with_columns(_replaced=met_and(pl.col("_wins"), old) & ~pl.col("_equal"))
    rewritten = judged.select((pl.col("_wins") & (~old | _differs())).any()).item()
    figures = judged.select(
        pl.col("_inserted").sum(),
        pl.col("_replaced").sum(),
        pl.col("_equal").sum(),
        pl.col("_conflict").sum(),
        first=pl.col("timestamp").filter(pl.col("_conflict")).min(),
    ).row(0)
    kept = None
    if rewritten:
        kept = judged.select(
            "timestamp",
            *(pl.when("_wins").then(pl.col(f"{name}_new")).otherwise(pl.col(name)).alias(name) for name in COLUMNS[1:]),
        ).sort("timestamp")
    return Merged(kept, *figures)


def met_and(wins: pl.Expr, old: pl.Expr) -> pl.Expr:
    return wins & old


def _equal() -> pl.Expr:
    """Prices and trades exactly, volume within tolerance."""
    volume, other = pl.col("volume"), pl.col("volume_new")
    return pl.all_horizontal(
        *(pl.col(name) == pl.col(f"{name}_new") for name in (*PRICES, "trades")),
        (volume - other).abs() <= VOLUME_TOLERANCE * pl.max_horizontal(volume.abs(), other.abs()),
    )


def _differs() -> pl.Expr:
    """In any column, to the last bit: the winner's row is stored whole."""
    return pl.any_horizontal(*(pl.col(name) != pl.col(f"{name}_new") for name in COLUMNS[1:]))


def _wins() -> pl.Expr:
    """Whether the new row takes the place of the stored one."""
    tie = pl.when(_is_csv("") & _is_csv("_new")).then(_greater()).otherwise(pl.lit(True))
    for rank in (_release, _direct, _strength):
        tie = (rank("_new") > rank("")) | ((rank("_new") == rank("")) & tie)
    return tie


def _strength(suffix: str) -> pl.Expr:
    strength = pl.col(f"source{suffix}").replace_strict(_STRENGTH, return_dtype=pl.Int8)
    return pl.when(pl.col(f"provisional{suffix}")).then(pl.lit(0, pl.Int8)).otherwise(strength)


def _direct(suffix: str) -> pl.Expr:
    """A provisional row is worth nothing, however it was made."""
    return pl.col(f"provisional{suffix}") | ~pl.col(f"derived{suffix}")


def _release(suffix: str) -> pl.Expr:
    ranked = ~pl.col(f"derived{suffix}") & ~pl.col(f"provisional{suffix}")
    return pl.when(ranked).then(pl.col(f"release{suffix}")).otherwise(pl.lit(""))


def _is_csv(suffix: str) -> pl.Expr:
    return (pl.col(f"source{suffix}") == Source.CSV.value) & ~pl.col(f"derived{suffix}")


def _greater() -> pl.Expr:
    """Of two rows of equal rank: a cut-off candle has fewer trades than the whole one."""
    greater = pl.lit(False)
    for name in reversed(("trades", *PRICES, "volume")):
        new, old = pl.col(f"{name}_new"), pl.col(name)
        greater = (new > old) | ((new == old) & greater)
    return greater
