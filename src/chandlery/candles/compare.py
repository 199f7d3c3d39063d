"""Two sets of candles side by side."""

from dataclasses import dataclass
from datetime import datetime

import polars as pl

from chandlery.candles.frame import PRICES, VOLUME_TOLERANCE


@dataclass(frozen=True, slots=True)
class Comparison:
    """Slots by outcome; `first_difference` is the first slot in which both have a candle and the candles differ."""

    equal: int = 0
    different: int = 0
    only_here: int = 0
    only_there: int = 0
    first_difference: datetime | None = None

    @property
    def identical(self) -> bool:
        return not (self.different or self.only_here or self.only_there)

    def __add__(self, other: "Comparison") -> "Comparison":
        return Comparison(
            self.equal + other.equal,
            self.different + other.different,
            self.only_here + other.only_here,
            self.only_there + other.only_there,
            min((d for d in (self.first_difference, other.first_difference) if d is not None), default=None),
        )


def compare(here: pl.DataFrame, there: pl.DataFrame) -> Comparison:
    """Candle by candle; both have CANDLE_SCHEMA. Prices and counts exactly, volumes within VOLUME_TOLERANCE."""
    both = here.join(there, on="timestamp", how="inner", suffix="_there")
    equal = pl.all_horizontal(
        *(pl.col(name) == pl.col(f"{name}_there") for name in (*PRICES, "trades")),
        (pl.col("volume") - pl.col("volume_there")).abs()
        <= VOLUME_TOLERANCE * pl.max_horizontal(pl.col("volume").abs(), pl.col("volume_there").abs()),
    )
    differing = both.filter(~equal)["timestamp"].sort()
    return Comparison(
        equal=both.height - len(differing),
        different=len(differing),
        only_here=here.height - both.height,
        only_there=there.height - both.height,
        first_difference=differing[0] if len(differing) else None,
    )
