import pytest
from hypothesis import given
from hypothesis import strategies as st

from chandlery.exchanges.kraken.api.answer import Reply, result_of
from chandlery.exchanges.kraken.api.errors import Refused
from chandlery.exchanges.kraken.api.retrying import LONGEST_WAIT, Attempts, Failure, wait_before_repeating
from chandlery.exchanges.kraken.api.settings import ApiSettings

BUSY = Failure("EService:Busy")


def waits(problem: Failure, count: int, retry_wait: float = 1.0) -> list[float]:
    return [wait_before_repeating(n, problem, retry_wait, 1.0) for n in range(1, count + 1)]


def failure_of(status: int, **headers: str) -> Failure:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with pytest.raises(Failure) as caught:
        result_of(Reply(status, named, b""), "Time")
    return caught.value


def test_waits_double_up_to_a_minute() -> None:
    assert waits(BUSY, 8) == [1, 2, 4, 8, 16, 32, 60, 60]


def test_where_it_is_asked_too_often_the_first_wait_is_longer() -> None:
    assert waits(Failure("EAPI:Rate limit exceeded", crowded=True), 4) == [4, 8, 16, 32]


def test_what_the_server_asks_for_is_granted() -> None:
    assert waits(Failure("HTTP 429", retry_after=7), 5) == [7, 7, 7, 8, 16]


def test_nothing_is_waited_for_longer_than_a_minute() -> None:
    assert waits(Failure("HTTP 429", retry_after=86_400), 1) == [LONGEST_WAIT]


def test_a_wait_of_zero_is_no_wait_at_all() -> None:
    assert waits(Failure("HTTP 429", retry_after=7, crowded=True), 3, retry_wait=0) == [0, 0, 0]


@given(
    failures=st.integers(1, 10_000),
    retry_wait=st.floats(0, 1e6),
    jitter=st.floats(0.75, 1.25),
    retry_after=st.floats(0, 1e9),
    crowded=st.booleans(),
)
def test_no_wait_is_negative_or_longer_than_a_minute(
    failures: int, retry_wait: float, jitter: float, retry_after: float, crowded: bool
) -> None:
    problem = Failure("…", retry_after=retry_after, crowded=crowded)
    assert 0 <= wait_before_repeating(failures, problem, retry_wait, jitter) <= LONGEST_WAIT


def test_waits_of_two_questions_differ() -> None:
    first, second = Attempts(ApiSettings()), Attempts(ApiSettings())
    assert first(BUSY) != second(BUSY)


def test_only_what_may_pass_is_repeated_and_not_after_the_last_attempt() -> None:
    attempts = Attempts(ApiSettings(attempts=2))
    assert attempts(Refused(what="Time", reason="EGeneral:Invalid arguments")) is False
    assert attempts(BUSY) is not False
    assert attempts(BUSY) is False


def test_short_waits_and_the_last_failure_are_not_worth_telling() -> None:
    told: list[str] = []
    attempts = Attempts(ApiSettings(attempts=4, retry_wait=1.4), lambda why, _: told.append(why))
    attempts(Failure("the first, before about 1.4 s"))
    attempts(Failure("the second, before about 2.8 s"))
    attempts(Failure("the third, before about 5.6 s"))
    attempts(Failure("the last"))
    assert told == [
        "Kraken's API gives no usable answer (the second, before about 2.8 s)",
        "Kraken's API gives no usable answer (the third, before about 5.6 s)",
    ]


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        (Failure("Connection refused", unconnected=True), "does not answer (connection refused)"),
        (Failure("EAPI:Rate limit exceeded", crowded=True), "is asked too often (EAPI:Rate limit exceeded)"),
        (Failure("HTTP 503 Service Unavailable"), "gives no usable answer (HTTP 503 Service Unavailable)"),
        (
            Failure("no whole answer in time (KRAKEN_TIMEOUT is 30 s)"),
            "gives no usable answer: no whole answer in time (KRAKEN_TIMEOUT is 30 s)",
        ),
    ],
)
def test_a_wait_says_what_the_api_did_and_why(problem: Failure, said: str) -> None:
    told: list[str] = []
    Attempts(ApiSettings(retry_wait=30), lambda why, _: told.append(why))(problem)
    assert told == [f"Kraken's API {said}"]


def test_retry_after_in_seconds() -> None:
    assert failure_of(429, retry_after="30").retry_after == 30


def test_retry_after_as_a_date_is_measured_by_the_servers_clock() -> None:
    problem = failure_of(503, retry_after="Tue, 11 Nov 2025 00:18:00 GMT", date="Tue, 11 Nov 2025 00:17:10 GMT")
    assert problem.retry_after == 50


@pytest.mark.parametrize("stated", ["", "soon", "-5", "1.5", "Tue, 11 Nov 2025 00:18:00 GMT", "٣"])
def test_a_retry_after_that_says_nothing_is_no_wait(stated: str) -> None:
    assert failure_of(503, retry_after=stated).retry_after == 0


def test_a_retry_after_in_the_past_is_no_wait() -> None:
    problem = failure_of(503, retry_after="Tue, 11 Nov 2025 00:17:00 GMT", date="Tue, 11 Nov 2025 00:17:10 GMT")
    assert problem.retry_after == 0


@pytest.mark.parametrize(("status", "crowded"), [(429, True), (403, False), (503, False)])
def test_which_http_states_mean_too_many_requests(status: int, crowded: bool) -> None:
    assert failure_of(status).crowded is crowded


@pytest.mark.parametrize(
    ("error", "crowded"),
    [
        ("EGeneral:Too many requests", True),
        ("EAPI:Rate limit exceeded", True),
        ("EGeneral:Temporary lockout", True),
        ("EService:Unavailable", False),
    ],
)
def test_which_errors_mean_too_many_requests(error: str, crowded: bool) -> None:
    with pytest.raises(Failure, match=error) as caught:
        result_of(Reply(200, {}, b'{"error":["' + error.encode() + b'"]}'), "Time")
    assert caught.value.crowded is crowded
