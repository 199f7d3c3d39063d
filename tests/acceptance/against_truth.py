"""A lake, a report and verdicts held against the truth: every row, every figure, every slot."""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
from polars.testing import assert_frame_equal

from chandlery.candles.frame import PRICES
from chandlery.candles.interval import Interval
from chandlery.candles.series import Series
from chandlery.candles.timerange import TimeRange
from tests.acceptance.in_process import Runs, lake_rows
from tests.acceptance.truth import Expected, SeriesTruth, Truth


def check_all(runs: Runs, truth: Truth, markets: Iterable[str]) -> None:
    """Lake, report and verdicts of every series asked for."""
    series = [truth.series(market, interval) for market in markets for interval in truth.intervals]
    for one in series:
        check_lake(runs.lake, one)
        check_verdicts(runs, one)
    check_report(runs.report(), series)


def check_lake(lake: Path, truth: SeriesTruth) -> None:
    """Every row, equal in every column; volumes that were summed up within 1e-9."""
    stored = lake_rows(lake, truth.market, truth.interval)
    name = f"{truth.market} {int(truth.interval)}m"
    if truth.rows.is_empty():
        assert stored.is_empty(), name
        return
    assert not stored.is_empty(), name
    exact = ["timestamp", *PRICES, "trades", "derived", "provisional"]
    assert_frame_equal(stored.select(exact), truth.rows.select(exact), check_exact=True)
    volumes = pl.DataFrame({"stored": stored["volume"], "true": truth.rows["volume"], "derived": stored["derived"]})
    within = pl.when("derived").then((pl.col("stored") / pl.col("true") - 1).abs() <= 1e-9)
    assert volumes.select(within.otherwise(pl.col("stored") == pl.col("true")).all()).item(), name
    assert (stored["source"] == "CSV").all(), name
    begins = pl.DataFrame({"stored": stored["release"], "true": truth.rows["release"]}).select(
        (pl.col("stored").str.starts_with(pl.col("true")) & ((pl.col("true") == "") == (pl.col("stored") == ""))).all()
    )
    assert begins.item(), name


def assert_same_lake(one: dict[Series, pl.DataFrame], other: dict[Series, pl.DataFrame]) -> None:
    """The same series with the same rows in every column."""
    assert one.keys() == other.keys()
    for series, rows in one.items():
        assert_frame_equal(rows, other[series], check_exact=True)


def check_verdicts(runs: Runs, truth: SeriesTruth) -> None:
    """Slot by slot, written as runs of equal verdicts."""
    within = TimeRange(truth.opens(0), truth.opens(len(truth.verdicts)))
    known = [(r.start, r.end, str(v)) for r, v in runs.verdicts(truth.market, truth.interval, within)]
    assert _joined(known) == [(start, end, str(v)) for start, end, v in truth.runs], (truth.market, truth.interval)


def check_report(report: dict[str, Any], series: Iterable[SeriesTruth]) -> None:
    """Every figure and every gap of the report as JSON."""
    told = {(one["market"], one["interval_minutes"]): one for one in report["series"]}
    expected = {(one.market, int(one.interval)): one for one in series}
    assert set(told) == set(expected)
    for key, one in expected.items():
        check_figures(told[key], one)
    for name in ("slots", "traded", "quiet_claimed", "suspect", "missing", "unlisted"):
        assert report["overall"][name] == sum(one[name] for one in told.values())
    assert report["overall"]["gaps"] == sum(len(one["gaps"]) for one in told.values())


def check_figures(told: dict[str, Any], truth: SeriesTruth) -> None:
    slots, traded = len(truth.verdicts), truth.count(Expected.TRADED)
    quiet, missing = truth.count(Expected.QUIET_CLAIMED), truth.count(Expected.MISSING)
    unlisted = truth.count(Expected.UNLISTED)
    figures = {
        "start": _instant(truth.opens(0)),
        "end": _instant(truth.opens(slots)),
        "slots": slots,
        "traded": traded,
        "quiet_proven": 0,
        "quiet_confirmed": 0,
        "quiet_claimed": quiet,
        "suspect": 0,
        "missing": missing,
        "unlisted": unlisted,
        "completeness": (traded + quiet) / (slots - unlisted),
        "density": traded / (slots - unlisted),
    }
    assert {name: told[name] for name in figures} == figures, (truth.market, truth.interval)
    width = Interval(truth.interval).delta
    gaps = [(_instant(s), _instant(e), (e - s) // width) for s, e, v in truth.runs if v == Expected.MISSING]
    assert [(gap["start"], gap["end"], gap["candles"]) for gap in told["gaps"]] == gaps, (truth.market, truth.interval)
    assert {gap["reason"] for gap in told["gaps"]} <= {"MISSING"}


def _joined(runs: list[tuple[datetime, datetime, str]]) -> list[tuple[datetime, datetime, str]]:
    """Touching runs of one verdict as one."""
    joined: list[tuple[datetime, datetime, str]] = []
    for start, end, verdict in runs:
        if joined and joined[-1][1:] == (start, verdict):
            joined[-1] = (joined[-1][0], end, verdict)
        else:
            joined.append((start, end, verdict))
    return joined


def _instant(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
