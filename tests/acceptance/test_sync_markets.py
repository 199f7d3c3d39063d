"""sync_markets as a user runs it, against Kraken's answers on loopback."""

import json
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer

from tests.acceptance.commands import Commands
from tests.conftest import CompletedRun

NOW = "2026-11-23T20:00:00Z"


@pytest.fixture(scope="module")
def real(shared_data: Path) -> dict[str, Any]:
    """Kraken's AssetPairs as recorded."""
    found: dict[str, Any] = json.loads((shared_data / "kraken-api" / "AssetPairs.json").read_text())
    return found


def sync(commands: Commands, server: HTTPServer, answer: dict[str, Any], *options: str) -> CompletedRun:
    server.clear()
    server.expect_request("/0/public/AssetPairs").respond_with_json(answer)
    return commands(
        "sync_markets", *options, KRAKEN_API=server.url_for("").rstrip("/"), KRAKEN_RETRY_WAIT="0", CLOCK=NOW
    )


def changed(real: dict[str, Any]) -> dict[str, Any]:
    """One market more, one less, one that takes no new orders."""
    pairs = {key: pair for key, pair in real["result"].items() if pair["altname"] != "ETHUSD"}
    pairs["NEWUSD"] = {**pairs["ADAUSD"], "altname": "NEWUSD", "wsname": "NEW/USD", "base": "NEW"}
    pairs["ADAUSD"] = {**pairs["ADAUSD"], "status": "cancel_only"}
    return {"error": [], "result": pairs}


def test_the_recorded_list_is_what_is_known(fresh: Commands, httpserver: HTTPServer, real: dict[str, Any]) -> None:
    done = sync(fresh, httpserver, real)

    assert (done.status, done.out, done.err) == (0, "Kraken lists 1,434 markets.\nNothing has changed.\n", "")


def test_changes_are_told_by_name_and_recorded(fresh: Commands, httpserver: HTTPServer, real: dict[str, Any]) -> None:
    lines = [
        "Kraken lists 1,434 markets.",
        "Listed (1): NEWUSD",
        "Delisted (1): ETHUSD",
        "Changed (1):",
        "  ADAUSD: status cancel_only (was online)",
    ]

    first = sync(fresh, httpserver, changed(real), "--dry-run")
    second = sync(fresh, httpserver, changed(real))
    third = sync(fresh, httpserver, changed(real), "--json")
    back = sync(fresh, httpserver, real, "--json")

    assert first.out.splitlines() == [*lines, "Nothing was written."]
    assert second.out.splitlines() == lines
    nothing = {"dry_run": False, "markets": 1434, "listed": [], "delisted": [], "back": [], "changed": []}
    assert json.loads(third.out) == nothing
    told = json.loads(back.out)
    assert (told["back"], told["delisted"]) == (["ETHUSD"], ["NEWUSD"])
    assert told["changed"] == [{"market": "ADAUSD", "field": "status", "before": "cancel_only", "after": "online"}]
    assert [done.status for done in (first, second, third, back)] == [0] * 4


@pytest.mark.slow
def test_verbosity_0_prints_errors_only(fresh: Commands, httpserver: HTTPServer, real: dict[str, Any]) -> None:
    done = sync(fresh, httpserver, changed(real), "-v", "0")
    nobody = fresh("sync_markets", "-v", "0", KRAKEN_API="http://127.0.0.1:1", KRAKEN_RETRY_WAIT="0")

    assert (done.status, done.out, done.err) == (0, "", "")
    assert (nobody.status, nobody.out, nobody.err.count("\n")) == (1, "", 1)


def test_a_list_that_nobody_can_believe_is_one_line(
    fresh: Commands, httpserver: HTTPServer, real: dict[str, Any]
) -> None:
    few = dict(list(real["result"].items())[:100])

    done = sync(fresh, httpserver, {"error": [], "result": few})

    assert (done.status, done.out) == (1, "")
    assert done.err.startswith("Error: Kraken's answer lists 100 of 1,434 known markets: ")
    assert done.err.count("\n") == 1


@pytest.mark.slow
def test_without_a_network_it_is_one_line(fresh: Commands, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/0/public/AssetPairs").respond_with_data("gone", status=500)

    nobody = fresh("sync_markets", KRAKEN_API="http://127.0.0.1:1", KRAKEN_RETRY_WAIT="0")
    broken = fresh("sync_markets", KRAKEN_API=httpserver.url_for(""), KRAKEN_RETRY_WAIT="0", KRAKEN_RATE="0")

    assert (nobody.status, nobody.out, nobody.err.count("\n")) == (1, "", 1)
    assert nobody.err.startswith("Error: Kraken's API at http://127.0.0.1:1 cannot be reached")
    assert (broken.status, broken.out, broken.err.count("\n")) == (1, "", 1)
    assert "no usable answer to AssetPairs in 5 attempts" in broken.err
