from datetime import UTC, datetime

import pytest

from chandlery.exchanges.kraken.api.errors import UnsoundAnswer
from chandlery.exchanges.kraken.api.status import SystemStatus, parse_server_time, parse_status

SAID = datetime(2025, 11, 11, 0, 17, 10, tzinfo=UTC)


@pytest.mark.parametrize("status", ["online", "cancel_only", "post_only", "limit_only"])
def test_candles_are_served_while_only_orders_are_restricted(status: str) -> None:
    assert SystemStatus(status, SAID).is_open


def test_nothing_is_served_in_maintenance() -> None:
    assert not SystemStatus("maintenance", SAID).is_open


@pytest.mark.parametrize("text", ["2025-11-11T00:17:10Z", "2025-11-11T01:17:10+01:00", "2025-11-11T00:17:10"])
def test_the_time_of_a_status_is_utc(text: str) -> None:
    said = parse_status({"status": "online", "timestamp": text}).timestamp
    assert (said, said.tzinfo) == (SAID, UTC)


@pytest.mark.parametrize(
    "result", [None, [], {}, {"status": "online"}, {"status": 1, "timestamp": "2025-11-11T00:17:10Z"}]
)
def test_a_status_without_its_parts_is_unsound(result: object) -> None:
    with pytest.raises(UnsoundAnswer, match="no status and timestamp in"):
        parse_status(result)


def test_a_status_at_no_time_is_unsound() -> None:
    with pytest.raises(UnsoundAnswer, match="timestamp is 'soon'"):
        parse_status({"status": "online", "timestamp": "soon"})


@pytest.mark.parametrize(
    "result", [None, {}, {"unixtime": "1762820224"}, {"unixtime": True}, {"unixtime": float("nan")}]
)
def test_a_time_without_seconds_is_unsound(result: object) -> None:
    with pytest.raises(UnsoundAnswer, match="no unixtime in"):
        parse_server_time(result)


def test_a_time_beyond_all_calendars_is_unsound() -> None:
    with pytest.raises(UnsoundAnswer, match="unixtime is 1000000"):
        parse_server_time({"unixtime": 10**30})
