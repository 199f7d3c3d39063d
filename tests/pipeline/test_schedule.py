"""Tasks handed to an executor: all of them, never two of one key at once, and none begun after a stop."""

from concurrent.futures import ThreadPoolExecutor
from threading import Lock

from chandlery.pipeline.schedule import Schedule


def test_every_task_comes_back_once_with_its_result() -> None:
    with ThreadPoolExecutor(2) as executor:
        schedule: Schedule[int, int] = Schedule(executor, lambda n: n * n, lambda n: n % 5, 2)
        found = dict(schedule.results(range(50), lambda: False))
    assert found == {n: n * n for n in range(50)}


def test_two_tasks_of_one_key_never_overlap_and_a_result_is_taken_before_the_next_begins() -> None:
    running: set[int] = set()
    untaken: set[int] = set()
    clashes: list[int] = []
    lock = Lock()

    def work(n: int) -> int:
        with lock:
            if n % 3 in running | untaken:
                clashes.append(n)
            running.add(n % 3)
        with lock:
            running.discard(n % 3)
            untaken.add(n % 3)
        return n

    with ThreadPoolExecutor(4) as executor:
        for n, _ in Schedule(executor, work, lambda n: n % 3, 4).results(range(60), lambda: False):
            with lock:
                untaken.discard(n % 3)
    assert clashes == []


def test_tasks_in_hand_when_asked_to_stop_are_finished() -> None:
    asked: list[bool] = []
    with ThreadPoolExecutor(1) as executor:
        schedule: Schedule[int, int] = Schedule(executor, lambda n: n, lambda n: n, 1)
        found = []
        for n, _ in schedule.results(range(100), lambda: bool(asked)):
            found.append(n)
            asked.append(True)
    assert found[0] == 0
    assert len(found) <= 3
