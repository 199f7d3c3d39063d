"""Which requests go wrong, and how an ordinary client sees it."""

import json
from collections import Counter
from collections.abc import Iterator

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chandlery.sandbox.faults import Fault, Faults, ImpossibleShares
from chandlery.sandbox.rest import SandboxApi
from chandlery.sandbox.server import serve
from tests.candles.builders import at
from tests.sandbox.asked import SMALL, Hands, ask

OHLC = "/0/public/OHLC?pair=XBTUSD&interval=60"
IN_BODY = {
    Fault.RATE_LIMIT: "EGeneral:Too many requests",
    Fault.API_RATE_LIMIT: "EAPI:Rate limit exceeded",
    Fault.SERVICE: "EService:Unavailable",
    Fault.BUSY: "EService:Busy",
    Fault.INTERNAL: "EGeneral:Internal error",
    Fault.LOCKOUT: "EGeneral:Temporary lockout",
}
PAGES = {
    Fault.HTTP_403: 403,
    Fault.HTTP_429: 429,
    Fault.HTTP_500: 500,
    Fault.HTTP_502: 502,
    Fault.HTTP_503: 503,
    Fault.HTML: 200,
}


def an_api(faults: Faults | None = None) -> SandboxApi:
    return SandboxApi(SMALL, Hands(at("2024-04-03 07:44:30")), faults=faults)


@pytest.fixture(scope="module")
def api() -> SandboxApi:
    return an_api()


@pytest.fixture(scope="module")
def client(api: SandboxApi) -> Iterator[httpx2.Client]:
    with serve(api) as server, httpx2.Client(base_url=server.url, timeout=10) as client:
        yield client


# ------------------------------------------------------------------------------------------------- as a client sees it


@pytest.mark.parametrize(("fault", "told"), IN_BODY.items())
def test_some_faults_are_errors_in_the_body(fault: Fault, told: str, api: SandboxApi, client: httpx2.Client) -> None:
    api.faults = Faults.always(fault)
    answer = client.get(OHLC)
    assert answer.status_code == 200
    assert answer.json() == {"error": [told]}


@pytest.mark.parametrize(("fault", "status"), PAGES.items())
def test_some_faults_are_pages(fault: Fault, status: int, api: SandboxApi, client: httpx2.Client) -> None:
    api.faults = Faults.always(fault)
    answer = client.get(OHLC)
    assert answer.status_code == status
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "<html>" in answer.text
    assert answer.headers.get("Retry-After") == ("1" if fault is Fault.HTTP_429 else None)


def test_a_stalled_answer_never_begins(api: SandboxApi, client: httpx2.Client) -> None:
    api.faults = Faults.always(Fault.STALL)
    with pytest.raises(httpx2.ReadTimeout):
        client.get(OHLC, timeout=0.05)


def test_a_stalled_connection_closes_when_its_time_is_over(api: SandboxApi, client: httpx2.Client) -> None:
    api.faults = Faults({Fault.STALL: 1.0}, stall_seconds=0.05)
    with pytest.raises(httpx2.RemoteProtocolError):
        client.get(OHLC)


def test_a_dropped_connection_closes_without_an_answer(api: SandboxApi, client: httpx2.Client) -> None:
    api.faults = Faults.always(Fault.DROP)
    with pytest.raises(httpx2.RemoteProtocolError, match="without sending a response"):
        client.get(OHLC)


def test_a_cut_answer_is_shorter_than_it_says(api: SandboxApi, client: httpx2.Client) -> None:
    api.faults = Faults.always(Fault.CUT)
    with pytest.raises(httpx2.RemoteProtocolError, match="without sending complete message body"):
        client.get(OHLC)


def test_cut_json_arrives_whole_and_cannot_be_read(api: SandboxApi, client: httpx2.Client) -> None:
    api.faults = Faults()
    full = client.get(OHLC).content
    api.faults = Faults.always(Fault.CUT_JSON)
    answer = client.get(OHLC)
    assert answer.status_code == 200
    assert int(answer.headers["Content-Length"]) == len(answer.content)
    assert answer.content == full[: len(full) // 2]
    with pytest.raises(json.JSONDecodeError):
        answer.json()


def test_the_right_candles_may_come_under_another_key(api: SandboxApi, client: httpx2.Client) -> None:
    api.faults = Faults()
    right = client.get(OHLC).json()["result"]
    api.faults = Faults.always(Fault.OTHER_KEY)
    other = client.get(OHLC).json()
    (key,) = other["result"].keys() - {"last"}
    assert key not in {"XBTUSD", "XXBTZUSD", "XBT/USD"}
    assert other == {"error": [], "result": {key: right["XXBTZUSD"], "last": right["last"]}}


def test_another_key_harms_no_other_answer() -> None:
    api = an_api(Faults.always(Fault.OTHER_KEY))
    assert ask(api, "Time") == ask(an_api(), "Time")
    assert ask(api, "OHLC", pair="FOOUSD") == {"error": ["EQuery:Unknown asset pair"]}
    assert api.outcomes == {"ok": 1, "EQuery:Unknown asset pair": 1}


def test_an_empty_result_has_no_error(api: SandboxApi, client: httpx2.Client) -> None:
    api.faults = Faults.always(Fault.EMPTY)
    assert client.get(OHLC).json() == {"error": [], "result": {}}


def test_after_a_fault_the_next_answer_is_whole(api: SandboxApi, client: httpx2.Client) -> None:
    for fault in Fault:
        api.faults = Faults(script=(fault,), stall_seconds=0.01)
        try:
            client.get(OHLC)
        except httpx2.TransportError:
            assert fault in {Fault.STALL, Fault.DROP, Fault.CUT}
        assert client.get(OHLC).json()["error"] == []


def test_the_log_tells_which_fault_befell_a_request(api: SandboxApi, client: httpx2.Client) -> None:
    api.forget_requests()
    api.faults = Faults(script=(Fault.HTML, None, Fault.DROP))
    for _ in range(2):
        client.get(OHLC)
    with pytest.raises(httpx2.RemoteProtocolError):
        client.get(OHLC)
    assert [asked.outcome for asked in api.requests] == ["html", "ok", "drop"]


# ------------------------------------------------------------------------------------------------------ which, and when


def test_nothing_goes_wrong_unless_asked_for() -> None:
    assert [Faults().at(number) for number in range(100)] == [None] * 100


def test_every_fault_has_its_part_of_the_total() -> None:
    faults = Faults.every(0.2)
    found = Counter(faults.at(number) for number in range(20_000))
    assert found.keys() == {None, *Fault}
    assert found[None] == pytest.approx(16_000, rel=0.02)
    assert all(150 < found[fault] < 300 for fault in Fault)


@given(st.integers(0, 2**31), st.integers(0, 10_000))
def test_what_befalls_a_request_depends_on_seed_and_number_only(seed: int, number: int) -> None:
    assert Faults.every(0.5, seed).at(number) == Faults.every(0.5, seed).at(number)


def test_another_seed_is_other_requests() -> None:
    one, two = (Faults.every(0.5, seed) for seed in (1, 2))
    assert [one.at(n) for n in range(50)] != [two.at(n) for n in range(50)]


def test_a_script_comes_first() -> None:
    faults = Faults.first(Fault.DROP, None, Fault.HTML)
    assert [faults.at(number) for number in range(5)] == [Fault.DROP, None, Fault.HTML, None, None]


def test_faults_are_counted_from_when_they_are_switched_on() -> None:
    api = an_api()
    ask(api, "Time")
    api.faults = Faults.first(Fault.EMPTY)
    assert ask(api, "Time")["result"] == {}
    assert ask(api, "Time")["result"] != {}


def test_shares_add_up() -> None:
    both = Faults.every(0.18).plus({Fault.HTML: 0.05})
    assert sum(both.shares.values()) == pytest.approx(0.23)
    assert both.shares[Fault.HTML] == pytest.approx(0.06)


@pytest.mark.parametrize("shares", [{Fault.HTML: -0.1}, {Fault.HTML: 1.1}, {Fault.HTML: 0.6, Fault.CUT: 0.5}])
def test_impossible_shares_are_refused(shares: dict[Fault, float]) -> None:
    with pytest.raises(ImpossibleShares, match="shares go from 0 to 1"):
        Faults(shares)


def test_all_requests_may_go_wrong() -> None:
    faults = Faults.every(1.0)
    assert None not in {faults.at(number) for number in range(2_000)}
