"""Kraken's own files: its outages are found, its quiet early years raise nothing, and hours agree with days."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from chandlery.candles.audit.agreement import Held, disagreements
from chandlery.candles.interval import Interval
from chandlery.candles.resample import resample
from chandlery.candles.timerange import RangeSet, TimeRange
from tests.acceptance.commands import Commands
from tests.acceptance.test_real_files import rows_of
from tests.candles.builders import at, between

SELECTION = ("--markets", "XBTUSD,ETHUSD", "--intervals", "60,1440", "--end-date", "2023-01-06")
#: As the files' own notes list them since 2017.
OUTAGES = [
    between("2017-12-10 06:00", "2017-12-10 08:00"),
    between("2018-01-12 00:00", "2018-01-13 00:00"),
    between("2018-04-21 17:00", "2018-04-21 18:00"),
    between("2019-07-14 22:00", "2019-07-15 01:00"),
    between("2020-10-24 17:00", "2020-10-24 18:00"),
    between("2021-01-29 16:00", "2021-01-29 17:00"),
    between("2021-07-22 22:00", "2021-07-23 02:00"),
    between("2021-07-23 13:00", "2021-07-23 14:00"),
]


@pytest.fixture(scope="module")
def audited(commands: Commands, shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What an audit says of the two markets alone."""
    folder = tmp_path_factory.mktemp("two")
    for name in ("XBTUSD_60", "ETHUSD_60", "XBTUSD_1440", "ETHUSD_1440"):
        (folder / f"{name}.csv").symlink_to(shared_data / "kraken" / f"{name}.csv")
    done = commands("ingest_kraken_unified", "--source", str(folder), *SELECTION, "--yes")
    assert done.status == 0, done.err
    told = commands("audit_candles", *SELECTION, "--json")
    assert told.status == 0, told.err
    found: dict[str, Any] = json.loads(told.out)
    return found


def moment(text: str) -> datetime:
    return at(text.replace("T", " ").rstrip("Z")[:16])


def test_the_outages_since_2017_are_found_as_weak_ones(audited: dict[str, Any]) -> None:
    found = [TimeRange(moment(one["start"]), moment(one["end"])) for one in audited["outages"]]
    assert [outage for outage in OUTAGES if not any(one.contains(outage) for one in found)] == []
    assert all(one["weak"] for one in audited["outages"])
    assert [one for one in found if not any(one.overlaps(outage) for outage in OUTAGES)] == []


def test_no_quiet_hour_of_the_early_years_raises_a_finding(audited: dict[str, Any]) -> None:
    assert [one for one in audited["findings"] if one["kind"] != "PRICE_SPIKE"] == []


def test_a_crash_that_was_over_at_once_is_worth_a_look_and_contradicts_nothing(audited: dict[str, Any]) -> None:
    """Real ones: on 2021-02-22 ETH/USD fell to 700 dollars within an hour of 25,196 trades; on 2017-05-07 to 26 in the
    last two hours of the day, of which each looks like the other: only the day stands out.
    """
    found = [(one["interval_minutes"], one["start"], one["evidence"]["price"]) for one in audited["findings"]]
    assert found == [
        (60, "2021-02-22T14:00:00Z", 700.0),
        (1440, "2017-05-07T00:00:00Z", 26.0),
    ]
    assert {(one["market"], one["severity"]) for one in audited["findings"]} == {("ETHUSD", "WARNING")}


@pytest.mark.parametrize(("market", "days"), [("XBTUSD", 2_722), ("ETHUSD", 2_058)])
def test_hours_agree_with_days_on_every_day(shared_data: Path, market: str, days: int) -> None:
    fine, coarse = (rows_of(shared_data / "kraken" / f"{market}_{minutes}.csv") for minutes in (60, 1440))
    assert coarse.height == days
    covered = RangeSet([TimeRange(coarse["timestamp"][0].replace(tzinfo=UTC), at("2021-04-01"))])
    held = {Interval.M60: Held(fine, covered), Interval.M1440: Held(coarse, covered)}

    assert disagreements(held) == []
    both = resample(fine, Interval.M1440).join(coarse, on="timestamp", suffix="_day")
    assert both.height == days
    assert (both["trades"] == both["trades_day"]).all()
    assert ((both["volume"] / both["volume_day"] - 1).abs() <= 1e-11).all()
