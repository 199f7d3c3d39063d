"""Which answer stands, once more, in words of one row: what stores and `merge` are compared with."""

from datetime import UTC, datetime
from typing import Any

import polars as pl

Row = dict[str, Any]


def rows_of(frame: pl.DataFrame) -> dict[datetime, Row]:
    return {row["timestamp"].replace(tzinfo=UTC): row for row in frame.to_dicts()}


def strength(row: Row) -> int:
    return 0 if row["provisional"] else {"TRADES": 4, "CSV": 3, "API": 2, "STREAM": 0}[row["source"]]


def beats(new: Row, old: Row) -> bool:
    """Whether the new answer for a slot takes the place of the old one."""
    new_rank, old_rank = (strength(new), not new["derived"]), (strength(old), not old["derived"])
    if new_rank != old_rank:
        return new_rank > old_rank
    if new["source"] == old["source"] == "CSV":
        if new["release"] != old["release"]:
            return bool(new["release"] > old["release"])
        if not new["derived"]:
            content = ("trades", "open", "high", "low", "close", "volume")
            return [new[c] for c in content] > [old[c] for c in content]
    return True


def equal(new: Row, old: Row) -> bool:
    exact = all(new[c] == old[c] for c in ("open", "high", "low", "close", "trades"))
    return exact and abs(new["volume"] - old["volume"]) <= 1e-9 * max(new["volume"], old["volume"])
